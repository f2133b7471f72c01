//! The thread that asks the domain name system, so that the shard need not wait.
//!
//! Questions come through a bounded queue, each becomes a task of its own, and the answer goes to the shard through its
//! one queue: a server that is silent holds up nothing but what asked it. What is kept of answers, and for how long, is
//! the resolver's matter ([`hookswitch_sip::resolve`]); nothing is kept here.
//!
//! `/etc/hosts` is asked first. A name that it knows has the addresses that stand there and nothing else, so nobody is
//! asked for its services. Both files are read again when they have changed.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use compact_str::CompactString;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use hookswitch_sip::resolve::{Answer, LookupId, MAX_LOOKUPS, Naptr, RecordKind, Records, Srv};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::clock::Clock;
use crate::pii::Pii;

/// How often it is looked at most whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long an address of the hosts file is good.
const HOSTS_TTL: Duration = Duration::from_secs(30);

/// Most name servers that are asked.
pub const MAX_NAME_SERVERS: usize = 8;

/// Whom to ask, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Name servers, at most [`MAX_NAME_SERVERS`]; none means those of `resolv_conf`.
    pub servers: Vec<SocketAddr>,
    /// How long one question waits for its answer. Default 2 s.
    pub timeout: Duration,
    /// How often a question is asked at most. Default 2.
    pub attempts: usize,
    /// The system's name servers. Default `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// Names that need no server. Default `/etc/hosts`.
    pub hosts: PathBuf,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            attempts: 2,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
        }
    }
}

impl DnsConfig {
    /// How long a look-up takes at most: what the resolver has to wait for.
    #[must_use]
    pub fn lookup_time(&self) -> Duration {
        // A moment more, so that what fails here is told as a failure of the server.
        self.timeout * u32::try_from(self.attempts.max(1)).unwrap_or(1) + Duration::from_millis(500)
    }
}

struct Question {
    id: LookupId,
    name: CompactString,
    kind: RecordKind,
}

/// Where answers go.
pub(crate) type AnswerSink = Arc<dyn Fn(LookupId, Answer) + Send + Sync>;

/// The thread that asks. Dropping it ends it; questions under way get no answer then.
pub(crate) struct Dns {
    questions: Option<Sender<Question>>,
    sink: AnswerSink,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Starts the thread. No file is read before the first question.
    ///
    /// # Errors
    /// The system gives us no thread.
    pub(crate) fn start(config: DnsConfig, clock: Clock, sink: AnswerSink) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (questions, asked) = channel(MAX_LOOKUPS);
        let worker = Worker { config, clock, sink: Arc::clone(&sink), known: None, looked_at: None };
        let run = move || runtime.block_on(worker.run(asked));
        let thread = thread::Builder::new().name("names".to_owned()).spawn(run)?;
        Ok(Self { questions: Some(questions), sink, thread: Some(thread) })
    }

    /// Asks; the answer goes to the sink, in any case.
    pub(crate) fn ask(&self, id: LookupId, name: CompactString, kind: RecordKind) {
        let question = Question { id, name, kind };
        let is_asked = self.questions.as_ref().is_some_and(|questions| questions.try_send(question).is_ok());
        if !is_asked {
            (self.sink)(id, Answer::Failed);
        }
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        drop(self.questions.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread of names had panicked");
        }
    }
}

/// Asks for one name at a time and waits for the answer, as the switch itself would ask.
pub struct Names {
    runtime: tokio::runtime::Runtime,
    resolver: Result<TokioResolver, String>,
    hosts: Hosts,
}

impl Names {
    /// Reads the files of the system.
    ///
    /// # Errors
    /// The system gives us nothing to wait with.
    pub fn new(config: &DnsConfig) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let resolver = runtime.block_on(async { resolver(config) }).map_err(|error| error.to_string());
        Ok(Self { runtime, resolver, hosts: read_hosts(&config.hosts) })
    }

    /// Why nobody can be asked, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.resolver.as_ref().err().map(String::as_str)
    }

    /// What the hosts file or a name server says; [`Answer::Failed`] where nobody does within [`DnsConfig::lookup_time`].
    #[must_use]
    pub fn look_up(&self, name: &str, kind: RecordKind) -> Answer {
        match (in_hosts(&self.hosts, name, kind), &self.resolver) {
            (Some(answer), _) => answer,
            (None, Ok(resolver)) => self.runtime.block_on(ask(resolver, name, kind)),
            (None, Err(_)) => Answer::Failed,
        }
    }
}

/// What was read from the files, and when they were written.
struct Known {
    resolver: Option<TokioResolver>,
    hosts: Hosts,
    written: [Option<SystemTime>; 2],
}

struct Worker {
    config: DnsConfig,
    clock: Clock,
    sink: AnswerSink,
    known: Option<Known>,
    looked_at: Option<Duration>,
}

impl Worker {
    async fn run(mut self, mut asked: Receiver<Question>) {
        while let Some(Question { id, name, kind }) = asked.recv().await {
            self.look();
            let sink = Arc::clone(&self.sink);
            let known = self.known.as_ref();
            if let Some(answer) = known.and_then(|known| in_hosts(&known.hosts, &name, kind)) {
                sink(id, answer);
            } else if let Some(resolver) = known.and_then(|known| known.resolver.clone()) {
                tokio::spawn(async move { sink(id, ask(&resolver, &name, kind).await) });
            } else {
                sink(id, Answer::Failed);
            }
        }
    }

