//! The loop of a load run: sockets, clock and the two ends of the calls, in one thread.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_drive::Clock;
use hookswitch_net::{RecvBatch, thread_cpu_time};
use mio::{Events, Poll, Token};

use super::args::{CallsArgs, Plan};
use super::audio::Audio;
use super::callee::Callee;
use super::caller::{Caller, Script};
use super::measure::Measure;
use super::port::Port;
use super::summary::{Calls, Generator, Repeats, Rtp, Spread, Summary, millis, rounded};
use super::template::Template;
use super::transfers::Transfers;
use super::work::{Deed, Leg, Tally, Work};

/// Calls started before the network is looked at again.
const START_BURST: usize = 32;

/// Audio packets sent before the network is looked at again.
const AUDIO_BURST: usize = 64;

/// While there is audio, what arrives is looked at this often.
const GATHER: Duration = Duration::from_micros(250);

/// The loop looks up this often.
const TURN: Duration = Duration::from_millis(50);

/// Size of the pieces of memory that received messages are copied to.
const BUFFER: usize = 64 * 1024;

const TOKENS: [Token; 4] = [Token(0), Token(1), Token(2), Token(3)];
/// The session that asks for transfers.
const TRANSFERS: Token = Token(4);

/// Indices of the sockets.
const CALLER: usize = 0;
const CALLEE: usize = 1;
const CALLER_AUDIO: usize = 2;

pub(super) struct Run {
    plan: Plan,
    clock: Clock,
    poll: Poll,
    ready: Events,
    /// SIP of callers and callees, then audio of both where audio is wanted.
    ports: Vec<Port>,
    /// Sockets that may hold more.
    pending: [bool; 4],
    batch: RecvBatch,
    buffer: BytesMut,
    caller: Caller,
    callee: Callee,
    audio: Option<Audio>,
    transfers: Option<Transfers>,
    work: Work,
    tally: Tally,
    /// How late a call was started at worst.
    late: Duration,
    peak: usize,
}

impl Run {
    pub(super) fn new(args: &CallsArgs, plan: Plan) -> anyhow::Result<Run> {
        let poll = Poll::new()?;
        let mut ports = vec![
            Port::bind(&poll, TOKENS[0], args.caller_addr, false)?,
            Port::bind(&poll, TOKENS[1], args.callee_addr, false)?,
        ];
        if args.rtp {
            for index in [CALLER, CALLEE] {
                let address = SocketAddr::new(ports[index].local().ip(), 0);
                ports.push(Port::bind(&poll, TOKENS[ports.len()], address, true)?);
            }
        }
        let media = |index: usize| ports.get(index + CALLER_AUDIO).map(Port::local);
        let run: u32 = rand::random();
        let caller = Template::new(ports[CALLER].local(), media(CALLER), run);
        // Equal tags at both ends would make one party of them for whoever tells parties by tag.
        let callee = Template::new(ports[CALLEE].local(), media(CALLEE), !run);
        let script = Script {
            server: args.server,
            from: args.from.clone(),
            to: plan.to.clone(),
            among: args.among,
            hold: plan.hold,
            audio: args.rtp,
            transfer: args.transfer.is_some(),
        };
        let transfer_to = args.transfer_to.clone().unwrap_or_else(|| plan.to.clone());
        let transfers = args.transfer.map(|at| Transfers::open(at, transfer_to, poll.registry(), TRANSFERS));
        Ok(Run {
            caller: Caller::new(script, caller),
            callee: Callee::new(callee, plan.ring, args.rtp),
            audio: args.rtp.then(Audio::new),
            transfers: transfers.transpose()?,
            plan,
            clock: Clock::start(),
            poll,
            ready: Events::with_capacity(16),
            ports,
            pending: [false; 4],
            batch: RecvBatch::new(),
            buffer: BytesMut::with_capacity(BUFFER),
            work: Work::default(),
            tally: Tally::new(),
            late: Duration::ZERO,
            peak: 0,
        })
    }

