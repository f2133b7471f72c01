//! The phone itself: what it is asked, and to whom it gives what the endpoint tells it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use compact_str::CompactString;
use hookswitch_sip::{
    Body, Counts, DialogId, Endpoint, EndpointConfig, Event as SipEvent, Flow, Header, Input, Invite, Listen,
    Output as SipOutput, RequestId, Time,
};
use hookswitch_sip_msg::Method;

use crate::call::{Call, CallView, Line, PORTS_PER_LINE, Stage};
use crate::config::{AnswerPolicy, PhoneConfig};
use crate::event::{EndCause, Event, Output, PhoneError};
use crate::listener::{MediaStats, Sounded};
use crate::register::Registration;
use crate::session::Session;

/// A scripted SIP phone. See the crate's description for how to drive it.
pub struct Phone {
    pub(crate) config: PhoneConfig,
    pub(crate) endpoint: Endpoint,
    pub(crate) registration: Registration,
    pub(crate) calls: Vec<Call>,
    /// The line that orders without one are for.
    pub(crate) chosen: Line,
    /// Requests of ours inside calls that have no answer yet.
    pub(crate) asked: Vec<(RequestId, Asking)>,
    /// The recording of the last call.
    pub(crate) recorded: Option<Vec<i16>>,
    out: VecDeque<Output>,
    random: u64,
}

/// What a request of ours inside a call was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// REFER, in this call.
    Refer(DialogId),
    /// NOTIFY: nobody waits for what comes of it.
    Notice,
    /// INFO or MESSAGE.
    Parcel,
}

/// Lines beside those of [`PhoneConfig::lines`]: for a call that takes another one's place.
const SPARE_LINES: u8 = 1;

impl Phone {
    /// A phone on the hook. All its random names follow from `seed`.
    #[must_use]
    pub fn new(config: PhoneConfig, seed: [u8; 32]) -> Phone {
        let listen = Listen { transport: config.transport, address: config.local, advertise: None };
        let mut sip = EndpointConfig {
            timers: config.timers,
            product: CompactString::const_new("Hookswitch phone"),
            listen: vec![listen],
            ..EndpointConfig::default()
        };
        sip.allow.retain(|method| *method != Method::Register);
        sip.allow.extend([Method::Refer, Method::Notify, Method::Message]);
        sip.supported.push(CompactString::const_new("replaces"));
        // What media needs of randomness is no secret; the endpoint's names are.
        let random = seed
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Phone {
            config,
            endpoint: Endpoint::new(sip, seed),
            registration: Registration::default(),
            calls: Vec::new(),
            chosen: Line(0),
            asked: Vec::new(),
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

    /// Changes what happens to the next REFER.
    pub fn set_refer(&mut self, refer: crate::ReferPolicy) {
        self.config.refer = refer;
    }

    /// Changes what happens to changes of the session that the other side asks for.
    pub fn refuse_changes(&mut self, status: Option<u16>) {
        self.config.refuse_changes = status;
    }

    /// Whether there is a call, in whatever stage.
    #[must_use]
    pub fn in_call(&self) -> bool {
        !self.calls.is_empty()
    }

    /// All calls, in the order in which they began.
    pub fn calls(&self) -> impl Iterator<Item = CallView<'_>> {
        self.calls.iter().map(Call::view)
    }

    /// The line that orders without one are for: that of the youngest call, or the one chosen since.
    #[must_use]
    pub fn chosen(&self) -> Line {
        self.chosen
    }

    /// From now on orders are for this line.
    ///
    /// # Errors
    /// There is no call on it.
    pub fn choose(&mut self, line: Line) -> Result<(), PhoneError> {
        self.calls.iter().find(|call| call.line == line).ok_or(PhoneError::NoCall)?;
        self.chosen = line;
        Ok(())
    }

    /// Counts of the present call's media.
    #[must_use]
    pub fn stats(&self) -> Option<MediaStats> {
        self.current().map(Call::stats)
    }

    /// What the endpoint holds; all zero some time after the last call.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.endpoint.counts()
    }

    /// What was heard in the present call so far, or else in the last one, at 8 kHz; `None` unless it was to be kept.
    pub fn take_recording(&mut self) -> Option<Vec<i16>> {
        self.current_mut().and_then(|call| call.listener.take_recording()).or_else(|| self.recorded.take())
    }

