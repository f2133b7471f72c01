//! Changes of a session that stands: hold and resume, another port, another codec, by either side.

use hookswitch_codec::Codec;
use hookswitch_sip::{Body, DialogId, Response, SipError, Time, TxnId};
use hookswitch_sip_msg::{Message, Method};

use crate::call::{Asked, PORTS_PER_LINE, Stage};
use crate::event::{EndCause, Event, PhoneError};
use crate::phone::Phone;
use crate::session::{Hold, Wish};

impl Phone {
    /// Asks the other side for another direction of media, by re-INVITE.
    ///
    /// # Errors
    /// No call stands, or a change is under way.
    pub fn hold(&mut self, now: Time, hold: Hold) -> Result<(), PhoneError> {
        self.change(now, |wish| wish.set_hold(hold))
    }

    /// Moves audio to the next port of the line, by re-INVITE.
    ///
    /// # Errors
    /// No call stands, or a change is under way.
    pub fn move_audio(&mut self, now: Time) -> Result<(), PhoneError> {
        let first = self.config.rtp.port();
        self.change(now, |wish| {
            let steps = wish.local().port() - first;
            let (line, step) = (steps / PORTS_PER_LINE, steps % PORTS_PER_LINE);
            wish.set_port(first + line * PORTS_PER_LINE + (step + 2) % PORTS_PER_LINE);
        })
    }

