//! `PUT /v1/calls/{call}/webhook`, and the member `webhook` of a call that is started: where the events of one call are
//! posted, and which. Whoever posts them takes it on before the request comes here, and gives it a name.

use serde_json::{Value, json};

use super::desk::{Done, Turn, admit};
use super::problem::{Code, Problem};
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, Kind, object_schema};
use super::{Request, Response};
use crate::access::Scope;
use crate::webhook::{CallWebhook, MAX_CALL_EVENTS, MAX_CALL_KEY, MAX_CALL_URL};

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const NAME: &str = "setCallWebhook";

/// The member `webhook`: a [`CallWebhook`].
pub(super) const WEBHOOK: &[Field] = &[
    Field::must("url", Kind::Text(1, MAX_CALL_URL), "`http` or `https`, without user, password and `#`"),
    Field::may(
        "events",
        Kind::List(&Kind::TypeOfCalls, 1, MAX_CALL_EVENTS),
        "only events of these types, `call.*` for all that begin so; all if not said",
    ),
    Field::may("key", Kind::Token(MAX_CALL_KEY), "which of `call_webhooks.keys` signs; its `secrets` if not said"),
];

const ROUTES: &[Route] = &[Route {
    method: Method::Put,
    path: "/v1/calls/{call}/webhook",
    name: NAME,
    tag: "calls",
    about: "Has the events of a call that has no webhook of its own posted to a URL from now on.",
    scope: Scope::Control,
    query: &[],
    body: Some(WEBHOOK),
    answers: &[Answer { status: 200, about: "The webhook, by name.", schema: Some("CallWebhook") }],
    problems: &[Code::NoSuchCall, Code::Impossible, Code::NotEnabled, Code::LimitReached],
    run: set,
}];

fn set(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let call = turn.call()?;
    let webhook = turn.give_webhook(call)?;
    Ok(Done::Now(Response::json(200, &json!({ "call": turn.path[0], "webhook": webhook }))))
}

/// Whether the listener has taken on what the request names: asked before the call is made.
pub(super) fn is_taken_on(turn: &Turn<'_>) -> Result<(), Problem> {
    match &turn.request.webhook {
        Some(taken_on) => taken_on.clone().map(drop),
        None => Err(Problem::new(Code::NotEnabled, "nobody posts events of single calls here").at("/webhook")),
    }
}

/// The webhook that a request names for its call, and where it stands in the body. None where there is none, or the request
/// is refused in any case.
#[must_use]
pub fn webhook_wanted(request: &Request) -> Option<(CallWebhook, &'static str)> {
    // Most requests name none, and are read only once.
    if !matches!(request.method.as_str(), "POST" | "PUT") || !request.path.starts_with("/v1/calls") {
        return None;
    }
    let admitted = admit(request).ok()?;
    let (values, place) = match admitted.name() {
        "startCall" => (admitted.body.object("webhook")?, "/webhook"),
        NAME => (admitted.body, ""),
        _ => return None,
    };
    let url = values.text("url")?.to_owned();
    Some((CallWebhook { url, events: values.texts("events"), key: values.text("key").map(ToOwned::to_owned) }, place))
}

fn schemas() -> Vec<(&'static str, Value)> {
    const FIELDS: &[Field] = &[
        Field::must("call", Kind::Call, "the call"),
        Field::must("webhook", Kind::Text(1, 64), "its webhook, as in `/v1/webhooks/NAME`"),
    ];
    vec![("CallWebhook", object_schema(FIELDS))]
}
