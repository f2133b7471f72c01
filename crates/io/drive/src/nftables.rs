//! Bans in the packet filter of the system (nftables): what a banned source sends is dropped in the kernel and costs us
//! nothing at all.
//!
//! ```text
//!   GuardNews ──▶ changes by source ──(thread)──▶ one `nft -f -` for all of them ──┬─ done ──▶ the next ones
//!                       ▲                                                          │
//!                       └── changes go on being gathered                           └─ failed: said once; after a
//!                                                                                     while everything anew
//! ```
//!
//! The thread of the shard only puts changes into a map, of which each source has one at most. A source behind which
//! somebody is known is not given to the filter, which would not let its phones through, and is taken back when somebody
//! becomes known there. Elements have the time of their ban, so that nothing stays behind when we do not come back.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hookswitch_call::Time;
use hookswitch_sip::guard::{Ban, GuardNews, Source};

use crate::clock::Clock;

/// Most sources that the filter is given. Further ones are dropped when they have been received, as without it.
pub const MAX_FILTERED: usize = 65_536;

/// Changes are gathered for so long: a flood of bans is few calls of the program.
const GATHER: Duration = Duration::from_millis(200);

/// How long after a failure everything is tried anew; twice as long each time, up to [`LONGEST_REST`].
const REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Where bans are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftablesConfig {
    /// The program. Default `nft`.
    pub program: PathBuf,
    /// The table, of the family `inet`.
    pub table: String,
    /// The set of IPv4 addresses.
    pub set4: String,
    /// The set of IPv6 networks.
    pub set6: String,
    /// Whether table, sets and the rules that drop are made at the start. Default false: the operator has made them.
    pub create: bool,
}

impl NftablesConfig {
    /// These sets, made by the operator.
    #[must_use]
    pub fn new(table: &str, set4: &str, set6: &str) -> Self {
        let [table, set4, set6] = [table, set4, set6].map(str::to_owned);
        Self { program: "nft".into(), table, set4, set6, create: false }
    }

    fn table(&self) -> String {
        format!("inet {}", self.table)
    }

    fn set_of(&self, source: Source) -> &str {
        if source.address().is_ipv4() { &self.set4 } else { &self.set6 }
    }
}

/// Whether a text can be the name of a table or a set.
#[must_use]
pub fn is_nftables_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.len() <= 31
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// What has happened to the filter, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterCounts {
    pub works: bool,
    pub sources: usize,
    pub failures: u64,
}

/// What the shard's thread and the filter's have in common.
struct Shared {
    /// Until when each source is banned; none lifts its ban.
    changes: Mutex<HashMap<Source, Option<Time>>>,
    wake: Condvar,
    stop: AtomicBool,
    works: AtomicBool,
    sources: AtomicUsize,
    failures: AtomicU64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<Source, Option<Time>>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The packet filter, as the shard's thread knows it. Dropping it ends the thread; the sets stay as they are.
pub(crate) struct Filter {
    shared: Arc<Shared>,
    given: HashSet<Source>,
}

impl Filter {
    /// Begins to feed the sets: what stands in them is replaced by these bans.
    pub(crate) fn start(
        config: NftablesConfig,
        clock: Clock,
        ports: Vec<u16>,
        bans: impl IntoIterator<Item = (Source, Time)>,
    ) -> io::Result<Self> {
        let first: HashMap<Source, Option<Time>> =
            bans.into_iter().take(MAX_FILTERED).map(|(source, until)| (source, Some(until))).collect();
        let given = first.keys().copied().collect();
        let shared = Arc::new(Shared {
            changes: Mutex::new(first),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            works: AtomicBool::new(false),
            sources: AtomicUsize::new(0),
            failures: AtomicU64::new(0),
        });
        let feeder = Feeder { config, clock, ports, shared: Arc::clone(&shared), banned: HashMap::new(), rest: None };
        // A program that hangs must not hold up the end of the switch: the thread is not waited for.
        drop(thread::Builder::new().name("nftables".to_owned()).spawn(move || feeder.run())?);
        Ok(Self { shared, given })
    }

