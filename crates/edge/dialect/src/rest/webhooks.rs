//! `/v1/webhooks`: to whom events are posted, and what becomes of them. Whoever posts them answers.

use serde_json::Value;

use super::page::{LIMIT, schema};
use super::problem::Code;
use super::route::{Answer, Method, Resource, Route, by_listener};
use super::shape::{Field, Kind, object_schema};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "webhooks";

const ID: Kind = Kind::Text(1, 20);

/// The states of an event that is to be posted.
const STATES: Kind = Kind::OneOf(&["waiting", "under_way", "retrying", "delivered", "dead"]);

const AFTER_EVENT: Field =
    Field::may("after", ID, "the `next` of the page before, which is the id of an event; the page begins behind it");

const SEEN: &[Code] = &[Code::NoSuchWebhook, Code::DomainNotAllowed];

const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/webhooks",
        name: "listWebhooks",
        tag: TAG,
        about: "The webhooks, in the order of their names. They carry events of all domains: a token for some sees none.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "All of them.", schema: Some("Webhooks") }],
        problems: &[Code::DomainNotAllowed],
        run: by_listener,
    },
    Route {
        method: Method::Get,
        path: "/v1/webhooks/{webhook}",
        name: "getWebhook",
        tag: TAG,
        about: "What a webhook is, and how it is doing.",
        scope: Scope::Read,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "The webhook.", schema: Some("Webhook") }],
        problems: SEEN,
        run: by_listener,
    },
    Route {
        method: Method::Get,
        path: "/v1/webhooks/{webhook}/deliveries",
        name: "listDeliveries",
        tag: TAG,
        about: "What has become of events: those that wait, those that are dead, and the last that were delivered.",
        scope: Scope::Read,
        query: &[
            LIMIT,
            AFTER_EVENT,
            Field::may("event", ID, "only this event"),
            Field::may("state", STATES, "only events in this state"),
        ],
        body: None,
        answers: &[Answer { status: 200, about: "A page of deliveries.", schema: Some("Deliveries") }],
        problems: SEEN,
        run: by_listener,
    },
    Route {
        method: Method::Get,
        path: "/v1/webhooks/{webhook}/dead-letters",
        name: "listDeadLetters",
        tag: TAG,
        about: "Events that were given up, with their documents.",
        scope: Scope::Read,
        query: &[LIMIT, AFTER_EVENT],
        body: None,
        answers: &[Answer { status: 200, about: "A page of dead letters.", schema: Some("DeadLetters") }],
        problems: SEEN,
        run: by_listener,
    },
    Route {
        method: Method::Post,
        path: "/v1/webhooks/{webhook}/dead-letters/{event}/replay",
        name: "replayDeadLetter",
        tag: TAG,
        about: "Tries a dead letter anew, behind what waits of its call.",
        scope: Scope::Admin,
        query: &[],
        body: None,
        answers: &[Answer { status: 202, about: "It waits again.", schema: Some("Replayed") }],
        problems: &[Code::NoSuchWebhook, Code::NoSuchDeadLetter, Code::DomainNotAllowed],
        run: by_listener,
    },
    Route {
        method: Method::Post,
        path: "/v1/webhooks/{webhook}/replay",
        name: "replayAll",
        tag: TAG,
        about: "Tries all dead letters anew.",
        scope: Scope::Admin,
        query: &[],
        body: None,
        answers: &[Answer { status: 202, about: "They wait again.", schema: Some("Replayed") }],
        problems: SEEN,
        run: by_listener,
    },
    Route {
        method: Method::Post,
        path: "/v1/webhooks/{webhook}/test",
        name: "testWebhook",
        tag: TAG,
        about: "Posts an event `webhook.test` to the URL, once and signed, and says what came of it.",
        scope: Scope::Admin,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "It was posted, or could not be.", schema: Some("WebhookTest") }],
        problems: SEEN,
        run: by_listener,
    },
    Route {
        method: Method::Post,
        path: "/v1/webhooks/{webhook}/enable",
        name: "enableWebhook",
        tag: TAG,
        about: "Switches a webhook on again whose target has answered 410.",
        scope: Scope::Admin,
        query: &[],
        body: None,
        answers: &[Answer { status: 200, about: "The webhook.", schema: Some("Webhook") }],
        problems: SEEN,
        run: by_listener,
    },
];

