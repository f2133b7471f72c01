//! The course of a call: how it begins at either side, and how it ends.

use compact_str::CompactString;
use hookswitch_sip::{Body, DialogId, Ender, FailCause, Header, Response, Time, TxnId};
use hookswitch_sip_msg::{HeaderName, Message};

use crate::call::{Call, Stage};
use crate::config::AnswerPolicy;
use crate::event::{EndCause, Event};
use crate::phone::Phone;
use crate::refer::Replaces;

/// What becomes of a call that wants to take another one's place (RFC 3891 3).
enum Taking {
    /// It takes the place of this one, which stands.
    Of(DialogId),
    /// There is none, or it may not be taken: refused with this.
    Refused(u16),
}

impl Phone {
    pub(crate) fn offered(&mut self, now: Time, dialog: DialogId, request: &Message) {
        let taking = request.header_str(HeaderName::Replaces).map(|value| self.taking(value));
        let line = match taking {
            Some(Taking::Refused(status)) => {
                self.endpoint.respond(now, dialog, Response::new(status));
                return;
            }
            Some(Taking::Of(_)) => self.spare_line(),
            None => self.free_line(self.config.lines),
        };
        let Some(line) = line else {
            self.endpoint.respond(now, dialog, Response::new(486));
            return;
        };
        let (ring, decide_at) = match self.config.answer {
            AnswerPolicy::Answer { after } | AnswerPolicy::Refuse { after, .. } => {
                (!after.is_zero(), Some(now + after))
            }
            AnswerPolicy::Ring => (true, None),
            AnswerPolicy::Silent => (false, None),
        };
        let (session, random) = (self.session(line), self.random());
        let mut call = Call::new(&self.config, line, dialog, Stage::Offered { decide_at }, session, random);
        call.offer = Some(request.body()).filter(|body| !body.is_empty());
        call.call_id = request.call_id().unwrap_or_default().into();
        let from = request.from().ok().and_then(|from| from.uri_str()).unwrap_or_default().into();
        let incoming = Event::Incoming { from, call_id: call.call_id.clone() };
        self.calls.push(call);
        self.chosen = line;
        self.tell(incoming);
        if let Some(Taking::Of(old)) = taking {
            self.pick_up(now, dialog);
            self.leave(now, old, EndCause::Replaced);
        } else if ring {
            self.ring(now, dialog);
        } else if decide_at.is_some() {
            self.decide(now, dialog);
        }
    }

    fn taking(&self, value: &str) -> Taking {
        let Some(replaces) = Replaces::parse(value) else {
            return Taking::Refused(400);
        };
        let found = self.calls.iter().find(|call| {
            self.endpoint.dialog(call.dialog).is_some_and(|dialog| {
                dialog.call_id() == replaces.call_id
                    && dialog.local_tag() == replaces.to_tag
                    && dialog.remote_tag() == replaces.from_tag
            })
        });
        match found.map(|call| (&call.stage, call.dialog)) {
            Some((Stage::Answered | Stage::Talking, _)) if replaces.early_only => Taking::Refused(486),
            Some((Stage::Answered | Stage::Talking, dialog)) => Taking::Of(dialog),
            Some((Stage::Ending { .. }, _)) => Taking::Refused(603),
            Some((Stage::Calling | Stage::Offered { .. }, _)) | None => Taking::Refused(481),
        }
    }

    /// 180, or 183 with early media.
    fn ring(&mut self, now: Time, dialog: DialogId) {
        let (early_media, reliable) = (self.config.early_media, self.config.reliable);
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        let mut response = Response::new(180);
        if early_media && let Some(offer) = call.offer.take() {
            // What cannot be answered now cannot be answered later: that is told then.
            match call.session.answer(&offer) {
                Ok(description) => {
                    call.early = Some(description.clone().into());
                    response = Response::new(183).with_body(Body::sdp(description));
                }
                Err(_) => call.offer = Some(offer),
            }
        }
        self.endpoint.respond(now, dialog, if reliable { response.reliably() } else { response });
    }

