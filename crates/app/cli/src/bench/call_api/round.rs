//! One round: so many sessions, so many commands that run meanwhile, and what is measured beside them.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{bail, ensure};
use hookswitch_drive::Clock;
use mio::{Events, Poll, Token};

use super::CallApiArgs;
use super::course::{Course, Deed, Faults, read};
use super::opensips::{CALLEE, LATE, OpenSips, QUICK, Seen};
use super::report::{Echoes, RoundReport, Spread};
use super::socket::Socket;
use crate::bench::histogram::Histogram;

const MI: Token = Token(0);
const FIRST_SESSION: usize = 1;

/// Readiness events taken by one system call.
const EVENTS: usize = 1_024;

/// Commands started per second while those that run meanwhile are brought up.
const RAMP: f64 = 2_000.0;

/// Echoes of one session on their way at a time.
const WINDOW: usize = 32;

/// How long the daemon may take to find its OpenSIPS.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(30);

/// How long nothing may happen before what is missing counts as lost.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the late phones may ring at most: less than the daemon's `ring_timeout`, which is 120 s.
const MAX_RINGING: Duration = Duration::from_secs(100);

/// How long nothing is looked at while nothing happens.
const MOMENT: Duration = Duration::from_millis(5);

/// What the late phones wait for beyond what is planned.
const MARGIN: Duration = Duration::from_secs(3);

pub(super) struct Round {
    poll: Poll,
    events: Events,
    clock: Clock,
    opensips: OpenSips,
    sessions: Vec<Socket>,
    /// Sessions with something to read or to write.
    ready: VecDeque<usize>,
    name: String,
    /// Every command of the round; its number is its place.
    courses: Vec<(Deed, Course)>,
    calls_left: usize,
    echoes_left: usize,
    faults: Faults,
    last_heard: Duration,
}