    /// Calls `uri`, a SIP URI, on a free line, which is chosen.
    ///
    /// # Errors
    /// All lines are taken, or the endpoint refuses.
    pub fn call(&mut self, now: Time, uri: &str) -> Result<(), PhoneError> {
        self.call_with(now, uri, Vec::new())
    }

    /// The same with more headers in the INVITE: `Replaces` to take over somebody's call, `Referred-By`, …
    ///
    /// # Errors
    /// All lines are taken, or the endpoint refuses.
    pub fn call_with(&mut self, now: Time, uri: &str, headers: Vec<Header>) -> Result<(), PhoneError> {
        let line = self.free_line(self.config.lines).ok_or(PhoneError::InCall)?;
        self.place(now, line, uri, headers)?;
        self.chosen = line;
        self.drain(now);
        Ok(())
    }

    pub(crate) fn place(
        &mut self,
        now: Time,
        line: Line,
        uri: &str,
        headers: Vec<Header>,
    ) -> Result<DialogId, PhoneError> {
        let from = format!("<{}>", self.config.address());
        let mut invite = Invite::new(uri, from, format!("<{uri}>"), flow_to(&self.config));
        invite.credentials = self.config.credentials.clone();
        invite.headers = headers;
        // The dialog's name comes from the endpoint, and the offer has to be made before.
        let mut session = self.session(line);
        if !self.config.late_offer {
            invite.body = session.offer().ok().map(Body::sdp);
        }
        let dialog = self.endpoint.invite(now, invite)?;
        let random = self.random();
        let mut call = Call::new(&self.config, line, dialog, Stage::Calling, session, random);
        call.call_id = self.endpoint.dialog(dialog).map(|dialog| dialog.call_id().into()).unwrap_or_default();
        self.calls.push(call);
        Ok(dialog)
    }

    /// The session of a new call.
    pub(crate) fn session(&mut self, line: Line) -> Session {
        let mut local = self.config.rtp;
        local.set_port(local.port() + u16::from(line.0) * PORTS_PER_LINE);
        let id = self.random();
        Session::new(&self.config.codecs, local, id)
    }

    /// A line without a call, among so many.
    pub(crate) fn free_line(&self, lines: u8) -> Option<Line> {
        (0..lines).map(Line).find(|line| self.calls.iter().all(|call| call.line != *line))
    }

    /// The same where one more is allowed.
    pub(crate) fn spare_line(&self) -> Option<Line> {
        self.free_line(self.config.lines + SPARE_LINES)
    }

    /// Ends the call, in whatever stage: takes it back, refuses it or hangs up.
    ///
    /// # Errors
    /// There is no call.
    pub fn hang_up(&mut self, now: Time) -> Result<(), PhoneError> {
        let dialog = self.current().ok_or(PhoneError::NoCall)?.dialog;
        self.leave(now, dialog, EndCause::HungUp);
        self.drain(now);
        Ok(())
    }

    /// Refuses the call that rings, with 400 to 699.
    ///
    /// # Errors
    /// No call rings.
    pub fn refuse(&mut self, now: Time, status: u16) -> Result<(), PhoneError> {
        let dialog = self.ringing()?;
        self.decline(now, dialog, status);
        self.drain(now);
        Ok(())
    }

    /// Answers the call that rings, before its policy would.
    ///
    /// # Errors
    /// No call rings.
    pub fn answer(&mut self, now: Time) -> Result<(), PhoneError> {
        let dialog = self.ringing()?;
        self.pick_up(now, dialog);
        self.drain(now);
        Ok(())
    }

    pub(crate) fn ringing(&self) -> Result<DialogId, PhoneError> {
        let call = self.current().filter(|call| matches!(call.stage, Stage::Offered { .. }));
        call.map(|call| call.dialog).ok_or(PhoneError::NoCall)
    }

    /// Takes what arrived on the SIP socket, or what happened to it.
    pub fn handle_sip(&mut self, now: Time, input: Input) {
        self.endpoint.handle_input(now, input);
        self.drain(now);
    }

    /// Takes what arrived at [`PhoneConfig::rtp`], where the first line listens as long as its session has not moved.
    pub fn handle_rtp(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        self.handle_rtp_at(now, self.config.rtp, from, bytes);
    }

