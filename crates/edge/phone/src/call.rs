//! The one call of a phone.
//!
//! ```text
//!   call() ──▶ Calling ──2xx──▶ Talking ◀──ACK── Answered ◀──policy── Offered ◀── INVITE
//!                 │ refused,       │ BYE,           │ BYE, no ACK       │ cancelled, refused
//!                 │ cancel()       │ hang_up()      │                   │
//!                 ▼                ▼                ▼                   ▼
//!               Ending ───────▶ Event::Ended, told exactly once
//! ```

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip::{DialogId, Time};

use crate::config::{AnswerPolicy, PhoneConfig};
use crate::event::{EndCause, Event, Output};
use crate::listener::{Listener, MediaStats};
use crate::session::Session;
use crate::talker::Talker;

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

/// Everything about one call.
pub(crate) struct Call {
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
    pub(crate) hang_up_at: Option<Time>,
}

impl Call {
    pub(crate) fn new(config: &PhoneConfig, dialog: DialogId, stage: Stage, random: [u64; 2]) -> Call {
        Call {
            dialog,
            call_id: CompactString::default(),
            stage,
            answer: config.answer,
            session: Session::new(&config.codecs, config.rtp, random[0]),
            talker: Talker::new(&config.sound, random[1]),
            listener: Listener::new(config.record),
            offer: None,
            hang_up_at: None,
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
        let (codec, payload_type, to) = (session.codec, session.send.audio, session.rtp);
        while let Some(frame) = self.talker.frame(now, codec, payload_type) {
            if let Some(to) = to {
                out(Output::Rtp { to, bytes: frame.bytes });
            }
            if frame.played {
                out(Output::Event(Event::Played));
            }
        }
    }
}
