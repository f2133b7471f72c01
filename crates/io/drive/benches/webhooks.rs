//! How many events a second reach one target: from the log, kept in a file, to a server in this process that takes all.
//!
//! `cargo bench -p hookswitch-drive --bench webhooks -- 40000 2000`: so many events, of so many calls.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hookswitch_call::{CallId, Event, Told};
use hookswitch_dialect::journal::{Entry, Filter};
use hookswitch_dialect::webhook::Terms;
use hookswitch_drive::{
    Clock, EndpointConfig, JournalConfig, JournalThread, StoreConfig, WebhookSecret, Webhooks, WebhooksConfig,
};
use hookswitch_sip::Network;

/// Events that are told at once; the log takes no more than it can commit.
const BURST: usize = 2_000;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let events = numbers.first().copied().unwrap_or(40_000);
    let calls = numbers.get(1).copied().unwrap_or(2_000);
    let taken = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of this host");
    let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
    let count = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            thread::spawn(move || serve(stream, &count));
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let journal = JournalThread::start(&JournalConfig::new(Some(folder.path().to_owned()))).expect("the log starts");
    let secret: WebhookSecret = SECRET.parse().expect("a known key");
    let endpoint = EndpointConfig {
        name: "bench".into(),
        url: url.parse().expect("a URL"),
        fallback: None,
        filter: Filter { kinds: vec!["call.bridged".into()], ..Filter::default() },
        secrets: vec![secret],
        allow_private: vec![Network { addr: Ipv4Addr::LOCALHOST.into(), prefix: 8 }],
        authorities: None,
        timeout: Duration::from_secs(10),
        terms: Terms::default(),
    };
    let store = Some(StoreConfig { kind: "redb".into(), folder: folder.path().to_owned() });
    let _webhooks =
        Webhooks::start(WebhooksConfig { endpoints: vec![endpoint], calls: None, store }, &journal.handle());
    let (clock, start) = (Clock::start(), Instant::now());
    for number in 0..events {
        let (call, seq) = (CallId((number % calls) as u64 + 1), (number / calls) as u32);
        journal
            .handle()
            .push(Entry::Call(Told { at: clock.now(), seq, call, owner: None, event: Event::Bridged }, None));
        while number >= taken.load(Ordering::Relaxed) + BURST && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
    }
    while taken.load(Ordering::Relaxed) < events && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
    let (taken, time) = (taken.load(Ordering::Relaxed), start.elapsed().as_secs_f64());
    println!("{taken} of {events} webhooks in {time:.2} s: {:.0}/s", taken as f64 / time);
}

fn serve(stream: TcpStream, count: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut len) = (String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            len = value.trim().parse().unwrap_or(0);
        }
        if line.trim_end().is_empty() {
            let mut body = vec![0; len];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            count.fetch_add(1, Ordering::Relaxed);
            if reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                return;
            }
        }
        line.clear();
    }
}
