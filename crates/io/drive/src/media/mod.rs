//! Media threads: each owns the sockets of its calls and one engine.
//!
//! A call belongs to one thread, so both its parties meet there and a packet needs nobody else: no lock, no queue, no
//! allocation from its arrival to its departure. Only one that comes to be in a room which another thread mixes moves
//! there ([`moves`]).

mod direct;
mod files;
mod lateness;
mod moves;
mod scarcity;
mod sockets;
mod worker;

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookswitch_call::{
    AudioNews, CallId, Cause, Fault, Kind, MediaOp, MediaReport, PlayEnd, PlayNews, RecordEnd, RecordNews, RecordOrder,
    Recorded, Room, RoomNews,
};
use hookswitch_dialect::journal::PortsWord;
use hookswitch_media::{CallStats, EngineConfig, FileOrder, FileReport, Totals};
use hookswitch_net::{
    PortPool, PortRange, allowed_cpus, pin_current_thread, prefer_current_thread, raise_descriptor_limit,
};
use mio::{Poll, Token};

use crate::clock::Clock;
use crate::inbox::Inbox;
pub use files::{
    BadSoundSource, FilesConfig, MAX_FILE_ORDERS, MAX_RECORDED_WAITING, SoundSource, WebSoundsConfig, is_url,
};
use files::{FileSink, FileThread, WebSounds};
pub use lateness::Lateness;
use moves::{Move, Neighbour};
use worker::{Parts, Worker};

/// Operations that may wait for one media thread. Beyond, calls are refused.
pub const MAX_MEDIA_OPS: usize = 65_536;

/// How long somebody who asks a media thread for its counters waits at most.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) const WAKER: Token = Token(0);

/// How packets come in and go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MediaIo {
    /// By io_uring where the system has it and lets us (Linux 6.1; containers often do not), else by epoll.
    #[default]
    Auto,
    /// By epoll and a system call for each packet.
    Epoll,
    /// By io_uring; a warning where that is not to be had.
    Ring,
}

/// How media is carried.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Whether there is audio here at all. Default true. Without, there are neither threads nor ports.
    pub here: bool,
    /// Media threads. 0, the default, means one per CPU that we may use but one, and at least one.
    pub threads: usize,
    /// Keep each thread on a CPU of its own, counted from the last. Default true.
    pub pin: bool,
    /// Ports for RTP and RTCP. Default 10000-20000.
    pub ports: PortRange,
    /// The engine of each thread.
    pub engine: EngineConfig,
    /// How packets come in and go out. Default [`MediaIo::Auto`].
    pub io: MediaIo,
    /// Where files are that are played.
    pub files: FilesConfig,
}

impl MediaConfig {
    /// Everything at its default, with this engine.
    #[must_use]
    pub fn new(engine: EngineConfig) -> Self {
        Self {
            here: true,
            threads: 0,
            pin: true,
            ports: PortRange::default(),
            engine,
            io: MediaIo::default(),
            files: FilesConfig::default(),
        }
    }
}

/// Who hears from the media threads. Called on them.
pub type ReportSink = Arc<dyn Fn(MediaReport) + Send + Sync>;

/// Called on a media thread that panics or cannot go on.
pub(crate) type FailureSink = Arc<dyn Fn() + Send + Sync>;

/// Told when the ports of a thread run out and when they are free again: which thread, and how many pairs it has. Called on
/// that thread.
pub(crate) type PortsSink = Arc<dyn Fn(usize, usize, PortsWord) + Send + Sync>;

struct FailureWatch(FailureSink);

impl Drop for FailureWatch {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)();
        }
    }
}

enum Order {
    Op(MediaOp),
    /// No more of them than the engine has given orders for files.
    File(FileReport),
    /// What is to be done with a file of this thread's, for a call that has moved.
    FileFor(FileOrder),
    /// What was done with a file of that thread's, for a call that has come from there.
    FileOf(usize, FileReport),
    /// A call is on its way here: what is ordered for it waits.
    Expect(CallId),
    /// A call is to move there.
    HandOver(CallId, Neighbour),
    /// It comes. None if it was not where it should have been.
    TakeOver(CallId, Option<Box<Move>>),
    /// A port of this thread's is free, which had moved with a call.
    PortBack(u16),
    Totals(SyncSender<MediaTotals>),
    Stats(CallId, SyncSender<Option<CallStats>>),
    Stop,
}