    /// Its time to ring is over.
    pub(crate) fn decide(&mut self, now: Time, dialog: DialogId) {
        // The policy may have changed meanwhile, for the next call.
        match self.call_of(dialog).map(|call| call.answer) {
            Some(AnswerPolicy::Answer { .. }) => self.pick_up(now, dialog),
            Some(AnswerPolicy::Refuse { status, .. }) => self.decline(now, dialog, status),
            Some(AnswerPolicy::Ring | AnswerPolicy::Silent) | None => {}
        }
    }

    pub(crate) fn decline(&mut self, now: Time, dialog: DialogId, status: u16) {
        self.endpoint.respond(now, dialog, Response::new(status));
        self.end_of(now, dialog, EndCause::Declined { status });
    }

    pub(crate) fn pick_up(&mut self, now: Time, dialog: DialogId) {
        let hang_up_at = self.config.hang_up_after.map(|after| now + after);
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        let description = match (call.offer.take(), call.early.take()) {
            (Some(offer), _) => call.session.answer(&offer).map(Into::into),
            // One answer only: the 2xx repeats it (RFC 3261 13.2.1).
            (None, Some(early)) => Ok(early),
            (None, None) => call.session.offer().map(Into::into),
        };
        match description {
            Ok(description) => {
                let description: bytes::Bytes = description;
                call.stage = Stage::Answered;
                call.hang_up_at = hang_up_at;
                self.endpoint.respond(now, dialog, Response::new(200).with_body(Body::sdp(description)));
                self.established(now, dialog);
            }
            Err(refusal) => {
                self.endpoint.respond(now, dialog, Response::new(488));
                self.end_of(now, dialog, EndCause::Media(refusal));
            }
        }
    }

    /// Tells that the call stands, once both sides know what to send.
    fn established(&mut self, now: Time, dialog: DialogId) {
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        call.steer(now);
        if let Some(session) = call.session.agreed() {
            let answered = Event::Answered { codec: session.codec.name, call_id: call.call_id.clone() };
            self.tell(answered);
        }
    }

    /// `offer_from` is the early dialog whose response has made an offer that we are to answer at once (RFC 3262 5).
    pub(crate) fn progress(&mut self, now: Time, dialog: DialogId, offer_from: Option<u8>, response: &Message) {
        let body = response.body_bytes();
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        let mut early_media = !body.is_empty() && call.session.awaits_answer() && call.session.accept(body).is_ok();
        if let Some(fork) = offer_from {
            let answer = call.session.answer(body).ok().map(Body::sdp);
            early_media = answer.is_some();
            // The call may be over by now, and then there is nothing to acknowledge.
            let _ = self.endpoint.prack(now, dialog, fork, answer);
        }
        let status = response.status().unwrap_or(180);
        self.tell(Event::Ringing { status, early_media });
        self.report(now, dialog, status);
    }

    /// A PRACK with a description: the answer to our reliable offer, or an offer of theirs.
    pub(crate) fn pracked(&mut self, now: Time, dialog: DialogId, txn: TxnId, request: &Message) {
        let body = request.body_bytes();
        let response = match self.call_of(dialog).map(|call| &mut call.session) {
            None => Response::new(481),
            Some(session) if session.awaits_answer() => match session.accept(body) {
                Ok(()) => {
                    session.settle();
                    Response::new(200)
                }
                Err(_) => Response::new(488),
            },
            Some(session) => match session.answer(body) {
                Ok(answer) => Response::new(200).with_body(Body::sdp(answer)),
                Err(_) => Response::new(488),
            },
        };
        self.endpoint.reply(now, txn, response);
    }

    pub(crate) fn answered(&mut self, now: Time, dialog: DialogId, response: &Message) {
        let (withhold, body) = (self.config.withhold_ack, response.body_bytes());
        let hang_up_at = self.config.hang_up_after.map(|after| now + after);
        let Some(call) = self.call_of(dialog) else {
            // Nobody waits for it any more.
            self.endpoint.ack(now, dialog, None);
            self.endpoint.bye(now, dialog, Vec::new());
            return;
        };
        let mut answer = None;
        let outcome = if call.session.awaits_answer() {
            match (body.is_empty(), call.session.agreed()) {
                // The answer came with a provisional response already.
                (true, Some(_)) => Ok(()),
                _ => call.session.accept(body),
            }
        } else if body.is_empty() && call.session.agreed().is_some() {
            // The offer came with a provisional response, and its answer went with the PRACK.
            Ok(())
        } else {
            call.session.answer(body).map(|text| answer = Some(Body::sdp(text)))
        };
        call.session.settle();
        call.stage = Stage::Talking;
        call.hang_up_at = hang_up_at;
        if !withhold {
            self.endpoint.ack(now, dialog, answer);
        }
        match outcome {
            Ok(()) => {
                self.established(now, dialog);
                self.report(now, dialog, 200);
            }
            Err(refusal) => self.leave(now, dialog, EndCause::Media(refusal)),
        }
    }

