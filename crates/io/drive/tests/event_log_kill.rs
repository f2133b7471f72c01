//! A switch that is killed at any moment: what a reader of its events has seen is there after it, and numbers go on.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hookswitch_call::{CallId, Cause, Event, Told};
use hookswitch_dialect::journal::{Entry, EventId, Filter};
use hookswitch_drive::{JournalConfig, JournalThread};
use serde_json::Value;

/// Names the folder for the child; without it this program is the parent.
const FOLDER: &str = "HOOKSWITCH_EVENT_KILL_TEST_FOLDER";
const ROUNDS: u64 = 12;

fn told(call: u64, event: Event) -> Entry {
    Entry::Call(
        Told { at: std::time::UNIX_EPOCH.elapsed().unwrap(), seq: 0, call: CallId(call), owner: None, event },
        None,
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The child: calls begin and end without end, and a reader says on its output what it has seen.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let thread = JournalThread::start(&JournalConfig::new(Some(folder.into()))).unwrap();
    let journal = thread.handle();
    let mut reader = journal.reader(Some(EventId(journal.oldest().0 - 1)), Filter::default());
    std::thread::spawn(move || {
        // Names of calls of one process do not occur in the next one.
        for call in u64::from(std::process::id()) << 32.. {
            journal.push(told(call, Event::Incoming { from: "sip:alice@a.test".into(), to: "tel:1".into() }));
            journal.push(told(call, Event::Bridged));
            // Every other call lives for ten others.
            let ended = call - call % 2 * 10;
            journal.push(told(ended, Event::Ended { cause: Cause::hangup(), talked: Duration::ZERO }));
            if call % 20 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    runtime().block_on(async {
        loop {
            for event in reader.next().await.unwrap() {
                println!("seen {} {}", event.id.0, event.text);
            }
            std::io::stdout().flush().unwrap();
        }
    });
}

/// Runs the child for a while and kills it. What its reader has seen.
fn run_and_kill(folder: &Path, lifetime: Duration) -> Vec<(u64, String)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut seen, mut end) = (Vec::new(), None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let Some((id, text)) = line.split_once("seen ").and_then(|(_, rest)| rest.split_once(' ')) else { continue };
        // The last line may be half a line.
        if let (Ok(id), true) = (id.parse(), text.ends_with('}')) {
            seen.push((id, text.to_owned()));
        }
        if Instant::now() >= *end.get_or_insert_with(|| Instant::now() + lifetime) {
            // SIGKILL; what it had already printed is still read.
            let _ = child.kill();
        }
    }
    child.wait().unwrap();
    seen
}

/// All events there are, by a log that is opened and closed again.
fn all(folder: &Path) -> Vec<(u64, String)> {
    let thread = JournalThread::start(&JournalConfig::new(Some(folder.to_owned()))).unwrap();
    let journal = thread.handle();
    let mut reader = journal.reader(Some(EventId(journal.oldest().0 - 1)), Filter::default());
    // It tells that it has started, and of each lost call, in one batch; then there is nothing more.
    let mut events = Vec::new();
    runtime().block_on(async {
        while let Ok(more) = tokio::time::timeout(Duration::from_secs(1), reader.next()).await {
            events.extend(more.unwrap().iter().map(|event| (event.id.0, event.text.to_string())));
        }
    });
    thread.stop();
    events
}

#[test]
fn what_a_reader_saw_is_there_after_a_kill_and_every_call_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = 0;
    for round in 0..ROUNDS {
        let seen = run_and_kill(folder.path(), Duration::from_millis(round * 11));
        assert!(!seen.is_empty(), "round {round} has shown nothing");
        let kept = all(folder.path());
        first = if round == 0 { kept[0].0 } else { first };
        let ids: Vec<u64> = kept.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, (first..first + kept.len() as u64).collect::<Vec<_>>(), "round {round}: numbers do not go on");
        for (id, text) in &seen {
            assert_eq!(&kept[(id - first) as usize].1, text, "round {round}: what was seen is not there");
        }
        every_call_has_an_end(&kept);
    }
}

/// Exactly one, as its last event, and the numbers within a call have no gap.
fn every_call_has_an_end(events: &[(u64, String)]) {
    let mut calls: HashMap<String, (u64, bool)> = HashMap::new();
    for (id, text) in events {
        let event: Value = serde_json::from_str(text).unwrap();
        assert_eq!(event["id"], id.to_string());
        let Some(call) = event["call"].as_str() else { continue };
        let (next, has_ended) = calls.entry(call.to_owned()).or_default();
        assert!(!*has_ended, "{call} goes on after its end: {text}");
        assert_eq!(event["seq"], *next, "{text}");
        (*next, *has_ended) = (*next + 1, event["type"] == "call.ended");
    }
    let open: Vec<_> = calls.iter().filter(|(_, (_, has_ended))| !has_ended).collect();
    assert!(open.is_empty(), "these have no end: {open:?}");
}
