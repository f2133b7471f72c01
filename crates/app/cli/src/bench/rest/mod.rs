//! `hookswitch bench rest`: commands to a switch by its native REST, about calls of phones in this process.
//!
//! ```text
//!   Course ── Request ──▶ Connection ──HTTP──▶ switch ──SIP──▶ Callee: the phones of both parties
//!      ▲ pause                │                   │ /proc/PID
//!      └────── Answer ◀───────┘                   └──────▶ CPU per request
//! ```
//!
//! One thread, small enough that the switch is what is measured.

mod args;
mod connection;
mod course;
mod report;

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::Context as _;
use bytes::BytesMut;
use hookswitch_drive::Clock;
use hookswitch_net::RecvBatch;
use mio::{Events, Poll, Token};

use self::args::Plan;
use self::connection::Connection;
use self::course::Course;
use self::report::Report;
use super::callee::Callee;
use super::port::Port;
use super::process::Watch;
use super::run::keep;
use super::template::Template;
use super::work::{Deed, Tally, Work};

pub(in crate::bench) use self::args::RestArgs;

/// The loop looks up this often.
const TURN: Duration = Duration::from_millis(20);

/// How long phones may take to be hung up after the last answer, and how long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Size of the pieces of memory that received messages are copied to.
const BUFFER: usize = 64 * 1024;

/// The socket of the phones; connections have the numbers after it.
const PHONES: Token = Token(0);

/// Whether the command line can be carried out.
pub(in crate::bench) fn check(args: &RestArgs) -> anyhow::Result<()> {
    args.plan().map(drop)
}

/// Does it all, and returns what to print and whether everything went well.
pub(in crate::bench) fn run(args: &RestArgs) -> anyhow::Result<(String, bool)> {
    let plan = args.plan()?;
    let watch = Watch::new(&args.pid)?;
    let mut run = Run::new(args, &plan)?;
    let (start, cpu) = (run.clock.now(), watch.cpu());
    run.perform(start, &plan)?;
    let used = (!args.pid.is_empty()).then(|| watch.cpu().since(cpu));
    run.settle()?;
    let left = run.phones.open();
    let lost = (run.tally.repeats_seen, run.tally.repeats_sent);
    let report = Report::new(&run.course.tally, run.course.tally.last.saturating_sub(start), used, (left, lost));
    let text = if args.json { format!("{}\n", serde_json::json!(report)) } else { report.text() };
    Ok((text, report.is_clean(plan.calls)))
}

struct Run {
    clock: Clock,
    poll: Poll,
    ready: Events,
    port: Port,
    /// Where the phones want their audio. It is never read: what does not fit into it is dropped by the system.
    _ears: UdpSocket,
    phones: Callee,
    work: Work,
    tally: Tally,
    batch: RecvBatch,
    buffer: BytesMut,
    /// Each with the call whose answer it waits for.
    connections: Vec<(Connection, Option<usize>)>,
    idle: Vec<usize>,
    course: Course,
}

