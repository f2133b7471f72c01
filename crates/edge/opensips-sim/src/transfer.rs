//! `call_transfer`: REFER, and what the referred phone and its new call do afterwards.
//!
//! ```text
//! MI Accepted ── REFER ──┬─ refused or ignored: nothing, ever
//!                        └─ new INVITE: start ── notify* ──┬─ ok ──── notify (leg null)
//!                                                          └─ fail ── notify (the truth)
//! ```

use std::time::Duration;

use compact_str::{CompactString, format_compact};
use serde::Serialize;

use crate::dialog::{End, Leg, NewDialog, State};
use crate::evi::EventName;
use crate::mi::{Params, Reply};
use crate::phone::{Answer, Make, Reaction, status};
use crate::uac::Fate;
use crate::{Sim, Step, Time, Version};

/// How long a scripted phone waits before it repeats a NOTIFY that was not accepted.
const NOTIFY_AGAIN: Duration = Duration::from_secs(1);

/// After how many hops the ACK of a phone has come: the call is answered, and cannot be held before.
const ACK_HOPS: u32 = 5;

/// How long baresip stays in its first call after the REFER.
const BARESIP_LEAVES: Duration = Duration::from_millis(4);

/// How long a phone stays in a call that has been replaced.
const REPLACED_LEAVES: Duration = Duration::from_millis(48);

/// A phone that was referred and now calls.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    dialog: u64,
    callid: CompactString,
    leg: Leg,
    /// The dialog whose party is called, in an attended transfer.
    other: Option<(u64, CompactString, Leg)>,
    transferee: CompactString,
    make: Make,
    new_callid: CompactString,
    /// What the phone calls, as the REFER says, and with the match parameter in a blind transfer.
    uri: CompactString,
    is_mute: bool,
}

/// The new call of a phone that was referred, until it has come to an end or been answered.
#[derive(Clone, Debug)]
pub(crate) struct NewCall {
    transfer: Transfer,
    /// The contact that it reached, or what was dialled.
    destination: CompactString,
    /// The same if it fails.
    failed_at: CompactString,
    /// What its party says when it answers.
    ok: &'static str,
}

/// What an event says, but for the name of the new call.
struct Word<'a> {
    callid: &'a str,
    leg: Option<&'a str>,
    destination: &'a str,
    state: &'a str,
    status: &'a str,
}

#[derive(Serialize)]
struct TransferEvent<'a> {
    callid: &'a str,
    leg: Option<&'a str>,
    transfer_callid: &'a str,
    destination: &'a str,
    state: &'a str,
    status: &'a str,
}

