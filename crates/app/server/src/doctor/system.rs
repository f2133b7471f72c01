//! What the system gives the switch: a right clock, descriptors, room for datagrams, a fast processor.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use hookswitch_net::{ClockState, UdpOptions, UdpRing, clock_state, prefer_current_thread};

use super::check::Check;
use super::rtp;
use crate::config::{Config, MediaIo};

/// Clocks that are read without asking the system, or nearly so.
const FAST_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"];

/// Clocks that take a system call, or worse, for each look.
const SLOW_CLOCKS: [&str; 3] = ["hpet", "acpi_pm", "jiffies"];

/// A calendar that has moved by more than this within the checks was set.
const JUMP: Duration = Duration::from_millis(100);

/// A clock that may be wrong by more than this is told: records and certificates go by it.
const WRONG: Duration = Duration::from_secs(1);

/// Sockets that a call with audio holds: RTP and RTCP of both parties, and one more for each party that talks.
const SOCKETS_OF_A_CALL: u64 = 6;

/// Sockets and files beside those of calls.
const OTHER_FILES: u64 = 500;

/// What the system says of itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// None: it does not tell.
    pub clock: Result<ClockState, String>,
    /// By how much the calendar has moved against the clock that never jumps, while this ran.
    pub jump: Duration,
    pub clock_source: Option<String>,
    pub files: Files,
    /// `net.core.rmem_max`.
    pub buffer: Option<u64>,
    /// What the switch asks for, in bytes.
    pub wanted_buffer: u64,
    /// Whether the buffer may be larger than that (CAP_NET_ADMIN).
    pub may_exceed: bool,
    /// How many processors have which governor.
    pub governors: BTreeMap<String, usize>,
    /// None: threads of the audio may go before others.
    pub priority: Result<(), String>,
    pub ring: Result<(), String>,
    pub io: MediaIo,
}

/// Descriptors.
#[derive(Clone, Debug)]
pub struct Files {
    /// The process whose limit it is: the running switch, else us.
    pub process: Option<u32>,
    /// The hard limit, which the switch takes; none: unlimited, or nobody tells.
    pub limit: Option<u64>,
    pub needed: u64,
}

pub fn judge(facts: &Facts) -> Vec<Check> {
    vec![
        calendar(facts),
        clock_source(facts.clock_source.as_deref()),
        files(&facts.files),
        buffer(facts),
        governor(&facts.governors),
        priority(&facts.priority),
        ring(facts),
    ]
}

fn calendar(facts: &Facts) -> Check {
    let (area, subject) = ("clock", "calendar");
    let advice = "run chrony or systemd-timesyncd";
    if facts.jump > JUMP {
        let seen = format!("was set by {} ms while this ran", facts.jump.as_millis());
        return Check::warning(area, subject, seen, "see who sets it; it should be slewed, not set");
    }
    match &facts.clock {
        Ok(state) if state.synchronised && state.max_error <= WRONG => {
            Check::ok(area, subject, format!("synchronised to within {} ms", state.max_error.as_millis()))
        }
        Ok(state) if state.synchronised => {
            let seen = format!("synchronised, and may be wrong by {} ms", state.max_error.as_millis());
            Check::warning(area, subject, seen, advice)
        }
        Ok(_) => Check::warning(area, subject, "nobody keeps it right: records and certificates go by it", advice),
        Err(why) => Check::skipped(area, subject, format!("the system does not tell: {why}")),
    }
}

fn clock_source(source: Option<&str>) -> Check {
    let (area, subject) = ("clock", "source");
    match source {
        Some(source) if FAST_CLOCKS.contains(&source) => Check::ok(area, subject, source),
        Some(source) if SLOW_CLOCKS.contains(&source) => Check::warning(
            area,
            subject,
            format!("{source}: each look at the clock takes a microsecond or more"),
            "see `dmesg | grep -i tsc` for why the processor's own is not used",
        ),
        Some(source) => Check::ok(area, subject, format!("{source}, of which nothing bad is known")),
        None => Check::skipped(area, subject, "the system does not tell"),
    }
}

fn files(files: &Files) -> Check {
    let (area, subject) = ("files", "limit of descriptors");
    let whose = match files.process {
        Some(process) => format!("of the running switch (process {process})"),
        None => "of this shell; a unit of systemd has its own (LimitNOFILE)".to_owned(),
    };
    match files.limit {
        None => Check::ok(area, subject, format!("none, {whose}")),
        Some(limit) if limit >= files.needed => {
            Check::ok(area, subject, format!("{limit}, {whose}; the configuration needs at most {}", files.needed))
        }
        Some(limit) => Check::warning(
            area,
            subject,
            format!("{limit}, {whose}; as many calls and connections as are configured need {}", files.needed),
            format!("raise LimitNOFILE or `ulimit -Hn` to {}, or lower calls.max", files.needed),
        ),
    }
}

