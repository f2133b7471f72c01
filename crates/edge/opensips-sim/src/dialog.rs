//! The dialogs of the `dialog` module: what OpenSIPS knows of calls.
//!
//! ```text
//! 1 unconfirmed ── 18x ── 2 early ── 2xx ── 3 confirmed, no ACK ── ACK ── 4 confirmed
//!        └──────────────────┴── refused, cancelled ── 5 deleted ── BYE ──────┘
//! ```

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::evi::EventName;
use crate::mi::{Params, Reply};
use crate::{Sim, Step, Time};

/// How long a transaction, and a dialog that was never confirmed, can still be found after their end.
pub(crate) const LINGERS: Duration = Duration::from_secs(5);

/// One end of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leg {
    Caller,
    Callee,
}

impl Leg {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::Caller, Self::Callee].into_iter().find(|leg| leg.name() == name)
    }
}

/// As E_DLG_STATE_CHANGED counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Unconfirmed = 1,
    Early = 2,
    Unacknowledged = 3,
    Confirmed = 4,
    Deleted = 5,
}

#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The phone; none for OpenSIPS itself, which began the call.
    pub(crate) user: Option<CompactString>,
    pub(crate) contact: CompactString,
    pub(crate) is_held: bool,
    /// Whether the phone is still in the call; OpenSIPS may not have noticed that it is not.
    pub(crate) is_there: bool,
}

impl End {
    pub(crate) fn of(user: Option<CompactString>, contact: CompactString) -> Self {
        Self { user, contact, is_held: false, is_there: true }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) did: CompactString,
    db_id: CompactString,
    pub(crate) callid: CompactString,
    pub(crate) from_tag: CompactString,
    pub(crate) to_tag: CompactString,
    from_uri: CompactString,
    to_uri: CompactString,
    pub(crate) state: State,
    began: Time,
    was_confirmed: bool,
    pub(crate) caller: End,
    pub(crate) callee: End,
    /// Whether a transfer was ever tried: every further one is refused (the emptied value still counts).
    pub(crate) was_transferred: bool,
}

impl Dialog {
    pub(crate) fn end(&self, leg: Leg) -> &End {
        match leg {
            Leg::Caller => &self.caller,
            Leg::Callee => &self.callee,
        }
    }

    pub(crate) fn end_mut(&mut self, leg: Leg) -> &mut End {
        match leg {
            Leg::Caller => &mut self.caller,
            Leg::Callee => &mut self.callee,
        }
    }
}

/// What a new dialog is made from.
pub(crate) struct NewDialog {
    pub(crate) callid: CompactString,
    pub(crate) from_tag: CompactString,
    pub(crate) to_tag: CompactString,
    pub(crate) from_uri: CompactString,
    pub(crate) to_uri: CompactString,
    pub(crate) caller: End,
    pub(crate) callee: End,
}

/// All dialogs.
#[derive(Debug, Default)]
pub(crate) struct Dialogs {
    all: BTreeMap<u64, Dialog>,
    /// Oldest first, where several have one Call-ID.
    by_callid: HashMap<CompactString, Vec<u64>, ahash::RandomState>,
    by_did: HashMap<CompactString, u64, ahash::RandomState>,
    last: u64,
}

