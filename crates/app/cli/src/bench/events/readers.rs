//! The readers of a measurement: WebSockets in one thread, which notes when what it reads had arrived.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use hookswitch_net::thread_cpu_time;
use mio::{Events, Poll, Token};

use super::super::call_api::Socket;
use super::super::histogram::Histogram;
use super::{Moments, domain};

/// Sockets that are looked at before the system is asked again which have something.
const AT_ONCE: usize = 1_024;

/// Bytes read by one system call.
const ROOM: usize = 64 * 1024;

/// How often it is looked whether it is time to stop.
const TURN: Duration = Duration::from_millis(10);

/// What all readers have seen.
pub(super) struct Seen {
    pub(super) events: u64,
    /// Events that did not come after one with a smaller id, or that nobody has pushed.
    pub(super) disordered: u64,
    /// Until it was in the reader's socket, which is noted by the system.
    pub(super) arrived: Histogram,
    /// Until the reader's thread had read it as well.
    pub(super) read: Histogram,
    /// Events that had waited for a reader that was away; they are in none of the times.
    pub(super) waited: u64,
    /// Readers that were away and have seen an event that was pushed since, and how long after they had come back that was.
    pub(super) back: (u64, Histogram),
    /// Processor time of that thread.
    pub(super) cpu: Duration,
}

/// Whom to read from, and what.
#[derive(Clone, Copy)]
pub(super) struct Aim {
    pub(super) address: SocketAddr,
    pub(super) readers: u32,
    /// Each reader has a domain of its own.
    pub(super) apart: bool,
    pub(super) away: Option<Away>,
}

/// When all readers lose their connections.
#[derive(Clone, Copy)]
pub(super) struct Away {
    /// Once so many events have come.
    pub(super) after: u64,
    /// They come back after so long.
    pub(super) time: Duration,
}

