//! A call is started: the caller is called; when it answers, it is transferred to the callee; then the first call,
//! which carried nothing but the request to call somebody else, is ended.
//!
//! ```text
//!  Contact ──► Calling ──── 200 ────► Ready ────────────► Referring ──── answered ────► done
//!  (only where  │   │                  the dialog is       (see `referral`)  │
//!   configured) │   └ other: failed    confirmed, or                        └ failed: the first call is ended too
//!               └► Cancelling          500 ms are over
//!                  no answer in `ring_timeout`, or the controller gives up
//! ```
//!
//! The reply to the INVITE is its final status and may take as long as the phone rings. It can get lost as any datagram
//! can, and asking twice would call twice; so the dialog is looked up while it rings. A caller that OpenSIPS does not
//! know a dialog for has not been called, or is no longer called, provided that this OpenSIPS makes dialogs of such
//! calls at all.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Address, Cause, Event, Failure, Fault, Kind, LegId, Party, Stage, Time};
use serde::{Deserialize, Serialize};

use super::referral::{RESTARTED, Referral, Turn};
use super::{CONFIRM_AFTER, Cx, News, Step, failure};
use crate::READY_AFTER;
use crate::address::user_and_domain;
use crate::config::MiKind;
use crate::evi::{DialogSign, state};
use crate::mi::Matter;
use crate::mi::reply::{Answer, Truth};
use crate::mi::request::{Ask, Invite};
use crate::twice::LOOP_DETECTED;

/// How often the dialog of a ringing caller is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often in a row a dialog may be missing before nobody believes in it: the script of OpenSIPS may take its time
/// before it makes one.
const MAX_MISSED: u8 = 3;

/// How long a cancelled INVITE may take to be answered, and how long until a CANCEL that came too early is repeated.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

/// How often a caller is cancelled of whom OpenSIPS knows no transaction.
const MAX_CANCELS: u8 = 3;

/// The leg to the caller in the first call, which carries nothing but the request to call somebody else.
const FIRST_LEG: LegId = LegId(0);

/// The leg to the callee in the call that the caller's phone makes, which is another call.
const NEW_LEG: LegId = LegId(0);

/// A call being started.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    caller: CompactString,
    callee: CompactString,
    /// The Call-ID of the first leg.
    callid: CompactString,
    /// Whether the first leg's dialog is known to be confirmed.
    confirmed: bool,
    state: State,
}

