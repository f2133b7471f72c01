//! The called end of the load: a server that rings, answers and waits for BYE.
//!
//! ```text
//!   INVITE: 180 ─▶ Ringing ─ring time: 200─▶ Answered ─ACK─▶ Talking ─BYE: 200─▶ gone
//!                     │ CANCEL: 487             │ 200 again until ACK, 32 s
//!                     ▼                         ▼
//!                    gone                      gone
//! ```
//!
//! Users whose names begin with [`RINGS`] stay in Ringing: the branches of a fork that lose.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use ahash::RandomState;
use bytes::Bytes;
use hookswitch_sip::{T1, T2};
use hookswitch_sip_msg::{Message, Method, Uri};

use super::caller::media_of;
use super::template::Template;
use super::work::{CallRef, Deed, Leg, Tally, Work};

/// Users whose names begin like this ring until the call is cancelled.
const RINGS: &str = "rings-";

/// An answer without ACK is given up after this time.
const GIVE_UP: Duration = Duration::from_secs(32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Free,
    Ringing,
    Answered,
    Talking,
}

struct Call {
    generation: u32,
    step: Step,
    /// A change of the session was answered and not acknowledged yet.
    changes: bool,
    id: Bytes,
    number: Option<u64>,
    /// Where the caller wants its audio.
    remote: Option<SocketAddr>,
    source: SocketAddr,
    deadline: Duration,
    interval: Duration,
    give_up: Duration,
    /// The last answer to the INVITE, to be given again.
    last: Bytes,
    /// The 200 that is to come.
    ok: Bytes,
    /// The 487 that is to come instead when the caller gives up.
    invite: Option<Message>,
}

/// All called ends.
pub(super) struct Callee {
    template: Template,
    ring: Duration,
    audio: bool,
    calls: Vec<Call>,
    free: Vec<u32>,
    by_id: HashMap<Bytes, u32, RandomState>,
    timers: BinaryHeap<Reverse<(Duration, CallRef)>>,
}

impl Callee {
    pub(super) fn new(template: Template, ring: Duration, audio: bool) -> Callee {
        Callee {
            template,
            ring,
            audio,
            calls: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            timers: BinaryHeap::new(),
        }
    }

