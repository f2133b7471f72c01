//! `/v1/calls`, `/v1/legs` and `/v1/commands`: what calls there are, what is known of one, starting and ending one.

use hookswitch_call::diagnosis::{Finding, findings};
use hookswitch_call::{
    Address, AudioFacts, AudioQuality, CallAudio, CallId, CallRef, Cause, Command, Fault, Kind as CauseKind, Party,
};
use serde_json::{Value, json};

use super::carriers::{CARRIERS, OF_CALL, OF_LIST};
use super::desk::{Desk, Done, Turn, no_such_call};
use super::known::Known;
use super::page::{AFTER, LIMIT, Page, bad_cursor, schema};
use super::problem::{Code, Problem};
use super::recordings;
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, Kind, PARTY, call_named, hexadecimal, object_schema};
use super::switch::{CallView, LegView, Switch};
use super::time::{moment, moment_or_null, seconds};
use super::{Response, shape, webhook_of_call};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "calls";

const STATES: Kind = Kind::OneOf(&["locating", "ringing", "answering", "talking", "ending"]);

const DOMAIN: Field = Field::may("domain", Kind::Token(255), "only calls with a party in this domain");

const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/calls",
        name: "startCall",
        tag: TAG,
        about: "Calls `from`; when it answers, calls `to` and connects the two. What comes of it is told by events.",
        scope: Scope::Control,
        query: &[],
        body: Some(&[
            Field::must("from", Kind::Address, "who is called first"),
            Field::must("to", Kind::Address, "whom it is connected with"),
            OF_CALL,
            Field::may("call_id", Kind::Token(128), "the SIP Call-ID of the first leg; must not be in use"),
            Field::may("webhook", Kind::Object(webhook_of_call::WEBHOOK), "where the events of this call are posted"),
        ]),
        answers: &[Answer {
            status: 201,
            about: "The call, and the command that makes it.",
            schema: Some("StartedCall"),
        }],
        problems: &[
            Code::AddressNotAllowed,
            Code::DomainNotAllowed,
            Code::CallIdInUse,
            Code::NotEnabled,
            Code::LimitReached,
            Code::Draining,
            Code::TooManyCalls,
            Code::CarrierDown,
        ],
        run: start,
    },
    Route {
        method: Method::Get,
        path: "/v1/calls",
        name: "listCalls",
        tag: TAG,
        about: "The calls that there are, the newest first.",
        scope: Scope::Read,
        query: &[
            LIMIT,
            AFTER,
            OF_LIST,
            Field::may("state", STATES, "only calls in this state"),
            DOMAIN,
            Field::may("party", Kind::Address, "only calls with this party, letter by letter"),
        ],
        body: None,
        answers: &[Answer { status: 200, about: "A page of calls.", schema: Some("Calls") }],
        problems: &[Code::InvalidCursor, Code::NotEnabled],
        run: list,
    },
    Route {
        method: Method::Get,
        path: "/v1/calls/{call}",
        name: "getCall",
        tag: TAG,
        about: "What is known of a call, also of one of the last that are over.",
        scope: Scope::Read,
        query: &[Field::may("audio", Kind::Flag, "with what is known of its audio")],
        body: None,
        answers: &[Answer { status: 200, about: "The call.", schema: Some("Call") }],
        problems: &[Code::NoSuchCall],
        run: get,
    },
    Route {
        method: Method::Delete,
        path: "/v1/calls/{call}",
        name: "endCall",
        tag: TAG,
        about: "Ends a call, in whatever state it is.",
        scope: Scope::Control,
        query: &[Field::may("cause", Kind::OneOf(CAUSES), "what the parties are told; `hangup` if not said")],
        body: None,
        answers: &[Answer { status: 202, about: "The command that ends it.", schema: Some("Command") }],
        problems: &[Code::NoSuchCall, Code::CallEnding],
        run: end,
    },
    Route {
        method: Method::Get,
        path: "/v1/legs",
        name: "listLegs",
        tag: TAG,
        about: "The legs of all calls, those of the newest call first.",
        scope: Scope::Read,
        query: &[
            LIMIT,
            AFTER,
            OF_LIST,
            Field::may("state", Kind::OneOf(LEG_STATES), "only legs in this state"),
            Field::may("party", PARTY, "only legs of this end of their call"),
            DOMAIN,
        ],
        body: None,
        answers: &[Answer { status: 200, about: "A page of legs.", schema: Some("Legs") }],
        problems: &[Code::InvalidCursor, Code::NotEnabled],
        run: legs,
    },
    Route {
        method: Method::Get,
        path: "/v1/commands/{command}",
        name: "getCommand",
        tag: TAG,
        about: "How far a command is. Those that are over are remembered for a while.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "The command.", schema: Some("Command") }],
        problems: &[Code::NoSuchCommand],
        run: command,
    },
];

