//! Where an OpenSIPS carries calls beside our own switch, there are two desks, and each request goes to the one whose call it is
//! about.
//!
//! ```text
//!   request ─┬─▶ ours ─────────────────────────────────────────────▶ answer
//!            ├─▶ theirs ───────────────────────────────────────────▶ answer
//!            └─▶ a key: ours looks at it ── new ──▶ theirs ──▶ ours keeps it with the answer ──▶ answer
//! ```
//!
//! The keys of both are kept by ours, which has the store: so a key means one request, whoever carries it out, and outlives a
//! restart.

use std::fmt;
use std::sync::Arc;

use hookswitch_dialect::rest::{self, Carried, Code, GO_ON, Work};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use super::problem::Problem;
use crate::web::http::ANSWER_PATIENCE;
use crate::web::{HttpAnswer, Sink, WebMessage};

/// The desk of the calls that an OpenSIPS carries, for the control listener of our own switch.
#[derive(Clone)]
pub struct CarrierDesk(Arc<dyn Sink>);

impl fmt::Debug for CarrierDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CarrierDesk")
    }
}

impl CarrierDesk {
    pub(crate) fn new(sink: Arc<dyn Sink>) -> Self {
        Self(sink)
    }
}

/// Whom to ask.
#[derive(Clone)]
pub(super) struct Desks {
    ours: Arc<dyn Sink>,
    theirs: Option<Arc<dyn Sink>>,
}

impl Desks {
    pub(super) fn new(ours: Arc<dyn Sink>, theirs: Option<CarrierDesk>) -> Self {
        Self { ours, theirs: theirs.map(|desk| desk.0) }
    }

    /// Has a request answered. `place` is its place among those at once.
    pub(super) async fn ask(&self, request: rest::Request, place: OwnedSemaphorePermit) -> Result<HttpAnswer, Problem> {
        let Some(theirs) = &self.theirs else { return patiently(push(&*self.ours, request)?).await };
        match rest::carried(&request) {
            Carried::Here => patiently(push(&*self.ours, request)?).await,
            Carried::Both => {
                // What it answers is what ours does.
                drop(push(&**theirs, without_key(&request))?);
                patiently(push(&*self.ours, request)?).await
            }
            Carried::Beyond if request.headers.idempotency_key.is_none() || looks(&request) => {
                patiently(push(&**theirs, request)?).await
            }
            Carried::Beyond => {
                // Whoever asks may go before it is answered, and asks again under that key: so it goes on without.
                let (ours, theirs) = (Arc::clone(&self.ours), Arc::clone(theirs));
                let once = tokio::spawn(async move {
                    let _place = place;
                    once(&*ours, &*theirs, request).await
                });
                match timeout(ANSWER_PATIENCE, once).await {
                    Ok(answer) => answer.unwrap_or(Err(STOPPING)),
                    Err(_) => Err(Problem::Silent),
                }
            }
        }
    }
}

const STOPPING: Problem = Problem::Busy("the switch is stopping");

/// A request that only looks has nothing that must not be done twice.
fn looks(request: &rest::Request) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD")
}

fn without_key(request: &rest::Request) -> rest::Request {
    let headers = rest::Headers { idempotency_key: None, ..request.headers.clone() };
    rest::Request { headers, ..request.clone() }
}

/// Has theirs carry out a request under a key that ours keeps.
async fn once(ours: &dyn Sink, theirs: &dyn Sink, request: rest::Request) -> Result<HttpAnswer, Problem> {
    let looked = rest::Request { work: Work::Elsewhere, ..request.clone() };
    let looked = push(ours, looked)?.await.map_err(|_| STOPPING)?;
    if looked.status != GO_ON {
        return Ok(looked);
    }
    let answer = match push(theirs, without_key(&request)) {
        Ok(answer) => answer.await.ok().map(rest::Response::from),
        Err(_) => None,
    };
    let silent = || rest::Problem::new(Code::Unavailable, "too many requests at once").into_response();
    let work = Work::Done(Box::new(answer.unwrap_or_else(silent)));
    let (reply, kept) = oneshot::channel();
    // It has been carried out: there has to be room to say so.
    ours.push_always(WebMessage::Rest { request: Box::new(rest::Request { work, ..request }), reply });
    kept.await.map_err(|_| STOPPING)
}

fn push(sink: &dyn Sink, request: rest::Request) -> Result<oneshot::Receiver<HttpAnswer>, Problem> {
    let (reply, answer) = oneshot::channel();
    let message = WebMessage::Rest { request: Box::new(request), reply };
    sink.push(message).map_err(|_| Problem::Busy("too many requests at once"))?;
    Ok(answer)
}

async fn patiently(answer: oneshot::Receiver<HttpAnswer>) -> Result<HttpAnswer, Problem> {
    match timeout(ANSWER_PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|_| STOPPING),
        Err(_) => Err(Problem::Silent),
    }
}