/// What one media thread has counted, and what it holds now.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaTotals {
    /// Packets and octets.
    pub counted: Totals,
    /// Port pairs in use.
    pub ports_taken: usize,
    /// Port pairs in all.
    pub ports: usize,
    /// How often none of them was free for a party.
    pub ports_refused: u64,
    /// Parties that have talked for a while and are sent their audio by a socket of their own.
    pub direct: usize,
    /// How late its ticks have begun.
    pub lateness: Lateness,
    /// CPU time of the thread in user mode.
    pub user: Duration,
    /// CPU time of the thread in system mode.
    pub system: Duration,
}

/// All media threads.
pub struct MediaPlane {
    threads: Vec<MediaThread>,
    /// Calls that are elsewhere than their number says: where the others of their room are.
    placed: Mutex<HashMap<CallId, usize>>,
    report: ReportSink,
}

struct MediaThread {
    orders: Arc<Inbox<Order>>,
    thread: Option<JoinHandle<()>>,
    /// Ends after the other, which orders from it.
    _files: FileThread,
}

impl MediaPlane {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system does not give us threads or descriptors.
    pub fn start(config: &MediaConfig, clock: Clock, seed: u64, report: ReportSink) -> io::Result<Self> {
        Self::start_watched(config, clock, seed, report, (&(Arc::new(|| {}) as _), &(Arc::new(|_, _, _| {}) as _)))
    }

