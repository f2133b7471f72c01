//! `/v1/call-records`: the last calls that are over. Every record of a call that the switch keeps for good is in its files
//! of call records.

use serde_json::Value;

use super::Response;
use super::calls::{self, audio_document, known_document};
use super::carriers::OF_LIST;
use super::desk::{Done, Turn};
use super::known::{Ended, Known};
use super::page::{AFTER, LIMIT, Page, bad_cursor, schema};
use super::problem::{Code, Problem};
use super::recordings;
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, Kind, call_named, hexadecimal};
use super::time::{moment, seconds};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "records";

const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/call-records",
        name: "listCallRecords",
        tag: TAG,
        about: "The last calls that are over, the last of them first: at most 1,000 since the start.",
        scope: Scope::Read,
        query: &[
            LIMIT,
            AFTER,
            OF_LIST,
            Field::may("party", Kind::Address, "only calls with this party, letter by letter"),
            Field::may("domain", Kind::Token(255), "only calls with a party in this domain"),
        ],
        body: None,
        answers: &[Answer { status: 200, about: "A page of records.", schema: Some("CallRecords") }],
        problems: &[Code::InvalidCursor, Code::NotEnabled],
        run: list,
    },
    Route {
        method: Method::Get,
        path: "/v1/call-records/{call}",
        name: "getCallRecord",
        tag: TAG,
        about: "The record of one of the last calls that are over, with its audio.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "The record.", schema: Some("Call") }],
        problems: &[Code::NoSuchRecord],
        run: get,
    },
];

fn list(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    turn.lists_here()?;
    let carrier = turn.switch.carrier();
    let page = Page::of(&turn.query)?;
    let before = page.after.as_deref().map(|after| hexadecimal(after).ok_or_else(bad_cursor)).transpose()?;
    let (party, domain) = (turn.query.text("party"), turn.query.text("domain"));
    let in_domain = |known: &Known, domain: &str| {
        let of = |address| turn.switch.domain_of(address).is_some_and(|its| its.eq_ignore_ascii_case(domain));
        of(&known.caller) || of(&known.callee)
    };
    let wanted = |ended: &&Ended| {
        let known = &ended.known;
        before.is_none_or(|before| ended.place < before)
            && turn.sees([&known.caller, &known.callee])
            && party.is_none_or(|party| *known.caller.0 == *party || *known.callee.0 == *party)
            && domain.is_none_or(|domain| in_domain(known, domain))
    };
    let ended = turn.desk.known.ended_calls().filter(wanted);
    let document =
        page.document("call_records", ended.map(|ended| (format!("{:016x}", ended.place), record(ended, carrier))));
    Ok(Done::Now(Response::json(200, &document)))
}

fn record(ended: &Ended, carrier: &str) -> Value {
    let mut document = known_document(&ended.known, carrier);
    document["ended"] = moment(ended.at).into();
    document["talked_seconds"] = seconds(ended.talked).into();
    document["cause"] = calls::cause(&ended.cause);
    document["recordings"] = recordings::documents(ended.known.call, &ended.known.recordings);
    document
}

fn get(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let found = call_named(&turn.path[0]).and_then(|call| turn.desk.known.ended(call));
    let found = found.filter(|ended| turn.sees([&ended.known.caller, &ended.known.callee]));
    let ended =
        found.ok_or_else(|| Problem::new(Code::NoSuchRecord, "none of the last calls that are over has this id"))?;
    let mut document = record(ended, turn.switch.carrier());
    document["audio"] = ended.audio.as_deref().map_or(Value::Null, audio_document);
    Ok(Done::Now(Response::json(200, &document)))
}

fn schemas() -> Vec<(&'static str, Value)> {
    vec![("CallRecords", schema("call_records", "Call"))]
}
