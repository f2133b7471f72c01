//! Man pages and shell completions, made from the same structures as the help.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

use super::args::{ApiArgs, ClientArgs, CmdArgs, command, command_with_names};

/// Shells, with the folders for them.
const SHELLS: [(Shell, &str); 3] = [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")];

/// Writes the pages of a program and of the three tools:
/// `man/PROGRAM.1`, `man/PROGRAM-SUBCOMMAND.1`, `bash/PROGRAM`, `zsh/_PROGRAM` and `fish/PROGRAM.fish`.
///
/// # Errors
/// A file cannot be written.
pub fn generate(program: Command, folder: &Path) -> io::Result<()> {
    let (cmd, client) = (command_with_names::<CmdArgs>("command"), command_with_names::<ClientArgs>("method"));
    for program in [program, command::<ApiArgs>(), cmd, client] {
        of_one(program, folder)?;
    }
    Ok(())
}

fn of_one(mut program: Command, folder: &Path) -> io::Result<()> {
    let name = program.get_name().to_owned();
    let man = folder.join("man");
    fs::create_dir_all(&man)?;
    for (shell, part) in SHELLS {
        let part = folder.join(part);
        fs::create_dir_all(&part)?;
        let written = generate_to(shell, &mut program, &name, &part)?;
        if shell == Shell::Bash {
            // Bash looks for a file that is called as the command is.
            fs::rename(written, part.join(&name))?;
        }
    }
    program.build();
    man_page(&program, &name, &man)?;
    for sub in program.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        man_page(sub, &format!("{name}-{}", sub.get_name()), &man)?;
    }
    Ok(())
}

fn man_page(command: &Command, title: &str, folder: &Path) -> io::Result<()> {
    let notes = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    // A page whose text is the same whenever it is made.
    let man = Man::new(command.clone()).title(title.to_ascii_uppercase()).date("");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut text)?;
    }
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        man.render_subcommands_section(&mut text)?;
    }
    text.extend(notes.map(|notes| section(&notes)).unwrap_or_default().into_bytes());
    fs::write(folder.join(format!("{title}.1")), text)
}

/// Examples and notes as a section of their own: lines that are set in stay as they are, the others are filled.
fn section(notes: &str) -> String {
    let mut text = String::from(".SH NOTES\n");
    let mut is_set_in = false;
    for line in notes.lines() {
        let sets_in = line.starts_with("  ");
        match (is_set_in, sets_in) {
            (false, true) => text.push_str(".PP\n.nf\n"),
            (true, false) => text.push_str(".fi\n"),
            (true, true) | (false, false) => {}
        }
        is_set_in = sets_in;
        if line.is_empty() {
            text.push_str(".PP\n");
            continue;
        }
        // A dot or an apostrophe at the beginning of a line would be a command.
        if line.starts_with(['.', '\'']) {
            text.push_str("\\&");
        }
        text.push_str(&line.replace('\\', "\\e").replace('-', "\\-"));
        text.push('\n');
    }
    if is_set_in {
        text.push_str(".fi\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (tempfile::TempDir, impl Fn(&str) -> String) {
        let folder = tempfile::tempdir().unwrap();
        let program = Command::new("hookswitch")
            .subcommand(Command::new("serve").about("Run the switch"))
            .subcommand(Command::new("generate-pages").hide(true));
        generate(program, folder.path()).unwrap();
        let path = folder.path().to_owned();
        (folder, move |name: &str| fs::read_to_string(path.join(name)).unwrap())
    }

    #[test]
    fn every_program_has_a_page_and_three_completions() {
        let (folder, read) = made();
        for name in ["hookswitch", "call-api", "call-cmd", "call-api-client"] {
            assert!(read(&format!("man/{name}.1")).contains(".TH"), "{name}");
            assert!(read(&format!("bash/{name}")).contains("complete"), "{name}");
            assert!(read(&format!("zsh/_{name}")).starts_with(&format!("#compdef {name}")), "{name}");
            assert!(read(&format!("fish/{name}.fish")).contains(name), "{name}");
        }
        assert!(read("man/hookswitch-serve.1").contains("Run the switch"));
        assert!(!folder.path().join("man/hookswitch-generate-pages.1").exists(), "what is hidden stays so");
        let page = read("man/call-api-client.1");
        for text in ["\\-\\-method", "\\-\\-params", "\\-\\-timeout", "Examples", "CALL_API_TOKEN"] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }

    #[test]
    fn completions_know_the_commands() {
        let (_folder, read) = made();
        for file in ["bash/call-cmd", "zsh/_call-cmd", "fish/call-api-client.fish", "bash/call-api-client"] {
            let text = read(file);
            for name in ["CallStart", "CallEnd", "CallHold", "CallBlindTransfer", "Echo"] {
                assert!(text.contains(name), "{file}: {name}");
            }
            assert!(!text.contains("CallCancel"), "{file}: only strict sessions have it");
        }
    }

    #[test]
    fn examples_keep_their_lines() {
        let notes = section("Examples:\n  call-cmd -json \\\\\n  more\n\n.dot 'quote\n'quote");
        let expected = ".SH NOTES\nExamples:\n.PP\n.nf\n  call\\-cmd \\-json \\e\\e\n  more\n.fi\n.PP\n\\&.dot 'quote\n\\&'quote\n";
        assert_eq!(notes, expected);
    }

    #[test]
    fn the_same_pages_every_time() {
        let ((_a, one), (_b, other)) = (made(), made());
        for name in ["man/call-cmd.1", "bash/call-cmd", "zsh/_call-api", "fish/call-api-client.fish"] {
            assert_eq!(one(name), other(name));
        }
    }
}
