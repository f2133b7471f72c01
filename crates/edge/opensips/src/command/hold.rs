//! Parties are put on hold, or taken off: OpenSIPS sends each a re-INVITE and tells how each fares.
//!
//! ```text
//!  asked ─── OK ───► accepted ─── start(leg) ───► asked(leg) ─── ok(leg) ────► on hold(leg)
//!    │ error: failed                                 └────────── fail(leg) ──► refused(leg)
//! ```
//!
//! The reply may come before, between or after the events. The parties that take part are those that were asked: one
//! that is on hold already is left alone, and nothing says so. With an `OK` and fewer than two parties asked, the
//! others are given [`OTHER_LEG`] to turn up.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Cause, Event, Failure, Fault, Kind, Party, Stage, Time};
use serde::{Deserialize, Serialize};

use super::ready::{NOT_READY, Ready};
use super::referral::RESTARTED;
use super::{CONFIRM_AFTER, Cx, News, Step, failure};
use crate::evi::{HoldSign, HoldStep, Turn, state};
use crate::mi::Matter;
use crate::mi::reply::{Answer, Truth};
use crate::mi::request::{Ask, Leg};

/// How long the second party may take to be asked after OpenSIPS has said `OK`.
pub const OTHER_LEG: Duration = Duration::from_millis(200);

/// Parties put on hold, or taken off.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Hold {
    callid: CompactString,
    on: bool,
    party: Option<Party>,
    headers: Option<String>,
    ready: Ready,
    reply: Reply,
    caller: State,
    callee: State,
    /// OpenSIPS could not ask the second party.
    broken: bool,
    /// When it is time to conclude that no other party takes part.
    alone_at: Option<Time>,
    /// When waiting for parties that were never heard of ends.
    give_up_at: Option<Time>,
    /// The call is over; when nothing more is to be expected of its parties.
    over_at: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Awaited,
    Accepted,
    Lost,
}

/// How far one party is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It was not asked, as far as is known.
    Idle,
    /// It was asked and may take until then.
    Asked { until: Time },
    /// It did what it was asked.
    Done,
    /// It did not.
    Refused,
    /// It did not answer.
    Silent,
}

impl Hold {
    pub(crate) const fn new(callid: CompactString, on: bool, party: Option<Party>, headers: Option<String>) -> Self {
        Self {
            callid,
            on,
            party,
            headers,
            ready: Ready::new(),
            reply: Reply::Awaited,
            caller: State::Idle,
            callee: State::Idle,
            broken: false,
            alone_at: None,
            give_up_at: None,
            over_at: None,
        }
    }

