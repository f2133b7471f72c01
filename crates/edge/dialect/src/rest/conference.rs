//! `POST /v1/calls/{call}/conference`: how a party takes part in its conference.

use hookswitch_call::{AudioOrder, CallRef, Command, Part, Role};

use super::desk::{Done, Turn, no_such_call};
use super::holds::{ACCEPTED, REFUSED};
use super::problem::{Code, Problem};
use super::route::{Method, Resource, Route};
use super::shape::{Field, Kind, PARTY};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas: Vec::new };

const ROUTES: &[Route] = &[Route {
    method: Method::Post,
    path: "/v1/calls/{call}/conference",
    name: "takePart",
    tag: "audio",
    about: "Says how a party takes part in the conference that it is in; what is not said is as at the beginning. It comes in by a call or a transfer to the conference.",
    scope: Scope::Control,
    query: &[],
    body: Some(&[
        Field::must("party", PARTY, "who"),
        Field::may("role", Kind::OneOf(&["talk", "listen", "whisper"]), "who hears it: all, nobody, one other call"),
        Field::may("whisper_to", Kind::Call, "for `whisper`: the call whose party hears it"),
        Field::may("muted", Kind::Flag, "nobody hears it, for now"),
        Field::may("deaf", Kind::Flag, "it hears nobody, for now"),
    ]),
    answers: ACCEPTED,
    problems: REFUSED,
    run: take_part,
}];

fn take_part(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party) = (turn.call()?, turn.party());
    let role = match turn.body.text("role") {
        Some("listen") => Role::Listen,
        Some("whisper") => {
            let missing = || {
                Problem::new(Code::MissingField, "whom it whispers to").at("/whisper_to").expected("the id of a call")
            };
            let other = turn.body.call("whisper_to").ok_or_else(missing)?;
            Role::Whisper(turn.seen_call(Some(other)).ok_or_else(|| no_such_call().at("/whisper_to"))?)
        }
        Some(_) | None => Role::Talk,
    };
    if !matches!(role, Role::Whisper(_)) {
        turn.body.lacks("whisper_to", "", "`role`: `whisper` beside it")?;
    }
    let part = Part { role, muted: turn.body.flag("muted"), deaf: turn.body.flag("deaf") };
    let order = AudioOrder::TakePart(part);
    turn.submit("conference", call, Command::Audio { call: CallRef::Id(call), party, order })
}