const COUNT: Kind = Kind::Whole(0, i64::MAX);
const TEXT: Kind = Kind::Text(0, 65_535);
const TEXTS: Kind = Kind::List(&TEXT, 0, 1_000);
const MAYBE: Kind = Kind::OrNull(&TEXT);

const WEBHOOK: &[Field] = &[
    Field::must("name", TEXT, "its name in the configuration"),
    Field::must("url", TEXT, "where events are posted"),
    Field::must("fallback_url", MAYBE, "where they are posted while that fails"),
    Field::must("types", TEXTS, "events of these types; empty for all"),
    Field::must("domains", TEXTS, "events of these domains; empty for all"),
    Field::must("signatures", TEXTS, "the schemes of its signatures"),
    Field::must("public_keys", TEXTS, "the keys that Ed25519 signatures are checked with"),
    Field::must("enabled", Kind::Flag, "false since its target has answered 410"),
    Field::must("gone_since", Kind::OrNull(&Kind::Time), "since when"),
    Field::must("cursor", MAYBE, "every event up to this one is delivered, dead, or kept on its own"),
    Field::must("waiting", COUNT, "events in memory that wait"),
    Field::must("under_way", COUNT, "requests that wait for an answer"),
    Field::must("dead_letters", COUNT, "events that were given up and are kept"),
    Field::must("calls", Kind::OrNull(&COUNT), "how many calls that go on have it; null for one of the configuration"),
    Field::must(
        "key",
        MAYBE,
        "which of `call_webhooks.keys` signs; null for its `secrets`, and for one of the configuration",
    ),
    Field::must("delivered", COUNT, "events delivered since the start"),
    Field::must("failures_in_row", COUNT, "attempts that failed since the last that did not"),
    Field::must("gaps", COUNT, "how often the log no longer had what came next"),
    Field::must("dropped_dead_letters", COUNT, "dead letters that were thrown away for want of room"),
];

fn schemas() -> Vec<(&'static str, Value)> {
    // Those of the configuration, and those of calls.
    const MOST: usize = 100 + 1_000;
    const ALL: &[Field] = &[Field::must("webhooks", Kind::List(&Kind::Object(WEBHOOK), 0, MOST), "all of them")];
    const DELIVERY: &[Field] = &[
        Field::must("event", ID, "the id of the event"),
        Field::must("type", TEXT, "its type"),
        Field::must("call", MAYBE, "its call"),
        Field::must("state", STATES, "how far it is"),
        Field::must("time", Kind::OrNull(&Kind::Time), "when it was delivered or given up, or is tried next"),
        Field::must("attempts", COUNT, "how often it was tried"),
        Field::must("target", MAYBE, "where it was tried last"),
        Field::must("status", Kind::OrNull(&COUNT), "what was answered last"),
        Field::must("failure", MAYBE, "why it has failed last"),
    ];
    const DEAD: &[Field] = &[
        Field::must("event", ID, "the id of the event"),
        Field::must("type", TEXT, "its type"),
        Field::must("call", MAYBE, "its call"),
        Field::must("since", Kind::Time, "when it was given up"),
        Field::must("attempts", COUNT, "how often it was tried"),
        Field::must("target", MAYBE, "where it was tried last"),
        Field::must("failure", MAYBE, "why it has failed last"),
        Field::must("document", Kind::Any, "the event"),
    ];
    const REPLAYED: &[Field] = &[Field::must("replayed", COUNT, "so many")];
    const TESTED: &[Field] = &[
        Field::must("delivered", Kind::Flag, "whether it was answered with 2xx"),
        Field::must("status", Kind::OrNull(&COUNT), "what was answered"),
        Field::must("failure", MAYBE, "why there was no answer"),
    ];
    vec![
        ("Webhook", object_schema(WEBHOOK)),
        ("Webhooks", object_schema(ALL)),
        ("Delivery", object_schema(DELIVERY)),
        ("Deliveries", schema("deliveries", "Delivery")),
        ("DeadLetter", object_schema(DEAD)),
        ("DeadLetters", schema("dead_letters", "DeadLetter")),
        ("Replayed", object_schema(REPLAYED)),
        ("WebhookTest", object_schema(TESTED)),
    ]
}
