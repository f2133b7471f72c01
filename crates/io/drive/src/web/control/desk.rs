//! Requests of the native REST: read whole, passed to the loop behind, answered with what it says.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_dialect::access::Grant;
use hookswitch_dialect::rest::{self, FileAct};

use super::carriers::Desks;
use super::files::Files;
use super::own::Own;
use super::problem::Problem;
use crate::web::http::{Unread, announced, read, respond};
use crate::web::{Gateway, HttpAnswer};

/// draft-ietf-httpapi-idempotency-key-header-07.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The JSON document of an answer, for the audit log; an extension of the response.
#[derive(Clone, Debug)]
pub(super) struct Answered(pub(super) Bytes);

/// Who answers, and how long bodies may be and take.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) gateway: Gateway,
    pub(super) desks: Desks,
    pub(super) files: Files,
    pub(super) own: Own,
    pub(super) max_body: usize,
    pub(super) body_time: Duration,
}

/// Hands over what nobody else answers.
pub(super) fn router(desk: Desk) -> Router {
    Router::new().fallback(move |Extension(grant): Extension<Arc<Grant>>, request: Request| {
        let desk = desk.clone();
        async move {
            let answer = handle(&desk, grant, request).await;
            answer.unwrap_or_else(IntoResponse::into_response)
        }
    })
}

async fn handle(desk: &Desk, grant: Arc<Grant>, request: Request) -> Result<Response, Problem> {
    let Desk { gateway, desks, files, own, max_body, body_time } = desk;
    let busy = Problem::Busy("too many requests at once");
    let place = Arc::clone(&gateway.requests).try_acquire_owned().map_err(|_| busy.clone())?;
    let (head, body) = request.into_parts();
    let max_body = (*max_body).min(rest::body_limit(head.uri.path()));
    let size = announced(&head.headers).unwrap_or(max_body);
    if size > max_body {
        return Err(Problem::TooLarge(max_body));
    }
    let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    let _room = gateway.bodies.try_acquire_many(kib).map_err(|_| busy)?;
    let body = read(body, max_body, *body_time).await.map_err(|why| match why {
        Unread::TooLarge => Problem::TooLarge(max_body),
        Unread::Late => Problem::Late,
    })?;
    let is_head = head.method == Method::HEAD;
    let mut request = rest::Request {
        method: CompactString::from(head.method.as_str()),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: fields(&head.headers),
        body: body.into(),
        grant,
        webhook: None,
        work: rest::Work::Here,
    };
    if rest::is_of_listener(&request) {
        let answer = own.answer(&request).await.unwrap_or_else(rest::Problem::into_response);
        return Ok(answered(answer.into(), is_head));
    }
    own.take_on(&mut request).await;
    let mut answer = desks.ask(request, place).await?;
    let Some(wanted) = answer.file.take() else { return Ok(answered(answer, is_head)) };
    if wanted.act == FileAct::Measure {
        if let Some(document) = files.measured(&wanted, &answer.body).await {
            answer.body = document.into();
        }
        return Ok(answered(answer, is_head));
    }
    let sent = files.answer(&wanted, &head.method, &head.headers).await;
    Ok(sent.unwrap_or_else(|problem| answered(problem.into_response().into(), is_head)))
}

fn answered(answer: HttpAnswer, is_head: bool) -> Response {
    let document = Answered(answer.body.clone());
    let mut response = respond(answer, is_head);
    response.extensions_mut().insert(document);
    response
}

fn fields(headers: &HeaderMap) -> rest::Headers {
    rest::Headers {
        content_type: field(headers, &header::CONTENT_TYPE),
        idempotency_key: field(headers, &IDEMPOTENCY_KEY),
        if_match: field(headers, &header::IF_MATCH),
        if_none_match: field(headers, &header::IF_NONE_MATCH),
    }
}

/// A field that stands there more than once is a list (RFC 9110 section 5.3).
fn field(headers: &HeaderMap, name: &HeaderName) -> Option<CompactString> {
    let mut values = headers.get_all(name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let first = CompactString::from(values.next()?);
    Some(values.fold(first, |all, next| compact_str::format_compact!("{all}, {next}")))
}
