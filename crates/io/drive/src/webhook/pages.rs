//! What is asked about webhooks at `/v1/webhooks`, and ordered.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use hookswitch_call::Time;
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::journal::record::date_time;
use hookswitch_dialect::journal::{EventId, call_name};
use hookswitch_dialect::webhook::{Answer, Dead, Delivery, State, Summary};
use serde_json::{Map, Value, json};

use super::WebhookHandle;

/// Entries of a list where the query does not say how many.
const USUAL_LIMIT: usize = 100;

/// Most entries of a list.
const MAX_LIMIT: usize = 1_000;

/// Why something is not answered.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<&'static str>,
}

type Answered = Result<Response, Problem>;

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None }
    }

    fn nobody(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_webhook", format!("no webhook is called {name:?}"))
    }

    fn parameter(field: &'static str, detail: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_parameter", detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = json!({
            "type": format!("/problems/{}", self.code),
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let Some(field) = self.field {
            document["field"] = field.into();
        }
        send(self.status, "application/problem+json", &document)
    }
}

fn send(status: StatusCode, kind: &'static str, document: &Value) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn found(document: &Value) -> Answered {
    Ok(send(StatusCode::OK, "application/json", document))
}

/// Everything that is answered. Whoever asks has proved who it is: its [`Grant`] is an extension of the request.
pub(crate) fn router(webhooks: WebhookHandle) -> Router {
    Router::new()
        .route("/v1/webhooks", get(all))
        .route("/v1/webhooks/{name}", get(one))
        .route("/v1/webhooks/{name}/deliveries", get(deliveries))
        .route("/v1/webhooks/{name}/dead-letters", get(dead_letters))
        .route("/v1/webhooks/{name}/dead-letters/{event}/replay", post(replay))
        .route("/v1/webhooks/{name}/replay", post(replay_all))
        .route("/v1/webhooks/{name}/test", post(test))
        .route("/v1/webhooks/{name}/enable", post(enable))
        .with_state(webhooks)
}