    /// The same, with somebody who is told when a thread ends by itself, and somebody who is told of ports.
    pub(crate) fn start_watched(
        config: &MediaConfig,
        clock: Clock,
        seed: u64,
        report: ReportSink,
        (failed, ports): (&FailureSink, &PortsSink),
    ) -> io::Result<Self> {
        if !config.here {
            return Ok(Self { threads: Vec::new(), placed: Mutex::default(), report });
        }
        let cpus = allowed_cpus();
        let count = match config.threads {
            0 => cpus.len().saturating_sub(1).max(1),
            count => count,
        };
        let web = config.files.web.clone().map(|web| WebSounds::start(web, clock)).transpose()?.map(Arc::new);
        let most_directs = direct::most(raise_descriptor_limit().unwrap_or_default(), count);
        let mut plane =
            Self { threads: Vec::with_capacity(count), placed: Mutex::default(), report: Arc::clone(&report) };
        for (index, pool) in PortPool::split(config.ports, count, seed).into_iter().enumerate() {
            // From the last CPU downwards: the signalling thread and the system are busiest on the first.
            let cpu = cpus.len().checked_sub(1 + index % cpus.len().max(1)).and_then(|at| cpus.get(at).copied());
            let poll = Poll::new()?;
            let orders = Arc::new(Inbox::new(poll.registry(), WAKER, MAX_MEDIA_OPS)?);
            let sink: FileSink = {
                let orders = Arc::clone(&orders);
                Arc::new(move |report| orders.push_always(Order::File(report)))
            };
            let files = FileThread::start(index, &config.files, web.clone(), sink)?;
            // Engines must not make the same names; an odd constant keeps their seeds apart.
            let seed = seed ^ (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let parts = Parts {
                registry: poll.registry().try_clone()?,
                poll,
                pool,
                pairs: config.ports.pairs(),
                number: index,
                engine: config.engine.clone(),
                io: config.io,
                most_directs,
                seed,
                clock,
                orders: Arc::clone(&orders),
                report: Arc::clone(&report),
                ports: Arc::clone(ports),
                files: files.queue(),
            };
            let cpu = cpu.filter(|_| config.pin);
            let failed = Arc::clone(failed);
            let thread = thread::Builder::new().name(format!("media-{index}")).spawn(move || {
                if let Some(Err(error)) = cpu.map(pin_current_thread) {
                    tracing::warn!(%error, ?cpu, "a media thread could not be kept on its CPU");
                }
                // Audio is late after milliseconds, everything else after seconds.
                if let Err(error) = prefer_current_thread() {
                    tracing::debug!(%error, "a media thread runs at ordinary priority");
                }
                let watch = FailureWatch(failed);
                if let Err(error) = Worker::new(parts).run() {
                    tracing::error!(%error, "a media thread cannot wait for packets and ends");
                    (watch.0)();
                }
            })?;
            plane.threads.push(MediaThread { orders, thread: Some(thread), _files: files });
        }
        Ok(plane)
    }

    /// Media threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Carries out an operation, in order with the others of its call; reports come later through the sink. When the
    /// thread does not keep up, what asks for a report is refused at once.
    pub fn perform(&self, op: MediaOp) {
        let call = call_of(&op);
        if self.threads.len() > 1 {
            self.place(&op);
        }
        let Some(thread) = self.thread_of(call) else { return };
        // The end of a call must never get lost: its ports would be gone for good.
        if matches!(op, MediaOp::Close { .. }) {
            thread.orders.push_always(Order::Op(op));
            if self.threads.len() > 1 {
                self.placed().remove(&call);
            }
        } else if let Err(Order::Op(op)) = thread.orders.push(Order::Op(op)) {
            tracing::warn!(%call, "a media thread does not keep up; an operation was refused");
            if let Some(report) = refused(&op) {
                (self.report)(report);
            }
        }
    }

    /// A room is on one thread, which its name decides; a call that is opened for one is carried there. One that turns out
    /// later to be for a room, and is elsewhere, moves there.
    fn place(&self, op: &MediaOp) {
        match op {
            MediaOp::Open { call, room: Some(room), .. } => {
                self.placed().insert(*call, self.place_of(room));
            }
            MediaOp::Join { call, room, .. } => self.move_to(*call, self.place_of(room)),
            MediaOp::Open { .. }
            | MediaOp::MakeOffer { .. }
            | MediaOp::MakeAnswer { .. }
            | MediaOp::Offered { .. }
            | MediaOp::Accept { .. }
            | MediaOp::Hear { .. }
            | MediaOp::Hold { .. }
            | MediaOp::OpenSpare { .. }
            | MediaOp::Swap { .. }
            | MediaOp::CloseSpare { .. }
            | MediaOp::Digit { .. }
            | MediaOp::Leave { .. }
            | MediaOp::Play { .. }
            | MediaOp::ControlPlay { .. }
            | MediaOp::Record { .. }
            | MediaOp::Inspect { .. }
            | MediaOp::Close { .. } => {}
        }
    }

    /// Has a call carried by that thread from now on. What is ordered for it waits there until it has come.
    fn move_to(&self, call: CallId, number: usize) {
        let before = self.number_of(call);
        let (Some(from), Some(to)) = (self.threads.get(before), self.threads.get(number)) else { return };
        if before != number {
            self.placed().insert(call, number);
            to.orders.push_always(Order::Expect(call));
            let to = Neighbour { number, orders: Arc::clone(&to.orders) };
            from.orders.push_always(Order::HandOver(call, to));
        }
    }

    fn placed(&self) -> MutexGuard<'_, HashMap<CallId, usize>> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place_of(&self, room: &Room) -> usize {
        // FNV-1a: the same for every call, and that is all that is asked of it.
        let hash = room
            .0
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        (hash % self.threads.len().max(1) as u64) as usize
    }

    fn number_of(&self, call: CallId) -> usize {
        if self.threads.len() < 2 {
            return 0;
        }
        let placed = self.placed().get(&call).copied();
        // Calls are numbered one after the other, so this deals them out evenly.
        placed.unwrap_or((call.0 % self.threads.len().max(1) as u64) as usize)
    }

    fn thread_of(&self, call: CallId) -> Option<&MediaThread> {
        self.threads.get(self.number_of(call))
    }

