//! `hookswitch bench registrations`: a hundred thousand phones in one thread.
//!
//! ```text
//!   Phones ──REGISTER──▶ server      server ──OPTIONS, INVITE──▶ Callee
//!      ▲                    │ /proc/PID
//!      └── Run: one socket for all addresses, clock ─────▶ Summary
//! ```
//!
//! The socket is bound to every address of the host, and each phone sends from one of its own: limits by source and
//! whatever else a server keeps of addresses is part of what is measured.

mod args;
mod course;
mod phones;
mod summary;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_drive::Clock;
use hookswitch_net::{RecvBatch, thread_cpu_time};
use hookswitch_sip_msg::{Message, Method};
use mio::{Events, Poll, Token};

use self::args::Plan;
pub(super) use self::args::RegistrationsArgs;
use self::course::{Course, Pings};
use self::phones::Phones;
use self::summary::{Generator, Memory, Part, Stay, Summary};
use super::callee::Callee;
use super::port::Port;
use super::process::Watch;
use super::run::keep;
use super::summary::rounded;
use super::template::Template;
use super::work::{Tally, Work};

/// Registrations begun before the network is looked at again.
const START_BURST: usize = 32;

/// The loop looks up this often.
const TURN: Duration = Duration::from_millis(50);

/// Size of the pieces of memory that received messages are copied to.
const BUFFER: usize = 64 * 1024;

const SOCKET: Token = Token(0);

/// Does it all, and returns what to print and whether everything went well.
pub(super) fn run(args: &RegistrationsArgs) -> anyhow::Result<(String, bool)> {
    let plan = args.plan()?;
    let watch = if args.pid.is_empty() { None } else { Some(Watch::new(&args.pid)?) };
    let summary = Run::new(args, plan, watch)?.perform()?;
    let text = if args.json { format!("{}\n", serde_json::json!(summary)) } else { summary.text() };
    Ok((text, summary.is_clean()))
}

/// Whether the command line can be carried out.
pub(super) fn check(args: &RegistrationsArgs) -> anyhow::Result<()> {
    args.plan().map(|_| ())
}

struct Run {
    args: RegistrationsArgs,
    plan: Plan,
    watch: Option<Watch>,
    clock: Clock,
    poll: Poll,
    ready: Events,
    port: Port,
    /// The socket may hold more.
    pending: bool,
    batch: RecvBatch,
    buffer: BytesMut,
    phones: Phones,
    callee: Callee,
    work: Work,
    tally: Tally,
    pings: Pings,
    calls: u64,
}