    /// Takes what the guard has done.
    pub(crate) fn news(&mut self, news: &GuardNews) {
        match news {
            GuardNews::Banned { ban, spares: false } => self.give(ban.source, ban.until),
            GuardNews::Banned { ban: Ban { source, .. }, spares: true }
            | GuardNews::Spared { source }
            | GuardNews::Lifted { source, .. } => self.take(*source),
            // It was lifted long before.
            GuardNews::Forgotten { .. } | GuardNews::Flooded { .. } => {}
        }
    }

    pub(crate) fn counts(&self) -> FilterCounts {
        let shared = &self.shared;
        FilterCounts {
            works: shared.works.load(Ordering::Relaxed),
            sources: shared.sources.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
        }
    }

    fn give(&mut self, source: Source, until: Time) {
        if self.given.len() >= MAX_FILTERED && !self.given.contains(&source) {
            return;
        }
        self.given.insert(source);
        self.change(source, Some(until));
    }

    fn take(&mut self, source: Source) {
        if self.given.remove(&source) {
            self.change(source, None);
        }
    }

    fn change(&self, source: Source, until: Option<Time>) {
        let mut changes = self.shared.lock();
        changes.insert(source, until);
        let is_first = changes.len() == 1;
        drop(changes);
        if is_first {
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.wake.notify_one();
    }
}

/// The thread that calls the program.
struct Feeder {
    config: NftablesConfig,
    clock: Clock,
    ports: Vec<u16>,
    shared: Arc<Shared>,
    /// What the sets have, or are to have.
    banned: HashMap<Source, Time>,
    /// After a failure: how long the next one is waited for.
    rest: Option<Duration>,
}

impl Feeder {
    fn run(mut self) {
        // The first time the sets are emptied: they may hold what an earlier switch has left.
        let mut anew = true;
        loop {
            let changes = std::mem::take(&mut *self.shared.lock());
            let now = self.clock.now();
            self.banned.retain(|_, until| *until > now);
            for (source, until) in &changes {
                match until.filter(|until| *until > now) {
                    Some(until) => drop(self.banned.insert(*source, until)),
                    None => drop(self.banned.remove(source)),
                }
            }
            let script = if anew { self.everything(now) } else { self.only(now, &changes) };
            anew = !self.tell(&script);
            if !self.wait(anew) {
                return;
            }
        }
    }

    /// Waits until there is something to do. False when there never will be.
    fn wait(&mut self, anew: bool) -> bool {
        let pause = match self.rest {
            Some(rest) if anew => rest,
            _ => GATHER,
        };
        let is_asleep = |_: &mut HashMap<Source, Option<Time>>| !self.shared.stop.load(Ordering::Relaxed);
        let pausing = self.shared.wake.wait_timeout_while(self.shared.lock(), pause, is_asleep);
        let (mut changes, _) = pausing.unwrap_or_else(PoisonError::into_inner);
        while !anew && changes.is_empty() && !self.shared.stop.load(Ordering::Relaxed) {
            changes = self.shared.wake.wait(changes).unwrap_or_else(PoisonError::into_inner);
        }
        drop(changes);
        !self.shared.stop.load(Ordering::Relaxed)
    }

    /// Has the program do this. False if it did not.
    fn tell(&mut self, script: &str) -> bool {
        self.shared.sources.store(self.banned.len(), Ordering::Relaxed);
        let done = run(&self.config, script);
        let works = done.is_ok();
        self.shared.works.store(works, Ordering::Relaxed);
        match (done, self.rest) {
            (Ok(()), None) => {}
            (Ok(()), Some(_)) => {
                tracing::info!(table = self.config.table, "bans are in the packet filter again");
                self.rest = None;
            }
            (Err(why), rest) => {
                self.shared.failures.fetch_add(1, Ordering::Relaxed);
                if rest.is_none() {
                    tracing::warn!(
                        table = self.config.table,
                        advice = advice(&why),
                        "bans cannot be put into the packet filter, and are kept to without it: {why}"
                    );
                }
                self.rest = Some(rest.map_or(REST, |rest| (rest * 2).min(LONGEST_REST)));
            }
        }
        works
    }

