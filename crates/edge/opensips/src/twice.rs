//! Datagrams that arrive twice, and replies that come when nobody waits any more.
//!
//! What may be done only once is sent only once, but a network may double it. OpenSIPS then carries out one of the two
//! and refuses the other, and the refusal may be the first to come back. So a refusal that says no more than "that is
//! so already" is believed only after [`DOUBLED_WITHIN`], or never if the other reply comes.
//!
//! A doubled INVITE is answered 482 by the phone while the first goes on ringing (RFC 3261 section 8.2.2.2): it is
//! looked up, and its request stays open. And a call that was given up may turn out to live: it is ended then.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::{Ticket, Time};

use crate::command::News;
use crate::config::MiKind;
use crate::evi::{TransferSign, TransferStep};
use crate::mi::reply::Answer;
use crate::mi::{Asker, Matter};
use crate::port::RequestId;
use crate::{OpenSips, Timer};

/// How long a refusal is doubted that the same request, carried out, would explain.
pub const DOUBLED_WITHIN: Duration = Duration::from_millis(20);

/// Most calls that are remembered after they were given up.
const MAX_GIVEN_UP: usize = 4_096;

/// Calls whose start has failed, and that may yet be answered.
#[derive(Debug, Default)]
pub(crate) struct GivenUp {
    in_order: VecDeque<CompactString>,
    by_name: AHashMap<CompactString, RequestId>,
    by_request: BTreeMap<RequestId, CompactString>,
}

impl GivenUp {
    /// This call was given up; its INVITE was this request.
    pub(crate) fn enter(&mut self, callid: CompactString, request: RequestId) {
        if let Some(earlier) = self.by_name.insert(callid.clone(), request) {
            self.by_request.remove(&earlier);
        } else {
            self.in_order.push_back(callid.clone());
        }
        self.by_request.insert(request, callid);
        if self.in_order.len() > MAX_GIVEN_UP
            && let Some(oldest) = self.in_order.pop_front()
            && let Some(request) = self.by_name.remove(&oldest)
        {
            self.by_request.remove(&request);
        }
    }

    /// Whether this dialog was given up; says so once.
    fn take(&mut self, callid: &str) -> bool {
        let Some(request) = self.by_name.remove(callid) else { return false };
        self.by_request.remove(&request);
        true
    }

    fn of(&self, request: RequestId) -> Option<CompactString> {
        self.by_request.get(&request).cloned()
    }
}

/// What a refusal that arrives is worth.
enum Worth {
    /// It is the truth.
    Believed,
    /// It is the truth unless the other reply comes.
    Doubted,
    /// The truth may take its time; the command is told, and the request stays open.
    Open,
}

impl OpenSips {
    /// A reply to a request that is on its way.
    pub(crate) fn replied(&mut self, now: Time, request: RequestId, answer: &Answer) {
        let Some(flight) = self.requests.get_mut(request) else { return };
        let asker = flight.asker;
        if flight.doubted.is_some() {
            match (answer, asker) {
                (Answer::Error { .. }, _) => self.counts.replies_late += 1,
                (Answer::Result(_) | Answer::Lost, _) => self.answered(now, request, answer),
            }
            return;
        }
        let (Asker::Command(ticket, matter), MiKind::Datagram) = (asker, self.config.mi) else {
            return self.answered(now, request, answer);
        };
        match self.worth(ticket, matter, answer) {
            Worth::Believed => self.answered(now, request, answer),
            Worth::Doubted => self.doubt(now, request, answer.clone()),
            Worth::Open => self.hear(now, ticket, News::Answer(matter, answer)),
        }
    }

    fn worth(&self, ticket: Ticket, matter: Matter, answer: &Answer) -> Worth {
        let code = match answer {
            Answer::Error { code, .. } => *code,
            Answer::Result(_) if matter == Matter::Invite => {
                return match answer.status() {
                    Some((LOOP_DETECTED, _)) => Worth::Open,
                    Some(_) | None => Worth::Believed,
                };
            }
            Answer::Result(_) | Answer::Lost => return Worth::Believed,
        };
        let is_asked_for = self.running.get(&ticket).is_some_and(|running| running.is_asked_for);
        match (matter, code) {
            (Matter::Transfer, 491) | (Matter::Hold, 480 | 491) => Worth::Doubted,
            (Matter::End, 404) if is_asked_for => Worth::Doubted,
            _ => Worth::Believed,
        }
    }

    fn doubt(&mut self, now: Time, request: RequestId, answer: Answer) {
        let Some(flight) = self.requests.get_mut(request) else { return };
        self.timers.remove(&(flight.due(), Timer::Request(request)));
        flight.doubted = Some(answer);
        flight.deadline = now + DOUBLED_WITHIN;
        self.timers.insert((flight.due(), Timer::Request(request)));
    }

    /// A reply that nobody waits for: the answer of a caller who was given up must not be left at that.
    pub(crate) fn replied_late(&mut self, now: Time, id: &str, answer: &Answer) {
        self.counts.replies_late += 1;
        let callid = self.requests.read_name(id).and_then(|request| self.given_up.of(request));
        if let Some(callid) = callid
            && matches!(answer.status(), Some((200..=299, _)))
            && self.book.named(&callid).is_none()
            && self.given_up.take(&callid)
        {
            self.leave(now, callid, false);
        }
    }

    /// A party that was asked to call somebody else does so, and the command that asked is over: nobody wants that
    /// call any more.
    pub(crate) fn calls_after_all(&mut self, now: Time, sign: &TransferSign) {
        if sign.step == TransferStep::Start
            && self.given_up.by_name.contains_key(&sign.callid)
            && let Some(new) = &sign.new
        {
            self.leave(now, new.clone(), false);
        }
    }

    /// A sign of life of a dialog that is over, as far as anybody knew.
    pub(crate) fn lives_on(&mut self, now: Time, callid: &CompactString) {
        if self.given_up.take(callid) {
            self.leave(now, callid.clone(), true);
        }
    }
}

/// What a phone answers to a second INVITE of the same call.
pub(crate) const LOOP_DETECTED: u16 = 482;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_up_are_found_by_either_name_and_not_remembered_for_ever() {
        let mut given_up = GivenUp::default();
        given_up.enter("0".into(), RequestId(u64::MAX));
        for number in 0..MAX_GIVEN_UP as u64 + 1 {
            given_up.enter(compact_str::format_compact!("{number}"), RequestId(number));
        }
        assert!(!given_up.take("0"));
        assert_eq!(given_up.of(RequestId(1)).as_deref(), Some("1"));
        assert!(given_up.take("1") && !given_up.take("1"));
        assert_eq!(given_up.of(RequestId(1)), None);
        assert_eq!(given_up.by_request.len(), given_up.by_name.len());
        assert!(given_up.by_name.len() < MAX_GIVEN_UP && given_up.in_order.len() == MAX_GIVEN_UP);
    }
}
