//! A process that is killed at any moment loses nothing that was acknowledged.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hookswitch_store::{STORES, Table, Write, Writer};

/// Names the folder for the child; without it this program is the parent.
const FOLDER: &str = "HOOKSWITCH_KILL_TEST_FOLDER";
const ROUNDS: u64 = 12;
/// How the child ends when a commit fails.
const DISK_FAILED: i32 = 3;

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Values differ in length, so that pages split and move.
fn value(number: u64) -> Vec<u8> {
    number.to_string().repeat(1 + (number % 97) as usize).into_bytes()
}

/// The child: writes without end and says on its output what has been acknowledged.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let mut store = (STORES[0].open)(Path::new(&folder)).unwrap();
    let mut next = 0;
    store.load(Table::Bindings, &mut |_, _| next += 1).unwrap();
    let offset = next;
    let writer = Writer::start(store, move |committed| {
        if committed.result.is_err() {
            std::process::exit(DISK_FAILED);
        }
        println!("acknowledged {}", offset + committed.up_to.0);
        std::io::stdout().flush().unwrap();
    })
    .unwrap();
    loop {
        if writer.push(Write::put(Table::Bindings, &key(next), value(next))).is_ok() {
            next += 1;
        }
        if next % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Runs the child for a while, kills it, and returns how many entries it said are safe.
fn run_and_kill(folder: &Path, lifetime: Duration) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = 0;
    let mut end = None;
    for line in lines.map_while(Result::ok) {
        let Some(number) = line.split("acknowledged ").nth(1) else { continue };
        acknowledged = number.parse().unwrap();
        let end = *end.get_or_insert_with(|| Instant::now() + lifetime);
        if Instant::now() >= end {
            // SIGKILL; what it had already printed is still read below.
            let _ = child.kill();
        }
    }
    child.wait().unwrap();
    acknowledged
}

#[test]
fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(folder.path(), Duration::from_millis(round * 7));
        assert!(acknowledged > seen, "round {round} wrote nothing");
        let mut store = (STORES[0].open)(folder.path()).unwrap();
        let mut found = HashMap::new();
        store.load(Table::Bindings, &mut |key, value| drop(found.insert(key.to_vec(), value.to_vec()))).unwrap();
        for number in 0..acknowledged {
            assert_eq!(found.get(&key(number)), Some(&value(number)), "round {round}: entry {number} is lost");
        }
        // More than was acknowledged may be there, but never half an entry.
        for number in 0..found.len() as u64 {
            assert_eq!(found.get(&key(number)), Some(&value(number)), "round {round}: entry {number} is damaged");
        }
        seen = found.len() as u64;
    }
}

#[test]
fn a_full_disk_is_an_error_and_costs_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    drop((STORES[0].open)(folder.path()).unwrap());
    let program = env::current_exe().unwrap();
    // A limit on the size of files stands in for a full disk; both fail in the same call.
    let script = format!("trap '' XFSZ; ulimit -f 4096; exec {} --exact child --nocapture", program.display());
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = 0;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if let Some(number) = line.split("acknowledged ").nth(1) {
            acknowledged = number.parse().unwrap();
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(DISK_FAILED));
    assert!(acknowledged > 0);
    let mut store = (STORES[0].open)(folder.path()).unwrap();
    let mut found = 0;
    store.load(Table::Bindings, &mut |_, _| found += 1).unwrap();
    assert!(found >= acknowledged, "{found} of {acknowledged}");
}
