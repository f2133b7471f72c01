//! Everybody who waits for something from a shard but the SIP side: applications, HTTP requests, the store.

use std::collections::{HashMap, VecDeque};

use hookswitch_dialect::rest::{self, Code, Problem};
use hookswitch_shard::{Change, HttpId};
use hookswitch_store::{Committed, Ticket, Writer};
use tokio::sync::oneshot;

use crate::persist;
use crate::web::{HttpAnswer, Outboxes};

/// How far the changes of the input at hand are on their way to the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    /// Nothing was changed.
    Nothing,
    /// Safe when this receipt is.
    At(Ticket),
    /// The store does not take it.
    Not,
}

pub(crate) struct Desk {
    pub(crate) sessions: Outboxes,
    requests: HashMap<HttpId, oneshot::Sender<HttpAnswer>>,
    next_request: u64,
    store: Option<Writer>,
    changed: Durable,
    /// Answers that wait for the disk, in the order of their receipts.
    waiting: VecDeque<(Ticket, oneshot::Sender<HttpAnswer>, HttpAnswer)>,
}

impl Desk {
    pub(crate) fn new(store: Option<Writer>) -> Self {
        Self {
            sessions: Outboxes::default(),
            requests: HashMap::new(),
            next_request: 0,
            store,
            changed: Durable::Nothing,
            waiting: VecDeque::new(),
        }
    }

    /// Takes in a request.
    pub(crate) fn expect(&mut self, reply: oneshot::Sender<HttpAnswer>) -> HttpId {
        self.next_request += 1;
        let id = HttpId(self.next_request);
        self.requests.insert(id, reply);
        id
    }

    /// Before each input: what was changed before does not concern its answer.
    pub(crate) fn begin(&mut self) {
        self.changed = Durable::Nothing;
    }

    /// Hands a change to the store.
    pub(crate) fn remember(&mut self, change: &Change) {
        let Some(store) = &self.store else { return };
        let write = match persist::encode(change) {
            Ok(write) => write,
            Err(error) => {
                tracing::error!(%error, "a change has no stored form");
                self.changed = Durable::Not;
                return;
            }
        };
        // A refresh that is lost with the process leaves the binding of before, which is good for a while yet. Twenty
        // thousand of them a second are written in one go.
        let pushed = match change {
            Change::BindingPut(binding) if !binding.is_new() => store.push_lazily(write),
            _ => store.push(write),
        };
        match pushed {
            Ok(ticket) if self.changed != Durable::Not => self.changed = Durable::At(ticket),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "a change will not survive a restart");
                self.changed = Durable::Not;
            }
        }
    }

    /// Answers a request, once what it changed is durable.
    pub(crate) fn answer(&mut self, id: HttpId, answer: HttpAnswer) {
        let Some(reply) = self.requests.remove(&id) else { return };
        match self.changed {
            Durable::Nothing => drop(reply.send(answer)),
            Durable::At(ticket) => self.waiting.push_back((ticket, reply, answer)),
            Durable::Not => drop(reply.send(not_stored(&answer))),
        }
    }

    /// News from the store.
    pub(crate) fn committed(&mut self, news: &Committed) {
        if let Err(error) = &news.result {
            tracing::error!(%error, "the store cannot be written");
        }
        while let Some((_, reply, answer)) = self.waiting.pop_front_if(|(ticket, ..)| *ticket <= news.up_to) {
            // Whoever asked may have gone.
            let _ = reply.send(if news.result.is_ok() { answer } else { not_stored(&answer) });
        }
    }

    /// Writes what is left to the disk.
    pub(crate) fn stop(self) {
        if let Some(store) = self.store
            && let Err(error) = store.stop()
        {
            tracing::error!(%error, "the last changes could not be stored");
        }
    }
}

/// In place of an answer, in its manner.
fn not_stored(answer: &HttpAnswer) -> HttpAnswer {
    const TEXT: &str = "the change is in effect but could not be stored yet\n";
    if answer.content_type != rest::JSON {
        return HttpAnswer::plain(503, TEXT);
    }
    let problem = Problem::new(Code::NotStored, TEXT.trim_end());
    problem.into_response().into()
}