impl Dialogs {
    fn insert(&mut self, dialog: Dialog) -> u64 {
        self.last += 1;
        self.by_callid.entry(dialog.callid.clone()).or_default().push(self.last);
        self.by_did.insert(dialog.did.clone(), self.last);
        self.all.insert(self.last, dialog);
        self.last
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<Dialog> {
        let dialog = self.all.remove(&key)?;
        self.by_did.remove(&dialog.did);
        if let Some(keys) = self.by_callid.get_mut(&dialog.callid) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_callid.remove(&dialog.callid);
            }
        }
        Some(dialog)
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Dialog> {
        self.all.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut Dialog> {
        self.all.get_mut(&key)
    }

    /// The oldest dialog of this Call-ID that is not over.
    pub(crate) fn by_callid(&self, callid: &str) -> Option<u64> {
        self.by_callid.get(callid)?.iter().find(|key| self.is_alive(**key)).copied()
    }

    fn is_alive(&self, key: u64) -> bool {
        self.all.get(&key).is_some_and(|dialog| dialog.state < State::Deleted)
    }

    fn by_any(&self, name: &str) -> Option<u64> {
        self.by_callid(name).or_else(|| self.by_did.get(name).copied().filter(|key| self.is_alive(*key)))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.values().filter(|dialog| dialog.state < State::Deleted).count()
    }

    pub(crate) fn clear(&mut self) {
        let last = self.last;
        *self = Self { last, ..Self::default() };
    }

    pub(crate) fn callids(&self) -> impl Iterator<Item = &str> {
        let alive = self.all.values().filter(|dialog| dialog.state < State::Deleted);
        alive.map(|dialog| dialog.callid.as_str())
    }
}

#[derive(Serialize)]
struct StateChanged<'a> {
    id: &'a str,
    db_id: &'a str,
    callid: &'a str,
    from_tag: &'a str,
    to_tag: &'a str,
    old_state: u8,
    new_state: u8,
}

impl Sim {
    pub(crate) fn new_dialog(&mut self, now: Time, new: NewDialog) -> u64 {
        let number = self.chance.roll();
        let (entry, id) = (number >> 52, number as u32);
        let dialog = Dialog {
            did: format_compact!("{entry:x}.{id:08x}"),
            db_id: format_compact!("{}", entry << 32 | u64::from(id)),
            callid: new.callid,
            from_tag: new.from_tag,
            to_tag: new.to_tag,
            from_uri: new.from_uri,
            to_uri: new.to_uri,
            state: State::Unconfirmed,
            began: now,
            was_confirmed: false,
            caller: new.caller,
            callee: new.callee,
            was_transferred: false,
        };
        let key = self.dialogs.insert(dialog);
        self.agenda.put(now + self.config.dialog_timeout, Step::Dialog(key, State::Deleted));
        key
    }

    /// A dialog goes on to a state; back it never goes.
    pub(crate) fn set_state(&mut self, now: Time, key: u64, state: State) {
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        if dialog.state >= state {
            return;
        }
        let event = StateChanged {
            id: &dialog.did,
            db_id: &dialog.db_id,
            callid: &dialog.callid,
            from_tag: &dialog.from_tag,
            to_tag: &dialog.to_tag,
            old_state: dialog.state as u8,
            new_state: state as u8,
        };
        let params = serde_json::value::to_raw_value(&event).expect("plain data");
        let was_early = dialog.state < State::Unacknowledged;
        dialog.state = state;
        dialog.was_confirmed |= state == State::Unacknowledged || state == State::Confirmed;
        let callee = dialog.callee.user.clone();
        self.raise(now, EventName::DialogState, params);
        match state {
            // Its transaction keeps it for a while.
            State::Deleted if was_early => self.agenda.put(now + LINGERS, Step::Forget(key)),
            State::Deleted => drop(self.dialogs.remove(key)),
            State::Confirmed => {
                let phone = callee.and_then(|user| self.phones.get(&user));
                if let Some(after) = phone.and_then(|phone| phone.hangs_up_after) {
                    self.agenda.put(now + after, Step::Dialog(key, State::Deleted));
                }
            }
            State::Unconfirmed | State::Early | State::Unacknowledged => {}
        }
    }

    /// `dlg_end_dlg`
    pub(crate) fn end_dlg(&mut self, now: Time, params: &Params) -> Reply {
        let name = params.text("dialog_id");
        let Some(key) = self.dialogs.by_any(&name) else {
            return Reply::error(404, "Requested Dialog not found");
        };
        let dialog = self.dialogs.get(key).map(|dialog| (dialog.state, dialog.callid.clone()));
        if let Some((State::Unconfirmed | State::Early, callid)) = dialog {
            return self.cancel_early(now, key, &callid);
        }
        self.set_state(now, key, State::Deleted);
        if self.chance.percent(self.config.oddities.unsendable_bye) {
            return Reply::error(500, "Operation failed");
        }
        Reply::result(&"OK")
    }

    /// `dlg_list`
    pub(crate) fn dlg_list(&mut self, _now: Time, params: &Params) -> Reply {
        self.list(params, false)
    }

