//! What the switchboard wants of legs, as requests.

use compact_str::CompactString;
use hookswitch_call::{CallId, Cause, Dial, Fault, Kind, LegId, Op, Report, Sdp};
use hookswitch_mediaswitch::Party;
use serde_json::{Map, Value, json};

use super::answered::{Sent, Tag};
use super::{Lane, Leg, Legs, MAX_LEGS, locate};

/// What carries legs over HTTP cannot do, as a party or a command is told.
fn unsupported() -> Cause {
    Cause::new(Kind::Unsupported, Fault::Server)
}

/// The body of a command: what it says of the leg of this name.
fn about(callid: &str, sdp: Option<&Sdp>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("callid".to_owned(), callid.into());
    // The empty description is none at all.
    if let Some(sdp) = sdp.filter(|sdp| !sdp.0.is_empty()) {
        body.insert("sdp".to_owned(), (*sdp.0).into());
    }
    body
}

impl Legs {
    /// Carries out what can be said to a node; reports at once what cannot.
    pub(super) fn order(&mut self, op: Op) {
        match op {
            Op::Adopt { handle, call, leg } => self.adopt(handle, (call, leg)),
            Op::Refuse { handle, cause } => self.refuse(handle, &cause),
            // The directory is asked for that first, by whoever has it: see `locate.rs`.
            Op::Locate { call, .. } => drop(self.sought.remove(&call)),
            Op::Dial { call, leg, dial } => self.dial((call, leg), &dial),
            Op::Ring { call, leg, status, sdp } => {
                self.command(
                    (call, leg),
                    "ring",
                    Sent::Plain,
                    |body| drop(body.insert("status".into(), status.into())),
                    sdp.as_ref(),
                );
            }
            Op::Answer { call, leg, sdp } => self.command((call, leg), "answer", Sent::Plain, |_| {}, Some(&sdp)),
            // The node has acknowledged an answer to our offer by itself.
            Op::Confirm { sdp: None, .. } => {}
            Op::Confirm { call, leg, sdp } => self.command((call, leg), "ok", Sent::Plain, |_| {}, sdp.as_ref()),
            Op::Reanswer { call, leg, sdp: Ok(sdp) } => {
                self.command((call, leg), "ok", Sent::Answer, |_| {}, Some(&sdp))
            }
            Op::Reanswer { call, leg, sdp: Err(cause) } => {
                self.command(
                    (call, leg),
                    "refuse",
                    Sent::Answer,
                    |body| drop(body.insert("cause".into(), json!(cause))),
                    None,
                );
            }
            Op::Reoffer { call, leg, sdp, notes } => {
                let more = |body: &mut Map<String, Value>| drop(body.insert("notes".into(), json!(notes)));
                self.command((call, leg), "invite", Sent::Change, more, sdp.as_ref());
            }
            Op::Withdraw { call, leg } => self.command((call, leg), "withdraw", Sent::Perhaps, |_| {}, None),
            Op::Refer { call, leg, to, replaces, by } => {
                self.refer((call, leg), json!({ "to": to, "by": by }), replaces)
            }
            Op::AnswerRefer { call, leg, result } => self.answer_refer((call, leg), result),
            Op::TellRefer { call, leg, status, text } => self.tell_refer((call, leg), status, &text),
            Op::Deliver { call, leg, receipt, .. } => {
                self.reports.push_back(Report::Delivered { call, leg, receipt, status: unsupported().code });
            }
            // Nothing is ever brought by a node.
            Op::Receipt { .. } => {}
            Op::Move { from, to } => self.rename(from, to),
            Op::Focus { call, leg, on } => {
                self.command(
                    (call, leg),
                    "focus",
                    Sent::Perhaps,
                    |body| drop(body.insert("on".into(), on.into())),
                    None,
                );
            }
            Op::Probe { call, leg } => self.command((call, leg), "probe", Sent::Perhaps, |_| {}, None),
            Op::Hangup { call, leg, cause } => {
                if let Some(callid) = self.names.get(&(call, leg)).cloned() {
                    self.hang_up(&callid, &cause);
                }
            }
        }
    }

    fn refuse(&mut self, handle: hookswitch_call::Handle, cause: &Cause) {
        let Some(callid) = self.arrived.remove(&handle) else { return };
        self.hang_up(&callid, cause);
        // Nobody here hears of its end.
        self.forget(&callid);
    }

    fn adopt(&mut self, handle: hookswitch_call::Handle, name: (CallId, LegId)) {
        let Some(callid) = self.arrived.remove(&handle) else {
            // Its node was lost, or it has given up, before it had a name.
            let cause = Cause::new(Kind::Cancelled, Fault::Peer);
            return self.reports.push_back(Report::Ended { call: name.0, leg: name.1, cause });
        };
        if let Some(leg) = self.legs.get_mut(&callid) {
            (leg.handle, leg.name) = (None, Some(name));
            self.names.insert(name, callid);
        }
    }

