//! What a switchboard of ours says and hears beyond what project-mediaswitch has. A controller is one if the path of its URL
//! begins with [`SWITCHBOARD`].
//!
//! Its events have two members more: [`News`], so that it need not find out by comparing documents what has happened, and with
//! the first of a call that comes in the [`Party`]. It hears which [`Phone`]s a user has. It calls parties by a name of its own
//! choice, with a `party` too, which may name some phones of a user and not the others, and has commands of its own:
//!
//! | request | what |
//! |---|---|
//! | `PUT /dialog/refuse` | a change of the session is refused |
//! | `PUT /dialog/withdraw` | a change of ours is taken back |
//! | `PUT /dialog/refer` | the party is asked to call somebody else |
//! | `PUT /dialog/focus` | the party talks with a conference, or not any more |
//! | `PUT /dialog/probe` | is the party still there? |
//! | `GET /dialog/list` | the dialogs of switchboards |

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{
    Address, Alerting, CallId, Cause, Dial, Digit, Diversion, Fault, Identity, Incoming, Kind, LegId, MAX_ADDRESS, Op,
    Report,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::body;
use crate::command::{MAX_ALERT_INFO, Response};
use crate::record::{Change, Record, Stage};
use crate::registered::Phone;
use crate::{Dialogs, Output};

/// What the path of a switchboard's URL begins with.
pub const SWITCHBOARD: &str = "/sip-node/";

/// Most header fields that a command brings along.
const MAX_NOTES: usize = 16;

/// Who calls and who is called, as far as the dialog's own members do not say it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// The whole address of the caller.
    pub from: CompactString,
    /// The whole address that is called.
    pub to: CompactString,
    /// The display name of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// Who it is on the word of somebody trusted (RFC 3325).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asserted: Option<Address>,
    /// It wishes to stay unknown to whoever is called (RFC 3323).
    pub private: bool,
    /// Who was to be called before, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diversions: Vec<Diversion>,
    /// Which ringing tone (Alert-Info).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tone: Option<CompactString>,
    /// The phone shall answer by itself after so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_after: Option<u16>,
    /// On whose behalf the party calls, or is called (Referred-By).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<Address>,
    /// Of a party that wants to take over a dialog: only if that is not answered yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub early_only: bool,
    /// Of a party that is called: it need not be an address of ours. What a phone has dialled must be, or have a route.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anywhere: bool,
    /// Of a user who is called: only these phones, for the others are called elsewhere. All of them where none are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<Phone>,
}

impl Party {
    /// Of a party that calls.
    #[must_use]
    pub fn of(incoming: &Incoming) -> Self {
        let Incoming { from, to, identity, diversions, alerting, referred_by, replaces, .. } = incoming;
        let mut party = Self { early_only: replaces.is_some_and(|replaces| replaces.early_only), ..Self::default() };
        party.tell(from, to, identity, alerting);
        (party.diversions, party.referred_by) = (diversions.clone(), referred_by.clone());
        party
    }

    /// Of a party that is to be called.
    #[must_use]
    pub fn to_call(dial: &Dial, anywhere: bool) -> Self {
        let mut party = Self { anywhere, ..Self::default() };
        party.tell(&dial.from, &dial.to, &dial.identity, &dial.alerting);
        (party.diversions, party.referred_by) = (dial.diversions.clone(), dial.referred_by.clone());
        party
    }

    fn tell(&mut self, from: &Address, to: &Address, identity: &Identity, alerting: &Alerting) {
        (self.from, self.to) = (from.0.clone(), to.0.clone());
        self.display = identity.display.as_ref().map(|name| String::from_utf8_lossy(name).into_owned());
        self.asserted.clone_from(&identity.asserted);
        self.private = identity.private;
        (self.tone, self.answer_after) = (alerting.tone.clone(), alerting.answer_after);
    }

    /// What is shown of the caller.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let display = self.display.as_ref().map(|name| name.as_bytes().into());
        Identity { display, asserted: self.asserted.clone(), private: self.private }
    }

    /// How the called party is alerted.
    #[must_use]
    pub fn alerting(&self) -> Alerting {
        Alerting { tone: self.tone.clone(), answer_after: self.answer_after }
    }
}

