//! What nodes answer.

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::{Cause, Fault, Kind, Report};
use serde::Deserialize;

use super::{DOUBT, Lane, Legs};
use crate::Load;

/// What a request was, for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// A party is to be called.
    Dial,
    /// A command about a leg.
    Command(Sent),
    /// How the node is.
    Beat,
    /// Which dialogs it has.
    List,
    /// What it has to know of a domain.
    Domain,
    /// Who is registered there.
    Registered,
}

/// What a command was, as far as its answer says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The leg cannot go on without it.
    Plain,
    /// The answer to a change of the party's: it may have taken that back.
    Answer,
    /// A change of ours: it may be refused.
    Change,
    /// A transfer: it may be refused.
    Refer,
    /// It may come too late.
    Perhaps,
    /// The end.
    Hangup,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error: CompactString,
}

/// Why a node has refused something.
fn why(status: u16, body: &Bytes) -> Cause {
    let text = serde_json::from_slice(body).map_or_else(|_| CompactString::default(), |refusal: Refusal| refusal.error);
    let fault = if status >= 500 { Fault::Server } else { Fault::Peer };
    Cause { fault, ..Cause::from_status(status, &text) }
}

impl Legs {
    pub(super) fn taken(&mut self, lane: Lane, tag: Tag, result: Option<(u16, Bytes)>) {
        match (lane, tag) {
            (Lane::Leg(callid), Tag::Dial) => self.dialed(&callid, result),
            (Lane::Leg(callid), Tag::Command(sent)) => self.commanded(&callid, sent, result),
            (Lane::Node(node), Tag::Beat) => {
                let said = result.filter(|(status, _)| *status == 200);
                self.heard(node, said.and_then(|(_, body)| Load::read_dialogs(&body)));
            }
            (Lane::Node(node), Tag::List) => self.listed(node, result),
            (Lane::Domain(node, domain), Tag::Registered) => self.registrations(node, &domain, result),
            (Lane::Domain(node, domain), Tag::Domain) => self.domain_told(node, &domain, result),
            (Lane::Leg(_), Tag::Beat | Tag::List | Tag::Domain | Tag::Registered)
            | (Lane::Node(_), Tag::Dial | Tag::Command(_) | Tag::Domain | Tag::Registered)
            | (Lane::Domain(..), Tag::Dial | Tag::Command(_) | Tag::Beat | Tag::List) => {
                unreachable!("each lane has requests of its own kind")
            }
        }
    }

    fn dialed(&mut self, callid: &CompactString, result: Option<(u16, Bytes)>) {
        match result {
            Some((200, _)) => self.on_the_wire(callid),
            None => self.broken(callid, "Node Does Not Answer"),
            // The directory there lacks somebody whom ours has, or the node is full.
            Some((status @ 400.., body)) => self.ended(callid, why(status, &body)),
            Some(_) => self.broken(callid, "Node Answers Nonsense"),
        }
    }

    /// Says to the switchboard by which name a leg goes, once. Events may be quicker than the answer.
    pub(super) fn on_the_wire(&mut self, callid: &CompactString) {
        let Some(leg) = self.legs.get_mut(callid) else { return };
        if let (Some((call, name)), false) = (leg.name, std::mem::replace(&mut leg.dialed, true)) {
            self.reports.push_back(Report::Dialed { call, leg: name, wire_id: callid.clone() });
        }
    }

    fn commanded(&mut self, callid: &CompactString, sent: Sent, result: Option<(u16, Bytes)>) {
        let Some((call, leg)) = self.legs.get(callid).and_then(|leg| leg.name) else { return };
        match (result, sent) {
            (Some((200, _)), _) => {}
            // It is over there, and why is being told; or it never was.
            (Some((404, _)), _) => {
                self.doubts.insert((self.now + DOUBT, callid.clone()));
            }
            (Some((status @ 400..500, body)), Sent::Change) => {
                let cause = match status {
                    409 => Cause::new(Kind::Pending, Fault::Server),
                    _ => why(status, &body),
                };
                self.reports.push_back(Report::Reaccepted { call, leg, sdp: Err(cause) });
            }
            (Some((status @ 400..500, body)), Sent::Refer) => {
                self.reports.push_back(Report::ReferAnswered { call, leg, result: Err(why(status, &body)) });
            }
            (Some((400..500, _)), Sent::Perhaps | Sent::Answer) => {}
            (Some(_), _) => self.broken(callid, "Node Refuses"),
            (None, _) => self.broken(callid, "Node Does Not Answer"),
        }
    }
}
