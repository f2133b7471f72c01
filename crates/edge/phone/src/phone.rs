//! The phone itself: what it is asked, and what the endpoint tells it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use compact_str::CompactString;
use hookswitch_sip::{
    Body, DialogId, Ender, Endpoint, EndpointConfig, Event as SipEvent, FailCause, Flow, Invite, Listen,
    Output as SipOutput, Response, Time, Transport, TxnId,
};
use hookswitch_sip::{Counts, Input};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use crate::call::{Call, Stage};
use crate::config::{AnswerPolicy, PhoneConfig};
use crate::event::{EndCause, Event, Output, PhoneError};
use crate::listener::MediaStats;
use crate::register::Registration;
use crate::session::Hold;

/// A scripted SIP phone. See the crate's description for how to drive it.
pub struct Phone {
    pub(crate) config: PhoneConfig,
    pub(crate) endpoint: Endpoint,
    pub(crate) registration: Registration,
    call: Option<Call>,
    /// The recording of the last call.
    recorded: Option<Vec<i16>>,
    out: VecDeque<Output>,
    random: u64,
}

impl Phone {
    /// A phone on the hook. All its random names follow from `seed`.
    #[must_use]
    pub fn new(config: PhoneConfig, seed: [u8; 32]) -> Phone {
        let listen = Listen { transport: config.transport, address: config.local, advertise: None };
        let sip = EndpointConfig {
            timers: config.timers,
            product: CompactString::const_new("Hookswitch phone"),
            allow: vec![Method::Invite, Method::Ack, Method::Cancel, Method::Bye, Method::Options, Method::Info],
            listen: vec![listen],
            ..EndpointConfig::default()
        };
        // What media needs of randomness is no secret; the endpoint's names are.
        let random = seed
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Phone {
            config,
            endpoint: Endpoint::new(sip, seed),
            registration: Registration::default(),
            call: None,
            recorded: None,
            out: VecDeque::new(),
            random,
        }
    }

    /// What it was told at the start.
    #[must_use]
    pub fn config(&self) -> &PhoneConfig {
        &self.config
    }

    /// Changes what happens to the next incoming call.
    pub fn set_answer(&mut self, answer: AnswerPolicy) {
        self.config.answer = answer;
    }

    /// Changes what the next call sends.
    pub fn set_sound(&mut self, sound: crate::Sound) {
        self.config.sound = sound;
    }

    /// Whether there is a call, in whatever stage.
    #[must_use]
    pub fn in_call(&self) -> bool {
        self.call.is_some()
    }

    /// Counts of the present call's media.
    #[must_use]
    pub fn stats(&self) -> Option<MediaStats> {
        self.call.as_ref().map(Call::stats)
    }

