//! `POST /v1/calls/{call}/transfer` and `…/bridge`: who talks to whom.

use hookswitch_call::{By, CallRef, Command, Party};

use super::desk::{Done, Turn, no_such_call};
use super::holds::{ACCEPTED, REFUSED};
use super::problem::{Code, Problem};
use super::route::{Method, Resource, Route};
use super::shape::{Field, Kind, PARTY};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas: Vec::new };

const BY: Field = Field::may(
    "by",
    Kind::OneOf(&["switch", "phone"]),
    "who does it: the switch, or the party's phone by REFER; as configured if not said",
);

const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/calls/{call}/transfer",
        name: "transferCall",
        tag: "calls",
        about: "Connects one party with somebody else and lets the other party go.",
        scope: Scope::Control,
        query: &[],
        body: Some(&[
            Field::must("party", PARTY, "the end that stays and is connected"),
            Field::must("to", Kind::Address, "with whom; a conference or another service of the switch as well"),
            BY,
        ]),
        answers: ACCEPTED,
        problems: &[
            Code::AddressNotAllowed,
            Code::NoSuchCall,
            Code::CallEnding,
            Code::NotAnswered,
            Code::Pending,
            Code::Impossible,
            Code::Unsupported,
        ],
        run: transfer,
    },
    Route {
        method: Method::Post,
        path: "/v1/calls/{call}/bridge",
        name: "bridgeCalls",
        tag: "calls",
        about: "Connects one party of the call with one party of another call and lets the remaining two go.",
        scope: Scope::Control,
        query: &[],
        body: Some(&[
            Field::must("party", PARTY, "the end of this call that stays"),
            Field::must("with", Kind::Call, "the other call"),
            Field::must("with_party", PARTY, "the end of the other call that stays"),
            BY,
        ]),
        answers: ACCEPTED,
        problems: REFUSED,
        run: bridge,
    },
];

fn by(turn: &Turn<'_>) -> Option<By> {
    match turn.body.text("by")? {
        "phone" => Some(By::Refer),
        _ => Some(By::Bridge),
    }
}

fn transfer(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let call = turn.call()?;
    let (party, to, by) = (turn.party(), turn.callee("to")?, by(turn));
    turn.submit("transfer", call, Command::Transfer { call: CallRef::Id(call), party, to, by })
}

fn bridge(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party, by) = (turn.call()?, turn.party(), by(turn));
    let other = turn.seen_call(turn.body.call("with")).ok_or_else(|| no_such_call().at("/with"))?;
    let other_party = turn.body.party("with_party").unwrap_or(Party::Callee);
    let (call_ref, other) = (CallRef::Id(call), CallRef::Id(other));
    turn.submit("bridge", call, Command::Join { call: call_ref, party, other, other_party, to: None, by })
}