fn buffer(facts: &Facts) -> Check {
    let (area, subject) = ("buffers", "net.core.rmem_max");
    let wanted = facts.wanted_buffer;
    match facts.buffer {
        None => Check::skipped(area, subject, "cannot be read"),
        Some(size) if size >= wanted => Check::ok(area, subject, format!("{size} bytes, {wanted} are asked for")),
        Some(size) if facts.may_exceed => Check::ok(
            area,
            subject,
            format!("{size} bytes, {wanted} are asked for: this user may exceed it, see the unit"),
        ),
        Some(size) => Check::warning(
            area,
            subject,
            format!("{size} bytes; the switch asks for {wanted}, so that a burst waits instead of being lost"),
            format!("sysctl -w net.core.rmem_max={wanted}, and in /etc/sysctl.d"),
        ),
    }
}

fn governor(governors: &BTreeMap<String, usize>) -> Check {
    let (area, subject) = ("cpu", "governor");
    let slow: Vec<&str> = governors.keys().map(String::as_str).filter(|name| *name != "performance").collect();
    if governors.is_empty() {
        Check::skipped(area, subject, "the system does not set the frequency: a virtual machine, or fixed")
    } else if slow.is_empty() {
        Check::ok(area, subject, "performance")
    } else {
        Check::warning(
            area,
            subject,
            format!("{}: a processor that rests takes time to get fast, which audio hears", slow.join(", ")),
            "cpupower frequency-set -g performance",
        )
    }
}

fn priority(priority: &Result<(), String>) -> Check {
    let (area, subject) = ("cpu", "priority");
    match priority {
        Ok(()) => Check::ok(area, subject, "threads of the audio may go before others (nice -10)"),
        Err(why) => Check::warning(
            area,
            subject,
            format!("this user's threads of the audio go with all others: {why}"),
            "give the service LimitNICE=-10, or CAP_SYS_NICE; it matters where other programs run beside it",
        ),
    }
}

fn ring(facts: &Facts) -> Check {
    let (area, subject) = ("cpu", "io_uring");
    match (&facts.ring, facts.io) {
        (_, MediaIo::Epoll) => Check::skipped(area, subject, "media.io is epoll"),
        (Ok(()), MediaIo::Auto | MediaIo::IoUring) => Check::ok(area, subject, "can be used"),
        (Err(why), MediaIo::Auto) => Check::warning(
            area,
            subject,
            format!("cannot be used: {why}; audio goes by epoll, which costs a third more"),
            "Linux 6.1 or newer, kernel.io_uring_disabled=0, and a container that allows it",
        ),
        (Err(why), MediaIo::IoUring) => {
            Check::error(area, subject, format!("cannot be used: {why}"), "set media.io to auto")
        }
    }
}

/// The two clocks, as they stood when this began.
pub struct Start(SystemTime, Instant);

impl Start {
    pub fn now() -> Self {
        Self(SystemTime::now(), Instant::now())
    }

    fn jump(&self) -> Duration {
        let steady = self.1.elapsed();
        match self.0.elapsed() {
            Ok(calendar) => calendar.abs_diff(steady),
            Err(back) => back.duration() + steady,
        }
    }
}

/// `switch` is the running one.
pub fn collect(config: &Config, start: &Start, switch: Option<u32>) -> Facts {
    let text = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).ok();
    let alone =
        |what: fn() -> Result<(), String>| std::thread::spawn(what).join().unwrap_or_else(|_| Err("failed".to_owned()));
    Facts {
        clock: clock_state().map_err(|error| error.to_string()),
        jump: start.jump(),
        clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        files: Files { process: switch, limit: descriptor_limit(switch), needed: needed(config) },
        buffer: text("/proc/sys/net/core/rmem_max").and_then(|size| size.parse().ok()),
        wanted_buffer: UdpOptions::default().receive_buffer as u64,
        may_exceed: text("/proc/self/status").is_some_and(|status| may_exceed(&status)),
        governors: governors(),
        // Each on a thread that ends with it.
        priority: alone(|| prefer_current_thread().map_err(|error| error.to_string())),
        ring: alone(|| UdpRing::new(1).map(drop).map_err(|error| error.to_string())),
        io: config.media.io,
    }
}

/// Descriptors that everything needs which is configured.
fn needed(config: &Config) -> u64 {
    let calls = config.calls.max.min(rtp::room(config.media.ports)) as u64;
    let connections = hookswitch_net::ConnectionsConfig::default().max as u64;
    calls * SOCKETS_OF_A_CALL + connections + config.call_api.max_sessions as u64 + OTHER_FILES
}