fn start(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    turn.starts_here()?;
    let caller = turn.body.text("from").unwrap_or_default();
    if !turn.request.grant.may_call_from(caller) {
        return Err(Problem::address_not_allowed("/from", "callers"));
    }
    let (caller, callee) = (Address::from(caller), turn.callee("to")?);
    if !turn.sees([&caller, &callee]) {
        let detail = "neither party is in a domain that the token reaches";
        let problem = Problem::new(Code::DomainNotAllowed, detail).at("/from");
        return Err(problem.expected("an address in a domain that the token reaches, here or in `to`"));
    }
    let wants_webhook = turn.body.has("webhook");
    if wants_webhook {
        webhook_of_call::is_taken_on(turn)?;
    }
    let wire_id = turn.body.text("call_id").map(Into::into);
    let (command, call) = turn.start(Command::Start { caller, callee, wire_id })?;
    let webhook = if wants_webhook { Some(turn.give_webhook(call)?) } else { None };
    let mut document = turn
        .switch
        .call(call)
        .map(|call| live_document(&call, turn.switch.carrier()))
        .unwrap_or_else(|| json!({ "id": name(call) }));
    document["command"] = command.into();
    if let Some(webhook) = webhook {
        document["webhook"] = webhook.as_str().into();
    }
    Ok(Done::Now(Response::json(201, &document).with("location", format!("/v1/calls/{}", name(call)))))
}

fn list(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    turn.lists_here()?;
    let page = Page::of(&turn.query)?;
    let before = before(&page)?;
    let (state, domain, party) = (turn.query.text("state"), turn.query.text("domain"), turn.query.text("party"));
    let wanted = |call: &CallView<'_>| {
        turn.sees(call.parties())
            && state.is_none_or(|state| call.state == state)
            && domain.is_none_or(|domain| is_in(turn.switch, call, domain))
            && party.is_none_or(|party| *call.caller.0 == *party || *call.callee.0 == *party)
    };
    let all = turn.switch.calls().into_iter().filter(|call| before.is_none_or(|before| *call < before));
    let calls = all.filter_map(|call| turn.switch.call(call)).filter(wanted);
    let carrier = turn.switch.carrier();
    let document =
        page.document("calls", calls.map(|call| (format!("{:016x}", call.id.0), live_document(&call, carrier))));
    Ok(Done::Now(Response::json(200, &document)))
}

/// The call behind which a page of calls begins.
fn before(page: &Page) -> Result<Option<CallId>, Problem> {
    let Some(after) = &page.after else { return Ok(None) };
    hexadecimal(after).map(CallId).map(Some).ok_or_else(bad_cursor)
}

fn is_in(switch: &dyn Switch, call: &CallView<'_>, domain: &str) -> bool {
    let of = |address: &Address| switch.domain_of(address).is_some_and(|its| its.eq_ignore_ascii_case(domain));
    of(call.caller) || of(call.callee)
}