    /// Places all calls and waits for their end.
    pub(super) fn perform(mut self, mut measure: Measure) -> anyhow::Result<Summary> {
        let cpu_before = thread_cpu_time();
        let start = self.clock.now();
        measure.start(start);
        let mut last_start = start;
        while self.tally.started < self.plan.calls || self.caller.open() > 0 {
            self.turn(start, &mut last_start)?;
            self.peak = self.peak.max(self.caller.open());
            let now = self.clock.now();
            let standing = self.tally.started == self.plan.calls && self.tally.answered == self.plan.calls;
            let hushed = self.tally.completed > 0;
            let packets = self.audio.as_ref().map_or(0, |audio| audio.heard.received);
            measure.turn(now, self.tally.completed, self.caller.open());
            measure.steady(now, standing && !hushed && now < last_start + self.plan.hold, (self.peak, packets));
        }
        let end = self.tally.last_end.max(start);
        measure.stop(end);
        let cpu = thread_cpu_time();
        let settled = self.clock.now() + self.plan.settle;
        while self.clock.now() < settled || self.callee.open() > 0 && self.clock.now() < settled + TURN {
            self.turn(start, &mut last_start)?;
        }
        let used = (cpu.0 + cpu.1).saturating_sub(cpu_before.0 + cpu_before.1);
        Ok(self.summary((start, last_start, end), used, measure))
    }