/// What has happened to a dialog, beside the document of how it is now. `described`: `sdp.them` came with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum News {
    /// A party calls.
    Arrived {
        /// With an offer.
        described: bool,
    },
    /// A called party reports progress.
    Progress {
        /// 101-199.
        status: u16,
        /// The phrase.
        text: CompactString,
        /// It is heard already.
        described: bool,
    },
    /// A called party names others that are to be called in its place; the end follows.
    Redirected {
        /// Whom, best first.
        to: Vec<Address>,
    },
    /// A called party has answered.
    Answered {
        /// With an answer to our offer, or where there was none with its own.
        described: bool,
    },
    /// A party has acknowledged our answer.
    Confirmed {
        /// With its answer to our offer.
        described: bool,
    },
    /// A party wants to change its session.
    Reoffered {
        /// Else it asks for our offer.
        described: bool,
    },
    /// It takes that back, or nobody has answered it in time.
    Withdrawn,
    /// A party has agreed to our change.
    Reaccepted {
        /// With its answer, or its offer where it was asked for one.
        described: bool,
    },
    /// A party refuses our change: its session is as it was.
    Refused {
        /// Why.
        cause: Cause,
    },
    /// A party asks for a transfer, which the member `refer` describes.
    ReferAsked {
        /// On whose behalf.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<Address>,
    },
    /// Whether a party calls whom it was asked to call.
    ReferAnswered {
        /// Why not.
        #[serde(skip_serializing_if = "Option::is_none")]
        refused: Option<Cause>,
    },
    /// How far it has come with that.
    ReferProgress {
        /// 100-699; from 200 it is the last word.
        status: u16,
        /// The phrase.
        text: CompactString,
    },
    /// A party has pressed a key, told by INFO.
    Digit {
        /// Which.
        key: char,
        /// How long, in milliseconds.
        milliseconds: u64,
    },
    /// The end.
    Ended {
        /// Why.
        cause: Cause,
    },
}

/// Whether that is the URL of a switchboard.
pub(crate) fn is_switchboard(control: &str) -> bool {
    let rest = control.split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').is_some_and(|path| rest[path..].starts_with(SWITCHBOARD))
}

/// The member `cause`, or what `code` and `reason` say.
pub(crate) fn cause(body: &Map<String, Value>, default: u16) -> Result<Cause, Response> {
    if let Some(cause) = body.get("cause") {
        let read = Cause::deserialize(cause);
        return read.map_err(|error| Response::failed(400, &format!("cause: {error}"), "cause"));
    }
    let code = body::number(body.get("code"), "code")?.unwrap_or(default);
    let reason = body::line(body.get("reason"), "reason", MAX_ALERT_INFO)?.unwrap_or_default();
    if !(400..700).contains(&code) {
        return Err(Response::failed(400, "code must be from 400 to 699", "code"));
    }
    // That we can take no call at all is the one thing that is only true of ourselves.
    let fault = if code == 503 { Fault::Server } else { Fault::Controller };
    Ok(Cause { fault, ..Cause::from_status(code, &reason) })
}

/// Header fields to go with a command: a list of pairs.
pub(crate) fn notes(body: &Map<String, Value>) -> Result<hookswitch_call::Notes, Response> {
    let Some(notes) = body.get("notes") else { return Ok(hookswitch_call::Notes::default()) };
    let bad = || Response::failed(400, "notes must be at most 16 pairs of a name and a value", "notes");
    let notes = hookswitch_call::Notes::deserialize(notes).map_err(|_| bad())?;
    let fits = |text: &str| text.len() <= MAX_ADDRESS && !text.chars().any(char::is_control);
    match notes.0.len() <= MAX_NOTES && notes.0.iter().all(|(name, value)| fits(name) && fits(value)) {
        true => Ok(notes),
        false => Err(bad()),
    }
}

fn address(body: &Map<String, Value>, place: &str) -> Result<Option<Address>, Response> {
    Ok(body::line(body.get(place), place, MAX_ADDRESS)?.map(Address))
}

impl Record {
    /// Whether its controller is a switchboard.
    #[must_use]
    pub fn is_of_switchboard(&self) -> bool {
        self.control.as_deref().is_some_and(is_switchboard)
    }
}

impl Dialogs {
    /// The dialogs of switchboards that are not over: names and controllers.
    pub(crate) fn list(&self) -> Response {
        let live = self.records.values().filter(|record| !record.hangup && record.is_of_switchboard());
        let mut shown: Vec<Value> =
            live.map(|record| json!({ "callid": record.callid, "control": record.control })).collect();
        shown.sort_by(|one, other| one["callid"].as_str().cmp(&other["callid"].as_str()));
        Response::json(&json!({ "dialogs": shown }))
    }