fn get(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let call = call_named(&turn.path[0]).ok_or_else(no_such_call)?;
    let seen = match (turn.switch.call(call), turn.desk.known.ended(call)) {
        (Some(call), _) => turn.sees(call.parties()),
        (None, Some(ended)) => turn.sees([&ended.known.caller, &ended.known.callee]),
        (None, None) => false,
    };
    if !seen {
        return Err(Problem::new(Code::NoSuchCall, "no call has this id, and none of the last that are over"));
    }
    let wants_audio = turn.query.flag("audio");
    if wants_audio && turn.switch.call(call).is_some() {
        return Ok(Done::Inspected(call));
    }
    let audio = wants_audio.then_some(None);
    let document = document(turn.desk, turn.switch, call, audio).ok_or_else(no_such_call)?;
    Ok(Done::Now(Response::json(200, &document)))
}

fn end(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let call = turn.call()?;
    let cause = match turn.query.text("cause") {
        Some("busy") => CauseKind::Busy,
        Some("declined") => CauseKind::Declined,
        Some("no_answer") => CauseKind::NoAnswer,
        Some("not_found") => CauseKind::NotFound,
        Some("unreachable") => CauseKind::Unreachable,
        Some("forbidden") => CauseKind::Forbidden,
        Some(_) | None => CauseKind::Hangup,
    };
    let cause = match cause {
        CauseKind::Hangup => Cause::hangup(),
        kind => Cause::new(kind, Fault::Controller),
    };
    turn.submit("end", call, Command::End { call: CallRef::Id(call), cause })
}

const CAUSES: &[&str] = &["hangup", "busy", "declined", "no_answer", "not_found", "unreachable", "forbidden"];

fn legs(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    turn.lists_here()?;
    let page = Page::of(&turn.query)?;
    let begin = match &page.after {
        None => None,
        Some(after) => {
            let (call, leg) = after.split_once('.').ok_or_else(bad_cursor)?;
            Some((CallId(hexadecimal(call).ok_or_else(bad_cursor)?), leg.parse::<u16>().map_err(|_| bad_cursor())?))
        }
    };
    let (state, party, domain) = (turn.query.text("state"), turn.query.party("party"), turn.query.text("domain"));
    let behind =
        |call: CallId, leg: &LegView<'_>| begin.is_none_or(|(at, last)| call < at || (call == at && leg.id.0 > last));
    let wanted = |leg: &LegView<'_>| {
        state.is_none_or(|state| leg.state == state) && party.is_none_or(|party| leg.party == party)
    };
    let all = turn.switch.calls().into_iter().filter_map(|call| turn.switch.call(call));
    let calls = all.filter(|call| turn.sees(call.parties()));
    let calls = calls.filter(|call| domain.is_none_or(|domain| is_in(turn.switch, call, domain)));
    let legs = calls.flat_map(|call| {
        let legs = turn.switch.legs(call.id).into_iter().filter(move |leg| behind(call.id, leg)).filter(wanted);
        legs.map(move |leg| {
            let mut document = leg_document(&leg);
            document["call"] = name(call.id).into();
            (format!("{:016x}.{}", call.id.0, leg.id.0), document)
        })
    });
    Ok(Done::Now(Response::json(200, &page.document("legs", legs))))
}

fn command(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let found = turn.desk.command(&turn.request.grant, &turn.path[0]);
    let none = || Problem::new(Code::NoSuchCommand, "no command has this id, and none of the last that are over");
    Ok(Done::Now(Response::json(200, &found.ok_or_else(none)?)))
}

// Documents.

pub(super) fn name(call: CallId) -> String {
    format!("call_{call}")
}

pub(super) const fn party_name(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Callee => "callee",
    }
}

const LEG_STATES: &[&str] = &["preparing", "ringing", "incoming", "answered", "talking", "ending", "ended"];

/// A call that there is, without its legs.
fn live_document(call: &CallView<'_>, carrier: &str) -> Value {
    let mut document = json!({
        "id": name(call.id), "carrier": carrier, "state": call.state, "caller": call.caller, "callee": call.callee,
        "anchored": call.anchored, "began": moment(call.began), "answered": moment_or_null(call.answered),
    });
    if let Some(wire_id) = call.wire_id {
        document["call_id"] = wire_id.as_str().into();
    }
    document
}