    /// Asks for other codecs, or for the same in another order of preference, by re-INVITE.
    ///
    /// # Errors
    /// No call stands, or a change is under way.
    pub fn prefer(&mut self, now: Time, codecs: &[&'static Codec]) -> Result<(), PhoneError> {
        self.change(now, |wish| wish.set_codecs(codecs))
    }

    /// Sends a re-INVITE without an offer: the other side makes it and the ACK carries our answer.
    ///
    /// # Errors
    /// No call stands, or a change is under way.
    pub fn reoffer_late(&mut self, now: Time) -> Result<(), PhoneError> {
        let call = self.changeable()?;
        let dialog = call.dialog;
        self.endpoint.reinvite(now, dialog, None, Vec::new())?;
        if let Some(call) = self.call_of(dialog) {
            call.asked = Some(Asked::Late);
        }
        self.drain(now);
        Ok(())
    }

    /// Offers the session as it is once more, by UPDATE (RFC 3311).
    ///
    /// # Errors
    /// No call stands, a change is under way, or the other side has not said that it takes UPDATE.
    pub fn update(&mut self, now: Time) -> Result<(), PhoneError> {
        self.change_by_update(now, |_| {})
    }

    /// Asks the other side for another direction of media, by UPDATE.
    ///
    /// # Errors
    /// No call stands, a change is under way, or the other side has not said that it takes UPDATE.
    pub fn hold_by_update(&mut self, now: Time, hold: Hold) -> Result<(), PhoneError> {
        self.change_by_update(now, |wish| wish.set_hold(hold))
    }

    fn change_by_update(&mut self, now: Time, what: impl FnOnce(&mut Wish)) -> Result<(), PhoneError> {
        let dialog = self.changeable()?.dialog;
        if !self.endpoint.allows(dialog, &Method::Update) {
            return Err(PhoneError::Unsendable);
        }
        self.change_by(now, what, |phone, offer| phone.endpoint.update(now, dialog, 0, offer, Vec::new()))
    }

    fn changeable(&mut self) -> Result<&mut crate::call::Call, PhoneError> {
        let call = self.current_mut().filter(|call| call.stage == Stage::Talking).ok_or(PhoneError::NoCall)?;
        if call.asked.is_some() || call.session.awaits_answer() {
            return Err(PhoneError::Pending);
        }
        Ok(call)
    }

    fn change(&mut self, now: Time, what: impl FnOnce(&mut Wish)) -> Result<(), PhoneError> {
        let dialog = self.changeable()?.dialog;
        self.change_by(now, what, |phone, offer| phone.endpoint.reinvite(now, dialog, offer, Vec::new()))
    }

    fn change_by(
        &mut self,
        now: Time,
        what: impl FnOnce(&mut Wish),
        ask: impl FnOnce(&mut Phone, Option<Body>) -> Result<(), SipError>,
    ) -> Result<(), PhoneError> {
        let call = self.changeable()?;
        let offer = call.session.change(what).ok().map(Body::sdp);
        let dialog = call.dialog;
        let asked = ask(self, offer);
        if let Some(call) = self.call_of(dialog) {
            match asked {
                Ok(()) => call.asked = Some(Asked::Offer),
                Err(_) => call.session.revert(),
            }
        }
        self.drain(now);
        Ok(asked?)
    }

    /// An UPDATE of theirs with an offer.
    pub(crate) fn updated(&mut self, now: Time, dialog: DialogId, txn: TxnId, request: &Message) {
        let response = match (self.config.refuse_changes, self.call_of(dialog)) {
            (Some(status), _) => Response::new(status),
            (None, None) => Response::new(481),
            (None, Some(call)) => match call.session.answer(request.body_bytes()) {
                Ok(answer) => Response::new(200).with_body(Body::sdp(answer)),
                Err(_) => Response::new(488),
            },
        };
        let is_changed = response.status == 200;
        self.endpoint.reply(now, txn, response);
        if is_changed {
            self.changed(now, dialog);
        }
    }

    /// Our UPDATE was accepted: its answer is here.
    pub(crate) fn change_accepted(&mut self, now: Time, dialog: DialogId, response: &Message) {
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        if call.asked.take().is_none() {
            return;
        }
        match call.session.accept_change(response.body_bytes()) {
            Ok(()) => self.changed(now, dialog),
            Err(refusal) => self.leave(now, dialog, EndCause::Media(refusal)),
        }
    }

    pub(crate) fn reinvited(&mut self, now: Time, dialog: DialogId, request: &Message) {
        let body = request.body_bytes();
        if let Some(status) = self.config.refuse_changes {
            self.endpoint.respond(now, dialog, Response::new(status));
            return;
        }
        let Some(call) = self.call_of(dialog) else {
            self.endpoint.respond(now, dialog, Response::new(481));
            return;
        };
        let description = if body.is_empty() { call.session.offer() } else { call.session.answer(body) };
        match description {
            Ok(description) => {
                self.endpoint.respond(now, dialog, Response::new(200).with_body(Body::sdp(description)));
                if !body.is_empty() {
                    self.changed(now, dialog);
                }
            }
            Err(_) => self.endpoint.respond(now, dialog, Response::new(488)),
        }
    }

    /// The other side has taken back its re-INVITE, which we answer at once: it crossed our answer.
    pub(crate) fn reinvite_withdrawn(&mut self, dialog: DialogId) {
        if let Some(call) = self.call_of(dialog) {
            call.session.settle();
        }
    }

    pub(crate) fn reanswered(&mut self, now: Time, dialog: DialogId, response: &Message) {
        let body = response.body_bytes();
        let Some(call) = self.call_of(dialog) else {
            self.endpoint.ack(now, dialog, None);
            return;
        };
        let mut answer = None;
        let outcome = match call.asked.take() {
            Some(Asked::Late) => call.session.answer(body).map(|text| answer = Some(Body::sdp(text))),
            Some(Asked::Offer) | None => call.session.accept_change(body),
        };
        self.endpoint.ack(now, dialog, answer);
        match outcome {
            Ok(()) => self.changed(now, dialog),
            Err(refusal) => self.leave(now, dialog, EndCause::Media(refusal)),
        }
    }

    pub(crate) fn change_failed(&mut self, dialog: DialogId, status: u16) {
        if let Some(call) = self.call_of(dialog) {
            call.asked = None;
            call.session.revert();
            self.tell(Event::ChangeFailed { status });
        }
    }

    pub(crate) fn changed(&mut self, now: Time, dialog: DialogId) {
        if let Some(call) = self.call_of(dialog) {
            call.steer(now);
            let (sends, receives) = (call.session.sends(), call.session.receives());
            self.tell(Event::Changed { sends, receives });
        }
    }
}
