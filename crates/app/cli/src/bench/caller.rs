//! The calling end of the load: a client that is small instead of complete.
//!
//! ```text
//!   start ─▶ Inviting ─1xx─▶ Proceeding ─2xx: ACK─▶ Talking ─hold─▶ (Hushed) ─▶ Leaving ─200─▶ completed
//!               │ 32 s           │ 3xx-6xx: ACK      │ BYE comes                  │ 32 s
//!               ▼                ▼                   ▼                            ▼
//!             failed         Refused ─5 s─▶       failed                        failed
//! ```
//!
//! INVITE and BYE are repeated as RFC 3261 17.1 says, answers that come again are acknowledged again, and requests inside
//! the dialog follow its route set. Strict routers and forks are beyond it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_sdp::SessionDescription;
use hookswitch_sip::{T1, T2, T4};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use super::template::{Inside, Template};
use super::work::{CallRef, Deed, Leg, Tally, Work};

/// A request without an answer is given up after this time.
const GIVE_UP: Duration = Duration::from_secs(32);

/// An INVITE with a provisional answer only is given up after this time.
const RING_PATIENCE: Duration = Duration::from_secs(60);

/// Audio of both ends is still under way for this long after it was stopped.
const HUSH: Duration = Duration::from_millis(250);

/// What the calls are like.
pub(super) struct Script {
    pub(super) server: SocketAddr,
    /// From URI; `{n}` is replaced by the call's number.
    pub(super) from: String,
    /// Request-URI, likewise, but for [`Script::among`].
    pub(super) to: String,
    /// Calls go round so many users, whose numbers begin at 0.
    pub(super) among: Option<NonZeroU64>,
    pub(super) hold: Duration,
    /// Audio flows, and stops before the BYE.
    pub(super) audio: bool,
    /// Somebody wants to know of each call that stands.
    pub(super) transfer: bool,
}

impl Script {
    /// Whom a call goes to.
    fn called(&self, number: u64) -> String {
        // Neighbours in a table are seldom called one after the other. A prime, so that nobody is left out.
        const STRIDE: u64 = 61_813;
        let user = |among: NonZeroU64| number.wrapping_mul(STRIDE) % among;
        numbered(&self.to, self.among.map_or(number, user))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Free,
    Inviting,
    Proceeding,
    Talking,
    Hushed,
    Leaving,
    Refused,
}

struct Call {
    generation: u32,
    step: Step,
    number: u64,
    began: Duration,
    deadline: Duration,
    interval: Duration,
    give_up: Duration,
    next_hop: SocketAddr,
    /// The INVITE, then the BYE.
    request: Bytes,
    ack: Bytes,
}

/// All calling ends.
pub(super) struct Caller {
    script: Script,
    template: Template,
    calls: Vec<Call>,
    free: Vec<u32>,
    timers: BinaryHeap<Reverse<(Duration, CallRef)>>,
}

impl Caller {
    pub(super) fn new(script: Script, template: Template) -> Caller {
        Caller { script, template, calls: Vec::new(), free: Vec::new(), timers: BinaryHeap::new() }
    }

