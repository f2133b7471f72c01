//! What goes into the record of a call, from wherever it becomes known.
//!
//! ```text
//!   Event::Incoming, Event::Started ──▶ begin          Report::Ended, Command::End ──▶ who ended it
//!   every event ──▶ told                               MediaOp::Open ──▶ there will be a report of the audio
//!   MediaOp::Record, MediaReport::Recorded ──▶ its recordings
//!   MediaReport::Audio (Closed; Asked when the switch stops) ──▶ its audio
//! ```

use hookswitch_call::machine::State;
use hookswitch_call::switchboard::Switchboard;
use hookswitch_call::{
    CallAudio, CallId, Command, Event, FIRST_ORDERED, MediaOp, Party, RecordOrder, Refused, Report, Ticket, Time, Told,
};
use hookswitch_dialect::journal::record::{Ender, Records};

use crate::{Shard, stopping};

/// Gives an application's command to the switchboard, and notes whose doing it is if it ends a call.
pub(crate) fn submit(
    board: &mut Switchboard,
    records: &mut Records,
    now: Time,
    command: Command,
) -> Result<Ticket, Refused> {
    let ends = if let Command::End { call, .. } = &command { board.find(call).ok() } else { None };
    let ends = ends.map(|call| call.id);
    let ticket = board.submit(now, command)?;
    if let Some(call) = ends {
        records.ended_by(call, Ender::Application);
    }
    Ok(ticket)
}

impl Shard {
    /// Whether a report of a call's audio is still to come for its record. After [`Input::EndAll`](crate::Input::EndAll):
    /// whether it is worth waiting before [`Input::Finish`](crate::Input::Finish).
    #[must_use]
    pub fn awaits_audio(&self) -> bool {
        self.records.without_audio().next().is_some()
    }

    /// Calls whose record is not complete: those that there are, and those that have just ended.
    #[must_use]
    pub fn open_records(&self) -> usize {
        self.records.open()
    }

    /// Gives an application's command to the switchboard.
    pub(crate) fn submit(&mut self, now: Time, command: Command) -> Result<Ticket, Refused> {
        submit(&mut self.board, &mut self.records, now, command)
    }

    /// Gives a report to the switchboard, and looks whose end has ended a call.
    pub(crate) fn tell_board(&mut self, now: Time, report: Report) {
        let ending = if let Report::Ended { call, leg, .. } = &report { self.goes_on(*call, *leg) } else { None };
        self.board.tell(now, report);
        if let Some((call, party)) = ending
            && self.board.call(call).is_none_or(|call| call.state == State::AwaitEnds)
        {
            self.records.ended_by(call, Ender::Party(party));
        }
    }

    /// A call that is not ending, and which end of it this leg is.
    fn goes_on(&self, call: CallId, leg: hookswitch_call::LegId) -> Option<(CallId, Party)> {
        let call = self.board.call(call).filter(|call| call.state != State::AwaitEnds)?;
        Some((call.id, call.leg(leg)?.party))
    }

    /// Notes an event. The first one of a call begins its record.
    pub(crate) fn note_told(&mut self, told: &Told) {
        if let Event::Started { caller, callee } = &told.event {
            self.records.begin(told.at, told.call, [caller, callee], None);
        }
        if let Event::Incoming { from, to } = &told.event {
            let wire_id = self.board.call(told.call).and_then(|call| call.legs.first()?.wire_id.clone());
            self.records.begin(told.at, told.call, [from, to], Some(&wire_id.unwrap_or_default()));
        }
        self.records.told(told);
    }

    /// Notes what the media engine is asked.
    pub(crate) fn note_media(&mut self, op: &MediaOp) {
        match op {
            MediaOp::Open { call, .. } => self.records.anchored(*call),
            MediaOp::Record { call, party, recording, order: RecordOrder::Begin(plan) } => {
                self.records.records(*call, *recording, &plan.file);
                let party = Some(*party).filter(|_| *recording >= FIRST_ORDERED);
                self.rest.record_ordered(*call, *recording, party, &plan.file);
            }
            MediaOp::MakeOffer { .. }
            | MediaOp::MakeAnswer { .. }
            | MediaOp::Offered { .. }
            | MediaOp::Accept { .. }
            | MediaOp::Hear { .. }
            | MediaOp::Hold { .. }
            | MediaOp::OpenSpare { .. }
            | MediaOp::Swap { .. }
            | MediaOp::CloseSpare { .. }
            | MediaOp::Join { .. }
            | MediaOp::Leave { .. }
            | MediaOp::Digit { .. }
            | MediaOp::Play { .. }
            | MediaOp::ControlPlay { .. }
            | MediaOp::Record { .. }
            | MediaOp::Inspect { .. }
            | MediaOp::Close { .. } => {}
        }
    }

    /// The switch stops: the audio of every call is asked for now, as it will not be told of when the call is over.
    pub(crate) fn ask_last_audio(&mut self, now: Time) {
        self.stopping = true;
        let calls: Vec<CallId> = self.records.without_audio().collect();
        for call in calls {
            self.perform_media(now, MediaOp::Inspect { call });
        }
    }

    /// Takes an answer that was asked for as the last one, if the switch stops.
    pub(crate) fn last_audio(&mut self, call: CallId, audio: Option<&CallAudio>) {
        if self.stopping {
            let findings = audio.map(|audio| self.last_findings(call, audio)).unwrap_or_default();
            self.records.audio(call, audio, &findings);
        }
    }

    pub(crate) fn finish_records(&mut self, now: Time) {
        self.records.finish(now, &stopping());
    }
}