    /// Calls that are not over.
    pub(super) fn open(&self) -> usize {
        self.calls.len() - self.free.len()
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn handle_timeout(&mut self, now: Duration, work: &mut Work, tally: &mut Tally) {
        while let Some(Reverse((at, name))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let call = &mut self.calls[name.slot as usize];
            if call.generation != name.generation || call.deadline != at {
                continue;
            }
            match call.step {
                Step::Ringing => self.answer(now, name, work),
                Step::Answered if now < call.give_up => {
                    work.sip.push((call.source, call.last.clone()));
                    tally.repeats_sent += 1;
                    call.interval = (call.interval * 2).min(T2);
                    let next = (now + call.interval).min(call.give_up);
                    self.arm(name, next);
                }
                // The caller counts what becomes of it.
                Step::Answered => self.over(name, work),
                Step::Talking | Step::Free => {}
            }
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
        let (Some(method), Ok(id)) = (message.method(), message.call_id()) else {
            tally.strays += 1;
            return;
        };
        let known = self
            .by_id
            .get(id.as_bytes())
            .map(|slot| CallRef { slot: *slot, generation: self.calls[*slot as usize].generation });
        match (method, known) {
            (Method::Invite, None) => self.offered(now, from, message, work),
            (Method::Invite, Some(name)) => self.invited_again(name, (from, &message), work, tally),
            (Method::Ack, Some(name)) => self.acknowledged(name, work, tally),
            (Method::Ack, None) => {}
            (Method::Cancel, Some(name)) => self.cancelled(name, (from, &message), work),
            (Method::Bye, known) => {
                self.reply(known, (from, &message), work);
                match known {
                    Some(name) => self.over(name, work),
                    // The 200 was lost, or the server tries too late.
                    None => tally.repeats_seen += 1,
                }
            }
            (_, known) => self.reply(known, (from, &message), work),
        }
    }

    fn reply(&mut self, known: Option<CallRef>, (from, message): (SocketAddr, &Message), work: &mut Work) {
        let name = known.unwrap_or(CallRef { slot: 0, generation: 0 });
        let answer = self.template.answer(message, from, (200, name), false);
        work.sip.extend(answer.map(|answer| (from, answer)));
    }

    fn offered(&mut self, now: Duration, from: SocketAddr, message: Message, work: &mut Work) {
        let Some(id) = message.call_id().ok().map(|id| Bytes::copy_from_slice(id.as_bytes())) else {
            return;
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.calls.push(Call::free(from));
            (self.calls.len() - 1) as u32
        });
        let call = &mut self.calls[slot as usize];
        let name = CallRef { slot, generation: call.generation };
        let ringing = self.template.answer(&message, from, (180, name), false);
        let ok = self.template.answer(&message, from, (200, name), true);
        let (Some(ringing), Some(ok)) = (ringing, ok) else {
            self.free.push(slot);
            return;
        };
        let rings = message.request_uri().is_some_and(only_rings);
        call.step = Step::Ringing;
        call.id = id.clone();
        call.number = message.request_uri().and_then(number_in);
        call.remote = if self.audio { media_of(&message) } else { None };
        call.source = from;
        call.last = ringing;
        call.ok = ok;
        call.invite = (rings || !self.ring.is_zero()).then_some(message);
        self.by_id.insert(id, slot);
        work.sip.push((from, call.last.clone()));
        match (rings, self.ring.is_zero()) {
            (true, _) => {}
            (false, true) => self.answer(now, name, work),
            (false, false) => self.arm(name, now + self.ring),
        }
    }

    fn answer(&mut self, now: Duration, name: CallRef, work: &mut Work) {
        let call = &mut self.calls[name.slot as usize];
        call.step = Step::Answered;
        call.last = std::mem::take(&mut call.ok);
        call.invite = None;
        call.interval = T1;
        call.give_up = now + GIVE_UP;
        work.sip.push((call.source, call.last.clone()));
        self.arm(name, now + T1);
    }

    fn arm(&mut self, name: CallRef, at: Duration) {
        self.calls[name.slot as usize].deadline = at;
        self.timers.push(Reverse((at, name)));
    }

    /// A repeat, or a change of the session.
    fn invited_again(
        &mut self,
        name: CallRef,
        (from, message): (SocketAddr, &Message),
        work: &mut Work,
        tally: &mut Tally,
    ) {
        let inside = message.to().is_ok_and(|to| to.tag().is_some());
        if inside {
            let answer = self.template.answer(message, from, (200, name), true);
            work.sip.extend(answer.map(|answer| (from, answer)));
            self.calls[name.slot as usize].changes = true;
            return;
        }
        tally.repeats_seen += 1;
        let call = &self.calls[name.slot as usize];
        if !call.last.is_empty() {
            work.sip.push((from, call.last.clone()));
        }
    }

    fn acknowledged(&mut self, name: CallRef, work: &mut Work, tally: &mut Tally) {
        let audio = self.audio;
        let call = &mut self.calls[name.slot as usize];
        let of_change = std::mem::take(&mut call.changes);
        if call.step != Step::Answered {
            tally.repeats_seen += u64::from(call.step == Step::Talking && !of_change);
            return;
        }
        call.step = Step::Talking;
        call.deadline = Duration::MAX;
        call.last = Bytes::new();
        if audio {
            let (number, remote) = (call.number, call.remote);
            work.deeds.push(Deed::Talks { leg: Leg::Callee, call: name, number, remote });
        }
    }

    fn cancelled(&mut self, name: CallRef, (from, message): (SocketAddr, &Message), work: &mut Work) {
        self.reply(Some(name), (from, message), work);
        let Some(invite) = self.calls[name.slot as usize].invite.take() else {
            return;
        };
        let refusal = self.template.answer(&invite, from, (487, name), false);
        work.sip.extend(refusal.map(|refusal| (from, refusal)));
        self.over(name, work);
    }

    fn over(&mut self, name: CallRef, work: &mut Work) {
        let call = &mut self.calls[name.slot as usize];
        self.by_id.remove(&call.id);
        *call = Call { generation: call.generation.wrapping_add(1), ..Call::free(call.source) };
        self.free.push(name.slot);
        if self.audio {
            work.deeds.push(Deed::Over { leg: Leg::Callee, call: name });
        }
    }
}

impl Call {
    fn free(source: SocketAddr) -> Call {
        Call {
            generation: 0,
            step: Step::Free,
            changes: false,
            id: Bytes::new(),
            number: None,
            remote: None,
            source,
            deadline: Duration::MAX,
            interval: T1,
            give_up: Duration::ZERO,
            last: Bytes::new(),
            ok: Bytes::new(),
            invite: None,
        }
    }
}

fn only_rings(uri: &str) -> bool {
    Uri::parse(uri).is_ok_and(|uri| uri.user.is_some_and(|user| user.starts_with(RINGS)))
}

/// The number that the caller wrote into the called user's name: its last digits.
fn number_in(uri: &str) -> Option<u64> {
    let user = Uri::parse(uri).ok()?.user?;
    let digits = user.len() - user.bytes().rev().take_while(u8::is_ascii_digit).count();
    user.get(digits..)?.parse().ok()
}