impl Run {
    fn new(args: &RestArgs, plan: &Plan) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let port = Port::bind(&poll, PHONES, args.phones, false)?;
        let open = |index| {
            let name = Token(usize::from(index) + 1);
            Ok((Connection::open(args.server, args.token.as_deref(), poll.registry(), name)?, None))
        };
        let connections = (0..args.connections).map(open).collect::<anyhow::Result<Vec<_>>>()?;
        let run: u32 = rand::random();
        let ears = UdpSocket::bind((args.phones.ip(), 0)).context("a socket for audio")?;
        let audio = Some(ears.local_addr()?);
        Ok(Self {
            clock: Clock::start(),
            ready: Events::with_capacity(connections.len() + 1),
            phones: Callee::new(Template::new(port.local(), audio, run), Duration::ZERO, true),
            port,
            _ears: ears,
            work: Work::default(),
            tally: Tally::new(),
            batch: RecvBatch::new(),
            buffer: BytesMut::with_capacity(BUFFER),
            idle: (0..connections.len()).rev().collect(),
            connections,
            course: Course::new(run, plan.pause, args.turns),
            poll,
        })
    }

    /// Starts all calls, each at its time, and follows them to their end.
    fn perform(&mut self, start: Duration, plan: &Plan) -> anyhow::Result<()> {
        let mut started = 0;
        let mut last = start;
        while started < plan.calls || self.course.open() > 0 {
            let due = |number: u64| start + plan.interval.mul_f64(number as f64);
            let next = (started < plan.calls).then(|| due(started));
            self.turn(next)?;
            let now = self.clock.now();
            while started < plan.calls && due(started) <= now {
                self.course.start(due(started), started);
                (started, last) = (started + 1, now);
            }
            self.course.handle_timeout(now);
            self.ask()?;
            // A call whose request is never answered shall not keep everybody waiting.
            if started == plan.calls && now > last.max(self.course.tally.last) + 2 * plan.pause.mean + PATIENCE {
                let open = self.course.open();
                self.course.tally.fail(format!("{open} calls without an answer for {} s", PATIENCE.as_secs()));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lets the phones be hung up.
    fn settle(&mut self) -> anyhow::Result<()> {
        let end = self.clock.now() + PATIENCE;
        while self.phones.open() > 0 && self.clock.now() < end {
            self.turn(None)?;
        }
        Ok(())
    }

    /// Waits until something comes or is due, and takes what has come.
    fn turn(&mut self, next: Option<Duration>) -> anyhow::Result<()> {
        let now = self.clock.now();
        let due = [next, self.course.deadline(), self.phones.deadline()].into_iter().flatten().min();
        let wait = due.map_or(TURN, |at| at.saturating_sub(now).min(TURN));
        match self.poll.poll(&mut self.ready, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let mut called = false;
        for event in &self.ready {
            let Token(name) = event.token();
            let Some(index) = name.checked_sub(1) else {
                called = true;
                continue;
            };
            let (connection, waiting) = &mut self.connections[index];
            if event.is_writable() {
                connection.flush()?;
            }
            if event.is_readable()
                && let Some(answer) = connection.read()?
                && let Some(slot) = waiting.take()
            {
                self.idle.push(index);
                let now = self.clock.now();
                let arrived = connection.arrived.map_or(now, |noted| now.saturating_sub(self.clock.since(noted)));
                self.course.answered(now, arrived, slot, &answer);
            }
        }
        if called {
            self.listen()?;
        }
        let now = self.clock.now();
        self.phones.handle_timeout(now, &mut self.work, &mut self.tally);
        self.speak();
        Ok(())
    }

    /// Writes the requests that are due, as long as there are connections for them.
    fn ask(&mut self) -> anyhow::Result<()> {
        while let Some(index) = self.idle.pop() {
            let (connection, waiting) = &mut self.connections[index];
            let now = self.clock.now();
            match self.course.next(now, |request| connection.ask(request)).transpose()? {
                Some(slot) => *waiting = Some(slot),
                None => {
                    self.idle.push(index);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes what the phones are told.
    fn listen(&mut self) -> anyhow::Result<()> {
        let mut may_be_more = true;
        while may_be_more {
            let now = self.clock.now();
            let Self { port, batch, buffer, phones, work, tally, .. } = self;
            may_be_more = port.receive(batch, |batch| {
                for datagram in batch.datagrams() {
                    phones.receive(now, datagram.from, keep(buffer, datagram.bytes), work, tally);
                }
            })?;
            self.speak();
        }
        Ok(())
    }

    /// Sends what the phones say, and notes which of them talk.
    fn speak(&mut self) {
        let local = self.port.local();
        for (to, bytes) in self.work.sip.drain(..) {
            self.port.send(local, to, bytes);
        }
        self.port.flush();
        let now = self.clock.now();
        for deed in self.work.deeds.drain(..) {
            if let Deed::Talks { number: Some(number), .. } = deed {
                self.course.talks(now, number);
            }
        }
    }
}