fn leg_document(leg: &LegView<'_>) -> Value {
    json!({
        "leg": leg.id.0, "party": party_name(leg.party), "state": leg.state, "call_id": leg.wire_id,
        "target": leg.target,
    })
}

/// All that is known of a call. `audio` is said if it was asked for: null where there is none.
pub(super) fn document(
    desk: &Desk,
    switch: &dyn Switch,
    call: CallId,
    audio: Option<Option<&CallAudio>>,
) -> Option<Value> {
    let ended = desk.known.ended(call);
    let (mut document, recordings, kept) = match (switch.call(call), ended) {
        (Some(live), _) => {
            let mut document = live_document(&live, switch.carrier());
            document["legs"] = switch.legs(call).iter().map(leg_document).collect();
            (document, desk.known.live(call).map(|known| known.recordings.as_slice()), None)
        }
        (None, Some(ended)) => {
            let mut document = known_document(&ended.known, switch.carrier());
            document["ended"] = moment(ended.at).into();
            document["talked_seconds"] = seconds(ended.talked).into();
            document["cause"] = cause(&ended.cause);
            (document, Some(ended.known.recordings.as_slice()), ended.audio.as_deref())
        }
        (None, None) => return None,
    };
    document["recordings"] = recordings::documents(call, recordings.unwrap_or_default());
    if let Some(audio) = audio {
        document["audio"] = audio.or(kept).map_or(Value::Null, audio_document);
    }
    Some(document)
}

/// A call that is over, as far as it is known.
pub(super) fn known_document(known: &Known, carrier: &str) -> Value {
    json!({
        "id": name(known.call), "carrier": carrier, "state": "ended", "caller": known.caller, "callee": known.callee,
        "began": moment(known.began), "answered": moment_or_null(known.answered),
    })
}

pub(super) fn cause(cause: &Cause) -> Value {
    json!({
        "kind": serde_json::to_value(cause.kind).unwrap_or_default(), "code": cause.code, "text": cause.text,
        "fault": serde_json::to_value(cause.fault).unwrap_or_default(), "q850": cause.q850,
    })
}

pub(super) fn audio_document(audio: &CallAudio) -> Value {
    let of = |party| {
        let mut document = facts(audio.of(party));
        document["findings"] = findings(audio, party).iter().map(|finding| found(finding, audio, party)).collect();
        document
    };
    json!({ "at": moment(audio.at), "caller": of(Party::Caller), "callee": of(Party::Callee) })
}

fn found(finding: &Finding, audio: &CallAudio, party: Party) -> Value {
    json!({
        "finding": finding.name(), "trouble": finding.is_trouble(), "text": finding.text(audio, party, true),
        "advice": finding.advice(),
    })
}

fn facts(facts: &AudioFacts) -> Value {
    json!({
        "codec": facts.codec, "source": facts.source, "sends": facts.sends, "listens": facts.listens, "held": facts.held,
        "first_packet": moment_or_null(facts.first), "last_packet": moment_or_null(facts.last),
        "received_packets": facts.received, "sent_packets": facts.sent, "quality": quality(&facts.quality),
    })
}

fn quality(quality: &AudioQuality) -> Value {
    let precise = |time: std::time::Duration| time.as_micros() as f64 / 1_000_000.0;
    json!({
        "lost": quality.lost, "reordered": quality.reordered, "duplicated": quality.duplicated, "late": quality.late,
        "concealed": quality.concealed, "jitter_seconds": precise(quality.jitter),
        "round_trip_seconds": quality.round_trip.map(precise),
        "mos": quality.opinion.map(|hundredths| f64::from(hundredths) / 100.0),
        "level_dbov": quality.sound.and_then(|sound| sound.level),
    })
}

// Schemas.