/// What is waited for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// OpenSIPS.
    Begin,
    /// Whether the caller is registered.
    Contact,
    /// The caller's answer.
    Calling(Calling),
    /// The end of the cancelled INVITE.
    Cancelling(Cancelling),
    /// The confirmation of the first leg.
    Ready { until: Time },
    /// What becomes of the transfer.
    Referring(Box<Referral>),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Calling {
    /// When ringing ends.
    ring_until: Time,
    /// When the dialog is looked up, or what the dialog said is believed.
    look_at: Option<Time>,
    /// No reply will come, or none that was not this.
    lost: Option<Failure>,
    /// Whether the dialog has been there.
    seen: bool,
    /// How often in a row it was not.
    missed: u8,
    /// The dialog is over, and the reply that says why is missing.
    over: bool,
    restarted: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Cancelling {
    why: Failure,
    until: Time,
    again_at: Option<Time>,
    cancels: u8,
}

impl Start {
    pub(crate) const fn new(caller: CompactString, callee: CompactString, callid: CompactString) -> Self {
        Self { caller, callee, callid, confirmed: false, state: State::Begin }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        match &self.state {
            State::Begin | State::Contact => None,
            State::Calling(calling) => {
                Some(calling.look_at.map_or(calling.ring_until, |at| at.min(calling.ring_until)))
            }
            State::Cancelling(cancelling) => {
                Some(cancelling.again_at.map_or(cancelling.until, |at| at.min(cancelling.until)))
            }
            State::Ready { until } => Some(*until),
            State::Referring(referral) => referral.deadline(),
        }
    }

    pub(crate) fn transfers(&self, callid: &str) -> bool {
        self.callid == callid && matches!(self.state, State::Referring(_))
    }

    pub(crate) fn new_call(&self) -> Option<&CompactString> {
        if let State::Referring(referral) = &self.state { referral.new_call() } else { None }
    }

    pub(crate) fn hear(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        match news {
            News::Abandon(failure) => return self.abandon(cx, failure.clone()),
            News::GiveUp => return self.give_up(cx),
            News::Dialog(sign) if sign.callid == self.callid => self.first_leg(cx, sign),
            _ => {}
        }
        match &mut self.state {
            State::Begin if matches!(news, News::Begin) => self.begin(cx),
            State::Begin => cx.late = true,
            State::Contact => self.contact(cx, news),
            State::Calling(_) => self.calling(cx, news),
            State::Cancelling(_) => self.cancelling(cx, news),
            State::Ready { .. } => self.ready(cx, news),
            State::Referring(_) => self.referring(cx, news),
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        let domains = &cx.config.registered_domains;
        match user_and_domain(&self.caller) {
            Some((user, domain)) if domains.iter().any(|local| local.eq_ignore_ascii_case(domain)) => {
                let aor = compact_str::format_compact!("{user}@{domain}");
                cx.ask(Matter::Contact, Ask::Contact { aor });
                self.state = State::Contact;
            }
            _ => self.call(cx),
        }
    }

    fn contact(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        match news {
            News::Answer(Matter::Contact, Answer::Error { code: 404, .. }) => {
                let cause = Cause::new(Kind::NotFound, Fault::Peer).with_text("Not Found: no phone is registered");
                cx.fail(Failure::new(Stage::Caller, cause));
            }
            News::Answer(Matter::Contact, _) => self.call(cx),
            _ => {}
        }
    }

    fn call(&mut self, cx: &mut Cx<'_>) {
        let config = cx.config;
        let invite = Invite {
            callid: self.callid.clone(),
            caller: self.caller.clone(),
            callee: self.callee.clone(),
            from: config.from.clone(),
            contact: config.contact.clone(),
            next_hop: config.next_hop.clone(),
        };
        cx.ask(Matter::Invite, Ask::Invite(Box::new(invite)));
        cx.tell(Event::Dialing {
            leg: FIRST_LEG,
            party: Party::Caller,
            wire_id: self.callid.clone(),
            to: Address(self.caller.clone()),
        });
        let look_at = (config.mi == MiKind::Datagram).then(|| cx.now + config.mi_timeout);
        let ring_until = cx.now + config.ring_timeout;
        let calling =
            Calling { ring_until, look_at, lost: None, seen: false, missed: 0, over: false, restarted: false };
        self.state = State::Calling(calling);
    }

    /// The first leg's dialog has changed.
    fn first_leg(&mut self, cx: &mut Cx<'_>, sign: &DialogSign) {
        cx.steps.push(Step::Learned);
        let now = cx.now;
        match (&mut self.state, sign.state) {
            (State::Calling(calling), state::ANSWERED | state::CONFIRMED) => {
                self.confirmed |= sign.state == state::CONFIRMED;
                calling.seen = true;
                calling.look_at = Some(now + CONFIRM_AFTER);
            }
            (State::Calling(calling), state::DELETED) => {
                calling.over = true;
                calling.look_at = Some(now + CONFIRM_AFTER);
            }
            (State::Calling(calling), _) => calling.seen = true,
            (State::Ready { until }, state::CONFIRMED) => {
                self.confirmed = true;
                *until = now;
            }
            (State::Begin | State::Contact | State::Cancelling(_) | State::Ready { .. } | State::Referring(_), _) => {}
        }
    }

    fn calling(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        match news {
            News::Answer(Matter::Invite, answer) => self.called(cx, answer),
            News::Answer(Matter::Dialog, answer) => self.looked_up(cx, answer.truth()),
            News::Due => self.look(cx),
            News::Restarted => {
                if let State::Calling(calling) = &mut self.state {
                    calling.restarted = true;
                }
                cx.ask(Matter::Dialog, Ask::Dialog { callid: self.callid.clone() });
            }
            News::Dialog(_) => {}
            _ => cx.late = true,
        }
    }

    fn called(&mut self, cx: &mut Cx<'_>, answer: &Answer) {
        match (answer, answer.status()) {
            (Answer::Result(_), Some((200, _))) => self.answered(cx),
            (Answer::Result(_), Some((LOOP_DETECTED, text))) if cx.config.mi == MiKind::Datagram => {
                let failure = failure::status(Stage::Caller, LOOP_DETECTED, &text);
                self.lose_reply(cx, failure);
            }
            (Answer::Result(_), Some((code, text))) => {
                if code < 300 {
                    cx.close(&self.callid, false);
                }
                cx.fail(failure::status(Stage::Caller, code, &text));
            }
            (Answer::Result(_), None) => {
                cx.close(&self.callid, true);
                cx.fail(failure::backend("OpenSIPS's reply has no status"));
            }
            (Answer::Error { code, text }, _) => cx.fail(failure::refused(Stage::Caller, *code, text)),
            (Answer::Lost, _) => self.lose_reply(cx, failure::backend(REPLY_LOST)),
        }
    }

    /// The reply that counts is missing, and the dialog must tell; if there is none, this is why.
    fn lose_reply(&mut self, cx: &Cx<'_>, why: Failure) {
        if let State::Calling(calling) = &mut self.state {
            calling.lost.get_or_insert(why);
            calling.look_at = Some(cx.now);
        }
    }

    /// The INVITE's reply is not there: what does the dialog say?
    fn look(&mut self, cx: &mut Cx<'_>) {
        let State::Calling(calling) = &mut self.state else { return };
        if calling.ring_until <= cx.now {
            return self.cancel(cx, Failure::new(Stage::Caller, Cause::new(Kind::NoAnswer, Fault::Peer)));
        }
        calling.look_at = Some(cx.now + LOOK_EVERY);
        cx.ask(Matter::Dialog, Ask::Dialog { callid: self.callid.clone() });
    }

    fn looked_up(&mut self, cx: &mut Cx<'_>, truth: Truth) {
        let State::Calling(calling) = &mut self.state else { return };
        let restarted = std::mem::take(&mut calling.restarted);
        let over = std::mem::take(&mut calling.over);
        match truth {
            Truth::There(state::ANSWERED | state::CONFIRMED) => {
                self.confirmed |= truth == Truth::There(state::CONFIRMED);
                cx.steps.push(Step::Learned);
                cx.steps.push(Step::Drop(Matter::Invite));
                self.answered(cx);
            }
            Truth::There(state) if state != state::DELETED => {
                calling.seen = true;
                calling.missed = 0;
                cx.steps.push(Step::Learned);
            }
            Truth::Gone | Truth::Unknown if over && calling.lost.is_none() => {
                let cause = Cause::new(Kind::Unreachable, Fault::Peer).with_text(ENDED_EARLY);
                self.abandon(cx, Failure::new(Stage::Caller, cause));
            }
            Truth::Gone | Truth::Unknown if calling.lost.is_some() => {
                let why = calling.lost.take().unwrap_or_else(|| failure::backend(REPLY_LOST));
                self.abandon(cx, why);
            }
            // One that ended unanswered is listed for a while, and may be the second dialog of a doubled INVITE.
            Truth::Gone | Truth::There(_) if calling.seen || cx.knows_dialogs => {
                calling.missed += 1;
                if restarted {
                    self.abandon(cx, failure::backend(RESTARTED));
                } else if calling.missed >= MAX_MISSED {
                    self.abandon(cx, failure::backend(REPLY_LOST));
                } else {
                    calling.look_at = Some(cx.now + cx.config.mi_timeout);
                }
            }
            Truth::Gone | Truth::There(_) | Truth::Unknown => {}
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>) {
        cx.tell(Event::Answered { leg: FIRST_LEG, party: Party::Caller });
        self.state = State::Ready { until: cx.now + READY_AFTER };
        if self.confirmed {
            self.refer(cx);
        }
    }

    fn ready(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        match news {
            News::Dialog(sign) if sign.callid == self.callid && sign.is_the_end() => {
                let cause = Cause::new(Kind::Cancelled, Fault::Peer);
                cx.fail(Failure::new(Stage::Caller, cause));
            }
            News::Dialog(_) if self.confirmed => self.refer(cx),
            News::Due => self.refer(cx),
            News::Dialog(_) | News::Restarted => {}
            _ => cx.late = true,
        }
    }

    fn refer(&mut self, cx: &mut Cx<'_>) {
        // The caller's phone is the callee of the dialog that OpenSIPS began.
        let referral = Referral::new(self.callid.clone(), Party::Callee, Some(self.callee.clone()), None);
        referral.begin(cx);
        self.state = State::Referring(Box::new(referral));
    }

    fn referring(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        let State::Referring(referral) = &mut self.state else { return };
        for turn in referral.hear(cx, news) {
            match turn {
                Turn::Accepted => cx.tell(Event::Connecting { to: Address(self.callee.clone()) }),
                Turn::Started { wire_id, to } => {
                    cx.steps.push(Step::Second(wire_id.clone()));
                    let to = Address(to.unwrap_or_else(|| self.callee.clone()));
                    cx.tell_second(Event::Dialing { leg: NEW_LEG, party: Party::Callee, wire_id, to });
                }
                Turn::Progress { status, text } if status < 200 => {
                    cx.tell_second(Event::Progress { leg: NEW_LEG, party: Party::Callee, status, text });
                }
                Turn::Progress { .. } => {}
                Turn::Done => {
                    cx.close(&self.callid, false);
                    cx.tell_second(Event::Answered { leg: NEW_LEG, party: Party::Callee });
                    cx.finish(Ok(()));
                    return;
                }
                Turn::Failed(failure) => {
                    // Nobody may be left in a call with silence.
                    cx.close(&self.callid, false);
                    cx.fail(failure);
                    return;
                }
            }
        }
    }

    /// Ends with this, and leaves the first leg to be ended whatever its state.
    fn abandon(&mut self, cx: &mut Cx<'_>, failure: Failure) {
        match &self.state {
            State::Begin | State::Contact => {}
            State::Calling(_) | State::Cancelling(_) => cx.close(&self.callid, true),
            State::Ready { .. } | State::Referring(_) => cx.close(&self.callid, false),
        }
        cx.fail(failure);
    }

    fn give_up(&mut self, cx: &mut Cx<'_>) {
        match &mut self.state {
            State::Begin | State::Contact => cx.fail(failure::given_up(Stage::Caller)),
            State::Calling(_) => self.cancel(cx, failure::given_up(Stage::Caller)),
            State::Cancelling(_) => cx.late = true,
            State::Ready { .. } => self.abandon(cx, failure::given_up(Stage::Caller)),
            State::Referring(referral) => {
                if let Some(new) = referral.new_call().cloned() {
                    cx.close(&new, false);
                }
                self.abandon(cx, failure::given_up(Stage::Callee));
            }
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>, why: Failure) {
        cx.ask(Matter::Cancel, Ask::Cancel { callid: self.callid.clone() });
        let patience = match cx.config.mi {
            MiKind::Datagram => cx.config.mi_timeout,
            // Over HTTP OpenSIPS may read this only after the INVITE has been answered.
            MiKind::Http => cx.config.ring_timeout,
        };
        self.state = State::Cancelling(Cancelling { why, until: cx.now + patience, again_at: None, cancels: 1 });
    }

    fn cancelling(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        let State::Cancelling(cancelling) = &mut self.state else { return };
        match news {
            News::Answer(Matter::Invite, answer) => {
                let failure = cancelling.why.clone();
                if !matches!(answer.status(), Some((300.., _))) {
                    // Answered in the same moment, or nobody knows.
                    cx.close(&self.callid, false);
                }
                cx.fail(failure);
            }
            News::Answer(Matter::Cancel, Answer::Error { .. }) if cancelling.cancels < MAX_CANCELS => {
                cancelling.again_at = Some(cx.now + CANCEL_AGAIN);
            }
            News::Due if cancelling.again_at.is_some_and(|at| at <= cx.now && at < cancelling.until) => {
                cancelling.again_at = None;
                cancelling.cancels += 1;
                cx.ask(Matter::Cancel, Ask::Cancel { callid: self.callid.clone() });
            }
            News::Due => {
                let failure = cancelling.why.clone();
                self.abandon(cx, failure);
            }
            _ => {}
        }
    }
}

const ENDED_EARLY: &str = "the call ended, and OpenSIPS's reply is lost";
const REPLY_LOST: &str = "OpenSIPS knows of no such call, and its reply is lost";