    fn turn(&mut self, start: Duration, last_start: &mut Duration) -> anyhow::Result<()> {
        let now = self.clock.now();
        let wait = self.deadline(start).map_or(TURN, |at| at.saturating_sub(now).min(TURN));
        let wait = if self.pending.contains(&true) || self.gathered() { Duration::ZERO } else { wait };
        match self.poll.poll(&mut self.ready, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let mut told = false;
        for event in &self.ready {
            match event.token() {
                TRANSFERS => told = true,
                Token(index) => self.pending[index & 3] = true,
            }
        }
        if told && let Some(transfers) = &mut self.transfers {
            transfers.receive(self.clock.now())?;
        }
        self.receive_audio()?;
        self.receive_sip()?;
        let now = self.clock.now();
        for _ in 0..START_BURST {
            let due = start + self.next_start();
            if self.tally.started == self.plan.calls || due > now {
                break;
            }
            self.late = self.late.max(now - due);
            *last_start = now;
            let number = self.tally.started;
            self.caller.start(now, number, &mut self.work, &mut self.tally);
        }
        self.caller.handle_timeout(now, &mut self.work, &mut self.tally);
        self.deliver(CALLER, now)?;
        self.callee.handle_timeout(now, &mut self.work, &mut self.tally);
        self.deliver(CALLEE, now)?;
        self.send_audio();
        Ok(())
    }

    /// While there is audio, waits for a moment and says so.
    ///
    /// A generator that sleeps between any two packets has the server wake it for each of them, and what that costs
    /// would be counted as the server's. When a packet arrived is noted by the system, so nothing is timed wrongly.
    fn gathered(&self) -> bool {
        let talks = self.audio.as_ref().is_some_and(|audio| audio.deadline().is_some());
        if talks {
            thread::sleep(GATHER);
        }
        talks
    }

    /// When the next call is due, from the start.
    fn next_start(&self) -> Duration {
        Duration::from_secs_f64(self.plan.interval.as_secs_f64() * self.tally.started as f64)
    }

    fn deadline(&self, start: Duration) -> Option<Duration> {
        let next = (self.tally.started < self.plan.calls).then(|| start + self.next_start());
        let audio = self.audio.as_ref().and_then(Audio::deadline);
        [next, audio, self.caller.deadline(), self.callee.deadline()].into_iter().flatten().min()
    }

    fn receive_sip(&mut self) -> anyhow::Result<()> {
        for index in [CALLER, CALLEE] {
            if !self.pending[index] {
                continue;
            }
            let now = self.clock.now();
            let Run { ports, batch, buffer, caller, callee, work, tally, .. } = self;
            self.pending[index] = ports[index].receive(batch, |batch| {
                for datagram in batch.datagrams() {
                    let bytes = keep(buffer, datagram.bytes);
                    if index == CALLER {
                        caller.receive(now, datagram.from, bytes, work, tally);
                    } else {
                        callee.receive(now, datagram.from, bytes, work, tally);
                    }
                }
            })?;
            self.deliver(index, now)?;
        }
        Ok(())
    }

    /// Sends what an end wrote, and passes on what it did.
    fn deliver(&mut self, index: usize, now: Duration) -> anyhow::Result<()> {
        for (to, bytes) in self.work.sip.drain(..) {
            let local = self.ports[index].local();
            self.ports[index].send(local, to, bytes);
        }
        self.ports[index].flush();
        for deed in self.work.deeds.drain(..) {
            match (deed, &mut self.audio) {
                (Deed::Answered { number, call_id }, _) => {
                    if let Some(transfers) = &mut self.transfers {
                        transfers.ask(now, number, &call_id)?;
                    }
                }
                (Deed::Talks { leg, call, number, remote }, Some(audio)) => {
                    audio.start(now, leg, call, number, remote);
                }
                (Deed::Hush { call }, Some(audio)) => audio.hush(call),
                (Deed::Over { leg, call }, Some(audio)) => audio.over(leg, call),
                (Deed::Talks { .. } | Deed::Hush { .. } | Deed::Over { .. }, None) => {}
            }
        }
        Ok(())
    }

    fn receive_audio(&mut self) -> io::Result<()> {
        let Run { ports, batch, audio: Some(audio), clock, pending, .. } = self else {
            return Ok(());
        };
        for leg in [Leg::Caller, Leg::Callee] {
            let index = leg.index() + CALLER_AUDIO;
            if !pending[index] {
                continue;
            }
            pending[index] = ports[index].receive(batch, |batch| {
                let now = clock.now();
                for datagram in batch.datagrams() {
                    let waited = datagram.arrived.map_or(Duration::ZERO, |noted| clock.since(noted));
                    audio.receive(now.saturating_sub(waited), leg, datagram.from, datagram.bytes);
                }
            })?;
        }
        Ok(())
    }

    fn send_audio(&mut self) {
        let Some(audio) = &mut self.audio else {
            return;
        };
        for _ in 0..AUDIO_BURST {
            let Some((leg, to, bytes)) = audio.next(self.clock.now()) else {
                break;
            };
            let port = &mut self.ports[leg.index() + CALLER_AUDIO];
            port.send(port.local(), to, bytes);
        }
        for port in &mut self.ports[CALLER_AUDIO..] {
            port.flush();
        }
    }

    fn summary(&self, times: (Duration, Duration, Duration), used: Duration, measure: Measure) -> Summary {
        let (start, last_start, end) = times;
        let Tally { started, answered, completed, failed, .. } = &self.tally;
        let starting = (last_start.saturating_sub(start) + self.plan.interval).as_secs_f64();
        let per_call = |time: Duration| rounded(time.as_secs_f64() * 1e6 / (*completed).max(1) as f64);
        let rtp = self.audio.as_ref().map(|audio| {
            let heard = &audio.heard;
            Rtp {
                sent: heard.sent,
                received: heard.received,
                lost: heard.lost,
                damaged: heard.damaged,
                misrouted: heard.misrouted,
                strays: heard.strays,
                latency: Spread::of(&heard.latency),
                late_ms: millis(heard.late),
                stopped_ms: millis(heard.stopped),
            }
        });
        Summary {
            calls: Calls {
                started: *started,
                answered: *answered,
                completed: *completed,
                failed: self.tally.failures(),
                failed_by_reason: failed.clone(),
                rate: rounded(*started as f64 / starting),
                peak: self.peak,
                seconds: rounded((end - start).as_secs_f64()),
            },
            setup: Spread::of(&self.tally.setup),
            transfers: self.transfers.as_ref().map(Transfers::report),
            repeats: Repeats {
                sent: self.tally.repeats_sent,
                seen: self.tally.repeats_seen,
                strays: self.tally.strays,
            },
            generator: Generator {
                cpu_us_per_call: per_call(used),
                late_ms: millis(self.late),
                dropped: self.ports.iter().map(|port| port.dropped).sum(),
            },
            rtp,
            server: measure.server(*completed),
        }
    }
}

/// A copy of a received message in memory that many share.
pub(super) fn keep(buffer: &mut BytesMut, bytes: &[u8]) -> Bytes {
    if buffer.capacity() < bytes.len() {
        *buffer = BytesMut::with_capacity(BUFFER.max(bytes.len()));
    }
    buffer.extend_from_slice(bytes);
    buffer.split().freeze()
}