    /// Reads the files, if they have changed since.
    fn look(&mut self) {
        let now = self.clock.now();
        if self.looked_at.is_some_and(|at| now < at + LOOK_EVERY) {
            return;
        }
        self.looked_at = Some(now);
        let written = [&self.config.resolv_conf, &self.config.hosts]
            .map(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        if self.known.as_ref().is_some_and(|known| known.written == written) {
            return;
        }
        let resolver = match resolver(&self.config) {
            Ok(resolver) => Some(resolver),
            Err(error) => {
                tracing::warn!(%error, "names cannot be looked up");
                None
            }
        };
        let hosts = read_hosts(&self.config.hosts);
        self.known = Some(Known { resolver, hosts, written });
    }
}

fn resolver(config: &DnsConfig) -> Result<TokioResolver, NetError> {
    let (servers, mut options) = match config.servers.is_empty() {
        true => system_conf::parse_resolv_conf(fs::read(&config.resolv_conf)?)?,
        false => {
            let servers = config.servers.iter().take(MAX_NAME_SERVERS).map(|server| name_server(*server));
            (ResolverConfig::from_name_servers(servers.collect()), ResolverOpts::default())
        }
    };
    options.timeout = config.timeout;
    // Theirs counts what follows the first.
    options.attempts = config.attempts.saturating_sub(1);
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = MAX_LOOKUPS;
    let mut builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    };
    let connections = vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)];
    // What a resolver says that was asked is final, NXDOMAIN too.
    NameServerConfig::new(address.ip(), true, connections)
}

fn read_hosts(path: &Path) -> Hosts {
    let mut hosts = Hosts::default();
    if let Err(error) = File::open(path).and_then(|file| hosts.read_hosts_conf(file)) {
        tracing::debug!(%error, path = %path.display(), "no hosts file");
    }
    hosts
}

/// The answer of the hosts file, if it knows the name: addresses, and of all other kinds nothing.
fn in_hosts(hosts: &Hosts, name: &str, kind: RecordKind) -> Option<Answer> {
    // The services of a name are asked for as `_sip._udp.` and the name.
    let host = name.split('.').skip_while(|label| label.starts_with('_')).collect::<Vec<_>>().join(".");
    let host = Name::from_ascii(host).ok()?;
    let find = |kind| hosts.lookup_static_host(&Query::query(host.clone(), kind));
    let (v4, v6) = (find(RecordType::A), find(RecordType::AAAA));
    if v4.is_none() && v6.is_none() {
        return None;
    }
    let found = match kind {
        RecordKind::A => v4.and_then(|lookup| records(&lookup, kind)),
        RecordKind::Aaaa => v6.and_then(|lookup| records(&lookup, kind)),
        RecordKind::Srv | RecordKind::Naptr => None,
    };
    Some(match found {
        Some((records, _)) => Answer::Found { records, ttl: HOSTS_TTL },
        None => Answer::Nothing { ttl: Some(HOSTS_TTL) },
    })
}

async fn ask(resolver: &TokioResolver, name: &str, kind: RecordKind) -> Answer {
    let Ok(mut asked) = Name::from_ascii(name) else { return Answer::Nothing { ttl: None } };
    // A name of one label may be one of this network, which the system's list of domains completes.
    asked.set_fqdn(name.contains('.'));
    match resolver.lookup(asked, record_type(kind)).await {
        Ok(lookup) => match records(&lookup, kind) {
            Some((records, ttl)) => Answer::Found { records, ttl },
            None => Answer::Nothing { ttl: None },
        },
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            Answer::Nothing { ttl: none.negative_ttl.map(|ttl| Duration::from_secs(ttl.into())) }
        }
        Err(error) => {
            tracing::debug!(name = %Pii(name), ?kind, %error, "no answer from the name servers");
            Answer::Failed
        }
    }
}

const fn record_type(kind: RecordKind) -> RecordType {
    match kind {
        RecordKind::Naptr => RecordType::NAPTR,
        RecordKind::Srv => RecordType::SRV,
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
    }
}

/// The records of a kind, and how long all of them are good. None if there are none.
fn records(lookup: &Lookup, kind: RecordKind) -> Option<(Records, Duration)> {
    let all = lookup.answers();
    let data = || all.iter().map(|record| &record.data);
    let records = match kind {
        RecordKind::A => {
            Records::A(data().filter_map(|data| if let RData::A(a) = data { Some(a.0) } else { None }).collect())
        }
        RecordKind::Aaaa => {
            Records::Aaaa(data().filter_map(|data| if let RData::AAAA(a) = data { Some(a.0) } else { None }).collect())
        }
        RecordKind::Srv => Records::Srv(data().filter_map(srv).collect()),
        RecordKind::Naptr => Records::Naptr(data().filter_map(naptr).collect()),
    };
    let is_empty = match &records {
        Records::A(all) => all.is_empty(),
        Records::Aaaa(all) => all.is_empty(),
        Records::Srv(all) => all.is_empty(),
        Records::Naptr(all) => all.is_empty(),
    };
    let ttl = all.iter().map(|record| record.ttl).min().unwrap_or(0);
    (!is_empty).then(|| (records, Duration::from_secs(ttl.into())))
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(srv) = data else { return None };
    let target = srv.target.to_ascii().as_str().into();
    Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target })
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(naptr) = data else { return None };
    Some(Naptr {
        order: naptr.order,
        preference: naptr.preference,
        flags: CompactString::from_utf8_lossy(&naptr.flags),
        service: CompactString::from_utf8_lossy(&naptr.services),
        replacement: naptr.replacement.to_ascii().as_str().into(),
    })
}