const CAUSE: &[Field] = &[
    Field::must("kind", Kind::Text(1, 40), "what kind of ending, whatever the protocol"),
    Field::must("code", Kind::Whole(0, 999), "its number in SIP; 200 is an ordinary end"),
    Field::must("text", Kind::Text(0, 65_535), "its words"),
    Field::must("fault", Kind::OneOf(&["nobody", "controller", "peer", "upstream", "server"]), "whose doing it was"),
    Field::must("q850", Kind::OrNull(&Kind::Whole(0, 255)), "its number in ITU-T Q.850"),
    Field::may("stage", Kind::Text(1, 40), "the step of a command that failed"),
    Field::may("party", PARTY, "the party that refused"),
];

const LEG: &[Field] = &[
    Field::must("leg", Kind::Whole(0, 65_535), "its number within the call"),
    Field::must("party", PARTY, "which end of the call it is"),
    Field::must("state", Kind::OneOf(LEG_STATES), "how far it is"),
    Field::must("call_id", Kind::OrNull(&Kind::Text(0, 65_535)), "its SIP Call-ID"),
    Field::must("target", Kind::OrNull(&Kind::Text(0, 2_048)), "where it was sent; null for one that called in"),
    Field::may("call", Kind::Call, "the call, in lists of legs"),
];

pub(super) const CALL: &[Field] = &[
    Field::must("id", Kind::Call, "its name"),
    Field::must(
        "state",
        Kind::OneOf(&["locating", "ringing", "answering", "talking", "ending", "ended"]),
        "how far it is",
    ),
    Field::must("carrier", CARRIERS, "who carries it"),
    Field::must("caller", Kind::Text(0, 2_048), "the calling party; empty where only the carrier knows"),
    Field::must(
        "callee",
        Kind::Text(0, 2_048),
        "the called party, as dialled or commanded; empty where only the carrier knows",
    ),
    Field::may(
        "call_id",
        Kind::Text(0, 65_535),
        "the SIP Call-ID of both parties, of a call that `opensips` carries and that somebody else has made",
    ),
    Field::may("anchored", Kind::Flag, "whether its audio runs through the switch"),
    Field::must("began", Kind::Time, "when it began"),
    Field::must("answered", Kind::OrNull(&Kind::Time), "when both parties were joined"),
    Field::may("ended", Kind::Time, "when it was over"),
    Field::may("talked_seconds", Kind::Length, "how long both parties were joined"),
    Field::may("cause", Kind::Object(CAUSE), "why it is over"),
    Field::may("legs", Kind::List(&Kind::Object(LEG), 0, 65_535), "its legs, in the order of their making"),
    Field::may("recordings", Kind::List(&Kind::Object(recordings::RECORDING), 0, 64), "what is recorded of it"),
    Field::may(
        "audio",
        Kind::OrNull(&Kind::Any),
        "what is known of its audio; null where none runs through the switch",
    ),
];

pub(super) const COMMAND: &[Field] = &[
    Field::must("id", Kind::Text(1, 40), "its name"),
    Field::must("kind", Kind::Text(1, 40), "what it does"),
    Field::must("status", Kind::OneOf(&["running", "done", "failed"]), "how far it is"),
    Field::must("call", Kind::OrNull(&Kind::Call), "the call that it is about"),
    Field::must("began", Kind::Time, "when it began"),
    Field::must("ended", Kind::OrNull(&Kind::Time), "when it was over"),
    Field::may("cause", Kind::Object(CAUSE), "why it has failed"),
];

fn schemas() -> Vec<(&'static str, Value)> {
    let mut started = shape::object_schema(CALL);
    started["properties"]["command"] = json!({ "type": "string", "description": "the command that makes it" });
    started["properties"]["webhook"] = json!({ "type": "string", "description": "the webhook of the call, by name" });
    vec![
        ("Call", object_schema(CALL)),
        ("StartedCall", started),
        ("Calls", schema("calls", "Call")),
        ("Leg", object_schema(LEG)),
        ("Legs", schema("legs", "Leg")),
        ("Command", object_schema(COMMAND)),
    ]
}