fn descriptor_limit(process: Option<u32>) -> Option<u64> {
    let process = process.map_or_else(|| "self".to_owned(), |process| process.to_string());
    hard_limit(&fs::read_to_string(format!("/proc/{process}/limits")).ok()?)
}

/// The hard limit of a table such as /proc/self/limits; none where there is no limit.
fn hard_limit(table: &str) -> Option<u64> {
    let row = table.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    row.split_whitespace().nth(1)?.parse().ok()
}

/// Whether the process has CAP_NET_ADMIN, which SO_RCVBUFFORCE needs.
fn may_exceed(status: &str) -> bool {
    const CAP_NET_ADMIN: u32 = 12;
    let row = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = row.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> CAP_NET_ADMIN & 1 == 1)
}

fn governors() -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for cpu in fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten() {
        if let Ok(name) = fs::read_to_string(cpu.path().join("cpufreq/scaling_governor")) {
            *found.entry(name.trim().to_owned()).or_default() += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn facts() -> Facts {
        Facts {
            clock: Ok(ClockState { synchronised: true, max_error: Duration::from_millis(20) }),
            jump: Duration::ZERO,
            clock_source: Some("tsc".into()),
            files: Files { process: None, limit: Some(100_000), needed: 20_000 },
            buffer: Some(8_388_608),
            wanted_buffer: 8_388_608,
            may_exceed: false,
            governors: [("performance".to_owned(), 8)].into(),
            priority: Ok(()),
            ring: Ok(()),
            io: MediaIo::Auto,
        }
    }

    #[test]
    fn a_good_system_is_good() {
        assert!(judge(&facts()).iter().all(|check| check.state == State::Ok), "{:?}", judge(&facts()));
    }

    #[test]
    fn clocks_are_judged() {
        let clock = |clock, jump| calendar(&Facts { clock, jump: Duration::from_millis(jump), ..facts() });
        let state = |synchronised, seconds| Ok(ClockState { synchronised, max_error: Duration::from_secs(seconds) });
        assert_eq!(clock(state(false, 16), 0).state, State::Warning);
        assert!(clock(state(true, 16), 0).seen.contains("wrong by 16000 ms"));
        assert!(clock(state(true, 0), 3_000).seen.starts_with("was set by 3000 ms"));
        assert_eq!(clock(Err("no".into()), 0).state, State::Skipped);
        assert_eq!(clock_source(Some("hpet")).state, State::Warning);
        assert_eq!(clock_source(Some("xen")).state, State::Ok);
        assert_eq!(clock_source(None).state, State::Skipped);
    }

    #[test]
    fn descriptors_and_buffers_are_to_be_enough() {
        let few = files(&Files { process: Some(7), limit: Some(1_024), needed: 20_000 });
        assert!(few.state == State::Warning && few.seen.contains("process 7"), "{few}");
        assert_eq!(files(&Files { process: None, limit: None, needed: 1 }).state, State::Ok);
        let small = Facts { buffer: Some(212_992), ..facts() };
        assert_eq!(buffer(&small).advice, "sysctl -w net.core.rmem_max=8388608, and in /etc/sysctl.d");
        assert_eq!(buffer(&Facts { may_exceed: true, ..small }).state, State::Ok);
        assert_eq!(buffer(&Facts { buffer: None, ..facts() }).state, State::Skipped);
        assert_eq!(hard_limit("Limit  Soft Hard Units\nMax open files            1024  4096   files\n"), Some(4_096));
        assert_eq!(hard_limit("Max open files            1024  unlimited   files\n"), None);
        assert!(may_exceed("CapEff:\t0000000000001000\n") && !may_exceed("CapEff:\t0000000000000400\n"));
        assert!(needed(&Config::default()) > 10_000);
    }

    #[test]
    fn the_processor_is_judged() {
        let slow = governor(&[("powersave".to_owned(), 8), ("performance".to_owned(), 1)].into());
        assert!(slow.state == State::Warning && slow.seen.starts_with("powersave: "), "{slow}");
        assert_eq!(governor(&BTreeMap::new()).state, State::Skipped);
        assert_eq!(priority(&Err("not permitted".into())).state, State::Warning);
        let without = |io| ring(&Facts { ring: Err("not permitted".into()), io, ..facts() }).state;
        assert_eq!(without(MediaIo::Auto), State::Warning);
        assert_eq!(without(MediaIo::IoUring), State::Error);
        assert_eq!(without(MediaIo::Epoll), State::Skipped);
    }
}
