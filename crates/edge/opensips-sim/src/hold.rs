//! `call_hold` and `call_unhold`: a re-INVITE to each leg, and an event before and after it.

use compact_str::CompactString;
use serde::Serialize;

use crate::dialog::{Leg, State};
use crate::evi::EventName;
use crate::mi::{Params, Reply};
use crate::phone::Reaction;
use crate::{Sim, Step, Time};

#[derive(Serialize)]
struct HoldEvent<'a> {
    callid: &'a str,
    leg: &'a str,
    action: &'a str,
    state: &'a str,
}

/// A leg has answered its re-INVITE, or never will.
#[derive(Clone, Debug)]
pub(crate) struct Reinvited {
    dialog: u64,
    callid: CompactString,
    leg: Leg,
    hold: bool,
    is_ok: bool,
}

const fn action(hold: bool) -> &'static str {
    if hold { "hold" } else { "unhold" }
}

impl Sim {
    /// `call_hold`
    pub(crate) fn call_hold(&mut self, now: Time, params: &Params) -> Reply {
        self.hold(now, params, true)
    }

    /// `call_unhold`
    pub(crate) fn call_unhold(&mut self, now: Time, params: &Params) -> Reply {
        self.hold(now, params, false)
    }

    fn hold(&mut self, now: Time, params: &Params, hold: bool) -> Reply {
        let callid = params.text("callid");
        let Some(key) = self.dialogs.by_callid(&callid) else {
            return Reply::error(404, "Dialog not found");
        };
        if params.has("leg") && !["caller", "callee", "both"].contains(&params.text("leg").as_str()) {
            return Reply::error(420, "Bad leg");
        }
        let Some(dialog) = self.dialogs.get(key).filter(|dialog| dialog.state == State::Confirmed) else {
            return Reply::error(410, "Dialog not ready");
        };
        let order = if hold { [Leg::Caller, Leg::Callee] } else { [Leg::Callee, Leg::Caller] };
        let mut legs = Vec::new();
        for leg in order {
            if dialog.end(leg).is_held != hold {
                legs.push(leg);
            }
        }
        if legs.is_empty() {
            return Reply::error(480, if hold { "Both dialog legs are on hold" } else { "No dialog legs on hold" });
        }
        let hop = self.config.hop;
        for (index, leg) in legs.iter().copied().enumerate() {
            let at = now + hop * index as u32;
            let is_own = self.dialogs.get(key).is_some_and(|dialog| dialog.end(leg).user.is_none());
            if index == 1 && self.chance.percent(self.config.oddities.unsendable_hold) {
                // The first leg is resumed, and the event has the names of its fields where their values should be.
                self.raise_hold(at, &callid, leg.name(), "action", "state");
                return Reply::server_error("");
            }
            self.raise_hold(at, &callid, leg.name(), action(hold), "start");
            if is_own {
                // OpenSIPS began this call: there is no phone behind the contact.
                self.raise_hold(at + hop, &callid, leg.name(), action(hold), "fail");
                return Reply::server_error("Command handler returned null");
            }
            self.reinvite(at, key, &callid, leg, hold);
        }
        Reply::result(&"OK").later(hop * 5 / 2)
    }

    fn reinvite(&mut self, now: Time, key: u64, callid: &CompactString, leg: Leg, hold: bool) {
        let end = self.dialogs.get(key).map(|dialog| dialog.end(leg));
        let phone = end.filter(|end| end.is_there).and_then(|end| end.user.as_ref());
        let reaction = match phone {
            Some(user) => self.phones.get(user).map_or(Reaction::Ignores, |phone| phone.reinvite),
            // It is gone, and OpenSIPS does not know.
            None => Reaction::Refuses(481),
        };
        let (is_ok, after) = match reaction {
            Reaction::Accepts => (true, self.config.hop * 2),
            Reaction::Refuses(_) => (false, self.config.hop * 2),
            Reaction::Ignores => (false, self.config.fr_timeout),
        };
        let done = Reinvited { dialog: key, callid: callid.clone(), leg, hold, is_ok };
        self.agenda.put(now + after, Step::Reinvited(done));
    }

    pub(crate) fn reinvited(&mut self, now: Time, done: &Reinvited) {
        let Some(dialog) = self.dialogs.get_mut(done.dialog) else {
            return;
        };
        let end = dialog.end_mut(done.leg);
        if done.is_ok {
            end.is_held = done.hold;
        }
        let state = if done.is_ok { "ok" } else { "fail" };
        self.raise_hold(now, &done.callid, done.leg.name(), action(done.hold), state);
    }

    fn raise_hold(&mut self, now: Time, callid: &str, leg: &str, action: &str, state: &str) {
        let event = HoldEvent { callid, leg, action, state };
        let params = serde_json::value::to_raw_value(&event).expect("plain data");
        self.raise(now, EventName::Hold, params);
    }
}
