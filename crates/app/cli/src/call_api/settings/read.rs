//! From the text of a file to what is written in it, and which keys nobody knows.

use std::path::Path;

use super::written::Written;

/// Unknown keys that are listed; of more, only how many there are.
const MOST_UNKNOWN: usize = 20;

/// A file and what was odd about it.
#[derive(Debug, Default)]
pub struct Read {
    /// What it says.
    pub written: Written,
    /// Sentences about keys that have no meaning.
    pub warnings: Vec<String>,
}

/// Reads the text of the file of this name. In files that are called `call-….yml`, as the original's are, an unknown
/// key is a warning; in others it is an error.
///
/// # Errors
/// `FILE:LINE: what is wrong`.
pub fn read(path: &Path, text: &str) -> Result<Read, String> {
    let name = path.display();
    // A file of comments is an empty configuration.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Read::default());
    }
    let mut unknown = Vec::new();
    let parsed = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string()))
    });
    let written: Written = parsed.map_err(|error| {
        let error = error.without_snippet();
        let place = error.location().map(|at| format!(":{}", at.line())).unwrap_or_default();
        // The rest of the text draws the place once more.
        format!("{name}{place}: {}", error.to_string().lines().next().unwrap_or_default())
    })?;
    let sentence = |key: &String| {
        let place = line_of(text, key).map(|line| format!(":{line}")).unwrap_or_default();
        format!("{name}{place}: unknown key `{}`", plain(key))
    };
    if let (Some(first), false) = (unknown.first(), is_tolerant(path)) {
        return Err(sentence(first));
    }
    let mut warnings: Vec<String> = unknown.iter().take(MOST_UNKNOWN).map(sentence).collect();
    if unknown.len() > MOST_UNKNOWN {
        warnings.push(format!("{name}: {} more unknown keys", unknown.len() - MOST_UNKNOWN));
    }
    Ok(Read { written, warnings })
}

/// `call-api.yml`, `.call-api.yml`, `call-cmd.yml` and so on.
fn is_tolerant(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_prefix('.').unwrap_or(&name);
    name.starts_with("call-") && Path::new(name).extension().is_some_and(|ending| ending == "yml")
}

/// The steps of a path to a key; optional sections leave question marks in it.
fn steps(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').filter(|step| *step != "?")
}

fn plain(key: &str) -> String {
    steps(key).collect::<Vec<_>>().join(".")
}

/// The line on which a key stands: each step is looked for behind the one before.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let mut lines = text.lines().enumerate().peekable();
    let mut found = None;
    for step in steps(key).filter(|step| step.parse::<usize>().is_err()) {
        found = None;
        while let Some((number, line)) = lines.peek() {
            if has_key(line, step) {
                found = Some(number + 1);
                break;
            }
            lines.next();
        }
    }
    found
}

/// Whether a line holds `key:`, with or without quotes, outside a comment.
fn has_key(line: &str, key: &str) -> bool {
    let code = line.split(" #").next().unwrap_or_default();
    if code.trim_start().starts_with('#') {
        return false;
    }
    code.match_indices(key).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let behind = code[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
        behind.starts_with(':') && before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(name: &str, text: &str) -> Vec<String> {
        read(Path::new(name), text).unwrap().warnings
    }

    #[test]
    fn empty_files_sections_and_keys_say_nothing() {
        for text in ["", "# nothing\n\n", "{}", "sip:\n  # uri: sip:127.0.0.1\nlog:\n  level:\n"] {
            let read = read(Path::new("x.yml"), text).unwrap();
            assert!(read.warnings.is_empty() && read.written.sip.and_then(|sip| sip.uri).is_none(), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_warnings_in_the_originals_files() {
        let text =
            "ws_server:\n  port: 1\n  # hots: comment\n  hots: x\nmi: { url: 'a:1', speed: 9 }\nextra:\n  deep: 1\n";
        for name in ["call-api.yml", "/home/x/.call-cmd.yml", "config/call-api-client.yml"] {
            assert_eq!(
                warnings(name, text),
                [
                    format!("{name}:4: unknown key `ws_server.hots`"),
                    format!("{name}:5: unknown key `mi.speed`"),
                    format!("{name}:6: unknown key `extra`"),
                ]
            );
        }
    }

    #[test]
    fn unknown_keys_are_errors_elsewhere() {
        for name in ["custom.yml", "call-api.yaml", "my-call-api.yml"] {
            let error = read(Path::new(name), "mi:\n  url: a:1\nlog:\n  colour: red\n").unwrap_err();
            assert_eq!(error, format!("{name}:4: unknown key `log.colour`"));
        }
    }

    #[test]
    fn an_unknown_key_within_a_list_has_its_line_too() {
        let text = "ws_server:\n  auth:\n    tokens:\n      - name: a\n        secret: x\n      - name: b\n        colour: red\n";
        assert_eq!(warnings("call-api.yml", text), ["call-api.yml:7: unknown key `ws_server.auth.tokens.1.colour`"]);
    }

    #[test]
    fn a_wrong_value_names_its_line() {
        for (text, line) in [
            ("ws_server:\n  port: many\n", ":2: "),
            ("mi:\n  url: a:1\n  timeout: soon\n", ":3: "),
            ("- a\n- b\n", ":1: "),
            ("log: {\n", ":"),
            ("ws_server:\n  port: 1\n  port: 2\n", ":3: "),
        ] {
            let error = read(Path::new("call-api.yml"), text).unwrap_err();
            assert!(error.starts_with(&format!("call-api.yml{line}")), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_of_nonsense_does_not_flood_the_log() {
        let text: String = (0..100).map(|n| format!("key{n}: 1\n")).collect();
        let said = warnings("call-api.yml", &text);
        assert_eq!((said.len(), said[20].as_str()), (21, "call-api.yml: 80 more unknown keys"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_crash(text in "(?s)[a-z:#{}\\[\\]\n\"' -]{0,60}") {
            let _ = read(Path::new("call-api.yml"), &text);
        }
    }
}