    fn dial(&mut self, name: (CallId, LegId), dial: &Dial) {
        let refused = |kind, text| Report::Ended {
            call: name.0,
            leg: name.1,
            cause: Cause::new(kind, Fault::Server).with_text(text),
        };
        let Some((node, anywhere)) = locate::node_of(dial.target.via).filter(|(node, _)| self.places.is_there(*node))
        else {
            return self.reports.push_back(refused(Kind::Overloaded, "Node Lost"));
        };
        if self.legs.len() >= MAX_LEGS {
            return self.reports.push_back(refused(Kind::Overloaded, "Too Many Legs"));
        }
        let wanted = dial.wire_id.clone().filter(|callid| !self.legs.contains_key(callid));
        let callid = wanted.unwrap_or_else(|| self.new_callid());
        // The target is whom the node is to find; whom the party reads to be called may be somebody else.
        let phones = self.phones_at(node, &dial.target.address.0);
        let party = Party { to: dial.target.address.0.clone(), phones, ..Party::to_call(dial, anywhere) };
        let mut body = about(&callid, dial.offer.as_ref());
        body.insert("maxforwards".into(), dial.hops.into());
        body.insert("control".into(), self.control_of(node).as_str().into());
        body.insert("party".into(), json!(party));
        let leg = Leg { node, name: Some(name), handle: None, seq: 0, dialed: false };
        self.enter(callid.clone(), leg);
        self.names.insert(name, callid.clone());
        let sent = self.orders.push(
            &Lane::Leg(callid.clone()),
            (node, "POST"),
            "/dialog/invite".into(),
            Value::Object(body).to_string(),
            Tag::Dial,
        );
        if sent.is_err() {
            self.ended(&callid, Cause::new(Kind::Overloaded, Fault::Server));
        }
    }

    /// A command about a leg. One that is gone needs none.
    fn command(
        &mut self,
        name: (CallId, LegId),
        action: &'static str,
        sent: Sent,
        more: impl FnOnce(&mut Map<String, Value>),
        sdp: Option<&Sdp>,
    ) {
        let Some(callid) = self.names.get(&name).cloned() else { return };
        let mut body = about(&callid, sdp);
        more(&mut body);
        self.send(&callid, action, sent, body);
    }

    fn send(&mut self, callid: &CompactString, action: &'static str, sent: Sent, body: Map<String, Value>) {
        let Some(node) = self.legs.get(callid).map(|leg| leg.node) else { return };
        let lane = Lane::Leg(callid.clone());
        let path = format!("/dialog/{action}");
        if self.orders.push(&lane, (node, "PUT"), path, Value::Object(body).to_string(), Tag::Command(sent)).is_err() {
            self.broken(callid, "Too Many Requests");
        }
    }

    pub(super) fn hang_up(&mut self, callid: &CompactString, cause: &Cause) {
        let mut body = about(callid, None);
        body.insert("cause".into(), json!(cause));
        self.send(callid, "hangup", Sent::Hangup, body);
    }

    fn refer(&mut self, (call, leg): (CallId, LegId), body: Value, replaces: Option<(CallId, LegId)>) {
        let node = |name| self.legs.get(self.names.get(&name)?).map(|leg| leg.node);
        let other = replaces.and_then(|other| self.names.get(&other).cloned());
        // A leg is replaced by whoever has it.
        if replaces.is_some_and(|other| node(other) != node((call, leg))) {
            let result = Err(unsupported().with_text("The Legs Are On Different Nodes"));
            return self.reports.push_back(Report::ReferAnswered { call, leg, result });
        }
        let more = |into: &mut Map<String, Value>| {
            if let Value::Object(body) = body {
                into.extend(body.into_iter().filter(|(_, value)| !value.is_null()));
            }
            if let Some(other) = other {
                into.insert("replaces".into(), other.as_str().into());
            }
        };
        self.command((call, leg), "refer", Sent::Refer, more, None);
    }

    /// The node has agreed already: a refusal is the last word on how it went.
    fn answer_refer(&mut self, name: (CallId, LegId), result: Result<(), Cause>) {
        let Err(cause) = result else { return };
        let (status, text) = cause.refusal();
        self.tell_refer(name, status, text);
    }

    fn tell_refer(&mut self, name: (CallId, LegId), status: u16, text: &str) {
        let more = |body: &mut Map<String, Value>| {
            body.insert("status".into(), status.into());
            body.insert("text".into(), text.into());
        };
        self.command(name, "notify", Sent::Perhaps, more, None);
    }

    fn rename(&mut self, from: (CallId, LegId), to: (CallId, LegId)) {
        let Some(callid) = self.names.remove(&from) else { return };
        if let Some(leg) = self.legs.get_mut(&callid) {
            leg.name = Some(to);
            self.names.insert(to, callid);
        }
    }
}