/// Readers that are connected.
pub(super) struct Readers {
    thread: JoinHandle<anyhow::Result<Seen>>,
    events: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Readers {
    /// Connects them all. From then on every event that is pushed comes to whom it is for.
    pub(super) fn connect(aim: Aim, moments: &Arc<Moments>) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let ones = (0..aim.readers).map(|reader| One::connect(&aim, reader, None, &poll, moments));
        let ones = ones.collect::<anyhow::Result<_>>()?;
        let (events, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let reading = Reading {
            aim,
            poll,
            ones,
            moments: Arc::clone(moments),
            count: Arc::clone(&events),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new().name("readers".to_owned()).spawn(move || reading.run())?;
        Ok(Self { thread, events, stop })
    }

    /// Waits until so many events have come, or for so long.
    pub(super) fn finish(self, wanted: u64, patience: Duration) -> anyhow::Result<Seen> {
        let start = Instant::now();
        while self.events.load(Ordering::Relaxed) < wanted && start.elapsed() < patience && !self.thread.is_finished() {
            std::thread::sleep(TURN);
        }
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the thread of the readers has panicked"))?
    }
}

/// What the thread of the readers has.
struct Reading {
    aim: Aim,
    poll: Poll,
    ones: Vec<One>,
    moments: Arc<Moments>,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Reading {
    fn run(mut self) -> anyhow::Result<Seen> {
        let (mut ready, mut room) = (Events::with_capacity(AT_ONCE), vec![0; ROOM]);
        let (arrived, read, back) = (Histogram::new(), Histogram::new(), (0, Histogram::new()));
        let mut seen = Seen { events: 0, disordered: 0, arrived, read, waited: 0, back, cpu: Duration::ZERO };
        let before = thread_cpu_time();
        while !self.stop.load(Ordering::Relaxed) {
            self.poll.poll(&mut ready, Some(TURN))?;
            for Token(index) in ready.iter().map(mio::event::Event::token) {
                while self.ones[index].take(&mut room, &self.moments, &mut seen)? {}
            }
            self.count.store(seen.events, Ordering::Relaxed);
            if let Some(away) = self.aim.away.take_if(|away| seen.events >= away.after) {
                self.go_away(away.time)?;
            }
        }
        let after = thread_cpu_time();
        seen.cpu = (after.0 + after.1).saturating_sub(before.0 + before.1);
        Ok(seen)
    }

    /// Drops all connections, and after a while connects everybody after the last event that he has seen. What was in the
    /// sockets nobody has seen.
    fn go_away(&mut self, time: Duration) -> anyhow::Result<()> {
        let places: Vec<u64> = self.ones.drain(..).map(|one| one.last).collect();
        std::thread::sleep(time);
        self.poll = Poll::new()?;
        for (reader, last) in (0..).zip(places) {
            ensure!(last > 0, "reader {reader} has seen nothing before it goes away: a longer --duration");
            self.ones.push(One::connect(&self.aim, reader, Some(last), &self.poll, &self.moments)?);
        }
        Ok(())
    }
}

/// One reader.
struct One {
    socket: Socket,
    /// The id of the last event that it has seen.
    last: u64,
    /// When it came back, until it has seen an event that was pushed since.
    behind: Option<Duration>,
}

impl One {
    /// Connects a reader, with the id of the last event that it has seen if it was away.
    fn connect(aim: &Aim, reader: u32, last: Option<u64>, poll: &Poll, moments: &Moments) -> anyhow::Result<Self> {
        let which = if aim.apart { format!("&domain={}", domain(u64::from(reader))) } else { String::new() };
        let after = last.map_or_else(String::new, |last| format!("&after={last}"));
        let path = format!("/v1/events?type=call.*{which}{after}");
        let socket = Socket::open(aim.address, &path, poll.registry(), Token(reader as usize));
        let socket = socket.with_context(|| format!("reader {reader} is not let in"))?;
        Ok(Self { socket, last: last.unwrap_or(0), behind: last.map(|_| moments.now()) })
    }

    /// Reads once from the socket; true if there may be more.
    fn take(&mut self, room: &mut [u8], moments: &Moments, seen: &mut Seen) -> anyhow::Result<bool> {
        let mut pushed = Vec::new();
        let last = &mut self.last;
        let may_be_more = self.socket.read_texts(room, |text| {
            seen.events += 1;
            match parse(text).and_then(|(id, call, seq)| Some((id, moments.of(call, seq)?))) {
                Some((id, at)) if id > *last => {
                    *last = id;
                    pushed.push(at);
                }
                _ => seen.disordered += 1,
            }
        })?;
        let now = moments.now();
        // The stamp is that of the last piece: what came before it in the same read is taken for as late.
        let arrived = self.socket.arrived.map_or(now, |at| moments.of_calendar(at).min(now));
        for at in pushed {
            if let Some(since) = self.behind {
                if at < since {
                    seen.waited += 1;
                    continue;
                }
                self.behind = None;
                seen.back.0 += 1;
                seen.back.1.add(now.saturating_sub(since));
            }
            seen.read.add(now.saturating_sub(at));
            seen.arrived.add(arrived.saturating_sub(at));
        }
        Ok(may_be_more)
    }
}

/// The id of an event, its call, and its number there, without reading all of its JSON.
fn parse(text: &str) -> Option<(u64, u64, u64)> {
    let after = |name: &str| text.split_once(name).map(|(_, rest)| rest);
    let id = after(r#""id":""#)?.split('"').next()?.parse().ok()?;
    let call = u64::from_str_radix(after(r#""call":"call_"#)?.split('"').next()?, 16).ok()?;
    let seq = after(r#""seq":"#)?.split(',').next()?.parse().ok()?;
    Some((id, call, seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_in_an_event_is_found() {
        let text = r#"{"id":"1795","type":"call.bridged","time":"…","call":"call_0000000000ff","seq":2,"domains":[],"data":{}}"#;
        assert_eq!(parse(text), Some((1_795, 255, 2)));
        assert_eq!(parse(r#"{"id":"1","type":"log.gap","data":{}}"#), None);
    }
}