    /// What the endpoint holds; all zero some time after the last call.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.endpoint.counts()
    }

    /// What was heard in the present call so far, or else in the last one, at 8 kHz; `None` unless it was to be kept.
    pub fn take_recording(&mut self) -> Option<Vec<i16>> {
        self.call.as_mut().and_then(|call| call.listener.take_recording()).or_else(|| self.recorded.take())
    }

    /// Calls `uri`, a SIP URI.
    ///
    /// # Errors
    /// There is a call already, or the endpoint refuses.
    pub fn call(&mut self, now: Time, uri: &str) -> Result<(), PhoneError> {
        if self.call.is_some() {
            return Err(PhoneError::InCall);
        }
        let from = format!("<{}>", self.config.address());
        let mut invite = Invite::new(uri, from, format!("<{uri}>"), flow_to(&self.config));
        invite.credentials = self.config.credentials.clone();
        let random = [self.random(), self.random()];
        // The dialog's name comes from the endpoint, and the offer has to be made before.
        let mut session = crate::session::Session::new(&self.config.codecs, self.config.rtp, random[0]);
        if !self.config.late_offer {
            invite.body = session.offer().ok().map(Body::sdp);
        }
        let dialog = self.endpoint.invite(now, invite)?;
        let mut call = Call::new(&self.config, dialog, Stage::Calling, random);
        call.session = session;
        call.call_id = self.endpoint.dialog(dialog).map(|dialog| dialog.call_id().into()).unwrap_or_default();
        self.call = Some(call);
        self.drain(now);
        Ok(())
    }

    /// Ends the call, in whatever stage: takes it back, refuses it or hangs up.
    ///
    /// # Errors
    /// There is no call.
    pub fn hang_up(&mut self, now: Time) -> Result<(), PhoneError> {
        let call = self.call.as_ref().ok_or(PhoneError::NoCall)?;
        match call.stage {
            Stage::Calling => {
                self.ending(now, EndCause::Cancelled);
                self.with_dialog(|phone, dialog| phone.endpoint.cancel(now, dialog, None));
            }
            Stage::Offered { .. } => self.refuse(now, 603),
            Stage::Answered | Stage::Talking => {
                self.ending(now, EndCause::HungUp);
                self.with_dialog(|phone, dialog| phone.endpoint.bye(now, dialog, Vec::new()));
            }
            Stage::Ending { .. } => {}
        }
        self.drain(now);
        Ok(())
    }

    /// Answers the call that rings, before its policy would.
    ///
    /// # Errors
    /// No call rings.
    pub fn answer(&mut self, now: Time) -> Result<(), PhoneError> {
        let rings = self.call.as_ref().is_some_and(|call| matches!(call.stage, Stage::Offered { .. }));
        if !rings {
            return Err(PhoneError::NoCall);
        }
        self.pick_up(now);
        self.drain(now);
        Ok(())
    }

    /// Asks the other side for another direction of media, by re-INVITE.
    ///
    /// # Errors
    /// No call stands, or a change is under way.
    pub fn hold(&mut self, now: Time, hold: Hold) -> Result<(), PhoneError> {
        let call = self.call.as_mut().filter(|call| call.stage == Stage::Talking).ok_or(PhoneError::NoCall)?;
        let before = call.session.set_hold(hold);
        let offer = call.session.offer().ok().map(Body::sdp);
        let dialog = call.dialog;
        let asked = self.endpoint.reinvite(now, dialog, offer, Vec::new());
        if let (Err(_), Some(call)) = (&asked, &mut self.call) {
            call.session.set_hold(before);
            call.session.settle();
        }
        self.drain(now);
        Ok(asked?)
    }

    /// Takes what arrived on the SIP socket, or what happened to it.
    pub fn handle_sip(&mut self, now: Time, input: Input) {
        self.endpoint.handle_input(now, input);
        self.drain(now);
    }

    /// Takes what arrived on the RTP socket.
    pub fn handle_rtp(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        let Some(call) = &mut self.call else {
            return;
        };
        if let Some(session) = call.session.agreed() {
            let out = &mut self.out;
            call.listener.packet(now, from, bytes, session, |heard| {
                out.push_back(Output::Event(Event::Heard(heard)));
            });
        }
    }

    /// To be called at [`Phone::poll_timeout`] or later.
    pub fn handle_timeout(&mut self, now: Time) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
        self.refresh_registration(now);
        if let Some(call) = &mut self.call {
            let out = &mut self.out;
            call.speak(now, |output| out.push_back(output));
            let over = call.hang_up_at.is_some_and(|at| at <= now);
            let decide = matches!(call.stage, Stage::Offered { decide_at: Some(at) } if at <= now);
            if over {
                call.hang_up_at = None;
                // There is a call, or there would be no time at which it ends.
                let _ = self.hang_up(now);
            } else if decide {
                self.decide(now);
            }
        }
        self.drain(now);
    }

    /// The earliest time at which [`Phone::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let call = self.call.as_ref().and_then(Call::deadline);
        [self.endpoint.poll_timeout(), call, self.registration.deadline()].into_iter().flatten().min()
    }

    /// What is to be sent and told; to be called until `None` after every other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Takes everything out of the endpoint.
    pub(crate) fn drain(&mut self, now: Time) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                SipOutput::Send { flow, bytes } => self.out.push_back(Output::Sip { flow, bytes }),
                SipOutput::Close { flow } => self.out.push_back(Output::Close { flow }),
                SipOutput::Event(event) => self.handle_event(now, event),
            }
        }
    }

    fn handle_event(&mut self, now: Time, event: SipEvent) {
        match event {
            SipEvent::Invite { dialog, request, flow: _ } => self.offered(now, dialog, &request),
            SipEvent::Cancelled { dialog, request: _ } => self.end_of(dialog, EndCause::Cancelled),
            SipEvent::Progress { dialog, response } => self.progress(dialog, &response),
            SipEvent::Answered { dialog, response } => self.answered(now, dialog, &response),
            SipEvent::Failed { dialog, status, reason, response: _, cause } => {
                self.failed(dialog, (status, reason), cause);
            }
            SipEvent::Acked { dialog, request } => self.acked(now, dialog, &request),
            SipEvent::Reinvite { dialog, request } => self.reinvited(now, dialog, &request),
            SipEvent::ReinviteCancelled { .. } | SipEvent::FlowClosed { .. } => {}
            SipEvent::Reanswered { dialog, response } => self.reanswered(now, dialog, &response),
            SipEvent::ReinviteFailed { dialog, status, .. } => {
                if let Some(call) = self.call_of(dialog) {
                    call.session.settle();
                    self.tell(Event::ChangeFailed { status });
                }
            }
            SipEvent::Request { txn, .. } => self.requested(now, txn),
            SipEvent::Response { id, status, response, cause } => {
                self.register_answered(now, id, (status, cause), response.as_ref());
            }
            SipEvent::Ended { dialog, by, request } => self.ended(dialog, by, request.as_ref()),
        }
    }

    /// An OPTIONS or INFO: there is nothing to do about them, and nothing wrong with them.
    fn requested(&mut self, now: Time, txn: TxnId) {
        self.endpoint.reply(now, txn, Response::new(200));
    }

    fn offered(&mut self, now: Time, dialog: DialogId, request: &Message) {
        if self.call.is_some() {
            self.endpoint.respond(now, dialog, Response::new(486));
            return;
        }
        let random = [self.random(), self.random()];
        let (ring, decide_at) = match self.config.answer {
            AnswerPolicy::Answer { after } | AnswerPolicy::Refuse { after, .. } => {
                (!after.is_zero(), Some(now + after))
            }
            AnswerPolicy::Ring => (true, None),
        };
        let mut call = Call::new(&self.config, dialog, Stage::Offered { decide_at }, random);
        call.offer = Some(request.body()).filter(|body| !body.is_empty());
        call.call_id = request.call_id().unwrap_or_default().into();
        let from = request.from().ok().and_then(|from| from.uri_str()).unwrap_or_default().into();
        let incoming = Event::Incoming { from, call_id: call.call_id.clone() };
        self.call = Some(call);
        self.tell(incoming);
        if ring {
            self.endpoint.respond(now, dialog, Response::new(180));
        } else {
            self.decide(now);
        }
    }

    /// Its time to ring is over.
    fn decide(&mut self, now: Time) {
        // The policy may have changed meanwhile, for the next call.
        match self.call.as_ref().map(|call| call.answer) {
            Some(AnswerPolicy::Answer { .. }) => self.pick_up(now),
            Some(AnswerPolicy::Refuse { status, .. }) => self.refuse(now, status),
            Some(AnswerPolicy::Ring) | None => {}
        }
    }

    fn refuse(&mut self, now: Time, status: u16) {
        self.with_dialog(|phone, dialog| {
            phone.endpoint.respond(now, dialog, Response::new(status));
            phone.end_of(dialog, EndCause::Declined { status });
        });
    }

    fn pick_up(&mut self, now: Time) {
        let Some(call) = &mut self.call else {
            return;
        };
        let dialog = call.dialog;
        let description = match call.offer.take() {
            Some(offer) => call.session.answer(&offer),
            None => call.session.offer(),
        };
        match description {
            Ok(description) => {
                call.stage = Stage::Answered;
                call.hang_up_at = self.config.hang_up_after.map(|after| now + after);
                self.endpoint.respond(now, dialog, Response::new(200).with_body(Body::sdp(description)));
                self.established(now);
            }
            Err(refusal) => {
                self.endpoint.respond(now, dialog, Response::new(488));
                self.end_of(dialog, EndCause::Media(refusal));
            }
        }
    }

    /// Tells that the call stands, once both sides know what to send.
    fn established(&mut self, now: Time) {
        let Some(call) = &mut self.call else {
            return;
        };
        call.steer(now);
        if let Some(session) = call.session.agreed() {
            let answered = Event::Answered { codec: session.codec.name, call_id: call.call_id.clone() };
            self.tell(answered);
        }
    }

    fn progress(&mut self, dialog: DialogId, response: &Message) {
        let body = response.body_bytes();
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        let early_media = !body.is_empty() && call.session.awaits_answer() && call.session.accept(body).is_ok();
        let status = response.status().unwrap_or(180);
        self.tell(Event::Ringing { status, early_media });
    }

    fn answered(&mut self, now: Time, dialog: DialogId, response: &Message) {
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
            Ok(()) => self.established(now),
            Err(refusal) => {
                self.ending(now, EndCause::Media(refusal));
                self.endpoint.bye(now, dialog, Vec::new());
            }
        }
    }

    fn failed(&mut self, dialog: DialogId, (status, reason): (u16, CompactString), cause: FailCause) {
        let cause = match cause {
            FailCause::Response => EndCause::Refused { status, reason },
            FailCause::Timeout => EndCause::NoReply,
            FailCause::Unreachable => EndCause::Unreachable,
            FailCause::Cancelled => EndCause::Cancelled,
        };
        self.end_of(dialog, cause);
    }

    fn acked(&mut self, now: Time, dialog: DialogId, request: &Message) {
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
                if first { self.established(now) } else { self.changed(now) }
            }
            Err(refusal) => {
                self.ending(now, EndCause::Media(refusal));
                self.endpoint.bye(now, dialog, Vec::new());
            }
        }
    }

    fn reinvited(&mut self, now: Time, dialog: DialogId, request: &Message) {
        let body = request.body_bytes();
        let Some(call) = self.call_of(dialog) else {
            self.endpoint.respond(now, dialog, Response::new(481));
            return;
        };
        let description = if body.is_empty() { call.session.offer() } else { call.session.answer(body) };
        match description {
            Ok(description) => {
                self.endpoint.respond(now, dialog, Response::new(200).with_body(Body::sdp(description)));
                if !body.is_empty() {
                    self.changed(now);
                }
            }
            Err(_) => self.endpoint.respond(now, dialog, Response::new(488)),
        }
    }

    fn reanswered(&mut self, now: Time, dialog: DialogId, response: &Message) {
        self.endpoint.ack(now, dialog, None);
        let Some(call) = self.call_of(dialog) else {
            return;
        };
        match call.session.accept(response.body_bytes()) {
            Ok(()) => {
                call.session.settle();
                self.changed(now);
            }
            Err(refusal) => {
                self.ending(now, EndCause::Media(refusal));
                self.endpoint.bye(now, dialog, Vec::new());
            }
        }
    }

    fn changed(&mut self, now: Time) {
        if let Some(call) = &mut self.call {
            call.steer(now);
            let (sends, receives) = (call.session.sends(), call.session.receives());
            self.tell(Event::Changed { sends, receives });
        }
    }

    fn ended(&mut self, dialog: DialogId, by: Ender, request: Option<&Message>) {
        let reason = request.and_then(|request| request.header_str(HeaderName::Reason)).map(CompactString::from);
        let cause = match by {
            Ender::Peer => EndCause::PeerHungUp { reason },
            Ender::Local => EndCause::HungUp,
            Ender::AckTimeout | Ender::Unreachable | Ender::Gone => EndCause::Lost,
        };
        self.end_of(dialog, cause);
    }

    /// We have decided to end the call; nothing is sent into it any more.
    fn ending(&mut self, now: Time, cause: EndCause) {
        if let Some(call) = &mut self.call {
            call.stage = Stage::Ending { cause };
            call.hang_up_at = None;
            call.steer(now);
        }
    }

    /// The call is gone; a cause of our own goes before what the network saw.
    fn end_of(&mut self, dialog: DialogId, cause: EndCause) {
        let Some(mut call) = self.call.take_if(|call| call.dialog == dialog) else {
            return;
        };
        let cause = match call.stage {
            Stage::Ending { cause } => cause,
            Stage::Calling | Stage::Offered { .. } | Stage::Answered | Stage::Talking => cause,
        };
        let stats = call.listener.stats(call.talker.sent);
        self.recorded = call.listener.take_recording();
        self.tell(Event::Ended { cause, stats });
    }

    fn call_of(&mut self, dialog: DialogId) -> Option<&mut Call> {
        self.call.as_mut().filter(|call| call.dialog == dialog)
    }

    fn with_dialog(&mut self, act: impl FnOnce(&mut Phone, DialogId)) {
        if let Some(dialog) = self.call.as_ref().map(|call| call.dialog) {
            act(self, dialog);
        }
    }

    /// Good enough for numbers that must differ and need not be secret (splitmix64).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Where requests outside of calls go.
pub(crate) fn flow_to(config: &PhoneConfig) -> Flow {
    match config.transport {
        Transport::Udp => Flow::udp(config.local, config.server),
        Transport::Tcp => Flow::tcp(config.local, config.server),
    }
}