    pub(crate) fn failed(
        &mut self,
        now: Time,
        dialog: DialogId,
        (status, reason): (u16, CompactString),
        cause: FailCause,
    ) {
        self.report(now, dialog, status);
        let cause = match cause {
            FailCause::Response => EndCause::Refused { status, reason },
            FailCause::Timeout => EndCause::NoReply,
            FailCause::Unreachable => EndCause::Unreachable,
            FailCause::Cancelled => EndCause::Cancelled,
        };
        self.end_of(now, dialog, cause);
    }

    pub(crate) fn acked(&mut self, now: Time, dialog: DialogId, request: &Message) {
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        if call.stage == Stage::Answered {
            call.stage = Stage::Talking;
        }
        if !call.session.awaits_answer() {
            return;
        }
        let first = call.session.agreed().is_none();
        match call.session.accept(request.body_bytes()) {
            Ok(()) => {
                call.session.settle();
                if first { self.established(now, dialog) } else { self.changed(now, dialog) }
            }
            Err(refusal) => self.leave(now, dialog, EndCause::Media(refusal)),
        }
    }

    pub(crate) fn ended(&mut self, now: Time, dialog: DialogId, by: Ender, request: Option<&Message>) {
        let reason = request.and_then(|request| request.header_str(HeaderName::Reason)).map(CompactString::from);
        let cause = match by {
            Ender::Peer => EndCause::PeerHungUp { reason },
            Ender::Local => EndCause::HungUp,
            Ender::AckTimeout | Ender::Unreachable | Ender::Gone | Ender::Expired => EndCause::Lost,
        };
        self.end_of(now, dialog, cause);
    }

    /// Ends a call in whatever stage, for a cause of our own; nothing is sent into it any more.
    pub(crate) fn leave(&mut self, now: Time, dialog: DialogId, cause: EndCause) {
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        match call.stage {
            Stage::Calling => {
                self.ending(now, dialog, if cause == EndCause::HungUp { EndCause::Cancelled } else { cause });
                self.endpoint.cancel(now, dialog, None);
            }
            Stage::Offered { .. } => self.decline(now, dialog, 603),
            Stage::Answered | Stage::Talking => {
                self.ending(now, dialog, cause);
                self.endpoint.bye(now, dialog, Vec::<Header>::new());
            }
            Stage::Ending { .. } => {}
        }
    }

    fn ending(&mut self, now: Time, dialog: DialogId, cause: EndCause) {
        if let Some(call) = self.call_of(dialog) {
            call.stage = Stage::Ending { cause };
            call.hang_up_at = None;
            call.steer(now);
        }
    }

    /// The call is gone; a cause of our own goes before what the network saw.
    pub(crate) fn end_of(&mut self, now: Time, dialog: DialogId, cause: EndCause) {
        let Some(index) = self.calls.iter().position(|call| call.dialog == dialog) else {
            return;
        };
        let mut call = self.calls.remove(index);
        let cause = match call.stage {
            Stage::Ending { cause } => cause,
            Stage::Calling | Stage::Offered { .. } | Stage::Answered | Stage::Talking => cause,
        };
        // Whoever hoped for this call's outcome is told that there is none.
        if let Some(asked_in) = call.referred_in.take() {
            self.notify(now, asked_in, 487);
        }
        let stats = call.listener.stats(call.talker.sent);
        self.recorded = call.listener.take_recording();
        if self.chosen == call.line
            && let Some(other) = self.calls.last()
        {
            self.chosen = other.line;
        }
        self.tell(Event::Ended { cause, stats });
    }
}
