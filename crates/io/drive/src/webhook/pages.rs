//! What is asked about webhooks at `/v1/webhooks`, and ordered.

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_dialect::access::Grant;
use hookswitch_dialect::journal::record::date_time;
use hookswitch_dialect::journal::{EventId, call_name};
use hookswitch_dialect::rest::{Admitted, Code, Problem, Response};
use hookswitch_dialect::webhook::{Answer, CallWebhook, Dead, Delivery, State, Summary};
use serde_json::{Map, Value, json};

use super::{CallWebhookError, WebhookHandle};

/// Entries of a list where the query does not say how many.
const USUAL_LIMIT: usize = 100;

type Answered = Result<Response, Problem>;

fn nobody(name: &str) -> Problem {
    Problem::new(Code::NoSuchWebhook, format!("no webhook is called {name:?}"))
}

/// Takes on the webhook that a request names for its call. `place` is where it stands in the body.
pub(crate) async fn take_on(
    webhooks: &WebhookHandle,
    wanted: &CallWebhook,
    place: &str,
) -> Result<CompactString, Problem> {
    webhooks.take_on(wanted).await.map_err(|error| {
        let (detail, field) = (error.to_string(), format!("{place}/{}", error.member()));
        let (code, expected) = match error {
            CallWebhookError::NotEnabled => (Code::NotEnabled, "no member, or call_webhooks in the configuration"),
            CallWebhookError::Url(_) => {
                (Code::InvalidField, "an http or https URL of at most 2048 bytes without user, password and `#`")
            }
            CallWebhookError::Private(_) => {
                (Code::InvalidField, "a public address, or one of call_webhooks.allow_private")
            }
            CallWebhookError::NoSuchKey => (Code::InvalidField, "the name of one of call_webhooks.keys"),
            CallWebhookError::TooMany(_) => (Code::LimitReached, "a webhook that another call has already"),
            CallWebhookError::Stopping => return Problem::new(Code::Unavailable, detail).at(field),
            CallWebhookError::NotStored => return Problem::new(Code::Unavailable, detail).at(field),
        };
        Problem::new(code, detail).at(field).expected(expected)
    })
}

/// Answers one of the operations on webhooks. Whoever asks has the scope that the operation needs.
pub(crate) async fn answer(webhooks: &WebhookHandle, grant: &Grant, asked: &Admitted) -> Answered {
    if !grant.domains.is_empty() {
        let problem = Problem::new(Code::DomainNotAllowed, "webhooks are seen only by those who see all domains");
        return Err(problem.expected("a token that is not limited to domains"));
    }
    let part = |n: usize| asked.path.get(n).map_or("", String::as_str);
    match asked.name() {
        "listWebhooks" => all(webhooks).await,
        "getWebhook" => Ok(Response::json(200, &document(webhooks, part(0)).await?)),
        "listDeliveries" => deliveries(webhooks, part(0), asked).await,
        "listDeadLetters" => dead_letters(webhooks, part(0), asked).await,
        "replayDeadLetter" => replay(webhooks, part(0), part(1)).await,
        "replayAll" => replay_all(webhooks, part(0)).await,
        "testWebhook" => test(webhooks, part(0)).await,
        "enableWebhook" => enable(webhooks, part(0)).await,
        other => Err(Problem::new(Code::NotFound, format!("webhooks have no operation {other}"))),
    }
}

async fn all(webhooks: &WebhookHandle) -> Answered {
    let mut list = Vec::new();
    for name in webhooks.names() {
        // That of a call may go while the others are asked.
        list.extend(document(webhooks, &name).await);
    }
    Ok(Response::json(200, &json!({ "webhooks": list })))
}

