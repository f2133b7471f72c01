//! What has become of commands that were accepted, for the audit log: the log of events tells it.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_dialect::journal::{Filter, Logged};
use serde::Deserialize;

use super::audit::{Ended, Note, Noter};
use crate::journal::{JournalHandle, READ_AT_ONCE};

/// The type of the event that a command has ended.
const COMMAND_ENDED: &str = "command.ended";

/// How long ends may gather before they are read: the log of events would wake its readers for each commit.
const GATHER: Duration = Duration::from_millis(20);

/// Notes the end of each command from now on, for as long as the log of events lives.
pub(in crate::web) async fn follow(journal: JournalHandle, noter: Noter) {
    let from_now_on = || journal.reader(None, Filter { kinds: vec![COMMAND_ENDED.into()], ..Filter::default() });
    let mut reader = from_now_on();
    loop {
        match reader.next().await {
            Ok(events) => {
                events.iter().filter_map(|event| ended(event)).for_each(|end| noter.note(Note::Ended(end)));
                if events.len() < READ_AT_ONCE {
                    tokio::time::sleep(GATHER).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "ends of commands are missing in the audit log");
                reader = from_now_on();
            }
        }
    }
}

/// As much of the event as is noted.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    call: Option<CompactString>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    command: CompactString,
    result: CompactString,
    #[serde(default)]
    failure: Option<Failing>,
}

#[derive(Deserialize)]
struct Failing {
    cause: Why,
}

#[derive(Deserialize)]
struct Why {
    kind: String,
}

fn ended(event: &Logged) -> Option<Ended> {
    let Document { call, data } = serde_json::from_str(&event.text)
        .inspect_err(|error| tracing::error!(%error, event = event.id.0, "the end of a command cannot be read"))
        .ok()?;
    let cause = data.failure.map(|failure| failure.cause.kind);
    Some(Ended { at: event.at, command: data.command, call, result: data.result, cause })
}
