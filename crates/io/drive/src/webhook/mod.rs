//! Webhooks: events are posted to URLs.
//!
//! ```text
//!   log of events ── Reader ──▶ Endpoint (machine) ── Attempt ──▶ Poster ── POST ──▶ target
//!                                │  ▲                                │
//!                        Change  ▼  └────────────── Answer ──────────┘
//!                              store
//! ```
//!
//! All endpoints share one thread and one file in the data folder. Each has a reader of the log, connections and a task
//! of its own, so that nobody waits for the target of another. Those that calls have of their own come and go ([`calls`]).

mod calls;
pub(crate) mod client;
mod figures;
mod guard;
pub(crate) mod pages;
mod post;
mod sign;
mod state;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_dialect::journal::{EventId, Filter};
use hookswitch_dialect::webhook::{Answer, Endpoint, Terms};
use hookswitch_sip::Network;
use hookswitch_store::{STORES, StoreError, Writer};
use rand::Rng as _;
use reqwest::Url;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use crate::StoreConfig;
use crate::clock::Clock;
use crate::journal::JournalHandle;
pub use calls::{CallWebhookError, CallWebhooksConfig, MAX_CALL_WEBHOOKS};
use calls::{ForCalls, Lease, Office};
pub use client::MAX_WEBHOOK_ANSWER;
use client::{Poster, PosterConfig};
use figures::Counted;
use guard::{Guard, Private};
use post::{Postman, Question};
pub use sign::{BadWebhookSecret, MAX_WEBHOOK_SECRETS, WebhookSecret};
use state::Kept;

/// Most endpoints.
pub const MAX_WEBHOOKS: usize = 100;

/// Longest URL of a webhook, in bytes.
pub const MAX_WEBHOOK_URL: usize = 2_048;

/// Questions of one endpoint that may wait for its task.
const MAX_QUESTIONS: usize = 64;

/// The folder below the data folder in which the state is kept.
const FOLDER: &str = "webhooks";

/// All webhooks.
#[derive(Debug)]
pub struct WebhooksConfig {
    /// To whom. At most [`MAX_WEBHOOKS`], with names of their own.
    pub endpoints: Vec<EndpointConfig>,
    /// What those have that calls name themselves. Default none: no call may.
    pub calls: Option<CallWebhooksConfig>,
    /// Where state is kept; none forgets it with the process.
    pub store: Option<StoreConfig>,
}

/// One endpoint.
#[derive(Debug)]
pub struct EndpointConfig {
    /// Its name, in logs, pages and the store.
    pub name: CompactString,
    /// Where events are posted.
    pub url: WebhookUrl,
    /// Where they are posted while that fails.
    pub fallback: Option<WebhookUrl>,
    /// Which events.
    pub filter: Filter,
    /// What they are signed with, each of them; none leaves them unsigned.
    pub secrets: Vec<WebhookSecret>,
    /// Networks that are not of the public Internet and allowed nevertheless.
    pub allow_private: Vec<Network>,
    /// A file of further authorities for certificates, as PEM, beside those of the system.
    pub authorities: Option<PathBuf>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How often, how long and how many. Whether there is a fallback says [`EndpointConfig::fallback`].
    pub terms: Terms,
}

impl EndpointConfig {
    /// What posts for it needs, which takes the secrets along.
    fn poster(&mut self) -> PosterConfig {
        PosterConfig {
            secrets: std::mem::take(&mut self.secrets),
            allow_private: std::mem::take(&mut self.allow_private),
            authorities: self.authorities.clone(),
            timeout: self.timeout,
            idle: self.terms.parallel,
        }
    }
}

impl WebhookUrl {
    pub(crate) const fn url(&self) -> &Url {
        &self.0
    }