    /// What has been counted so far, thread by thread. Asks them and waits: for scraping.
    #[must_use]
    pub fn totals(&self) -> Vec<MediaTotals> {
        let ask = |thread: &MediaThread| {
            let (answer, answered) = sync_channel(1);
            thread.orders.push_always(Order::Totals(answer));
            answered
        };
        let answers: Vec<_> = self.threads.iter().map(ask).collect();
        answers.into_iter().filter_map(|answered| answered.recv_timeout(PATIENCE).ok()).collect()
    }

    /// The counters of a call. Asks its thread and waits for it.
    #[must_use]
    pub fn stats(&self, call: CallId) -> Option<CallStats> {
        let (answer, answered) = sync_channel(1);
        self.thread_of(call)?.orders.push_always(Order::Stats(call, answer));
        answered.recv_timeout(PATIENCE).ok()?
    }

    /// Ends the threads and closes their sockets.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        for thread in &self.threads {
            thread.orders.push_always(Order::Stop);
        }
        for thread in &mut self.threads {
            if let Some(Err(_)) = thread.thread.take().map(JoinHandle::join) {
                tracing::error!("a media thread had panicked");
            }
        }
    }
}

impl Drop for MediaPlane {
    fn drop(&mut self) {
        self.finish();
    }
}

const fn call_of(op: &MediaOp) -> CallId {
    match op {
        MediaOp::Open { call, .. }
        | MediaOp::MakeOffer { call, .. }
        | MediaOp::MakeAnswer { call, .. }
        | MediaOp::Offered { call, .. }
        | MediaOp::Accept { call, .. }
        | MediaOp::Hear { call, .. }
        | MediaOp::Hold { call, .. }
        | MediaOp::OpenSpare { call, .. }
        | MediaOp::Swap { call }
        | MediaOp::CloseSpare { call }
        | MediaOp::Digit { call, .. }
        | MediaOp::Play { call, .. }
        | MediaOp::ControlPlay { call, .. }
        | MediaOp::Join { call, .. }
        | MediaOp::Leave { call, .. }
        | MediaOp::Record { call, .. }
        | MediaOp::Inspect { call }
        | MediaOp::Close { call } => *call,
    }
}

/// The report that stands for an operation which was not carried out.
fn refused(op: &MediaOp) -> Option<MediaReport> {
    let (call, seat, leg) = match op {
        MediaOp::MakeOffer { call, seat, leg, .. }
        | MediaOp::MakeAnswer { call, seat, leg }
        | MediaOp::Accept { call, seat, leg, .. } => (*call, *seat, *leg),
        MediaOp::Inspect { call } => {
            return Some(MediaReport::Audio { call: *call, news: AudioNews::Asked, audio: None });
        }
        MediaOp::Play { call, party, play, .. } => {
            let (news, position) = (PlayNews::Ended(PlayEnd::Failed), Duration::ZERO);
            return Some(MediaReport::Played { call: *call, party: *party, play: *play, news, position });
        }
        MediaOp::Join { call, party, room, .. } => {
            let (call, party, room) = (*call, *party, room.clone());
            let news = RoomNews::Refused(Cause::new(Kind::Overloaded, Fault::Server));
            return Some(MediaReport::Room { call, party, room, news });
        }
        MediaOp::Record { call, recording, order: RecordOrder::Begin(plan), .. } => {
            let recorded = Recorded::nothing(&plan.file, RecordEnd::Failed("the switch does not keep up".into()));
            let (call, recording, news) = (*call, *recording, RecordNews::Finished(Box::new(recorded)));
            return Some(MediaReport::Recorded { call, recording, news });
        }
        MediaOp::Open { .. }
        | MediaOp::Record { .. }
        | MediaOp::Offered { .. }
        | MediaOp::Leave { .. }
        | MediaOp::Hear { .. }
        | MediaOp::Hold { .. }
        | MediaOp::OpenSpare { .. }
        | MediaOp::Swap { .. }
        | MediaOp::CloseSpare { .. }
        | MediaOp::Digit { .. }
        | MediaOp::ControlPlay { .. }
        | MediaOp::Close { .. } => return None,
    };
    Some(MediaReport::Refused { call, seat, leg, cause: Cause::new(Kind::Overloaded, Fault::Server) })
}
