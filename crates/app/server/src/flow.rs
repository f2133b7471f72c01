//! `hookswitch flow`: documents of call flows, without a running switch.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hookswitch_codec::Tone;
use hookswitch_dialect::flow::{Document, DocumentError, MAX_DOCUMENT, schema, tones};
use hookswitch_drive::WebhookUrl;

/// What is done.
#[derive(Args, Clone, Debug)]
pub struct FlowArgs {
    #[command(subcommand)]
    command: FlowCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum FlowCommand {
    /// Say whether a document can be carried out, and else where and why not
    ///
    /// Exits with 0 if it can, with 1 otherwise.
    Check {
        /// The document; `-` reads it from the standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the JSON Schema of documents
    Schema,
}

/// Checks a document, or prints the schema.
pub fn run(args: &FlowArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        FlowCommand::Schema => {
            println!("{:#}", schema());
            Ok(ExitCode::SUCCESS)
        }
        FlowCommand::Check { file } => {
            let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
            let text = read(file).with_context(|| name.clone())?;
            match check(&text) {
                Ok(document) => {
                    println!("{name}: {} verbs", document.verbs.len());
                    Ok(ExitCode::SUCCESS)
                }
                Err(error) => {
                    println!("{name}: {error}");
                    Ok(ExitCode::FAILURE)
                }
            }
        }
    }
}

/// No more of it than shows that it is too long.
fn read(file: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let most = MAX_DOCUMENT as u64 + 1;
    let mut text = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(most).read_to_end(&mut text)?;
    }
    Ok(text)
}

/// All that the switch checks when it gets a document, but what its configuration says of webhooks; and the tones, of which it
/// says so when they are to be played.
fn check(text: &[u8]) -> Result<Document, DocumentError> {
    let document = Document::read(text)?;
    if let Some(webhook) = &document.webhook {
        let url: Result<WebhookUrl, _> = webhook.url.parse();
        url.map_err(|error| DocumentError::Bad { place: "webhook.url".into(), why: error.to_string() })?;
    }
    for (place, tone) in tones(&document.verbs) {
        Tone::parse(tone).map_err(|error| DocumentError::Bad { place, why: error.to_string() })?;
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_checked_as_far_as_it_says_itself() {
        let document = |webhook: &str| format!(r#"{{"webhook":{webhook},"verbs":[]}}"#);
        for good in [r#"{"url":"https://h.test/x"}"#, r#"{"url":"http://10.0.0.1/","events":["call.*"],"key":"crm"}"#] {
            assert!(check(document(good).as_bytes()).is_ok(), "{good}");
        }
        for (bad, expected) in [
            (r#"{"url":"ftp://h.test/"}"#, "webhook.url: not an http or https URL"),
            (r#"{"url":"/calls"}"#, "webhook.url: not an http or https URL"),
            (r#"{"url":""}"#, "webhook.url: a URL has 1 to 2048 bytes"),
            (r#"{"events":["call.*"]}"#, "webhook: missing field `url`"),
            (
                r#"{"url":"http://h.test/","events":["call.ended","trunk.up"]}"#,
                "webhook.events[1]: `trunk.up` is neither",
            ),
            (r#"{"url":"http://h.test/","events":[]}"#, "webhook.events: 1 to 100 types"),
            (r#"{"url":"http://h.test/","secret":"whsec_x"}"#, "webhook.secret: unknown field `secret`"),
            (r#"{"url":"http://h.test/","key":""}"#, "webhook.key: a name has 1 to 64 bytes"),
        ] {
            let error = check(document(bad).as_bytes()).expect_err(bad).to_string();
            assert!(error.starts_with(expected), "{bad}: {error}");
        }
    }

    #[test]
    fn tones_are_read_too() {
        let document = |tone: &str| format!(r#"{{"verbs":[{{"collect":{{"prompt":[{{"tone":"{tone}"}}]}}}}]}}"#);
        assert!(check(document("425:200").as_bytes()).is_ok());
        let error = check(document("5").as_bytes()).expect_err("no cadence").to_string();
        assert!(error.starts_with("verbs[0].collect.prompt[0].tone: a tone is"), "{error}");
    }
}
