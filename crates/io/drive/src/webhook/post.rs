//! The task of one endpoint: between its machine, the log, the target and the store.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hookswitch_call::Time;
use hookswitch_dialect::journal::{EventId, Filter, Logged};
use hookswitch_dialect::webhook::{Answer, Attempt, Change, Endpoint, Output, Target};
use hookswitch_store::Writer;
use reqwest::Url;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::client::Poster;
use super::{Lease, WebhookHandle, state, webhook_id};
use crate::clock::Clock;
use crate::journal::JournalHandle;

/// Changes that wait for the store; with more, nothing is taken from the log.
const MAX_UNWRITTEN: usize = 1_024;

/// When a store that does not keep up is asked again.
const WRITE_AGAIN: Duration = Duration::from_millis(100);

/// How often it is said how far the log was looked through, where nothing is found.
const SAY_WHERE: Duration = Duration::from_secs(30);

/// Something to be done with the machine.
pub(super) type Question = Box<dyn FnOnce(&mut Endpoint, Time) + Send>;

/// What comes from the log.
enum News {
    Events(Vec<Arc<Logged>>),
    /// Nothing up to here that is wanted, but what was told before.
    At(EventId),
    /// The log does not go back so far: this is the oldest that it has.
    Oldest(EventId),
}

type Post = Pin<Box<dyn Future<Output = (u64, Answer)> + Send>>;

/// Everything about one endpoint but its secrets.
pub(super) struct Postman {
    pub(super) name: CompactString,
    pub(super) urls: (Url, Option<Url>),
    pub(super) machine: Endpoint,
    pub(super) poster: Arc<Poster>,
    pub(super) journal: JournalHandle,
    pub(super) writer: Option<Arc<Writer>>,
    pub(super) clock: Clock,
    pub(super) asked: mpsc::Receiver<Question>,
    pub(super) handle: WebhookHandle,
    /// What is looked for in the log.
    pub(super) filter: Filter,
    /// That of calls is let go when none needs it any more.
    pub(super) lease: Option<Arc<Lease>>,
}

/// What is not done yet.
#[derive(Default)]
struct Load {
    posts: FuturesUnordered<Post>,
    events: VecDeque<Arc<Logged>>,
    changes: VecDeque<Change>,
}

impl Load {
    fn is_empty(&self) -> bool {
        self.posts.is_empty() && self.events.is_empty() && self.changes.is_empty()
    }
}

impl Postman {
    pub(super) async fn run(mut self) {
        let (news, mut log) = mpsc::channel(1);
        let often = self.lease.as_ref().map_or(SAY_WHERE, |lease| SAY_WHERE.min(lease.linger));
        tokio::spawn(read(self.journal.clone(), self.machine.read_to(), self.filter.clone(), often, news));
        let mut load = Load::default();
        self.machine.handle_timeout(self.clock.now());
        loop {
            self.work(&mut load);
            if load.is_empty() && self.is_let_go() {
                return;
            }
            let wants = load.events.is_empty() && self.machine.room() > 0 && load.changes.len() < MAX_UNWRITTEN;
            let wait = self.machine.deadline().map(|at| at.saturating_sub(self.clock.now()));
            let look = self.lease.as_ref().filter(|_| load.is_empty()).map(|lease| lease.linger);
            let wait = wait.into_iter().chain((!load.changes.is_empty()).then_some(WRITE_AGAIN)).chain(look).min();
            tokio::select! {
                Some((number, answer)) = load.posts.next() => self.machine.answered(self.clock.now(), number, answer),
                question = self.asked.recv() => match question {
                    Some(question) => question(&mut self.machine, self.clock.now()),
                    None => return,
                },
                Some(news) = log.recv(), if wants => match news {
                    News::Events(events) => load.events.extend(events),
                    News::At(event) => self.machine.passed(event),
                    News::Oldest(oldest) => self.skip(oldest),
                },
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {
                    self.machine.handle_timeout(self.clock.now());
                }
            }
        }
    }