/// Webhooks carry the events of all domains.
fn check(grant: &Grant, scope: Scope) -> Result<(), Problem> {
    if !grant.may(scope) {
        let detail = format!(
            "{:?} lacks the scope {}",
            grant.name.as_str(),
            if scope == Scope::Admin { "admin" } else { "read" }
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    if !grant.domains.is_empty() {
        let detail = "webhooks are seen only by those who see all domains";
        return Err(Problem::new(StatusCode::FORBIDDEN, "domain_not_allowed", detail));
    }
    Ok(())
}

type Asker = Extension<Arc<Grant>>;

async fn all(Shared(webhooks): Shared<WebhookHandle>, Extension(grant): Asker) -> Answered {
    check(&grant, Scope::Read)?;
    let mut list = Vec::new();
    let names: Vec<String> = webhooks.names().map(str::to_owned).collect();
    for name in names {
        list.push(document(&webhooks, &name).await?);
    }
    found(&json!({ "webhooks": list }))
}

async fn one(Shared(webhooks): Shared<WebhookHandle>, Extension(grant): Asker, Path(name): Path<String>) -> Answered {
    check(&grant, Scope::Read)?;
    found(&document(&webhooks, &name).await?)
}

async fn document(webhooks: &WebhookHandle, name: &str) -> Result<Value, Problem> {
    let about = webhooks.about(name).ok_or_else(|| Problem::nobody(name))?;
    let summary = webhooks.with(name, |endpoint, _| endpoint.summary()).await.ok_or_else(|| Problem::nobody(name))?;
    let Summary { cursor, waiting, under_way, dead, delivered, failures_in_row, off_since, gaps, dropped } = summary;
    Ok(json!({
        "name": name,
        "url": about.url,
        "fallback_url": about.fallback,
        "types": about.filter.kinds,
        "domains": about.filter.domains,
        "signatures": about.signatures,
        "public_keys": about.public_keys,
        "enabled": off_since.is_none(),
        "gone_since": off_since.map(date_time),
        "cursor": cursor.map(number),
        "waiting": waiting,
        "under_way": under_way,
        "dead_letters": dead,
        "delivered": delivered,
        "failures_in_row": failures_in_row,
        "gaps": gaps,
        "dropped_dead_letters": dropped,
    }))
}

fn number(event: EventId) -> String {
    event.0.to_string()
}

/// What a query asks for.
#[derive(Default)]
struct Query {
    event: Option<EventId>,
    state: Option<State>,
    after: Option<EventId>,
    limit: usize,
}

impl Query {
    /// Reads a query that may have these parameters. None of their values has anything to escape.
    fn read(text: Option<String>, known: &[&'static str]) -> Result<Self, Problem> {
        let mut query = Self { limit: USUAL_LIMIT, ..Self::default() };
        for pair in text.iter().flat_map(|text| text.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = known.iter().find(|known| **known == name) else {
                let detail = format!("{name:?} is none of {}", known.join(", "));
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_parameter", detail));
            };
            let event =
                || value.parse().map(EventId).map_err(|_| Problem::parameter(name, "the id of an event is expected"));
            match *name {
                "event" => query.event = Some(event()?),
                "after" => query.after = Some(event()?),
                "state" => query.state = Some(state(value)?),
                _ => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    query.limit =
                        limit.ok_or_else(|| Problem::parameter("limit", format!("1 to {MAX_LIMIT} is expected")))?;
                }
            }
        }
        Ok(query)
    }
}

fn state(text: &str) -> Result<State, Problem> {
    let read = serde_json::from_value(text.into());
    read.map_err(|_| Problem::parameter("state", "waiting, under_way, retrying, delivered or dead is expected"))
}

async fn deliveries(
    Shared(webhooks): Shared<WebhookHandle>,
    Extension(grant): Asker,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    check(&grant, Scope::Read)?;
    let Query { event, state, after, limit } = Query::read(query, &["event", "state", "after", "limit"])?;
    let wants = move |one: &Delivery| state.is_none_or(|state| one.state == state);
    let list = webhooks.with(&name, move |endpoint, _| match event {
        Some(event) => endpoint.delivery(event).filter(wants).into_iter().collect(),
        None => endpoint.deliveries(state, after, limit),
    });
    let list: Vec<Delivery> = list.await.ok_or_else(|| Problem::nobody(&name))?;
    let next = list.last().filter(|_| list.len() == limit && event.is_none()).map(|last| number(last.event));
    let list: Vec<Value> = list.iter().map(delivery).collect();
    found(&page("deliveries", list, next))
}

fn delivery(one: &Delivery) -> Value {
    json!({
        "event": number(one.event),
        "type": one.kind,
        "call": one.call.map(call_name),
        "state": one.state,
        "time": one.at.map(date_time),
        "attempts": one.attempts,
        "target": one.target,
        "status": one.status,
        "failure": one.failure,
    })
}

fn page(name: &str, list: Vec<Value>, next: Option<String>) -> Value {
    let mut page = Map::new();
    page.insert(name.to_owned(), list.into());
    page.insert("next".to_owned(), next.into());
    page.into()
}

async fn dead_letters(
    Shared(webhooks): Shared<WebhookHandle>,
    Extension(grant): Asker,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    check(&grant, Scope::Read)?;
    let Query { after, limit, .. } = Query::read(query, &["after", "limit"])?;
    let list = webhooks.with(&name, move |endpoint, _| endpoint.dead_letters(after).take(limit).cloned().collect());
    let list: Vec<Dead> = list.await.ok_or_else(|| Problem::nobody(&name))?;
    let next = list.last().filter(|_| list.len() == limit).map(|last| number(last.letter.id));
    found(&page("dead_letters", list.iter().map(dead_letter).collect(), next))
}

fn dead_letter(dead: &Dead) -> Value {
    let letter = &dead.letter;
    json!({
        "event": number(letter.id),
        "type": letter.kind,
        "call": letter.call.map(call_name),
        "since": date_time(dead.since),
        "attempts": letter.attempts,
        "target": letter.last_target,
        "failure": letter.last_failure,
        // It was written by us.
        "document": serde_json::from_str::<Value>(&letter.text).unwrap_or_default(),
    })
}

async fn replay(
    Shared(webhooks): Shared<WebhookHandle>,
    Extension(grant): Asker,
    Path((name, event)): Path<(String, String)>,
) -> Answered {
    check(&grant, Scope::Admin)?;
    let nothing =
        || Problem::new(StatusCode::NOT_FOUND, "no_such_dead_letter", format!("no dead letter of event {event:?}"));
    let id = event.parse().map(EventId).map_err(|_| nothing())?;
    let done = webhooks.with(&name, move |endpoint, now: Time| endpoint.replay(now, id)).await;
    done.ok_or_else(|| Problem::nobody(&name))?.map_err(|_| nothing())?;
    Ok(send(StatusCode::ACCEPTED, "application/json", &json!({ "replayed": 1 })))
}

async fn replay_all(
    Shared(webhooks): Shared<WebhookHandle>,
    Extension(grant): Asker,
    Path(name): Path<String>,
) -> Answered {
    check(&grant, Scope::Admin)?;
    let count = webhooks.with(&name, |endpoint, now| endpoint.replay_all(now)).await;
    let count = count.ok_or_else(|| Problem::nobody(&name))?;
    Ok(send(StatusCode::ACCEPTED, "application/json", &json!({ "replayed": count })))
}

async fn test(Shared(webhooks): Shared<WebhookHandle>, Extension(grant): Asker, Path(name): Path<String>) -> Answered {
    check(&grant, Scope::Admin)?;
    let (status, failure) = match webhooks.test(&name).await.ok_or_else(|| Problem::nobody(&name))? {
        Answer::Status { code, .. } => (Some(code), None),
        Answer::Failed(failure) => (None, Some(failure.to_string())),
    };
    let delivered = status.is_some_and(|code| (200..300).contains(&code));
    found(&json!({ "delivered": delivered, "status": status, "failure": failure }))
}

async fn enable(
    Shared(webhooks): Shared<WebhookHandle>,
    Extension(grant): Asker,
    Path(name): Path<String>,
) -> Answered {
    check(&grant, Scope::Admin)?;
    let done = webhooks.with(&name, |endpoint, now| endpoint.switch_on(now)).await;
    done.ok_or_else(|| Problem::nobody(&name))?;
    found(&document(&webhooks, &name).await?)
}
