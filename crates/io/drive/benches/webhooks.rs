//! How many events a second reach one target: from the log, kept in a file, to a server in this process that takes all. The
//! processor time is that of log, webhooks and telling, without the server.
//!
//! `cargo bench -p hookswitch-drive --bench webhooks -- 40000 2000`: so many events, of so many calls.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hookswitch_call::{CallId, Event, Told};
use hookswitch_dialect::journal::{Entry, Filter};
use hookswitch_dialect::webhook::Terms;
use hookswitch_drive::{
    Clock, EndpointConfig, JournalConfig, JournalThread, StoreConfig, WebhookSecret, Webhooks, WebhooksConfig,
};
use hookswitch_net::thread_cpu_time;
use hookswitch_sip::Network;

/// Events that are told at once; the log takes no more than it can commit.
const BURST: usize = 2_000;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(120);

/// After so many requests a thread of the server says what it has taken.
const SAID_EVERY: usize = 32;

/// What has arrived, and the microseconds of processor time that taking it has cost.
#[derive(Default)]
struct Taken {
    count: AtomicUsize,
    cpu: AtomicU64,
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let events = numbers.first().copied().unwrap_or(40_000);
    let calls = numbers.get(1).copied().unwrap_or(2_000);
    let taken = Arc::new(Taken::default());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of this host");
    let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
    let all = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let taken = Arc::clone(&all);
            thread::spawn(move || serve(stream, &taken));
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
    let (clock, start, before) = (Clock::start(), Instant::now(), process_cpu());
    for number in 0..events {
        let (call, seq) = (CallId((number % calls) as u64 + 1), (number / calls) as u32);
        journal
            .handle()
            .push(Entry::Call(Told { at: clock.now(), seq, call, owner: None, event: Event::Bridged }, None));
        while number >= taken.count.load(Ordering::Relaxed) + BURST && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
    }
    while taken.count.load(Ordering::Relaxed) < events && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
    let (count, time) = (taken.count.load(Ordering::Relaxed), start.elapsed().as_secs_f64());
    let ours = process_cpu() - before - taken.cpu.load(Ordering::Relaxed) as f64;
    let each = ours / count.max(1) as f64;
    println!(
        "{count} of {events} webhooks in {time:.2} s: {:.0}/s, {each:.0} us of processor time each",
        count as f64 / time
    );
}

/// Processor time of this process in microseconds, to 10 ms (proc_pid_stat(5)).
fn process_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a line").split_whitespace().collect();
    let ticks: f64 = [11, 12].map(|place| fields[place].parse::<f64>().expect("a number")).iter().sum();
    ticks * 10_000.0
}

fn serve(stream: TcpStream, taken: &Taken) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut len, mut own, mut said) = (String::new(), 0, 0, 0);
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            len = value.trim().parse().unwrap_or(0);
        }
        if line.trim_end().is_empty() {
            let mut body = vec![0; len];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            taken.count.fetch_add(1, Ordering::Relaxed);
            own += 1;
            if own % SAID_EVERY == 0 {
                let (user, system) = thread_cpu_time();
                let so_far = (user + system).as_micros() as u64;
                taken.cpu.fetch_add(so_far - said, Ordering::Relaxed);
                said = so_far;
            }
            if reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                return;
            }
        }
        line.clear();
    }
}
