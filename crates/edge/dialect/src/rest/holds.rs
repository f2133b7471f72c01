//! `POST /v1/calls/{call}/hold` and `…/unhold`.

use hookswitch_call::{CallRef, Command, Notes};

use super::desk::{Done, Turn};
use super::problem::{Code, Problem};
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, PARTY};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas: Vec::new };

const BODY: &[Field] = &[Field::may("party", PARTY, "which end; both if not said")];

/// What each command about an answered call answers.
pub(super) const ACCEPTED: &[Answer] = &[Answer {
    status: 202,
    about: "The command; its end is told by the event `command.ended`.",
    schema: Some("Command"),
}];

/// What each command about an answered call may be refused with.
pub(super) const REFUSED: &[Code] =
    &[Code::NoSuchCall, Code::CallEnding, Code::NotAnswered, Code::Pending, Code::Impossible, Code::Unsupported];

const fn route(path: &'static str, name: &'static str, about: &'static str, run: Run) -> Route {
    Route {
        method: Method::Post,
        path,
        name,
        tag: "calls",
        about,
        scope: Scope::Control,
        query: &[],
        body: Some(BODY),
        answers: ACCEPTED,
        problems: REFUSED,
        run,
    }
}

type Run = fn(&mut Turn<'_>) -> Result<Done, Problem>;

const ROUTES: &[Route] = &[
    route("/v1/calls/{call}/hold", "holdCall", "Puts parties of an answered call on hold.", hold),
    route("/v1/calls/{call}/unhold", "unholdCall", "Takes parties of a call off hold.", unhold),
];

fn hold(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party) = (turn.call()?, turn.body.party("party"));
    turn.submit("hold", call, Command::Hold { call: CallRef::Id(call), party, notes: Notes::default() })
}

fn unhold(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party) = (turn.call()?, turn.body.party("party"));
    turn.submit("unhold", call, Command::Unhold { call: CallRef::Id(call), party, notes: Notes::default() })
}