impl Round {
    /// Waits until the daemon has found this OpenSIPS.
    pub(super) fn open(args: &CallApiArgs) -> anyhow::Result<Self> {
        let (poll, clock) = (Poll::new()?, Clock::start());
        let planned = Duration::from_secs_f64(args.probes as f64 / args.rate + args.commands as f64 / RAMP);
        let planned = planned + Duration::from_secs_f64(args.echoes as f64 / 10_000.0) + MARGIN;
        ensure!(planned < MAX_RINGING, "this would take longer than a phone may ring: fewer probes, or faster ones");
        let opensips = OpenSips::open(args.mi, clock, planned, poll.registry(), MI)?;
        let mut round = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            clock,
            opensips,
            sessions: Vec::new(),
            ready: VecDeque::new(),
            name: String::new(),
            courses: Vec::new(),
            calls_left: 0,
            echoes_left: 0,
            faults: Faults::default(),
            last_heard: Duration::ZERO,
        };
        let end = clock.now() + SUBSCRIBE_PATIENCE;
        while !round.opensips.is_subscribed() {
            ensure!(
                clock.now() < end,
                "the daemon does not subscribe to events: does it look for OpenSIPS at {}?",
                args.mi
            );
            round.turn(Some(clock.now() + MOMENT))?;
        }
        Ok(round)
    }

    /// Forgets the sessions and commands of the round before and opens sessions.
    fn begin(&mut self, args: &CallApiArgs, connections: usize) -> anyhow::Result<()> {
        self.sessions.clear();
        self.ready.clear();
        self.courses.clear();
        (self.calls_left, self.echoes_left, self.faults) = (0, 0, Faults::default());
        // Unlike those of other rounds and runs: the daemon may remember them.
        self.name = format!("bench-{:x}x", self.clock.now().as_micros());
        self.opensips.begin(&self.name);
        for index in 0..connections {
            let token = Token(FIRST_SESSION + index);
            let socket = Socket::open(args.server, &args.path, self.poll.registry(), token)?;
            self.sessions.push(socket);
            // The daemon may ask for the health of its OpenSIPS meanwhile.
            self.turn(Some(self.clock.now()))?;
        }
        Ok(())
    }

    /// Measures on so many connections.
    pub(super) fn run(&mut self, args: &CallApiArgs, connections: usize) -> anyhow::Result<RoundReport> {
        self.begin(args, connections)?;
        self.pace(args.commands, RAMP, LATE)?;
        let dialed = |round: &Self| round.courses.iter().filter(|(_, course)| course.to_mi.is_some()).count();
        while dialed(self) < args.commands && !self.is_silent(SILENCE) {
            self.turn(Some(self.clock.now() + MOMENT))?;
        }
        let first_probe = self.courses.len();
        self.pace(args.probes, args.rate, QUICK)?;
        while self.calls_left > args.commands && !self.is_silent(SILENCE) {
            self.turn(Some(self.clock.now() + MOMENT))?;
        }
        let running = self.calls_left;
        let probes: Vec<Course> = self.courses[first_probe..].iter().map(|(_, course)| *course).collect();
        let echoes = self.echo(args.echoes)?;
        // The late phones are silent for longer than others.
        while self.calls_left > 0 && !self.is_silent(MAX_RINGING) {
            self.turn(Some(self.clock.now() + MOMENT))?;
        }
        Ok(self.report(&probes, running, echoes))
    }

    /// Starts calls at a steady pace, while everything else goes on.
    fn pace(&mut self, calls: usize, rate: f64, caller: &str) -> anyhow::Result<()> {
        let start = self.clock.now();
        for number in 0..calls {
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            while self.clock.now() < due {
                self.turn(Some(due))?;
            }
            let session = number % self.sessions.len();
            let params = format!(r#""caller":"sip:{caller}@127.0.0.1:5080","callee":"sip:{CALLEE}@127.0.0.1:5080""#);
            self.ask(session, Deed::Call, "CallStart", &params)?;
            self.calls_left += 1;
            self.sessions[session].flush()?;
        }
        Ok(())
    }

    fn ask(&mut self, session: usize, deed: Deed, method: &str, params: &str) -> anyhow::Result<()> {
        let (number, name) = (self.courses.len(), &self.name);
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{{"cmd_id":"{name}{number}",{params}}}}}"#
        );
        self.sessions[session].say(&text);
        self.courses.push((deed, Course::new(self.clock.now())));
        self.last_heard = self.clock.now();
        Ok(())
    }

    /// As many echoes as the daemon can do.
    fn echo(&mut self, echoes: usize) -> anyhow::Result<Echoes> {
        let start = self.clock.now();
        let first = self.courses.len();
        let sessions = self.sessions.len();
        let window = WINDOW.min(echoes.div_ceil(sessions));
        let mut asked = 0;
        self.echoes_left = 0;
        while asked < echoes || self.echoes_left > 0 {
            // As many as fit are on their way, in all sessions together.
            while asked < echoes && self.echoes_left < window * sessions {
                self.ask(asked % sessions, Deed::Echo, "Echo", r#""word":"hello""#)?;
                self.echoes_left += 1;
                asked += 1;
            }
            for session in &mut self.sessions {
                session.flush()?;
            }
            self.turn(Some(self.clock.now() + Duration::from_millis(100)))?;
            if self.is_silent(SILENCE) {
                break;
            }
        }
        let done = self.courses[first..].iter().filter(|(deed, course)| course.has_ended(*deed)).count();
        Ok(Echoes::new(done, self.clock.now() - start))
    }

    fn is_silent(&self, patience: Duration) -> bool {
        self.clock.now() > self.last_heard + patience
    }

    /// Waits for what comes, at most until then, and takes it.
    fn turn(&mut self, until: Option<Duration>) -> anyhow::Result<()> {
        let now = self.clock.now();
        let next = [until, self.opensips.poll_timeout()].into_iter().flatten().min();
        let mut wait = next.map(|at| at.saturating_sub(now));
        if !self.ready.is_empty() {
            wait = Some(Duration::ZERO);
        }
        self.poll.poll(&mut self.events, wait)?;
        let mut has_requests = false;
        for event in &self.events {
            match event.token() {
                MI => has_requests = true,
                Token(number) => self.ready.push_back(number - FIRST_SESSION),
            }
        }
        if has_requests {
            self.opensips.receive();
        }
        self.opensips.handle_timeout();
        for seen in std::mem::take(&mut self.opensips.seen) {
            self.note(&seen);
        }
        while let Some(session) = self.ready.pop_front() {
            // Events may name a session that is still being opened.
            if session < self.sessions.len() {
                self.listen(session)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, seen: &Seen) {
        let (Seen::Dialed { command, at } | Seen::Reported { command, at }) = *seen;
        let Some((_, course)) = self.courses.get_mut(command) else { return };
        match seen {
            Seen::Dialed { .. } => course.to_mi = course.to_mi.or(Some(at.saturating_sub(course.asked))),
            Seen::Reported { .. } => course.reported = course.reported.or(Some(at)),
        }
        self.last_heard = at;
    }

    fn listen(&mut self, session: usize) -> anyhow::Result<()> {
        self.sessions[session].flush()?;
        self.sessions[session].fill()?;
        // As the system saw it: that this thread wakes up late is not the daemon's doing.
        let late = self.sessions[session].arrived.map_or(Duration::ZERO, |arrived| self.clock.since(arrived));
        let now = self.clock.now().saturating_sub(late);
        while let Some(text) = self.sessions[session].next()? {
            self.last_heard = now;
            let Some((number, event)) = read(&text, &self.name) else { bail!("the daemon says {text}") };
            let Some((deed, course)) = self.courses.get_mut(number) else { bail!("nobody asked for {text}") };
            if event == "TransferStart" && course.to_application.is_none() {
                course.to_application = course.reported.map(|at| now.saturating_sub(at));
            }
            if course.hear(*deed, event, &mut self.faults) {
                match deed {
                    Deed::Call => self.calls_left -= 1,
                    Deed::Echo => self.echoes_left -= 1,
                }
            }
        }
        Ok(())
    }

    fn report(&mut self, probes: &[Course], running: usize, echoes: Echoes) -> RoundReport {
        let ended = |(deed, course): &(Deed, Course)| course.has_ended(*deed);
        self.faults.lost += self.courses.iter().filter(|command| !ended(command)).count() as u64;
        let failed = self.courses.iter().filter(|(_, course)| course.failed).count();
        let (mut to_mi, mut to_application, mut both) = (Histogram::new(), Histogram::new(), Histogram::new());
        for course in probes {
            if let Some(time) = course.to_mi {
                to_mi.add(time);
            }
            if let Some(time) = course.to_application {
                to_application.add(time);
            }
            if let (Some(one), Some(other)) = (course.to_mi, course.to_application) {
                both.add(one + other);
            }
        }
        RoundReport {
            connections: self.sessions.len(),
            running,
            probes: probes.len(),
            commands: self.courses.len(),
            failed,
            faults: self.faults,
            datagrams_lost: self.opensips.lost,
            to_mi: Spread::of(&to_mi),
            to_application: Spread::of(&to_application),
            added: Spread::of(&both),
            echo: echoes,
        }
    }
}