    /// The address that it leads to, where nothing is posted to: it is neither public nor in one of these networks. As far as
    /// it shows without a look-up; where a name leads is asked when something is posted.
    #[must_use]
    pub fn private(&self, allowed: &[Network]) -> Option<IpAddr> {
        let guard = Guard { allow_private: allowed.to_vec() };
        guard.check(&self.0).err().map(|Private(address)| address)
    }
}

/// Where a webhook is posted: `http` or `https`, without user, password and `#`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookUrl(Url);

/// A text that is no [`WebhookUrl`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an http or https URL without user, password and `#`, of at most {MAX_WEBHOOK_URL} bytes")]
pub struct BadWebhookUrl;

impl std::str::FromStr for WebhookUrl {
    type Err = BadWebhookUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |url: &Url| {
            let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
            is_web && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
        };
        let url = Url::parse(text).ok().filter(|url| is_plain(url) && url.as_str().len() <= MAX_WEBHOOK_URL);
        url.map(Self).ok_or(BadWebhookUrl)
    }
}

impl serde::Serialize for WebhookUrl {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for WebhookUrl {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// Why webhooks do not start.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    /// The file of further authorities.
    #[error("webhooks: {0}")]
    Authorities(String),
    /// The HTTP client.
    #[error("webhooks: {0}")]
    Client(String),
    /// Two endpoints have one name, or there are more than [`MAX_WEBHOOKS`].
    #[error("webhooks: at most {MAX_WEBHOOKS}, each with a name of its own")]
    Names,
    /// What was kept.
    #[error("webhooks: {0}")]
    Store(#[from] StoreError),
    /// The system gives us no thread.
    #[error("webhooks: {0}")]
    System(#[from] std::io::Error),
}

/// The running webhooks. Dropping them leaves what is under way, which is posted again at the next start.
pub struct Webhooks {
    handle: WebhookHandle,
    runtime: Option<Runtime>,
    /// Last, so that everything that was told to it is committed.
    writer: Option<Arc<Writer>>,
}

impl Webhooks {
    /// Starts where the last process has ended.
    ///
    /// # Errors
    /// [`WebhooksError`].
    pub fn start(config: WebhooksConfig, journal: &JournalHandle) -> Result<Self, WebhooksError> {
        Self::start_behind(WebhookHandle::default(), config, journal)
    }

    /// As [`Webhooks::start`], behind a handle that others may have already. Others that were started behind it have to be
    /// dropped first.
    ///
    /// # Errors
    /// [`WebhooksError`].
    pub fn start_behind(
        handle: WebhookHandle,
        config: WebhooksConfig,
        journal: &JournalHandle,
    ) -> Result<Self, WebhooksError> {
        let clock = Clock::start();
        let names: std::collections::BTreeSet<_> = config.endpoints.iter().map(|one| one.name.clone()).collect();
        if names.len() < config.endpoints.len() || names.len() > MAX_WEBHOOKS {
            return Err(WebhooksError::Names);
        }
        let disk = open(config.store.as_ref())?;
        let kept = disk.as_ref().map(|disk| &disk.kept);
        let targets = kept.filter(|_| config.calls.is_some()).map(Kept::targets).unwrap_or_default();
        let is_served = |name: &str| names.contains(name) || targets.contains_key(name);
        for name in kept.iter().flat_map(|kept| kept.strangers(is_served)) {
            tracing::warn!(endpoint = %name, "what is kept of a webhook that is not configured any more stays in the store");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("webhooks")
            .enable_all()
            .build()?;
        let ground = Ground {
            handle: handle.clone(),
            journal: journal.clone(),
            writer: disk.as_ref().map(|disk| Arc::clone(&disk.writer)),
            clock,
            runtime: runtime.handle().clone(),
        };
        let mut desks = BTreeMap::new();
        for endpoint in config.endpoints {
            let (name, desk) = ground.configured(endpoint, kept)?;
            desks.insert(name, desk);
        }
        let committed = disk.as_ref().map(|disk| disk.committed.clone());
        let office = config.calls.map(|calls| Office::open(ground, calls, committed)).transpose()?;
        if let (Some(office), Some(kept)) = (&office, kept) {
            let again = targets.into_iter().filter_map(|(name, target)| office.again(name, target, kept));
            desks.extend(again);
        }
        handle.lead_to(desks);
        handle.for_calls.lead_to(office);
        Ok(Self { handle, runtime: Some(runtime), writer: disk.map(|disk| disk.writer) })
    }

    /// For those who ask about webhooks.
    #[must_use]
    pub fn handle(&self) -> WebhookHandle {
        self.handle.clone()
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.handle.for_calls.close();
        self.handle.lead_to(BTreeMap::new());
        // Whoever waits for an answer of a target is not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        drop(self.writer.take());
    }
}

/// What all endpoints have in common.
struct Ground {
    handle: WebhookHandle,
    journal: JournalHandle,
    writer: Option<Arc<Writer>>,
    clock: Clock,
    runtime: Handle,
}

impl Ground {
    /// Starts an endpoint of the configuration, where it was.
    fn configured(
        &self,
        mut endpoint: EndpointConfig,
        kept: Option<&Kept>,
    ) -> Result<(CompactString, Arc<Desk>), WebhooksError> {
        let poster = Arc::new(Poster::new(endpoint.poster(), self.clock)?);
        let terms = Terms { has_fallback: endpoint.fallback.is_some(), ..endpoint.terms.clone() };
        let mut machine = Endpoint::new(terms, endpoint.filter.clone(), rand::rng().random());
        let stored = kept.iter().flat_map(|kept| kept.of(&endpoint.name, &endpoint.url.0));
        stored.for_each(|stored| machine.restore(stored));
        machine.begin(self.journal.newest());
        let about = WebhookAbout::of(&endpoint, &poster);
        let name = endpoint.name.clone();
        let desk = self.serve((name.clone(), endpoint.filter), about, machine, poster, None);
        Ok((name, desk))
    }

    /// Starts the task of an endpoint.
    fn serve(
        &self,
        (name, filter): (CompactString, Filter),
        about: WebhookAbout,
        machine: Endpoint,
        poster: Arc<Poster>,
        lease: Option<Arc<Lease>>,
    ) -> Arc<Desk> {
        let (questions, asked) = mpsc::channel(MAX_QUESTIONS);
        let urls = (about.url.0.clone(), about.fallback.as_ref().map(|url| url.0.clone()));
        let desk = Desk { questions, poster: Arc::clone(&poster), clock: self.clock, about, lease: lease.clone() };
        let postman = Postman {
            name,
            urls,
            machine,
            poster,
            journal: self.journal.clone(),
            writer: self.writer.clone(),
            clock: self.clock,
            asked,
            handle: self.handle.clone(),
            // What is wanted by none but a few calls is looked for where the log is.
            filter: if lease.is_some() { filter } else { Filter::default() },
            lease,
        };
        self.runtime.spawn(postman.run());
        Arc::new(desk)
    }
}

/// The store, with a thread that writes to it, and what was in it at the start.
struct Disk {
    writer: Arc<Writer>,
    kept: Kept,
    /// Up to which receipt all is durable.
    committed: watch::Receiver<u64>,
}

fn open(config: Option<&StoreConfig>) -> Result<Option<Disk>, WebhooksError> {
    let Some(row) = config.and_then(|config| STORES.iter().find(|row| row.name == config.kind)) else {
        return Ok(None);
    };
    let folder = config.map(|config| config.folder.join(FOLDER)).unwrap_or_default();
    let mut store = (row.open)(&folder)?;
    let kept = Kept::load(&mut *store)?;
    let (tell, committed) = watch::channel(0);
    let writer = Writer::start(store, move |news| match news.result {
        Ok(()) => drop(tell.send_replace(news.up_to.0)),
        Err(error) => tracing::error!(%error, "what became of webhooks cannot be stored; it is tried again"),
    })?;
    Ok(Some(Disk { writer: Arc::new(writer), kept, committed }))
}

/// What there is to know of an endpoint that does not change. Nothing of it is secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookAbout {
    /// Where events are posted.
    pub url: WebhookUrl,
    /// Where they are posted while that fails.
    pub fallback: Option<WebhookUrl>,
    /// Which events.
    pub filter: Filter,
    /// Which key of the configuration signs, by name; none for the secrets that have no name.
    pub key: Option<CompactString>,
    /// The schemes of its signatures.
    pub signatures: Vec<&'static str>,
    /// The public keys that targets check signatures with.
    pub public_keys: Vec<String>,
}

impl WebhookAbout {
    fn of(endpoint: &EndpointConfig, poster: &Poster) -> Self {
        Self {
            url: endpoint.url.clone(),
            fallback: endpoint.fallback.clone(),
            filter: endpoint.filter.clone(),
            key: None,
            signatures: poster.secrets().iter().map(WebhookSecret::scheme).collect(),
            public_keys: poster.secrets().iter().filter_map(WebhookSecret::public).collect(),
        }
    }
}

/// What others have of an endpoint.
struct Desk {
    questions: mpsc::Sender<Question>,
    poster: Arc<Poster>,
    clock: Clock,
    about: WebhookAbout,
    /// That of calls; none for one of the configuration.
    lease: Option<Arc<Lease>>,
}

type Desks = Arc<BTreeMap<CompactString, Arc<Desk>>>;

/// The way to the webhooks for those who ask about them. It leads to those that were last started behind it.
#[derive(Clone, Default)]
pub struct WebhookHandle {
    desks: Arc<RwLock<Desks>>,
    for_calls: Arc<ForCalls>,
    counted: Arc<Counted>,
}

impl std::fmt::Debug for WebhookHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.desks().keys()).finish()
    }
}