    /// Does what can be done without waiting.
    fn work(&mut self, load: &mut Load) {
        loop {
            while let Some(output) = self.machine.poll_output() {
                match output {
                    Output::Attempt(attempt) => load.posts.push(self.post(attempt)),
                    Output::Change(change) => {
                        self.tell(&change);
                        load.changes.push_back(change);
                    }
                }
            }
            self.store(&mut load.changes);
            if self.machine.room() == 0 || load.changes.len() >= MAX_UNWRITTEN {
                return;
            }
            let Some(event) = load.events.pop_front() else { return };
            self.machine.take(self.clock.now(), &event);
        }
    }

    fn post(&self, attempt: Attempt) -> Post {
        let url = match (attempt.target, &self.urls.1) {
            (Target::Fallback, Some(fallback)) => fallback.clone(),
            _ => self.urls.0.clone(),
        };
        let (poster, counted, clock) = (Arc::clone(&self.poster), Arc::clone(&self.handle.counted), self.clock);
        Box::pin(async move {
            let (id, began) = (webhook_id(attempt.event), clock.now());
            let answer = poster.post(&url, &id, attempt.text).await;
            counted.posted(&answer, clock.now().saturating_sub(began));
            (attempt.number, answer)
        })
    }

    /// In their order: a cursor says that what came before it is kept.
    fn store(&self, changes: &mut VecDeque<Change>) {
        while let Some(change) = changes.front() {
            if let Some(writer) = &self.writer {
                match state::encode(&self.name, &self.urls.0, change) {
                    Ok(write) => {
                        if writer.push_lazily(write).is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::error!(endpoint = %self.name, %error, "what became of a webhook has no form")
                    }
                }
            }
            changes.pop_front();
        }
    }

    fn tell(&self, change: &Change) {
        let endpoint = &self.name;
        match change {
            Change::Dead(dead) => {
                let why = dead.letter.last_failure.as_deref().unwrap_or_default();
                tracing::warn!(%endpoint, event = dead.letter.id.0, why, "a webhook could not be delivered in time");
            }
            Change::Off(Some(_)) => {
                tracing::warn!(%endpoint, "the target says that it is gone (410): the webhook is switched off");
            }
            Change::Off(None) => tracing::info!(%endpoint, "the webhook is switched on again"),
            Change::Cursor(_) | Change::Waiting(_) | Change::Left(_) | Change::Buried(_) | Change::Call(..) => {}
        }
    }

    /// Whether no call needs it any more, and it is gone.
    fn is_let_go(&mut self) -> bool {
        let Some(lease) = &self.lease else { return false };
        let now = self.clock.now();
        if !lease.is_over(now) || !self.machine.is_done(now) {
            lease.keep();
            return false;
        }
        // What was on its way into the log is to be seen as well.
        let seen = self.machine.read_to().is_some_and(|seen| lease.last_look(&self.journal) <= seen);
        seen && self.handle.let_go(&self.name, now, self.writer.as_deref())
    }

    fn skip(&mut self, oldest: EventId) {
        let after = self.machine.read_to().map(|last| last.0);
        tracing::error!(endpoint = %self.name, after, oldest = oldest.0, "events have left the log before they could be posted");
        self.machine.skip_to(oldest);
    }
}

/// Reads the log for as long as somebody takes what is read.
async fn read(
    journal: JournalHandle,
    from: Option<EventId>,
    filter: Filter,
    often: Duration,
    news: mpsc::Sender<News>,
) {
    let mut reader = journal.reader(from, filter.clone());
    loop {
        let news_now = match timeout(often, reader.next()).await {
            Ok(Ok(events)) => News::Events(events),
            Err(_) => News::At(reader.position()),
            Ok(Err(_)) => {
                let oldest = journal.oldest();
                reader = journal.reader(Some(EventId(oldest.0.saturating_sub(1))), filter.clone());
                News::Oldest(oldest)
            }
        };
        if news.send(news_now).await.is_err() {
            return;
        }
    }
}