    /// Everything that the sets are to have.
    fn everything(&self, now: Time) -> String {
        let NftablesConfig { set4, set6, create, .. } = &self.config;
        let (table, mut script) = (self.config.table(), String::new());
        // Writing to a string cannot fail.
        if *create {
            let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
            let ports = ports.join(", ");
            let _ = writeln!(script, "add table {table}");
            let _ = writeln!(script, "add set {table} {set4} {{ type ipv4_addr; flags timeout; }}");
            let _ = writeln!(script, "add set {table} {set6} {{ type ipv6_addr; flags interval, timeout; }}");
            let _ =
                writeln!(script, "add chain {table} {CHAIN} {{ type filter hook input priority -10; policy accept; }}");
            let _ = writeln!(script, "flush chain {table} {CHAIN}");
            for (family, set) in [("ip", set4), ("ip6", set6)] {
                for transport in ["udp", "tcp"] {
                    let _ = writeln!(
                        script,
                        "add rule {table} {CHAIN} {transport} dport {{ {ports} }} {family} saddr @{set} counter drop"
                    );
                }
            }
        }
        let _ = writeln!(script, "flush set {table} {set4}\nflush set {table} {set6}");
        add(&mut script, &self.config, now, self.banned.iter().map(|(source, until)| (*source, *until)));
        script
    }

    /// These changes. What is in a set already is taken out before, since its time cannot be changed otherwise; and what
    /// is not in it is put there before, since it cannot be taken out otherwise.
    fn only(&self, now: Time, changes: &HashMap<Source, Option<Time>>) -> String {
        let (table, mut script) = (self.config.table(), String::new());
        for source in changes.keys() {
            let set = self.config.set_of(*source);
            for verb in ["add", "delete"] {
                let _ = writeln!(script, "{verb} element {table} {set} {{ {source} }}");
            }
        }
        let banned = changes.keys().filter_map(|source| Some((*source, *self.banned.get(source)?)));
        add(&mut script, &self.config, now, banned);
        script
    }
}

/// The chain with the rules that are made at the start.
const CHAIN: &str = "input";

fn add(script: &mut String, config: &NftablesConfig, now: Time, bans: impl Iterator<Item = (Source, Time)>) {
    let table = config.table();
    for (source, until) in bans {
        let left = until.saturating_sub(now).as_secs().max(1);
        let set = config.set_of(source);
        let _ = writeln!(script, "add element {table} {set} {{ {source} timeout {left}s }}");
    }
}

/// Has the program read a script, and says why it did not do all of it.
fn run(config: &NftablesConfig, script: &str) -> Result<(), String> {
    if script.is_empty() {
        return Ok(());
    }
    let spawned = Command::new(&config.program)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|error| format!("{}: {error}", config.program.display()))?;
    // What it does not read, it says why.
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()));
    let done = child.wait_with_output().map_err(|error| error.to_string())?;
    if done.status.success() {
        return written.map_err(|error| error.to_string());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing was said");
    Err(format!("{}: {}", done.status, first.chars().take(200).collect::<String>()))
}

