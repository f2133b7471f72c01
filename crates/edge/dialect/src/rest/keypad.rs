//! `POST /v1/calls/{call}/collect` and `…/digits`: keys that a party presses, and keys that are sent to it.

use std::time::Duration;

use hookswitch_call::{AudioOrder, CallRef, Collect, Command, MAX_KEYS, MAX_PATTERN, Pattern};

use super::desk::{Done, Turn};
use super::holds::{ACCEPTED, REFUSED};
use super::play::{SOUNDS, length, prompt};
use super::problem::{Code, Problem};
use super::route::{Method, Resource, Route};
use super::shape::{Field, Kind, PARTY};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas: Vec::new };

/// How long the first key is waited for, and each further one, if nobody says.
const FIRST: Duration = Duration::from_secs(10);
const NEXT: Duration = Duration::from_secs(5);

const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/calls/{call}/collect",
        name: "collect",
        tag: "audio",
        about: "Waits for keys of a party; nobody else gets them meanwhile. `call.collected` tells them, then the command ends.",
        scope: Scope::Control,
        query: &[],
        body: Some(&[
            Field::must("party", PARTY, "whose keys"),
            Field::must("most", Kind::Whole(1, MAX_KEYS as i64), "so many are enough"),
            Field::may("terminator", Kind::Keys(1, 1), "this key ends them, and is none of them"),
            Field::may(
                "pattern",
                Kind::Text(1, MAX_PATTERN),
                "they are complete as soon as this regular expression is found among them",
            ),
            Field::may(
                "first_seconds",
                Kind::Seconds(1, 3_600),
                "how long the first is waited for, after the prompt; 10",
            ),
            Field::may("next_seconds", Kind::Seconds(1, 3_600), "how long each further one is; 5"),
            Field::may("prompt", SOUNDS, "what is played before; the first key ends it"),
        ]),
        answers: ACCEPTED,
        problems: REFUSED,
        run: collect,
    },
    Route {
        method: Method::Post,
        path: "/v1/calls/{call}/digits",
        name: "sendDigits",
        tag: "audio",
        about: "Sends a party the presses of keys, one after the other.",
        scope: Scope::Control,
        query: &[],
        body: Some(&[
            Field::must("party", PARTY, "who gets them"),
            Field::must("digits", Kind::Keys(1, MAX_KEYS), "which"),
        ]),
        answers: ACCEPTED,
        problems: REFUSED,
        run: digits,
    },
];

fn collect(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party, body) = (turn.call()?, turn.party(), &turn.body);
    let pattern = body.text("pattern").map(Pattern::parse).transpose().map_err(|bad| {
        let problem = Problem::new(Code::InvalidField, bad.to_string()).at("/pattern");
        problem.expected("a regular expression that matches keys")
    })?;
    let collect = Collect {
        most: body.whole("most").and_then(|most| u8::try_from(most).ok()).unwrap_or(1),
        terminator: body.text("terminator").and_then(|key| key.chars().next()).map(|key| key.to_ascii_uppercase()),
        pattern,
        first: length(body, "first_seconds", FIRST),
        next: length(body, "next_seconds", NEXT),
    };
    let order = AudioOrder::Collect { collect: Box::new(collect), prompt: prompt(body)? };
    turn.submit("collect", call, Command::Audio { call: CallRef::Id(call), party, order })
}

fn digits(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (call, party) = (turn.call()?, turn.party());
    let order = AudioOrder::SendKeys(turn.body.text("digits").unwrap_or_default().into());
    turn.submit("digits", call, Command::Audio { call: CallRef::Id(call), party, order })
}