    /// `dlg_list_ctx`
    pub(crate) fn dlg_list_ctx(&mut self, _now: Time, params: &Params) -> Reply {
        self.list(params, true)
    }

    fn list(&self, params: &Params, with_context: bool) -> Reply {
        if !params.has("callid") {
            let dialogs = self.dialogs.all.values().map(|dialog| self.listed(dialog, with_context)).collect();
            return Reply::result(&AllDialogs { dialogs });
        }
        let tag = params.has("from_tag").then(|| params.text("from_tag"));
        let keys = self.dialogs.by_callid.get(params.text("callid").as_str());
        let dialogs = keys.into_iter().flatten().filter_map(|key| self.dialogs.get(*key));
        match dialogs.into_iter().find(|dialog| tag.as_ref().is_none_or(|tag| *tag == dialog.from_tag)) {
            Some(dialog) => Reply::result(&OneDialog { dialog: self.listed(dialog, with_context) }),
            None => Reply::error(404, "No such dialog"),
        }
    }

    fn listed<'a>(&'a self, dialog: &'a Dialog, with_context: bool) -> Listed<'a> {
        let proxy = format!("udp:{}", self.config.domain);
        let sdp = |end: &End| {
            let phone = end.user.as_ref().and_then(|user| self.phones.get(user));
            phone.map(|phone| phone.sdp(dialog.began.as_secs())).unwrap_or_default()
        };
        let end = dialog.began + self.config.dialog_timeout;
        let began = dialog.was_confirmed;
        let context = with_context.then(|| {
            let transfer = dialog.was_transferred.then_some("{\"call_transfer_leg\":\"\"}");
            let text = format!("{{\"values\":[{}],\"profiles\":[]}}", transfer.unwrap_or_default());
            RawValue::from_string(text).expect("JSON")
        });
        Listed {
            id: &dialog.did,
            db_id: &dialog.db_id,
            state: dialog.state as u8,
            user_flags: "",
            timestart: if began { dialog.began.as_secs() } else { 0 },
            datestart: began.then(|| date(dialog.began)),
            timeout: if began { end.as_secs() } else { 0 },
            dateout: began.then(|| date(end)),
            callid: &dialog.callid,
            from_uri: &dialog.from_uri,
            to_uri: &dialog.to_uri,
            caller_tag: &dialog.from_tag,
            caller_contact: &dialog.caller.contact,
            callee_cseq: "0",
            caller_route_set: "",
            caller_bind_addr: proxy.clone(),
            caller_sdp: sdp(&dialog.caller),
            callees: [Callee {
                callee_tag: &dialog.to_tag,
                callee_contact: &dialog.callee.contact,
                caller_cseq: "1",
                callee_route_set: "",
                callee_bind_addr: proxy,
                callee_sdp: sdp(&dialog.callee),
            }],
            context,
        }
    }
}

/// A time as OpenSIPS prints it, in UTC.
fn date(time: Time) -> String {
    let (days, rest) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Days since 1 March of the year 0, so that the leap day is a year's last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3_600, rest % 3_600 / 60, rest % 60)
}

#[derive(Serialize)]
struct OneDialog<'a> {
    #[serde(rename = "Dialog")]
    dialog: Listed<'a>,
}

#[derive(Serialize)]
struct AllDialogs<'a> {
    #[serde(rename = "Dialogs")]
    dialogs: Vec<Listed<'a>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    db_id: &'a str,
    state: u8,
    user_flags: &'a str,
    timestart: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    datestart: Option<String>,
    timeout: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dateout: Option<String>,
    callid: &'a str,
    from_uri: &'a str,
    to_uri: &'a str,
    caller_tag: &'a str,
    caller_contact: &'a str,
    callee_cseq: &'a str,
    caller_route_set: &'a str,
    caller_bind_addr: String,
    caller_sdp: String,
    #[serde(rename = "CALLEES")]
    callees: [Callee<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Callee<'a> {
    callee_tag: &'a str,
    callee_contact: &'a str,
    caller_cseq: &'a str,
    callee_route_set: &'a str,
    callee_bind_addr: String,
    callee_sdp: String,
}
