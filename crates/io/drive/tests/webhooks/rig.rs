//! A target, and webhooks that go to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hookswitch_call::{CallId, Event, Told};
use hookswitch_dialect::journal::{Entry, Filter};
use hookswitch_dialect::webhook::{Endpoint, Terms};
use hookswitch_drive::{
    CallWebhooksConfig, EndpointConfig, JournalConfig, JournalHandle, JournalThread, StoreConfig, WebhookHandle,
    Webhooks, WebhooksConfig,
};
use hookswitch_sip::Network;
use serde_json::Value;
use socket2::SockRef;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a target does with a request.
pub enum Act {
    /// Answers with a status, further header lines (each with its end) and a body.
    Answer(u16, String, Vec<u8>),
    /// Says nothing for so long.
    Hang(Duration),
    /// Resets the connection.
    Reset,
}

pub fn answer(status: u16) -> Act {
    Act::Answer(status, String::new(), Vec::new())
}

/// One request that has come.
#[derive(Clone, Debug)]
pub struct Posted {
    pub connection: usize,
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Posted {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn event(&self) -> u64 {
        self.json()["id"].as_str().unwrap().parse().unwrap()
    }

    pub fn call(&self) -> String {
        self.json()["call"].as_str().unwrap_or_default().to_owned()
    }
}

/// A web server on a port of its own.
pub struct Target {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Posted>>>,
}

impl Target {
    pub fn start(act: impl Fn(&Posted) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let log: Arc<Mutex<Vec<Posted>>> = Arc::default();
        let (noted, act) = (Arc::clone(&log), Arc::new(act));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (noted, act, stream) = (Arc::clone(&noted), Arc::clone(&act), stream.unwrap());
                thread::spawn(move || serve(connection, stream, &noted, &*act));
            }
        });
        Self { address, log }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for so many requests.
    pub fn wait(&self, count: usize) -> Vec<Posted> {
        until(|| self.log.lock().unwrap().len() >= count);
        self.posted()
    }
}

pub fn until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        thread::sleep(Duration::from_millis(5));
    }
}

fn serve(connection: usize, stream: TcpStream, log: &Mutex<Vec<Posted>>, act: &dyn Fn(&Posted) -> Act) {
    let mut reader = BufReader::new(stream);
    while let Some(posted) = request(connection, &mut reader) {
        let act = act(&posted);
        log.lock().unwrap().push(posted);
        match act {
            Act::Answer(status, more, body) => {
                let head = format!("HTTP/1.1 {status} X\r\n{more}Content-Length: {}\r\n\r\n", body.len());
                if reader.get_mut().write_all(&[head.as_bytes(), &body].concat()).is_err() {
                    return;
                }
            }
            Act::Hang(time) => return thread::sleep(time),
            Act::Reset => {
                SockRef::from(reader.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
        }
    }
}

fn request(connection: usize, reader: &mut BufReader<TcpStream>) -> Option<Posted> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<String, String> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    Some(Posted { connection, line: lines[0].clone(), headers, body })
}

/// An endpoint that may go to this host and does not wait for long.
pub fn endpoint(name: &str, url: &str) -> EndpointConfig {
    EndpointConfig {
        name: name.into(),
        url: url.parse().unwrap(),
        fallback: None,
        filter: Filter { kinds: vec!["call.*".into()], ..Filter::default() },
        secrets: Vec::new(),
        allow_private: vec![Network { addr: Ipv4Addr::LOCALHOST.into(), prefix: 8 }],
        authorities: None,
        timeout: Duration::from_millis(500),
        terms: Terms {
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(100),
            ..Terms::default()
        },
    }
}

pub struct Rig {
    pub journal: JournalThread,
    pub webhooks: Webhooks,
}

impl Rig {
    pub fn start(endpoints: Vec<EndpointConfig>) -> Self {
        Self::with_folder(endpoints, None)
    }

    /// With a log and a store in this folder, which outlive it.
    pub fn with_folder(endpoints: Vec<EndpointConfig>, folder: Option<&Path>) -> Self {
        let journal = JournalThread::start(&JournalConfig::new(folder.map(Path::to_owned))).unwrap();
        Self::over(journal, endpoints, None, folder)
    }

    /// For webhooks that calls have of their own.
    pub fn for_calls(calls: CallWebhooksConfig, folder: Option<&Path>) -> Self {
        let journal = JournalThread::start(&JournalConfig::new(folder.map(Path::to_owned))).unwrap();
        Self::over(journal, Vec::new(), Some(calls), folder)
    }

    fn over(
        journal: JournalThread,
        endpoints: Vec<EndpointConfig>,
        calls: Option<CallWebhooksConfig>,
        folder: Option<&Path>,
    ) -> Self {
        let store = folder.map(|folder| StoreConfig { kind: "redb".into(), folder: folder.to_owned() });
        let webhooks = Webhooks::start(WebhooksConfig { endpoints, calls, store }, &journal.handle()).unwrap();
        Self { journal, webhooks }
    }

    pub fn handle(&self) -> WebhookHandle {
        self.webhooks.handle()
    }

    /// Asks the machine of an endpoint.
    pub fn ask<T: Send + 'static>(&self, name: &str, job: impl FnOnce(&mut Endpoint) -> T + Send + 'static) -> T {
        block_on(self.handle().with(name, |endpoint, _| job(endpoint))).unwrap()
    }

    /// Something happens in a call.
    pub fn tell(&self, call: u64, seq: u32) {
        tell(&self.journal.handle(), call, seq);
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn tell(journal: &JournalHandle, call: u64, seq: u32) {
    let at = hookswitch_drive::Clock::start().now();
    journal.push(Entry::Call(Told { at, seq, call: CallId(call), owner: None, event: Event::Bridged }, None));
}

/// The events of each call arrived in their order, without those that came again.
pub fn assert_ordered(posted: &[Posted]) {
    let mut latest: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for one in posted.iter().filter(|one| seen.insert(one.event())) {
        let before = latest.insert(one.call(), one.event());
        assert!(before < Some(one.event()), "{} came after {before:?}", one.event());
    }
}
