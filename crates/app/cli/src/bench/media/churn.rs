//! Calls that come and go beside those that are measured: what they must not be noticed by.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hookswitch_call::{
    Audience, CallId, LegId, MediaOp, MediaReport, Party, PlayId, RecordNews, RecordOrder, RecordPlan, RecordingId,
    Sdp, Source,
};

use super::calls::{CALLER, PATIENCE, TELEPHONY, Table, codec, describe, socket, soup};

/// Numbers of those calls, beyond all that are measured.
const FIRST: u64 = 1 << 32;

/// How long one of them lasts at most.
pub(super) const LONGEST: Duration = Duration::from_secs(2);

/// Those calls: one party each, which is played to and recorded, and never read from.
pub(super) struct Churn<'a> {
    table: &'a Table,
    /// Time between two that come.
    every: Duration,
    due: Instant,
    /// Who is there, the first to go first.
    here: BinaryHeap<Reverse<(Instant, u64)>>,
    come: u64,
    /// Those that could not be had, and recordings that are over.
    refused: u64,
    recorded: u64,
    /// Ports in use before the first one came.
    ports: usize,
    sdp: Sdp,
    _ears: UdpSocket,
}

impl<'a> Churn<'a> {
    /// So many a second.
    pub(super) fn new(table: &'a Table, rate: u16) -> anyhow::Result<Self> {
        let ears = socket()?;
        let sdp = Sdp::from(describe(ears.local_addr()?, codec(TELEPHONY)?).as_str());
        Ok(Self {
            table,
            every: Duration::from_secs(1) / u32::from(rate),
            due: Instant::now(),
            here: BinaryHeap::new(),
            come: 0,
            refused: 0,
            recorded: 0,
            ports: table.ports_taken(),
            sdp,
            _ears: ears,
        })
    }

    /// Lets come and go whose time it is.
    pub(super) fn turn(&mut self, now: Instant) {
        while self.due <= now {
            self.one_comes(now);
            self.due += self.every;
        }
        while let Some(Reverse((_, number))) = self.here.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.here.pop();
            self.table.plane.perform(MediaOp::Close { call: CallId(FIRST + number) });
        }
        while let Some(report) = self.table.next_report() {
            self.note(&report);
        }
    }

    fn one_comes(&mut self, now: Instant) {
        let (number, plane) = (self.come, &self.table.plane);
        let (call, party, recording) = (CallId(FIRST + number), Party::Caller, RecordingId(0));
        let offer = Some((party, self.sdp.clone()));
        plane.perform(MediaOp::Open { call, offer, codecs: None, near: None, room: None });
        plane.perform(MediaOp::MakeAnswer { call, seat: CALLER, leg: LegId(0) });
        plane.perform(MediaOp::Hear { call, seat: CALLER, source: Source::Sounds });
        let (play, soup) = (PlayId(0), Arc::new(soup(number as usize)));
        plane.perform(MediaOp::Play { call, party, to: Audience::Party, play, soup });
        let plan = RecordPlan::both_sides(format!("guest {number}.wav").as_str().into());
        plane.perform(MediaOp::Record { call, party, recording, order: RecordOrder::Begin(Box::new(plan)) });
        self.come += 1;
        self.here.push(Reverse((now + LONGEST.mul_f64(rand::random()), number)));
    }

    fn note(&mut self, report: &MediaReport) {
        match report {
            MediaReport::Refused { .. } => self.refused += 1,
            MediaReport::Recorded { news: RecordNews::Finished(_), .. } => self.recorded += 1,
            _ => {}
        }
    }

    /// Sends everybody home, and says how many came. Nothing of them may be left.
    pub(super) fn finish(mut self) -> anyhow::Result<u64> {
        for Reverse((_, number)) in std::mem::take(&mut self.here) {
            self.table.plane.perform(MediaOp::Close { call: CallId(FIRST + number) });
        }
        while self.recorded < self.come {
            let report = self.table.report_within(PATIENCE);
            let report = report.with_context(|| format!("{} of {} recordings are over", self.recorded, self.come))?;
            self.note(&report);
        }
        ensure!(self.refused == 0, "{} of {} calls that came had no port", self.refused, self.come);
        let end = Instant::now() + PATIENCE;
        while self.table.ports_taken() > self.ports {
            ensure!(Instant::now() < end, "{} ports were not given back", self.table.ports_taken() - self.ports);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(self.come)
    }
}