    /// Calls that are not over.
    pub(super) fn open(&self) -> usize {
        self.calls.len() - self.free.len()
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn start(&mut self, now: Duration, number: u64, work: &mut Work, tally: &mut Tally) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.calls.push(Call::free(self.script.server));
            // Memory ends long before 2^32 calls are open.
            (self.calls.len() - 1) as u32
        });
        let call = &mut self.calls[slot as usize];
        let name = CallRef { slot, generation: call.generation };
        let (from, to) = (numbered(&self.script.from, number), self.script.called(number));
        call.step = Step::Inviting;
        call.number = number;
        call.began = now;
        call.interval = T1;
        call.give_up = now + GIVE_UP;
        call.next_hop = self.script.server;
        call.request = self.template.invite(name, number, &from, &to);
        work.sip.push((call.next_hop, call.request.clone()));
        tally.started += 1;
        self.arm(name, now + T1);
    }

    fn arm(&mut self, call: CallRef, at: Duration) {
        self.calls[call.slot as usize].deadline = at;
        self.timers.push(Reverse((at, call)));
    }

    pub(super) fn handle_timeout(&mut self, now: Duration, work: &mut Work, tally: &mut Tally) {
        while let Some(Reverse((at, name))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let call = &self.calls[name.slot as usize];
            if call.generation == name.generation && call.deadline == at {
                self.expired(now, name, work, tally);
            }
        }
    }

    fn expired(&mut self, now: Duration, name: CallRef, work: &mut Work, tally: &mut Tally) {
        let audio = self.script.audio;
        let call = &mut self.calls[name.slot as usize];
        match call.step {
            Step::Inviting | Step::Leaving if now < call.give_up => {
                work.sip.push((call.next_hop, call.request.clone()));
                tally.repeats_sent += 1;
                call.interval *= 2;
                if call.step == Step::Leaving {
                    call.interval = call.interval.min(T2);
                }
                let next = (now + call.interval).min(call.give_up);
                self.arm(name, next);
            }
            Step::Inviting | Step::Proceeding => {
                tally.fail(now, "no answer".into());
                self.over(name, work);
            }
            Step::Leaving => {
                tally.fail(now, "no answer to BYE".into());
                self.over(name, work);
            }
            Step::Talking if audio => {
                call.step = Step::Hushed;
                work.deeds.push(Deed::Hush { call: name });
                self.arm(name, now + HUSH);
            }
            Step::Talking | Step::Hushed => {
                call.step = Step::Leaving;
                call.interval = T1;
                call.give_up = now + GIVE_UP;
                work.sip.push((call.next_hop, call.request.clone()));
                self.arm(name, now + T1);
            }
            Step::Refused => self.over(name, work),
            Step::Free => {}
        }
    }

    pub(super) fn receive(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: Bytes,
        work: &mut Work,
        tally: &mut Tally,
    ) {
        let Ok(message) = Message::parse(bytes) else {
            tally.strays += 1;
            return;
        };
        let named = message.call_id().ok().and_then(|id| self.template.read_key(id));
        let known = named.filter(|name| {
            let call = self.calls.get(name.slot as usize);
            call.is_some_and(|call| call.generation == name.generation && call.step != Step::Free)
        });
        match (message.status(), known) {
            (Some(status), Some(name)) => self.response(now, name, (status, &message), work, tally),
            (None, known) => self.request(now, known, (from, &message), work, tally),
            (Some(_), None) => tally.strays += 1,
        }
    }

    fn response(
        &mut self,
        now: Duration,
        name: CallRef,
        (status, message): (u16, &Message),
        work: &mut Work,
        tally: &mut Tally,
    ) {
        let call = &mut self.calls[name.slot as usize];
        let to_invite = message.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        match (call.step, status) {
            (Step::Inviting, 100..200) if to_invite => {
                call.step = Step::Proceeding;
                self.arm(name, now + RING_PATIENCE);
            }
            // Servers with several workers let a 180 overtake a 100, and the 200 both.
            (Step::Proceeding | Step::Talking | Step::Hushed, 100..200) => {}
            (Step::Inviting | Step::Proceeding, 200..300) if to_invite => {
                self.answered(now, name, message, work, tally)
            }
            (Step::Inviting | Step::Proceeding, 300..) if to_invite => {
                self.refused(now, name, (status, message), work, tally);
            }
            (Step::Talking | Step::Hushed | Step::Leaving, 200..300) | (Step::Refused, 300..) if to_invite => {
                tally.repeats_seen += 1;
                work.sip.push((call.next_hop, call.ack.clone()));
            }
            (Step::Leaving, 200..) if !to_invite => {
                if status < 300 {
                    tally.completed += 1;
                    tally.last_end = now;
                } else {
                    tally.fail(now, format!("BYE: {}", status_line(status, message)));
                }
                self.over(name, work);
            }
            _ => tally.strays += 1,
        }
    }

    fn answered(&mut self, now: Duration, name: CallRef, message: &Message, work: &mut Work, tally: &mut Tally) {
        let call = &mut self.calls[name.slot as usize];
        tally.setup.add(now - call.began);
        tally.answered += 1;
        let Some(inside) = Inside::learn(message, self.script.server) else {
            tally.fail(now, "200 without Contact".into());
            self.over(name, work);
            return;
        };
        let number = call.number;
        let from = self.template.own_address(name, number, &numbered(&self.script.from, number));
        call.step = Step::Talking;
        call.next_hop = inside.next_hop;
        call.ack = self.template.inside(name, "ACK", 1, &from, &inside);
        call.request = self.template.inside(name, "BYE", 2, &from, &inside);
        work.sip.push((call.next_hop, call.ack.clone()));
        if self.script.audio {
            let remote = media_of(message);
            work.deeds.push(Deed::Talks { leg: Leg::Caller, call: name, number: Some(number), remote });
        }
        if self.script.transfer {
            work.deeds.push(Deed::Answered { number, call_id: self.template.call_id(name) });
        }
        self.arm(name, now + self.script.hold);
    }

    fn refused(
        &mut self,
        now: Duration,
        name: CallRef,
        (status, message): (u16, &Message),
        work: &mut Work,
        tally: &mut Tally,
    ) {
        tally.fail(now, status_line(status, message));
        let number = self.calls[name.slot as usize].number;
        let (from_uri, to_uri) = (numbered(&self.script.from, number), self.script.called(number));
        let from = self.template.own_address(name, number, &from_uri);
        let to = String::from_utf8_lossy(message.header(HeaderName::To).unwrap_or_default()).into_owned();
        let call = &mut self.calls[name.slot as usize];
        call.ack = self.template.ack_refusal(name, &to_uri, &from, &to);
        call.step = Step::Refused;
        work.sip.push((call.next_hop, call.ack.clone()));
        self.arm(name, now + T4);
    }

    /// Something that the server asks of the caller.
    fn request(
        &mut self,
        now: Duration,
        known: Option<CallRef>,
        (from, message): (SocketAddr, &Message),
        work: &mut Work,
        tally: &mut Tally,
    ) {
        let method = message.method().cloned();
        let nobody = CallRef { slot: 0, generation: 0 };
        let is_invite = method == Some(Method::Invite);
        let status = if known.is_some() || method == Some(Method::Options) { 200 } else { 481 };
        let answer = self.template.answer(message, from, (status, known.unwrap_or(nobody)), is_invite && status == 200);
        work.sip.extend(answer.map(|answer| (from, answer)));
        let Some(name) = known.filter(|_| method == Some(Method::Bye)) else {
            return;
        };
        match self.calls[name.slot as usize].step {
            // Both ends hung up at once; ours is counted when it is answered.
            Step::Leaving => {}
            _ => {
                tally.fail(now, "ended by the other side".into());
                self.over(name, work);
            }
        }
    }

    fn over(&mut self, name: CallRef, work: &mut Work) {
        let call = &mut self.calls[name.slot as usize];
        *call = Call { generation: call.generation.wrapping_add(1), ..Call::free(self.script.server) };
        self.free.push(name.slot);
        if self.script.audio {
            work.deeds.push(Deed::Over { leg: Leg::Caller, call: name });
        }
    }
}

impl Call {
    fn free(server: SocketAddr) -> Call {
        Call {
            generation: 0,
            step: Step::Free,
            number: 0,
            began: Duration::ZERO,
            deadline: Duration::ZERO,
            interval: T1,
            give_up: Duration::ZERO,
            next_hop: server,
            request: Bytes::new(),
            ack: Bytes::new(),
        }
    }
}

fn numbered(uri: &str, number: u64) -> String {
    uri.replace("{n}", &number.to_string())
}

fn status_line(status: u16, message: &Message) -> String {
    format!("{status} {}", String::from_utf8_lossy(message.reason()))
}

/// Where the session in a message wants its audio.
pub(super) fn media_of(message: &Message) -> Option<SocketAddr> {
    let session = SessionDescription::parse(message.body_bytes()).ok()?;
    let (_, media) = session.first_audio()?;
    media.rtp_address()
}