async fn document(webhooks: &WebhookHandle, name: &str) -> Result<Value, Problem> {
    let about = webhooks.about(name).ok_or_else(|| nobody(name))?;
    let summary = webhooks.with(name, |endpoint, _| endpoint.summary()).await.ok_or_else(|| nobody(name))?;
    let Summary { cursor, waiting, under_way, dead, delivered, failures_in_row, off_since, gaps, dropped, calls } =
        summary;
    Ok(json!({
        "name": name,
        "url": about.url.to_string(),
        "fallback_url": about.fallback.as_ref().map(ToString::to_string),
        "calls": about.filter.webhook.is_some().then_some(calls),
        "key": about.key,
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

/// The event that a parameter of the query names.
fn event(asked: &Admitted, name: &str) -> Result<Option<EventId>, Problem> {
    let Some(text) = asked.query.text(name) else { return Ok(None) };
    let wrong =
        || Problem::new(Code::InvalidParameter, "a parameter of the query cannot be taken").at(format!("?{name}"));
    text.parse().map(|id| Some(EventId(id))).map_err(|_| wrong().expected("the id of an event: decimal digits"))
}

fn limit(asked: &Admitted) -> usize {
    asked.query.whole("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(USUAL_LIMIT)
}

async fn deliveries(webhooks: &WebhookHandle, name: &str, asked: &Admitted) -> Answered {
    let (event, after, limit) = (event(asked, "event")?, event(asked, "after")?, limit(asked));
    // The names of states are those of the query's table.
    let state: Option<State> = asked.query.text("state").and_then(|text| serde_json::from_value(text.into()).ok());
    let wants = move |one: &Delivery| state.is_none_or(|state| one.state == state);
    let list = webhooks.with(name, move |endpoint, _| match event {
        Some(event) => endpoint.delivery(event).filter(wants).into_iter().collect(),
        None => endpoint.deliveries(state, after, limit),
    });
    let list: Vec<Delivery> = list.await.ok_or_else(|| nobody(name))?;
    let next = list.last().filter(|_| list.len() == limit && event.is_none()).map(|last| number(last.event));
    let list: Vec<Value> = list.iter().map(delivery).collect();
    Ok(Response::json(200, &page("deliveries", list, next)))
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

async fn dead_letters(webhooks: &WebhookHandle, name: &str, asked: &Admitted) -> Answered {
    let (after, limit) = (event(asked, "after")?, limit(asked));
    let list = webhooks.with(name, move |endpoint, _| endpoint.dead_letters(after).take(limit).cloned().collect());
    let list: Vec<Dead> = list.await.ok_or_else(|| nobody(name))?;
    let next = list.last().filter(|_| list.len() == limit).map(|last| number(last.letter.id));
    Ok(Response::json(200, &page("dead_letters", list.iter().map(dead_letter).collect(), next)))
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

async fn replay(webhooks: &WebhookHandle, name: &str, event: &str) -> Answered {
    let nothing = || Problem::new(Code::NoSuchDeadLetter, format!("no dead letter of event {event:?}"));
    let id = event.parse().map(EventId).map_err(|_| nothing())?;
    let done = webhooks.with(name, move |endpoint, now: Time| endpoint.replay(now, id)).await;
    done.ok_or_else(|| nobody(name))?.map_err(|_| nothing())?;
    Ok(Response::json(202, &json!({ "replayed": 1 })))
}

async fn replay_all(webhooks: &WebhookHandle, name: &str) -> Answered {
    let count = webhooks.with(name, |endpoint, now| endpoint.replay_all(now)).await;
    Ok(Response::json(202, &json!({ "replayed": count.ok_or_else(|| nobody(name))? })))
}

async fn test(webhooks: &WebhookHandle, name: &str) -> Answered {
    let (status, failure) = match webhooks.test(name).await.ok_or_else(|| nobody(name))? {
        Answer::Status { code, .. } => (Some(code), None),
        Answer::Failed(failure) => (None, Some(failure.to_string())),
    };
    let delivered = status.is_some_and(|code| (200..300).contains(&code));
    Ok(Response::json(200, &json!({ "delivered": delivered, "status": status, "failure": failure })))
}

async fn enable(webhooks: &WebhookHandle, name: &str) -> Answered {
    let done = webhooks.with(name, |endpoint, now| endpoint.switch_on(now)).await;
    done.ok_or_else(|| nobody(name))?;
    Ok(Response::json(200, &document(webhooks, name).await?))
}