    /// Takes what arrived at any address of ours for RTP.
    pub fn handle_rtp_at(&mut self, now: Time, local: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        let Some(call) = self.calls.iter_mut().find(|call| call.session.listens_at(local)) else {
            return;
        };
        if let Some(session) = call.session.agreed() {
            let out = &mut self.out;
            call.listener.packet(now, from, bytes, session, |sounded| {
                out.push_back(Output::Event(match sounded {
                    Sounded::Block(heard) => Event::Heard(heard),
                    Sounded::Key(digit) => Event::Digit { digit, by: crate::Keys::Rtp },
                }));
            });
        }
    }

    /// To be called at [`Phone::poll_timeout`] or later.
    pub fn handle_timeout(&mut self, now: Time) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
        self.refresh_registration(now);
        let dialogs: Vec<DialogId> = self.calls.iter().map(|call| call.dialog).collect();
        for dialog in dialogs {
            let out = &mut self.out;
            let Some(call) = self.calls.iter_mut().find(|call| call.dialog == dialog) else {
                continue;
            };
            call.speak(now, |output| out.push_back(output));
            let over = call.hang_up_at.is_some_and(|at| at <= now);
            let decide = matches!(call.stage, Stage::Offered { decide_at: Some(at) } if at <= now);
            if over {
                call.hang_up_at = None;
                self.leave(now, dialog, EndCause::HungUp);
            } else if decide {
                self.decide(now, dialog);
            }
        }
        self.drain(now);
    }

    /// The earliest time at which [`Phone::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let calls = self.calls.iter().filter_map(Call::deadline);
        calls.chain(self.endpoint.poll_timeout()).chain(self.registration.deadline()).min()
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
                SipOutput::Send { flow, bytes } => {
                    if self.config.doubles {
                        self.out.push_back(Output::Sip { flow, bytes: bytes.clone() });
                    }
                    self.out.push_back(Output::Sip { flow, bytes });
                }
                SipOutput::Close { flow } => self.out.push_back(Output::Close { flow }),
                SipOutput::Event(event) => self.handle_event(now, event),
            }
        }
    }

    fn handle_event(&mut self, now: Time, event: SipEvent) {
        match event {
            SipEvent::Invite { dialog, request, flow: _ } => self.offered(now, dialog, &request),
            SipEvent::Cancelled { dialog, request: _ } => self.end_of(now, dialog, EndCause::Cancelled),
            SipEvent::Progress { dialog, fork, prack_due, response } => {
                self.progress(now, dialog, prack_due.then_some(fork), &response);
            }
            SipEvent::Answered { dialog, response, .. } => self.answered(now, dialog, &response),
            SipEvent::Failed { dialog, status, reason, response: _, cause } => {
                self.failed(now, dialog, (status, reason), cause);
            }
            SipEvent::Acked { dialog, request } => self.acked(now, dialog, &request),
            SipEvent::Reinvite { dialog, request } => self.reinvited(now, dialog, &request),
            SipEvent::ReinviteCancelled { dialog, .. } => self.reinvite_withdrawn(dialog),
            SipEvent::FlowClosed { .. } | SipEvent::Refreshed { .. } => {}
            SipEvent::Reanswered { dialog, response } => self.reanswered(now, dialog, &response),
            SipEvent::ReinviteFailed { dialog, status, .. } => self.change_failed(dialog, status),
            SipEvent::Prack { dialog, txn, request } => self.pracked(now, dialog, txn, &request),
            SipEvent::Update { dialog, txn, request, .. } => self.updated(now, dialog, txn, &request),
            SipEvent::Updated { dialog, response, .. } => self.change_accepted(now, dialog, &response),
            SipEvent::UpdateFailed { dialog, status, .. } => self.change_failed(dialog, status),
            SipEvent::Request { txn, dialog, request, flow: _ } => self.requested(now, txn, dialog, &request),
            SipEvent::Response { id, status, response, cause } => {
                if !self.asked_answered(now, id, status, response.as_ref()) {
                    self.register_answered(now, id, (status, cause), response.as_ref());
                }
            }
            SipEvent::Ended { dialog, by, request } => self.ended(now, dialog, by, request.as_ref()),
        }
    }

    pub(crate) fn call_of(&mut self, dialog: DialogId) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.dialog == dialog)
    }

    /// The call that orders are for.
    pub(crate) fn current(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.line == self.chosen)
    }

    pub(crate) fn current_mut(&mut self) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.line == self.chosen)
    }

    /// Good enough for numbers that must differ and need not be secret (splitmix64).
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Where requests outside of calls go.
pub(crate) fn flow_to(config: &PhoneConfig) -> Flow {
    Flow { transport: config.transport, ..Flow::udp(config.local, config.server) }
}