    /// What this asks for that not every OpenSIPS can do.
    pub(crate) const fn asks_for(&self) -> (Option<Party>, Option<&String>) {
        (self.party, self.headers.as_ref())
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let leg = |state| if let State::Asked { until } = state { Some(until) } else { None };
        [self.ready.again_at, self.alone_at, self.give_up_at, self.over_at, leg(self.caller), leg(self.callee)]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn holds(&self, callid: &str, on: Option<bool>) -> bool {
        self.callid == callid && on.is_none_or(|on| on == self.on)
    }

    pub(crate) fn hear(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        match news {
            News::Begin => self.begin(cx),
            News::Answer(Matter::Hold, answer) => self.replied(cx, answer),
            News::Answer(Matter::Dialog, answer) => self.looked_up(cx, answer.truth()),
            News::Hold(sign) => self.sign(cx, sign),
            News::Due => self.due(cx),
            News::Restarted => cx.ask(Matter::Dialog, Ask::Dialog { callid: self.callid.clone() }),
            News::Dialog(sign) if sign.callid == self.callid && sign.state == state::CONFIRMED => {
                if self.ready.confirmed() {
                    self.begin(cx);
                }
            }
            News::Dialog(sign) if sign.callid == self.callid && sign.is_the_end() => {
                self.over_at.get_or_insert(cx.now + CONFIRM_AFTER);
            }
            News::Abandon(failure) => self.fail(cx, failure.clone()),
            News::Answer(..) | News::Transfer(_) | News::Dialog(_) | News::GiveUp | News::Park => {}
        }
    }

    pub(crate) const fn stage(&self) -> Stage {
        if self.on { Stage::Hold } else { Stage::Unhold }
    }

    fn begin(&self, cx: &mut Cx<'_>) {
        let leg = match self.party {
            Some(party) => Some(Leg::One(party)),
            None if self.headers.is_some() => Some(Leg::Both),
            None => None,
        };
        let ask = Ask::Hold { callid: self.callid.clone(), on: self.on, leg, headers: self.headers.clone() };
        cx.ask(Matter::Hold, ask);
    }

    fn replied(&mut self, cx: &mut Cx<'_>, answer: &Answer) {
        match answer {
            Answer::Result(_) => {
                self.accept(cx);
                self.reply = Reply::Accepted;
                self.alone_at = Some(cx.now + OTHER_LEG);
                if !self.heard_of() {
                    self.give_up_at = Some(cx.now + cx.config.hold_timeout);
                }
                self.conclude(cx);
            }
            Answer::Error { code: NOT_READY, .. } if !self.heard_of() && self.ready.was_not(cx.now) => {}
            Answer::Error { code, text } => {
                let failure = failure::refused(self.stage(), *code, text);
                self.fail(cx, failure);
            }
            Answer::Lost if self.broken => self.fail(cx, failure::backend(BROKEN)),
            Answer::Lost if self.heard_of() => {
                self.reply = Reply::Lost;
                self.alone_at = Some(cx.now + OTHER_LEG);
                self.conclude(cx);
            }
            Answer::Lost => {
                self.reply = Reply::Lost;
                self.give_up_at = Some(cx.now + cx.config.hold_timeout);
                cx.ask(Matter::Dialog, Ask::Dialog { callid: self.callid.clone() });
            }
        }
    }

    /// Asked because the reply was lost before anything was heard of any party, or because OpenSIPS has restarted.
    fn looked_up(&mut self, cx: &mut Cx<'_>, truth: Truth) {
        match truth {
            Truth::Gone if self.heard_of() || self.reply == Reply::Accepted => {
                self.fail(cx, failure::backend(RESTARTED));
            }
            Truth::Gone => {
                let failure = failure::refused(self.stage(), 404, &"Dialog not found".into());
                self.fail(cx, failure);
            }
            Truth::There(_) if self.reply == Reply::Lost && !self.heard_of() => {
                self.fail(cx, failure::backend(UNKNOWN));
            }
            Truth::There(_) | Truth::Unknown => {}
        }
    }

    fn sign(&mut self, cx: &mut Cx<'_>, sign: &HoldSign) {
        let HoldStep::Leg { party, turn, .. } = sign.step else {
            self.broken = true;
            return;
        };
        let until = cx.now + cx.config.hold_timeout;
        match (turn, *self.leg(party)) {
            (Turn::Start, State::Idle) => self.asked(cx, party, until),
            (Turn::Ok | Turn::Fail, State::Idle | State::Asked { .. }) => {
                self.asked(cx, party, until);
                *self.leg(party) = if turn == Turn::Ok { State::Done } else { State::Refused };
                if turn == Turn::Ok {
                    cx.tell(Event::Held { party, hold: self.on });
                }
                self.conclude(cx);
            }
            (Turn::Start | Turn::Ok | Turn::Fail, _) => cx.late = true,
        }
    }

    fn asked(&mut self, cx: &mut Cx<'_>, party: Party, until: Time) {
        self.accept(cx);
        if *self.leg(party) == State::Idle {
            *self.leg(party) = State::Asked { until };
            if self.reply != Reply::Awaited && self.give_up_at.take().is_some() {
                // Late as it is, the other may be later still.
                self.alone_at.get_or_insert(cx.now + OTHER_LEG);
            }
            cx.tell(Event::HoldAsked { party, hold: self.on });
        }
    }

    /// Told once, before whatever proves it.
    fn accept(&self, cx: &mut Cx<'_>) {
        if self.reply != Reply::Accepted && !self.heard_of() {
            cx.tell(Event::HoldAccepted { hold: self.on });
        }
    }

    const fn leg(&mut self, party: Party) -> &mut State {
        match party {
            Party::Caller => &mut self.caller,
            Party::Callee => &mut self.callee,
        }
    }

    /// Whether any party has been heard of.
    fn heard_of(&self) -> bool {
        self.caller != State::Idle || self.callee != State::Idle
    }

    fn due(&mut self, cx: &mut Cx<'_>) {
        if self.ready.is_due(cx.now) {
            self.begin(cx);
        }
        for party in [Party::Caller, Party::Callee] {
            if matches!(*self.leg(party), State::Asked { until } if until <= cx.now) {
                *self.leg(party) = State::Silent;
            }
        }
        if self.over_at.is_some_and(|at| at <= cx.now) {
            let cause = Cause::new(Kind::Cancelled, Fault::Peer).with_text("the call has ended");
            return self.fail(cx, Failure::new(self.stage(), cause));
        }
        if self.alone_at.is_some_and(|at| at <= cx.now) && !self.heard_of() {
            // Accepted, and nothing came of it: are we still told?
            self.alone_at = None;
            cx.steps.push(Step::Doubt);
        }
        if self.give_up_at.is_some_and(|at| at <= cx.now) && !self.heard_of() {
            let cause = Cause::new(Kind::NoAnswer, Fault::Upstream).with_text(NEVER_ASKED);
            return self.fail(cx, Failure::new(self.stage(), cause));
        }
        self.conclude(cx);
    }

    /// Ends when every party that was asked has answered and no other is to be expected.
    fn conclude(&mut self, cx: &mut Cx<'_>) {
        let legs = [self.caller, self.callee];
        let is_open = legs.iter().any(|leg| matches!(leg, State::Asked { .. }));
        let both = legs.iter().all(|leg| *leg != State::Idle);
        let alone = self.reply != Reply::Awaited && self.alone_at.is_some_and(|at| at <= cx.now);
        if alone && self.heard_of() {
            self.alone_at = None;
        }
        let nobody_else = both || alone || (self.alone_at.is_none() && self.reply != Reply::Awaited);
        if is_open || !self.heard_of() || !nobody_else {
            return;
        }
        let parties = [(Party::Caller, self.caller), (Party::Callee, self.callee)];
        let failed = parties.into_iter().find(|(_, leg)| matches!(leg, State::Refused | State::Silent));
        match failed {
            None => cx.finish(Ok(())),
            Some((party, leg)) => {
                let cause = if leg == State::Silent {
                    Cause::new(Kind::NoAnswer, Fault::Peer)
                } else {
                    Cause::new(Kind::Other, Fault::Peer).with_text("re-INVITE refused")
                };
                let failure = Failure { party: Some(party), ..Failure::new(self.stage(), cause) };
                self.fail(cx, failure);
            }
        }
    }

    fn fail(&self, cx: &mut Cx<'_>, failure: Failure) {
        let is_held = |leg| match leg {
            State::Idle => false,
            State::Done => self.on,
            State::Asked { .. } | State::Refused | State::Silent => !self.on,
        };
        let parties = [(Party::Caller, self.caller), (Party::Callee, self.callee)];
        let held = parties.into_iter().filter(|(_, leg)| is_held(*leg)).map(|(party, _)| party).collect();
        cx.fail(Failure { held, ..failure });
    }
}

const BROKEN: &str = "OpenSIPS could not ask the second party";
const UNKNOWN: &str = "OpenSIPS did not reply, and nothing shows that it asked anybody";
const NEVER_ASKED: &str = "OpenSIPS accepted, and nothing shows that it asked anybody";
