//! Flags as Go's `flag` package reads them: `-flag value`, `-flag=value`, one dash or two, flags before everything else.
//!
//! The flags themselves stand in clap's structures (`args`), from which help, completions and man pages are made; here
//! a command line in Go's manner is rewritten into one that clap takes.

use std::ffi::OsString;

use clap::{ArgAction, Command};

/// A command line that Go's parser would refuse, in its words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFlags {
    /// There is no such flag.
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    /// A flag that takes a value stands last.
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    /// Three dashes, or an empty name.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// A switch was given something that is neither yes nor no.
    #[error("invalid boolean value {value:?} for -{flag}: parse error")]
    NotBoolean {
        /// The switch.
        flag: String,
        /// What it was given.
        value: String,
    },
}

/// Rewrites the arguments (without the program's name) for clap: each flag becomes `--name` or `--name=value`, and all
/// that follows the last flag comes after `--`. The first argument that is no flag ends the flags, as does `--`.
///
/// # Errors
/// The first argument that Go would refuse.
pub fn rewrite(command: &Command, arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, BadFlags> {
    let mut arguments = arguments.into_iter().peekable();
    let mut rewritten = Vec::new();
    while let Some(argument) = arguments.next_if(is_flag) {
        // Go compares bytes; a flag's name is ASCII, so whatever is not text names none.
        let text = argument.to_string_lossy().into_owned();
        if text == "--" {
            break;
        }
        let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).unwrap_or_default();
        if name.is_empty() || name.starts_with('-') || name.starts_with('=') {
            return Err(BadFlags::Syntax(text));
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        match kind(command, name).ok_or_else(|| BadFlags::Unknown(name.to_owned()))? {
            Kind::Switch(long) => {
                if value.is_none_or_true(name)? {
                    rewritten.push(format!("--{long}").into());
                }
            }
            Kind::Valued(long) => {
                let mut whole = OsString::from(format!("--{long}="));
                match value {
                    Some(value) => whole.push(value),
                    None => whole.push(arguments.next().ok_or_else(|| BadFlags::NoValue(name.to_owned()))?),
                }
                rewritten.push(whole);
            }
        }
    }
    rewritten.push("--".into());
    rewritten.extend(arguments);
    Ok(rewritten)
}

/// A dash alone is an argument.
fn is_flag(argument: &OsString) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.len() > 1 && bytes[0] == b'-'
}

/// What a flag takes, with its long name.
enum Kind {
    Switch(String),
    Valued(String),
}

fn kind(command: &Command, name: &str) -> Option<Kind> {
    if matches!(name, "h" | "help") {
        return Some(Kind::Switch("help".into()));
    }
    let flag = command.get_arguments().find(|flag| {
        let short = flag.get_short().is_some_and(|short| name.chars().eq([short]));
        short || flag.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name))
    })?;
    let long = flag.get_long()?.to_owned();
    Some(match flag.get_action() {
        ArgAction::SetTrue | ArgAction::Help | ArgAction::Version => Kind::Switch(long),
        _ => Kind::Valued(long),
    })
}

/// Go's switches take a value only after an equals sign.
trait Switched {
    fn is_none_or_true(&self, flag: &str) -> Result<bool, BadFlags>;
}

impl Switched for Option<String> {
    fn is_none_or_true(&self, flag: &str) -> Result<bool, BadFlags> {
        match self.as_deref() {
            None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(value) => Err(BadFlags::NotBoolean { flag: flag.to_owned(), value: value.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn command() -> Command {
        Command::new("tool")
            .arg(Arg::new("config").long("config").action(ArgAction::Set))
            .arg(Arg::new("json").long("json").action(ArgAction::SetTrue))
            .arg(Arg::new("version").short('v').long("version").action(ArgAction::SetTrue))
            .arg(Arg::new("rest").action(ArgAction::Append))
    }

    fn rewritten(line: &[&str]) -> Result<Vec<String>, String> {
        let words = rewrite(&command(), line.iter().map(OsString::from)).map_err(|error| error.to_string())?;
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn one_dash_or_two_value_beside_or_behind_the_equals_sign() {
        for line in [&["-config", "a.yml"][..], &["--config", "a.yml"], &["-config=a.yml"], &["--config=a.yml"]] {
            assert_eq!(rewritten(line).unwrap(), ["--config=a.yml", "--"], "{line:?}");
        }
        assert_eq!(rewritten(&["-config="]).unwrap(), ["--config=", "--"], "an empty value is a value");
        assert_eq!(rewritten(&["-config", "-v"]).unwrap(), ["--config=-v", "--"], "whatever follows is the value");
        assert_eq!(rewritten(&["-config=a=b"]).unwrap(), ["--config=a=b", "--"]);
    }

    #[test]
    fn switches_take_a_value_only_behind_the_equals_sign() {
        assert_eq!(rewritten(&["-json", "-v"]).unwrap(), ["--json", "--version", "--"]);
        assert_eq!(rewritten(&["-json=false", "--version=T"]).unwrap(), ["--version", "--"]);
        assert_eq!(rewritten(&["-json", "true"]).unwrap(), ["--json", "--", "true"]);
        assert_eq!(rewritten(&["-json=yes"]).unwrap_err(), "invalid boolean value \"yes\" for -json: parse error");
    }

    #[test]
    fn the_first_other_argument_ends_the_flags() {
        let line = ["-json", "CallStart", "-config", "caller=sip:a@b"];
        assert_eq!(rewritten(&line).unwrap(), ["--json", "--", "CallStart", "-config", "caller=sip:a@b"]);
        assert_eq!(rewritten(&["-json", "--", "-v"]).unwrap(), ["--json", "--", "-v"]);
        assert_eq!(rewritten(&["-", "-v"]).unwrap(), ["--", "-", "-v"]);
        assert_eq!(rewritten(&[]).unwrap(), ["--"]);
    }

    #[test]
    fn refusals_are_in_the_words_of_go() {
        assert_eq!(rewritten(&["-nope"]).unwrap_err(), "flag provided but not defined: -nope");
        assert_eq!(rewritten(&["--nope=1"]).unwrap_err(), "flag provided but not defined: -nope");
        assert_eq!(rewritten(&["-config"]).unwrap_err(), "flag needs an argument: -config");
        assert_eq!(rewritten(&["---config"]).unwrap_err(), "bad flag syntax: ---config");
        assert_eq!(rewritten(&["-=x"]).unwrap_err(), "bad flag syntax: -=x");
    }

    #[test]
    fn help_is_asked_for_in_four_ways() {
        for line in ["-h", "--h", "-help", "--help"] {
            assert_eq!(rewritten(&[line]).unwrap(), ["--help", "--"]);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_command_line_is_a_crash(words in proptest::collection::vec("[-=a-z ]{0,9}", 0..6)) {
            let line: Vec<&str> = words.iter().map(String::as_str).collect();
            let _ = rewritten(&line);
        }
    }
}