    /// A command of a switchboard; none of those are known of other names.
    pub(crate) fn more(&mut self, call: CallId, action: &str, body: &Map<String, Value>) -> Result<(), Response> {
        let Some(record) = self.records.get_mut(&call) else { return Ok(()) };
        let leg = record.leg;
        match action {
            "refuse" => {
                let cause = cause(body, 488)?;
                if !matches!(record.change, Change::Theirs(..)) {
                    return Err(Response::failed(409, "the party has not asked for a change", "callid"));
                }
                self.as_before(call);
                self.wait(call, None);
                self.out.push_back(Output::Op(Op::Reanswer { call, leg, sdp: Err(cause) }));
            }
            "withdraw" if matches!(record.change, Change::Ours(_)) => {
                self.out.push_back(Output::Op(Op::Withdraw { call, leg }));
            }
            "withdraw" => return Err(Response::failed(409, "no change of ours is under way", "callid")),
            "focus" => {
                let on = body.get("on").and_then(Value::as_bool);
                let on = on.ok_or_else(|| Response::failed(400, "on must be true or false", "on"))?;
                self.out.push_back(Output::Op(Op::Focus { call, leg, on }));
            }
            "probe" if matches!(record.stage, Stage::Ack | Stage::Talking) => {
                self.out.push_back(Output::Op(Op::Probe { call, leg }));
            }
            "probe" => return Err(Response::failed(409, "the call is not answered", "callid")),
            _ => return self.refer(call, body),
        }
        Ok(())
    }

    /// The party is asked to call somebody else (REFER).
    fn refer(&mut self, call: CallId, body: &Map<String, Value>) -> Result<(), Response> {
        let to = address(body, "to")?.ok_or_else(|| Response::failed(400, "to is required", "to"))?;
        let by = address(body, "by")?;
        let replaces = match body.get("replaces") {
            None | Some(Value::Null) => None,
            Some(callid) => {
                let other = callid.as_str().and_then(|callid| self.by_callid(callid)).filter(|other| !other.hangup);
                let other = other.ok_or_else(|| Response::failed(404, "Not found", "replaces"))?;
                Some((other.call, other.leg))
            }
        };
        let Some(Record { leg, stage, .. }) = self.records.get(&call) else { return Ok(()) };
        if !matches!(stage, Stage::Ack | Stage::Talking) {
            return Err(Response::failed(409, "the call is not answered", "callid"));
        }
        self.out.push_back(Output::Op(Op::Refer { call, leg: *leg, to, replaces, by }));
        Ok(())
    }

    /// Ends a dialog for exactly this cause, which its party is told.
    pub(crate) fn end_for(&mut self, call: CallId, cause: &Cause) {
        let Some(record) = self.records.get_mut(&call) else { return };
        match (record.stage, record.calling.as_deref_mut()) {
            (Stage::Over, _) => {}
            (Stage::Located(request), _) => {
                self.refuse(request, cause);
                self.forget(call);
            }
            (Stage::Calling, Some(calling)) => {
                calling.places.clear();
                for leg in calling.legs.clone() {
                    self.out.push_back(Output::Op(Op::Hangup { call, leg, cause: cause.clone() }));
                }
            }
            (
                Stage::Calling | Stage::Taking | Stage::Deciding | Stage::Ack | Stage::Description | Stage::Talking,
                _,
            ) => {
                let op = Op::Hangup { call, leg: record.leg, cause: cause.clone() };
                self.out.push_back(Output::Op(op));
            }
        }
    }

    /// What only switchboards hear of.
    pub(crate) fn detail(&mut self, now: hookswitch_call::Time, report: Report) {
        let (call, leg, news) = match report {
            Report::Redirected { call, leg, to } => (call, leg, News::Redirected { to }),
            Report::ReferAnswered { call, leg, result } => (call, leg, News::ReferAnswered { refused: result.err() }),
            Report::ReferProgress { call, leg, status, text } => (call, leg, News::ReferProgress { status, text }),
            Report::Digit { call, leg, digit: Digit { key, time } } => {
                (call, leg, News::Digit { key, milliseconds: millis(time) })
            }
            // Everybody hears of those, or nobody.
            Report::Incoming(_)
            | Report::Located { .. }
            | Report::Dialed { .. }
            | Report::Progress { .. }
            | Report::Answered { .. }
            | Report::Confirmed { .. }
            | Report::Reoffered { .. }
            | Report::Withdrawn { .. }
            | Report::Reaccepted { .. }
            | Report::ReferAsked { .. }
            | Report::Brought { .. }
            | Report::Delivered { .. }
            | Report::Ended { .. } => return,
        };
        let of_switchboard = |record: &Record| record.is_of_switchboard() && !record.hangup && is_of(record, leg);
        if self.records.get(&call).is_some_and(of_switchboard) {
            self.tell(now, call, news);
        }
    }

    /// The controller of a dialog does not know it, or has not been heard of for too long: nobody is left who could end it.
    pub(crate) fn abandoned(&mut self, call: CallId) {
        let Some(record) = self.records.get_mut(&call).filter(|record| record.is_of_switchboard()) else { return };
        record.control = None;
        self.outbox.forget(&crate::outbox::Lane::Dialog(call));
        self.end_for(call, &Cause::new(Kind::Unreachable, Fault::Server).with_text("Controller Lost"));
    }
}

/// Whether a leg is the one that counts, or rings for it.
fn is_of(record: &Record, leg: LegId) -> bool {
    record.leg == leg || record.calling.as_ref().is_some_and(|calling| calling.legs.contains(&leg))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
