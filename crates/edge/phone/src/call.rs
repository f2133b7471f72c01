//! One call of a phone: what it waits for, and what it is made of.
//!
//! ```text
//!   call() ──▶ Calling ──2xx──▶ Talking ◀──ACK── Answered ◀──policy── Offered ◀── INVITE
//!                 │ refused,       │ BYE,           │ BYE, no ACK       │ cancelled, refused
//!                 │ cancel()       │ hang_up()      │                   │
//!                 ▼                ▼                ▼                   ▼
//!               Ending ───────▶ Event::Ended, told exactly once
//! ```

use std::net::SocketAddr;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip::{DialogId, Time};

use crate::config::{AnswerPolicy, PhoneConfig};
use crate::event::{EndCause, Event, Output};
use crate::listener::{Listener, MediaStats};
use crate::session::{Hold, Session};
use crate::talker::Talker;

/// One of the calls a phone may have at a time, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(pub u8);

/// Ports for RTP from one line to the next. A session that moves takes the next even port of its line.
pub(crate) const PORTS_PER_LINE: u16 = 20;

/// What the call waits for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stage {
    /// The other side's final answer.
    Calling,
    /// The time to answer or to refuse; `None` rings for ever.
    Offered { decide_at: Option<Time> },
    /// The ACK to our answer.
    Answered,
    /// The end.
    Talking,
    /// The outcome of our CANCEL or BYE; then it is over for this cause.
    Ending { cause: EndCause },
}

/// How far a call is, as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// We have called and wait.
    Calling,
    /// We are called and have not answered.
    Ringing,
    /// We have answered and wait for the ACK.
    Answered,
    /// It stands.
    Talking,
    /// It is being ended.
    Ending,
}

/// A change of the session that we have asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// With an offer of ours.
    Offer,
    /// Without: the other side is to make it.
    Late,
}

/// Everything about one call.
pub(crate) struct Call {
    pub(crate) line: Line,
    pub(crate) dialog: DialogId,
    pub(crate) call_id: CompactString,
    pub(crate) stage: Stage,
    /// What was to be done with incoming calls when this one came in.
    pub(crate) answer: AnswerPolicy,
    pub(crate) session: Session,
    pub(crate) talker: Talker,
    pub(crate) listener: Listener,
    /// The INVITE's offer, until it is answered.
    pub(crate) offer: Option<Bytes>,
    /// The answer that went out with a 183.
    pub(crate) early: Option<Bytes>,
    pub(crate) hang_up_at: Option<Time>,
    /// A re-INVITE or UPDATE of ours that has no answer yet.
    pub(crate) asked: Option<Asked>,
    /// The call in which we were asked to place this one.
    pub(crate) referred_in: Option<DialogId>,
}

impl Call {
    pub(crate) fn new(
        config: &PhoneConfig,
        line: Line,
        dialog: DialogId,
        stage: Stage,
        session: Session,
        random: u64,
    ) -> Call {
        Call {
            line,
            dialog,
            call_id: CompactString::default(),
            stage,
            answer: config.answer,
            session,
            talker: Talker::new(&config.sound, random),
            listener: Listener::new(config.record),
            offer: None,
            early: None,
            hang_up_at: None,
            asked: None,
            referred_in: None,
        }
    }

    /// Sends audio if the session lets us and the call stands.
    pub(crate) fn steer(&mut self, now: Time) {
        let stands = matches!(self.stage, Stage::Answered | Stage::Talking);
        self.talker.set_sending(now, stands && self.session.sends());
    }

    pub(crate) fn stats(&self) -> MediaStats {
        self.listener.stats(self.talker.sent)
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let decide = match self.stage {
            Stage::Offered { decide_at } => decide_at,
            Stage::Calling | Stage::Answered | Stage::Talking | Stage::Ending { .. } => None,
        };
        [decide, self.hang_up_at, self.talker.deadline()].into_iter().flatten().min()
    }

    /// The audio packets that are due.
    pub(crate) fn speak(&mut self, now: Time, mut out: impl FnMut(Output)) {
        let Some(session) = self.session.agreed() else {
            return;
        };
        let from = self.session.local();
        while let Some(frame) = self.talker.frame(now, session.codec, session.send) {
            if let Some(to) = session.rtp {
                out(Output::Rtp { from, to, bytes: frame.bytes });
            }
            if frame.played {
                out(Output::Event(Event::Played));
            }
        }
    }

    pub(crate) fn view(&self) -> CallView<'_> {
        let agreed = self.session.agreed();
        CallView {
            line: self.line,
            dialog: self.dialog,
            call_id: &self.call_id,
            phase: match self.stage {
                Stage::Calling => Phase::Calling,
                Stage::Offered { .. } => Phase::Ringing,
                Stage::Answered => Phase::Answered,
                Stage::Talking => Phase::Talking,
                Stage::Ending { .. } => Phase::Ending,
            },
            hold: self.session.hold(),
            is_changing: self.asked.is_some(),
            sends: self.session.sends(),
            receives: self.session.receives(),
            codec: agreed.map(|agreed| agreed.codec.name),
            payload_type: agreed.map(|agreed| agreed.send.audio),
            local: self.session.local(),
            remote: agreed.and_then(|agreed| agreed.rtp),
        }
    }
}

/// A call as it is at this moment.
#[derive(Debug, Clone, Copy)]
pub struct CallView<'a> {
    /// Which one.
    pub line: Line,
    /// Its name in the endpoint.
    pub dialog: DialogId,
    /// Call-ID.
    pub call_id: &'a str,
    /// How far it is.
    pub phase: Phase,
    /// What we have asked for and been granted.
    pub hold: Hold,
    /// A change of the session that we asked for has no answer yet.
    pub is_changing: bool,
    /// The session lets us send.
    pub sends: bool,
    /// The session lets the other side send.
    pub receives: bool,
    /// Name of the agreed codec.
    pub codec: Option<&'static str>,
    /// Its payload type, as we send it.
    pub payload_type: Option<u8>,
    /// Where we want audio.
    pub local: SocketAddr,
    /// Where the other side wants it.
    pub remote: Option<SocketAddr>,
}