impl Run {
    fn new(args: &RegistrationsArgs, plan: Plan, watch: Option<Watch>) -> anyhow::Result<Run> {
        let poll = Poll::new()?;
        let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, args.phones.port()));
        let port = Port::bind(&poll, SOCKET, every, true)?;
        let run: u32 = rand::random();
        Ok(Run {
            args: args.clone(),
            plan,
            watch,
            clock: Clock::start(),
            poll,
            ready: Events::with_capacity(16),
            port,
            pending: false,
            batch: RecvBatch::new(),
            buffer: BytesMut::with_capacity(BUFFER),
            phones: Phones::new(args, run),
            callee: Callee::new(Template::new(args.address(0), None, !run), Duration::ZERO, false),
            work: Work::default(),
            tally: Tally::new(),
            pings: Pings::default(),
            calls: 0,
        })
    }

    fn perform(mut self) -> anyhow::Result<Summary> {
        let before = self.watch.as_ref().map(Watch::holdings);
        let cpu_before = thread_cpu_time();
        let registered = self.course(self.args.users.into())?;
        let refreshed = match self.plan.refreshes {
            0 => None,
            refreshes => Some(self.course(refreshes)?),
        };
        let cpu = thread_cpu_time();
        let stay = (!self.plan.stay.is_zero()).then_some(self.plan.stay);
        if let Some(stay) = stay {
            // What has come before was not asked of a whole number of phones.
            self.pings = Pings::default();
            self.linger(stay)?;
        }
        self.linger(self.plan.settle)?;
        let used = (cpu.0 + cpu.1).saturating_sub(cpu_before.0 + cpu_before.1);
        let done = registered.done + refreshed.as_ref().map_or(0, |course| course.done);
        let measured = self.watch.is_some();
        Ok(Summary {
            registrations: Part::of(&registered, measured),
            refreshes: refreshed.map(|course| Part::of(&course, measured)),
            stay: stay.map(|_| Stay::of(&self.pings, self.calls)),
            generator: Generator {
                cpu_us_per_registration: rounded(used.as_secs_f64() * 1e6 / done.max(1) as f64),
                dropped: self.port.dropped,
            },
            memory: self.watch.as_ref().zip(before).map(|(watch, before)| Memory::of(watch, before, self.args.users)),
        })
    }

    /// Begins so many registrations in turn, and waits for the end of all.
    fn course(&mut self, count: u64) -> anyhow::Result<Course> {
        let start = self.clock.now();
        let mut course = Course::new(start);
        course.cpu.0 = self.watch.as_ref().map(Watch::cpu).unwrap_or_default();
        let mut turns = 0;
        while turns < count || self.phones.open() > 0 {
            let due = (turns < count).then(|| start + self.plan.interval.mul_f64(turns as f64));
            let next = [due, self.phones.deadline(), self.callee.deadline()].into_iter().flatten().min();
            self.turn(next, &mut course)?;
            let now = self.clock.now();
            for _ in 0..START_BURST {
                let due = start + self.plan.interval.mul_f64(turns as f64);
                if turns == count || due > now {
                    break;
                }
                course.late = course.late.max(now - due);
                let number = (turns % u64::from(self.args.users)) as u32;
                if !self.phones.start(now, number, &mut course) {
                    course.busy += 1;
                }
                turns += 1;
            }
            // An answer that has come and was not read yet is no reason to ask again.
            if !self.pending {
                self.phones.handle_timeout(now, &mut course);
            }
            self.deliver();
        }
        course.cpu.1 = self.watch.as_ref().map(Watch::cpu).unwrap_or_default();
        Ok(course)
    }

    /// Only answers for so long.
    fn linger(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = self.clock.now() + time;
        let mut course = Course::new(end);
        while self.clock.now() < end {
            let next = [Some(end), self.callee.deadline()].into_iter().flatten().min();
            self.turn(next, &mut course)?;
            self.deliver();
        }
        Ok(())
    }

    /// Takes what has come, or waits for it until `next`.
    fn turn(&mut self, next: Option<Duration>, course: &mut Course) -> anyhow::Result<()> {
        let now = self.clock.now();
        let wait = next.map_or(TURN, |at| at.saturating_sub(now).min(TURN));
        let wait = if self.pending { Duration::ZERO } else { wait };
        match self.poll.poll(&mut self.ready, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        self.pending |= !self.ready.is_empty();
        if self.pending {
            self.receive(course)?;
        }
        let now = self.clock.now();
        self.callee.handle_timeout(now, &mut self.work, &mut self.tally);
        let everywhere = self.port.local();
        for (to, bytes) in self.work.sip.drain(..) {
            self.port.send(everywhere, to, bytes);
        }
        Ok(())
    }

    fn receive(&mut self, course: &mut Course) -> io::Result<()> {
        let now = self.clock.now();
        let Run { port, batch, buffer, phones, callee, work, tally, pings, calls, clock, .. } = self;
        let mut answers: Vec<(SocketAddr, SocketAddr, Bytes)> = Vec::new();
        self.pending = port.receive(batch, |batch| {
            for datagram in batch.datagrams() {
                let bytes = keep(buffer, datagram.bytes);
                let Ok(message) = Message::parse(bytes.clone()) else {
                    course.strays += 1;
                    continue;
                };
                if message.is_response() {
                    phones.receive(now, &message, course);
                    continue;
                }
                if message.method() == Some(&Method::Options) {
                    let waited = datagram.arrived.map_or(Duration::ZERO, |noted| clock.since(noted));
                    pings.add(now.saturating_sub(waited));
                }
                let is_new =
                    message.method() == Some(&Method::Invite) && message.to().is_ok_and(|to| to.tag().is_none());
                let (repeats, open) = (tally.repeats_seen, callee.open());
                callee.receive(now, datagram.from, bytes, work, tally);
                *calls += u64::from(is_new && callee.open() > open && tally.repeats_seen == repeats);
                // A phone answers from where it was asked.
                answers.extend(work.sip.drain(..).map(|(to, bytes)| (datagram.local, to, bytes)));
            }
        })?;
        for (local, to, bytes) in answers {
            self.port.send(local, to, bytes);
        }
        self.work.deeds.clear();
        self.port.flush();
        Ok(())
    }

    fn deliver(&mut self) {
        let server = self.phones.server();
        for (number, bytes) in self.phones.out.drain(..) {
            self.port.send(self.args.address(number), server, bytes);
        }
        self.port.flush();
    }
}
