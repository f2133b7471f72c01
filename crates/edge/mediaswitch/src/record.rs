//! Everything that is known of one dialog, and the document that its controller gets.

use std::net::SocketAddr;

use compact_str::CompactString;
use hookswitch_call::directory::Secret;
use hookswitch_call::{CallId, Cause, LegId, Sdp, Target, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Phone;
use crate::detail::{News, Party};
use crate::sdp;

/// One dialog of a controller, as one record that can be stored and moved.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Names it to the backend.
    pub call: CallId,
    /// Names it to the controller: the Call-ID.
    pub callid: CompactString,
    /// Where its controller is, without a slash at the end. None wants to hear nothing.
    pub control: Option<CompactString>,
    /// The domain it belongs to.
    pub domain: CompactString,
    /// Who is called: the user.
    pub to: CompactString,
    /// Who calls: the user.
    pub from: CompactString,
    /// The contact of the party, in angle brackets.
    pub contact: CompactString,
    /// Hops that its INVITE had left.
    pub maxforwards: u8,
    /// We have called.
    pub originator: bool,
    /// It rings.
    pub ring: bool,
    /// It was answered.
    pub answered: bool,
    /// The party wants no audio.
    pub hold: bool,
    /// It is over.
    pub hangup: bool,
    /// What the party, or nobody, has said instead of taking the call.
    pub error: Option<(u16, CompactString)>,
    /// Where packets of the party come from.
    pub remote: Option<SocketAddr>,
    /// What the party has said of its session last.
    pub them: Option<Sdp>,
    /// What it was told.
    pub us: Option<Sdp>,
    /// The transfer it asks for; told once.
    pub refer: Option<Refer>,
    /// The dialog that it wants to take over (RFC 3891).
    pub replaces: Option<CompactString>,
    /// Who calls and who is called, for a switchboard; told once.
    pub party: Option<Box<Party>>,
    /// When what happened, in seconds since 1970; 0 for what has not.
    pub epochs: Epochs,
    /// Number of the last event.
    pub seq: u64,
    /// What it waits for.
    pub stage: Stage,
    /// A change of the session under way.
    pub change: Change,
    /// The leg that counts.
    pub leg: LegId,
    /// How a call out is made.
    pub calling: Option<Box<Calling>>,
    /// When it has waited long enough.
    pub due: Option<Time>,
}

/// A transfer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refer {
    /// To whom: the user.
    pub to: CompactString,
    /// The whole address, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<CompactString>,
    /// The dialog whose other end is meant: an attended transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<CompactString>,
}

/// When what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Epochs {
    /// The INVITE.
    pub start: u64,
    /// The first ringing.
    pub ring: u64,
    /// The answer.
    pub answer: u64,
    /// The end.
    pub end: u64,
}

/// What a dialog waits for.
///
/// ```text
///   called by a party:  Taking ──▶ Deciding ──answer──▶ Ack ──▶ Talking ──▶ Over
///   calling a party:    Located ──▶ Calling ──2xx──▶ (Description ──▶) Talking ──▶ Over
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// That its controller takes the first event.
    Taking,
    /// What its controller wants.
    Deciding,
    /// The party's ACK.
    Ack,
    /// Where the party is; whoever asked for the call gets this HTTP answer then.
    Located(u64),
    /// The party's answer.
    Calling,
    /// Our answer to the offer in its answer.
    Description,
    /// The end.
    Talking,
    /// Nothing: notes may still be on their way.
    Over,
}

/// A change of the session under way.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Change {
    /// None.
    #[default]
    Nothing,
    /// The party's; what it had said before, and whether that was a hold.
    Theirs(Option<Sdp>, bool),
    /// Ours; what it was told before.
    Ours(Option<Sdp>),
    /// The party has answered ours with an offer.
    Offered,
}

/// What a call out still needs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Calling {
    /// Whom it goes to.
    pub to: CompactString,
    /// Who is shown.
    pub from: CompactString,
    /// The password for whoever asks who we are.
    pub secret: Option<Secret>,
    /// What is shown of the caller beside that.
    pub cid: Cid,
    /// Places that were not tried yet, by group.
    pub places: Vec<Target>,
    /// Legs that ring.
    pub legs: Vec<LegId>,
    /// What is shown of the call besides, on the word of a switchboard.
    pub party: Option<Box<Party>>,
    /// The best that was said so far.
    pub worst: Option<Cause>,
    /// How often the call was turned away.
    pub diverted: u8,
    /// The next leg.
    pub next: u16,
}

/// A caller's number and name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cid {
    /// The number.
    pub number: CompactString,
    /// The name.
    pub name: CompactString,
    /// Neither is to be shown.
    pub private: bool,
}

impl Record {
    /// The only phones that are to be called, if not all.
    #[must_use]
    pub fn only_phones(&self) -> &[Phone] {
        self.calling.as_ref().and_then(|calling| calling.party.as_ref()).map_or(&[], |party| &party.phones)
    }

    /// The lane and the URL of its notes.
    pub(crate) fn url(&self) -> Option<String> {
        let control = self.control.as_ref()?;
        Some(format!("{control}/dialog/{}", escaped(&self.callid)))
    }

    /// The document of an event: the whole dialog.
    pub(crate) fn document(&self, news: &News) -> String {
        let (code, status) = self.error.as_ref().map_or((0, ""), |(code, status)| (*code, status.as_str()));
        let mut document = json!({
            "callid": self.callid, "seq": self.seq, "domain": self.domain, "to": self.to, "from": self.from,
            "contact": self.contact, "maxforwards": self.maxforwards, "authenticated": !self.originator,
            "ring": self.ring, "answered": self.answered, "hold": self.hold, "originator": self.originator,
            "hangup": self.hangup, "error": { "code": code, "status": status },
            "sdp": { "them": as_json(self.them.as_ref()), "us": as_json(self.us.as_ref()) },
            "epochs": { "start": self.epochs.start, "ring": self.epochs.ring, "answer": self.epochs.answer, "end": self.epochs.end },
        });
        if let Some(remote) = self.remote {
            document["remote"] = json!({ "host": remote.ip().to_canonical().to_string(), "port": remote.port() });
        }
        if let Some(refer) = &self.refer {
            document["refer"] = json!(refer);
        }
        if let Some(replaces) = &self.replaces {
            document["replaces"] = json!(replaces);
        }
        if self.is_of_switchboard() {
            // It wants them as they were written.
            let written = |sdp: &Option<Sdp>| sdp.as_ref().map_or_else(|| json!({}), |sdp| json!(&*sdp.0));
            document["sdp"] = json!({ "them": written(&self.them), "us": written(&self.us) });
            document["news"] = json!(news);
            if let Some(party) = &self.party {
                document["party"] = json!(party);
            }
        }
        document.to_string()
    }
}

/// A description that cannot be taken apart is told as the text it is.
fn as_json(sdp: Option<&Sdp>) -> Value {
    sdp.map_or_else(|| json!({}), |sdp| sdp::to_json(&sdp.0).unwrap_or_else(|_| json!(&*sdp.0)))
}

/// A name as one segment of a path (RFC 3986 section 3.3).
#[must_use]
pub fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