/// What to do about a failure.
fn advice(why: &str) -> &'static str {
    if why.contains("not permitted") || why.contains("ermission denied") {
        "the switch needs the capability CAP_NET_ADMIN; for systemd: AmbientCapabilities=CAP_NET_ADMIN"
    } else if why.contains("No such file or directory") && why.contains("nft:") {
        "install nftables"
    } else {
        "make the table and both sets, or set guard.nftables.create"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use hookswitch_sip::guard::BanWhy;

    fn source(text: &str) -> Source {
        text.parse().expect("an address")
    }

    fn banned(text: &str, until: Time, spares: bool) -> GuardNews {
        let why = BanWhy::Order("test".into());
        let ban = Ban { source: source(text), since: Time::ZERO, until, count: 1, why, dropped: 0 };
        GuardNews::Banned { ban, spares }
    }

    /// A program in place of `nft` that writes down what it reads, and fails while there is a file `broken`.
    fn program(folder: &Path) -> NftablesConfig {
        let path = folder.join("nft");
        let text = "#!/bin/sh\nd=$(dirname \"$0\")\n[ ! -e \"$d/broken\" ] || { echo 'Operation not permitted' >&2; exit 1; }\n\
                    cat >> \"$d/read\"\n";
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
        NftablesConfig { program: path, ..NftablesConfig::new("t", "four", "six") }
    }

    /// Waits until the program has read all of these, one after the other; says what it has read.
    fn read(folder: &Path, wanted: &[&str]) -> String {
        let has_all = |text: &str| wanted.iter().try_fold(text, |rest, part| Some(rest.split_once(part)?.1)).is_some();
        for _ in 0..2_000 {
            let text = fs::read_to_string(folder.join("read")).unwrap_or_default();
            if has_all(&text) {
                return text;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("not read: {wanted:?}; but {}", fs::read_to_string(folder.join("read")).unwrap_or_default());
    }

    #[test]
    fn bans_are_put_into_the_sets_and_taken_out_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::start();
        let until = clock.now() + Duration::from_secs(600);
        let first = [(source("192.0.2.1"), until)];
        let mut filter = Filter::start(program(folder.path()), clock, vec![5060], first).expect("a thread");
        let flushed = "flush set inet t four\nflush set inet t six\n";
        let text = read(folder.path(), &[flushed, "add element inet t four { 192.0.2.1 timeout "]);
        assert!(text.starts_with(flushed), "{text}");
        filter.news(&banned("2001:db8::1", until, false));
        let replaced = "add element inet t six { 2001:db8::/64 }\ndelete element inet t six { 2001:db8::/64 }\n";
        read(folder.path(), &[replaced, "add element inet t six { 2001:db8::/64 timeout "]);
        filter.news(&banned("192.0.2.9", until, true));
        filter.news(&GuardNews::Spared { source: source("192.0.2.1") });
        let out = "add element inet t four { 192.0.2.1 }\ndelete element inet t four { 192.0.2.1 }\n";
        let text = read(folder.path(), &[out]);
        assert!(!text.contains("192.0.2.9"), "phones behind it are heard: {text}");
        assert_eq!((filter.counts().sources, filter.given.len()), (1, 1));
    }

    #[test]
    fn what_could_not_be_put_there_is_put_there_later_with_everything_else() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("broken"), "").expect("a file");
        let clock = Clock::start();
        let until = clock.now() + Duration::from_secs(600);
        let mut filter = Filter::start(program(folder.path()), clock, vec![5060], []).expect("a thread");
        filter.news(&banned("192.0.2.1", until, false));
        while filter.counts().failures == 0 {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!filter.counts().works);
        filter.news(&banned("192.0.2.2", until, false));
        filter.news(&GuardNews::Lifted { source: source("192.0.2.1"), why: hookswitch_sip::guard::LiftedWhy::Order });
        fs::remove_file(folder.path().join("broken")).expect("a file");
        let text = read(folder.path(), &["192.0.2.2 timeout "]);
        assert!(text.starts_with("flush set"), "{text}");
        assert!(!text.contains("192.0.2.1"), "lifted meanwhile: {text}");
    }

    #[test]
    fn only_so_many_sources_are_given_to_the_filter() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::start();
        let until = clock.now() + Duration::from_secs(600);
        let all = (0..=MAX_FILTERED as u32).map(|n| (Source::of(std::net::Ipv4Addr::from_bits(n).into()), until));
        let mut filter = Filter::start(program(folder.path()), clock, vec![5060], all).expect("a thread");
        assert_eq!(filter.given.len(), MAX_FILTERED);
        filter.news(&banned("192.0.2.1", until, false));
        assert_eq!(filter.given.len(), MAX_FILTERED);
        filter.news(&GuardNews::Spared { source: source("0.0.0.1") });
        filter.news(&banned("192.0.2.1", until, false));
        assert_eq!(filter.given.len(), MAX_FILTERED);
    }

    #[test]
    fn names_are_those_of_nftables() {
        for (text, expected) in
            [("banned4", true), ("a_b-c", true), ("", false), ("4a", false), ("a b", false), ("a;b", false)]
        {
            assert_eq!(is_nftables_name(text), expected, "{text}");
        }
        assert!(!is_nftables_name(&"a".repeat(32)));
    }

    #[test]
    fn a_failure_says_what_to_do() {
        assert!(advice("exit status: 1: Operation not permitted").contains("CAP_NET_ADMIN"));
        assert_eq!(advice("nft: No such file or directory (os error 2)"), "install nftables");
        assert!(advice("exit status: 1: /dev/stdin:1:18-21: Error: No such file or directory").contains("create"));
    }
}