impl WebhookHandle {
    fn desks(&self) -> Desks {
        Arc::clone(&self.desks.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn lead_to(&self, desks: BTreeMap<CompactString, Arc<Desk>>) {
        *self.desks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(desks);
    }

    /// The names of all endpoints, in order.
    #[must_use]
    pub fn names(&self) -> Vec<CompactString> {
        self.desks().keys().cloned().collect()
    }

    /// What an endpoint is.
    #[must_use]
    pub fn about(&self, name: &str) -> Option<WebhookAbout> {
        self.desks().get(name).map(|desk| desk.about.clone())
    }

    /// Does something with the machine of an endpoint, in its task. None if there is no such endpoint, or webhooks are
    /// stopping.
    pub async fn with<T: Send + 'static>(
        &self,
        name: &str,
        job: impl FnOnce(&mut Endpoint, Time) -> T + Send + 'static,
    ) -> Option<T> {
        let desk = Arc::clone(self.desks().get(name)?);
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |machine, now| drop(reply.send(job(machine, now))));
        desk.questions.send(question).await.ok()?;
        answer.await.ok()
    }

    /// Posts an event of the type `webhook.test` to the first URL of an endpoint, once, and says what came of it. It is
    /// in no log. None if there is no such endpoint.
    pub async fn test(&self, name: &str) -> Option<Answer> {
        let desk = Arc::clone(self.desks().get(name)?);
        let at = desk.clock.calendar();
        let id = format!("test_{}", at.as_micros());
        let time = hookswitch_dialect::journal::record::date_time(at);
        let text = serde_json::json!({
            "id": id, "type": "webhook.test", "time": time, "domains": [], "data": { "webhook": name },
        });
        Some(desk.poster.post(desk.about.url.url(), &id, text.to_string().into()).await)
    }
}

/// How the event is named in `webhook-id`.
fn webhook_id(event: EventId) -> String {
    format!("evt_{}", event.0)
}

#[cfg(test)]
mod tests;