impl Sim {
    /// `call_transfer`
    pub(crate) fn call_transfer(&mut self, now: Time, params: &Params) -> Reply {
        if params.has("transfer_fromtag") {
            return Reply::server_error("Failed to handle parameter");
        }
        let Some(leg) = Leg::of(&params.text("leg")) else {
            return Reply::server_error("Failed to handle parameter");
        };
        let other = if params.has("transfer_callid") {
            let Some(other_leg) = Leg::of(&params.text("transfer_leg")) else {
                return Reply::server_error("Failed to handle parameter");
            };
            let callid = params.text("transfer_callid");
            let Some(key) = self.dialogs.by_callid(&callid) else {
                return Reply::error(404, "Transfer dialog not found");
            };
            Some((key, callid, other_leg))
        } else {
            None
        };
        let callid = params.text("callid");
        let Some(key) = self.dialogs.by_callid(&callid) else {
            return Reply::error(404, "Dialog not found");
        };
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return Reply::error(404, "Dialog not found");
        };
        if dialog.state < State::Unacknowledged {
            return Reply::server_error("Command handler returned null");
        }
        if std::mem::replace(&mut dialog.was_transferred, true) {
            return Reply::error(491, "Request Pending");
        }
        let end = dialog.end(leg).clone();
        let did = dialog.did.clone();
        let uri = match &other {
            None => format_compact!("{};osid={did}", params.text("destination")),
            Some((key, ..)) if !params.has("destination") => {
                let (other_key, other_leg) = (*key, other.as_ref().map_or(Leg::Callee, |other| other.2));
                self.dialogs.get(other_key).map(|dialog| dialog.end(other_leg).contact.clone()).unwrap_or_default()
            }
            Some(_) => params.text("destination"),
        };
        if let Some((other_key, ..)) = &other
            && let Some(dialog) = self.dialogs.get_mut(*other_key)
        {
            dialog.was_transferred = true;
        }
        let Some((user, phone)) = end.user.filter(|_| end.is_there).and_then(|user| self.phones.get_key_value(&user))
        else {
            return Reply::result(&"Accepted");
        };
        if phone.refer == Reaction::Accepts {
            let (make, transferee) = (phone.make, user.clone());
            let host = phone.host().split(':').next().unwrap_or_default().to_owned();
            let new_callid = match make {
                Make::Baresip => CompactString::from(self.chance.hex(16)),
                Make::Scripted => format_compact!("{}@{host}", self.chance.hex(12)),
            };
            let is_mute = self.chance.percent(self.config.oddities.mute_transfer);
            let transfer = Transfer { dialog: key, callid, leg, other, transferee, make, new_callid, uri, is_mute };
            self.agenda.put(now + self.config.hop * 3, Step::Calls(Box::new(transfer)));
        }
        Reply::result(&"Accepted")
    }

    /// The referred phone's new INVITE has arrived.
    pub(crate) fn transfer_calls(&mut self, now: Time, transfer: &Transfer) {
        let user = match &transfer.other {
            Some((key, _, leg)) => self.dialogs.get(*key).and_then(|dialog| dialog.end(*leg).user.clone()),
            None => self.user_at(&transfer.uri),
        };
        let plain = transfer.uri.split(";osid=").next().unwrap_or_default();
        let contact = user.as_ref().and_then(|user| self.phones.get(user)).map(|phone| phone.contact.clone());
        let start_at = contact.clone().unwrap_or_else(|| plain.into());
        self.raise_start(now, transfer, &start_at);
        let new = NewDialog {
            callid: transfer.new_callid.clone(),
            from_tag: self.chance.hex(12).into(),
            to_tag: self.chance.hex(12).into(),
            from_uri: format_compact!("sip:{}@{}", transfer.transferee, self.config.domain),
            // With the match parameter, for as long as the dialog lives.
            to_uri: transfer.uri.clone(),
            caller: End::of(
                Some(transfer.transferee.clone()),
                self.phones.get(&transfer.transferee).map(|phone| phone.contact.clone()).unwrap_or_default(),
            ),
            callee: End::of(user.clone(), start_at.clone()),
        };
        let key = self.new_dialog(now, new);
        let phone = user.as_ref().and_then(|user| self.phones.get(user));
        let mut fates = self.fates(&transfer.uri, phone);
        let ok = phone.map_or("200 OK", |phone| phone.ok());
        if transfer.other.is_some()
            && let Some(phone) = phone
        {
            // A call that replaces another is taken without ringing.
            let fate = match phone.answer {
                Answer::Refuses(code, _) => Fate::Refused(code),
                Answer::After(_) | Answer::Rings | Answer::Silent => Fate::Answered,
            };
            fates = vec![(self.config.hop * 4, fate)];
        }
        let failed_at = if contact.is_some() { start_at.clone() } else { transfer.uri.clone() };
        let end = fates.last().map_or(now, |(after, _)| now + *after);
        self.first_notify(now, transfer, end);
        let call = NewCall { transfer: transfer.clone(), destination: start_at, failed_at, ok };
        self.new_calls.insert(key, call);
        for (after, fate) in fates {
            self.agenda.put(now + after, Step::NewCall(key, fate));
        }
        if transfer.make == Make::Baresip {
            self.agenda.put(now + BARESIP_LEAVES, Step::Dialog(transfer.dialog, State::Deleted));
        }
    }

    fn raise_start(&mut self, now: Time, transfer: &Transfer, destination: &str) {
        let callid = transfer.callid.as_str();
        let word = |callid, leg| Word { callid, leg: Some(leg), destination, state: "start", status: "" };
        match &transfer.other {
            // The name of the leg is read from where the new Call-ID stands by then; not so in 3.1.
            None if self.config.version == Version::V3_1 => {
                self.raise_transfer(now, transfer, &word(callid, transfer.leg.name()));
            }
            None => self.raise_transfer(now, transfer, &word(callid, &transfer.new_callid)),
            Some((_, other, leg)) => {
                self.raise_transfer(now, transfer, &word(callid, transfer.leg.name()));
                self.raise_transfer(now, transfer, &word(other, leg.name()));
            }
        }
    }

    /// The phone's `100 Trying`, which may come before OpenSIPS knows of the new call.
    fn first_notify(&mut self, now: Time, transfer: &Transfer, end: Time) {
        if transfer.make == Make::Baresip {
            return;
        }
        let is_early = self.chance.percent(self.config.oddities.early_notify);
        let at = if is_early { now + NOTIFY_AGAIN } else { now + self.config.hop };
        self.notify(at, transfer, "100 Trying", at > end);
    }

    /// One thing that the new call of a referred phone does.
    pub(crate) fn new_call_goes_on(&mut self, at: Time, key: u64, fate: Fate) {
        let hop = self.config.hop;
        let is_last = !matches!(fate, Fate::Rings);
        let call = if is_last { self.new_calls.remove(&key) } else { self.new_calls.get(&key).cloned() };
        let Some(NewCall { transfer, destination, failed_at, ok }) = call else {
            return;
        };
        let is_scripted = transfer.make == Make::Scripted;
        let is_over = self.dialogs.get(key).is_none_or(|dialog| dialog.state == State::Deleted);
        let fate = if is_over { Fate::Refused(487) } else { fate };
        match fate {
            Fate::Rings => {
                self.set_state(at, key, State::Early);
                if is_scripted {
                    self.notify(at + hop, &transfer, "180 Ringing", false);
                }
            }
            Fate::Answered => {
                self.set_state(at, key, State::Unacknowledged);
                self.agenda.put(at + hop * ACK_HOPS, Step::Dialog(key, State::Confirmed));
                self.raise_end(at, &transfer, &destination, "ok", ok);
                if let Some((other, ..)) = &transfer.other {
                    self.agenda.put(at + REPLACED_LEAVES, Step::Dialog(*other, State::Deleted));
                }
                if is_scripted {
                    self.notify(at + hop * 2, &transfer, ok, true);
                }
            }
            Fate::Refused(_) | Fate::Rejected(_) | Fate::TimedOut => {
                let truth = match fate {
                    Fate::Refused(code) | Fate::Rejected(code) => status(code),
                    Fate::TimedOut | Fate::Rings | Fate::Answered => status(408),
                };
                // An answer that the script made itself is not seen as one.
                let seen = if matches!(fate, Fate::Rejected(_)) { status(408) } else { truth.clone() };
                self.set_state(at, key, State::Deleted);
                self.raise_end(at, &transfer, &failed_at, "fail", &seen);
                if is_scripted {
                    self.notify(at + hop, &transfer, &truth, false);
                }
            }
        }
    }

    fn raise_end(&mut self, at: Time, transfer: &Transfer, destination: &str, state: &'static str, status: &str) {
        let word = |callid, leg| Word { callid, leg: Some(leg), destination, state, status };
        let own = word(&transfer.callid, transfer.leg.name());
        match &transfer.other {
            None => self.raise_transfer(at, transfer, &own),
            Some((_, callid, leg)) => {
                // The one whose party was replaced usually comes first.
                self.raise_transfer(at, transfer, &word(callid, leg.name()));
                self.raise_transfer(at + self.config.hop, transfer, &own);
            }
        }
    }

    fn notify(&mut self, at: Time, transfer: &Transfer, status: &str, is_late: bool) {
        let is_null = is_late && self.chance.percent(self.config.oddities.null_leg);
        let leg = (!is_null).then(|| transfer.leg.name());
        let word = Word { callid: &transfer.callid, leg, destination: "", state: "notify", status };
        self.raise_transfer(at, transfer, &word);
    }

    fn raise_transfer(&mut self, at: Time, transfer: &Transfer, word: &Word<'_>) {
        if transfer.is_mute {
            return;
        }
        let Word { callid, leg, destination, state, status } = *word;
        let is_unknown = self.chance.percent(self.config.oddities.unknown_names);
        let (leg, transfer_callid) =
            if is_unknown { (Some("unknown"), "unknown") } else { (leg, transfer.new_callid.as_str()) };
        let event = TransferEvent { callid, leg, transfer_callid, destination, state, status };
        let params = serde_json::value::to_raw_value(&event).expect("plain data");
        self.raise(at, EventName::Transfer, params);
    }

    /// Two phones call each other, without any command.
    pub(crate) fn phones_call(&mut self, now: Time, callid: &str, caller: &str, callee: &str) {
        let uri = |user: &str| format_compact!("sip:{user}@{}", self.config.domain);
        let (from_uri, to_uri) = (uri(caller), uri(callee));
        let contact = |user: &str| self.phones.get(user).map(|phone| phone.contact.clone()).unwrap_or_default();
        let new = NewDialog {
            callid: callid.into(),
            caller: End::of(Some(caller.into()), contact(caller)),
            callee: End::of(Some(callee.into()), contact(callee)),
            from_tag: self.chance.hex(12).into(),
            to_tag: self.chance.hex(12).into(),
            from_uri,
            to_uri: to_uri.clone(),
        };
        let key = self.new_dialog(now, new);
        let user = self.user_at(&to_uri);
        let fates = self.fates(&to_uri, user.as_ref().and_then(|user| self.phones.get(user)));
        for (after, fate) in fates {
            let state = match fate {
                Fate::Rings => State::Early,
                Fate::Answered => State::Unacknowledged,
                Fate::Refused(_) | Fate::Rejected(_) | Fate::TimedOut => State::Deleted,
            };
            self.agenda.put(now + after, Step::Dialog(key, state));
            if state == State::Unacknowledged {
                self.agenda.put(now + after + self.config.hop * ACK_HOPS, Step::Dialog(key, State::Confirmed));
            }
        }
    }
}
