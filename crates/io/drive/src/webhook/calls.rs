//! The webhooks that calls have of their own. One for each URL, choice of events and key: taken on when a request or a call
//! flow names it, let go when the calls that have it are over and all is delivered.
//!
//! ```text
//!   somebody names one  ─▶ taken on: durable ─▶ the call, whose events carry its name in the log ─▶ Endpoint of that name
//!                             ▲ named again                                                     │ nothing left to do, and
//!                             └─────────────────────────── let go ◀────────────────────────────┘ not named for a while
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_dialect::journal::{EventId, Filter};
use hookswitch_dialect::webhook::{CallWebhook, Endpoint, Terms};
use hookswitch_sip::Network;
use hookswitch_store::Writer;
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::timeout;

use super::client::{Poster, PosterConfig};
use super::sign::WebhookSecret;
use super::state::{self, Kept, TargetOfCalls};
use super::{BadWebhookUrl, Desk, Ground, WebhookAbout, WebhookHandle, WebhookUrl, WebhooksError};
use crate::journal::JournalHandle;

/// Most webhooks that calls may have of their own, all together.
pub const MAX_CALL_WEBHOOKS: usize = 1_000;

/// How long it may take until the disk knows of a new one. The call is not made before.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

/// What the webhooks have that calls name themselves.
#[derive(Debug)]
pub struct CallWebhooksConfig {
    /// How many there may be, [`MAX_CALL_WEBHOOKS`] at most. One that several calls have counts once.
    pub max: usize,
    /// What they are signed with, each of them; none leaves them unsigned.
    pub secrets: Vec<WebhookSecret>,
    /// What those are signed with instead that name one of these.
    pub keys: BTreeMap<CompactString, Vec<WebhookSecret>>,
    /// Networks that are not of the public Internet and allowed nevertheless.
    pub allow_private: Vec<Network>,
    /// A file of further authorities for certificates, as PEM, beside those of the system.
    pub authorities: Option<PathBuf>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How often, how long and how many for each. There is no fallback, and 410 does not switch one off.
    pub terms: Terms,
    /// How long one stays that nothing is left to do for, counted from when it was last named. Longer than a request takes.
    pub linger: Duration,
}

/// Why a call does not get the webhook that was named for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallWebhookError {
    /// There is no [`CallWebhooksConfig`].
    #[error("the events of single calls are not posted: call_webhooks is not configured")]
    NotEnabled,
    /// It is none.
    #[error(transparent)]
    Url(#[from] BadWebhookUrl),
    /// It leads where webhooks do not go.
    #[error("leads to {0}, which is no public address and not listed in call_webhooks.allow_private")]
    Private(IpAddr),
    /// None of [`CallWebhooksConfig::keys`] is called so.
    #[error("no key of call_webhooks.keys has this name")]
    NoSuchKey,
    /// [`CallWebhooksConfig::max`].
    #[error("the limit of {0} webhooks of calls is reached (call_webhooks.max)")]
    TooMany(usize),
    /// They begin again, or the switch ends.
    #[error("webhooks are being started or stopped")]
    Stopping,
    /// The disk does not keep up, or fails.
    #[error("the webhook could not be stored in time")]
    NotStored,
}

impl CallWebhookError {
    /// The member of the [`CallWebhook`] that is not taken.
    #[must_use]
    pub const fn member(&self) -> &'static str {
        match self {
            Self::NoSuchKey => "key",
            Self::NotEnabled
            | Self::Url(_)
            | Self::Private(_)
            | Self::TooMany(_)
            | Self::Stopping
            | Self::NotStored => "url",
        }
    }
}

/// Until when one that nothing is left to do for is not let go.
pub(super) struct Lease {
    pub(super) linger: Duration,
    /// When it was named last, in microseconds.
    named: AtomicU64,
    /// The newest event there was when nothing more was left to do; 0 while something is.
    last: AtomicU64,
    /// The receipt of the store for it.
    receipt: u64,
}

impl Lease {
    fn new(now: Time, linger: Duration, receipt: u64) -> Self {
        let lease = Self { linger, named: AtomicU64::new(0), last: AtomicU64::new(0), receipt };
        lease.name(now);
        lease
    }

    fn name(&self, now: Time) {
        self.named.store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn is_over(&self, now: Time) -> bool {
        now >= Duration::from_micros(self.named.load(Ordering::Relaxed)) + self.linger
    }

    /// Something is left to do.
    pub(super) fn keep(&self) {
        self.last.store(0, Ordering::Relaxed);
    }

    /// Up to where the log is to be looked through before it is let go. While the disk fails that is not to be said.
    pub(super) fn last_look(&self, journal: &JournalHandle) -> EventId {
        if journal.is_in_trouble() {
            self.keep();
            return EventId(u64::MAX);
        }
        if self.last.load(Ordering::Relaxed) == 0 {
            self.last.store(journal.newest().0, Ordering::Relaxed);
        }
        EventId(self.last.load(Ordering::Relaxed))
    }
}

/// Where they are taken on.
pub(super) struct Office {
    ground: Ground,
    poster: Arc<Poster>,
    /// For those that name a key.
    posters: BTreeMap<CompactString, Arc<Poster>>,
    max: usize,
    terms: Terms,
    linger: Duration,
    committed: Option<watch::Receiver<u64>>,
}

impl Office {
    pub(super) fn open(
        ground: Ground,
        config: CallWebhooksConfig,
        committed: Option<watch::Receiver<u64>>,
    ) -> Result<Self, WebhooksError> {
        let CallWebhooksConfig { max, secrets, keys, allow_private, authorities, timeout, terms, linger } = config;
        let idle = terms.parallel;
        let poster = PosterConfig { secrets, allow_private, authorities, timeout, idle };
        let poster = Arc::new(Poster::new(poster, ground.clock)?);
        let posters = keys.into_iter().map(|(name, secrets)| (name, Arc::new(poster.signing_with(secrets)))).collect();
        let terms = Terms { has_fallback: false, gone_ends: false, ..terms };
        Ok(Self { ground, poster, posters, max: max.min(MAX_CALL_WEBHOOKS), terms, linger, committed })
    }

    /// Goes on with one that the last process, or the last configuration, had taken on. None if its key is gone: then nothing
    /// is posted that its target could not check, until the key is there again.
    pub(super) fn again(
        &self,
        name: CompactString,
        target: TargetOfCalls,
        kept: &Kept,
    ) -> Option<(CompactString, Arc<Desk>)> {
        let Some(poster) = self.poster(target.key.as_ref()) else {
            let key = target.key.unwrap_or_default();
            tracing::error!(endpoint = %name, %key, "the key of a webhook of calls is not in call_webhooks.keys any more: what \
                is kept of it stays in the store");
            return None;
        };
        let mut machine = self.machine(&name, &target);
        kept.of(&name, target.url.url()).into_iter().for_each(|stored| machine.restore(stored));
        let desk = self.serve(name.clone(), target, poster, machine, 0);
        Some((name, desk))
    }

    /// What signs with this key, or with the secrets of those that name none.
    fn poster(&self, key: Option<&CompactString>) -> Option<Arc<Poster>> {
        match key {
            None => Some(Arc::clone(&self.poster)),
            Some(key) => self.posters.get(key).map(Arc::clone),
        }
    }

    fn filter(name: &CompactString, target: &TargetOfCalls) -> Filter {
        Filter { webhook: Some(name.clone()), kinds: target.events.clone(), ..Filter::default() }
    }

    fn machine(&self, name: &CompactString, target: &TargetOfCalls) -> Endpoint {
        Endpoint::new(self.terms.clone(), Self::filter(name, target), rand::rng().random())
    }

    fn serve(
        &self,
        name: CompactString,
        target: TargetOfCalls,
        poster: Arc<Poster>,
        mut machine: Endpoint,
        receipt: u64,
    ) -> Arc<Desk> {
        machine.begin(target.after);
        let filter = Self::filter(&name, &target);
        // The machine has to see when calls begin and end, whatever is posted of them.
        let looked_for = Filter { kinds: Vec::new(), ..filter.clone() };
        let secrets = poster.secrets();
        let about = WebhookAbout {
            url: target.url,
            fallback: None,
            filter,
            key: target.key,
            signatures: secrets.iter().map(WebhookSecret::scheme).collect(),
            public_keys: secrets.iter().filter_map(WebhookSecret::public).collect(),
        };
        let lease = Lease::new(self.ground.clock.now(), self.linger, receipt);
        self.ground.serve((name, looked_for), about, machine, poster, Some(Arc::new(lease)))
    }

    /// Its name, and the receipt of the store for it.
    fn take_on(&self, wanted: &CallWebhook) -> Result<(CompactString, u64), CallWebhookError> {
        let url: WebhookUrl = wanted.url.parse()?;
        let key = wanted.key.as_ref().map(CompactString::from);
        let poster = self.poster(key.as_ref()).ok_or(CallWebhookError::NoSuchKey)?;
        poster.check(url.url()).map_err(CallWebhookError::Private)?;
        let wanted = CallWebhook { url: url.to_string(), ..wanted.clone() };
        let name = wanted.name();
        let mut all = self.ground.handle.desks.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = all.get(&name).and_then(|desk| desk.lease.as_ref()) {
            lease.name(self.ground.clock.now());
            return Ok((name, lease.receipt));
        }
        if all.values().filter(|desk| desk.lease.is_some()).count() >= self.max {
            return Err(CallWebhookError::TooMany(self.max));
        }
        // What is told of the call comes later than all that there is.
        let target = TargetOfCalls { url, after: self.ground.journal.newest(), events: wanted.kinds(), key };
        let receipt = match &self.ground.writer {
            None => 0,
            Some(writer) => {
                let write = state::taken_on(&name, &target).map_err(|_| CallWebhookError::NotStored)?;
                writer.push(write).map_err(|_| CallWebhookError::NotStored)?.0
            }
        };
        let machine = self.machine(&name, &target);
        let desk = self.serve(name.clone(), target, poster, machine, receipt);
        Arc::make_mut(&mut all).insert(name.clone(), desk);
        Ok((name, receipt))
    }
}

/// The way to the office, where there is one.
#[derive(Default)]
pub(super) struct ForCalls {
    office: Mutex<Option<Office>>,
    is_enabled: AtomicBool,
}

impl ForCalls {
    fn office(&self) -> MutexGuard<'_, Option<Office>> {
        self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lead_to(&self, office: Option<Office>) {
        self.is_enabled.store(office.is_some(), Ordering::Relaxed);
        *self.office() = office;
    }

    /// Nothing is taken on until there is another one.
    pub(super) fn close(&self) {
        *self.office() = None;
    }
}

impl WebhookHandle {
    /// Takes on this webhook for a call that is about to be told of it, and says its name. Durable then.
    ///
    /// # Errors
    /// [`CallWebhookError`].
    pub async fn take_on(&self, wanted: &CallWebhook) -> Result<CompactString, CallWebhookError> {
        let ((name, receipt), committed) = match &*self.for_calls.office() {
            None if self.for_calls.is_enabled.load(Ordering::Relaxed) => return Err(CallWebhookError::Stopping),
            None => return Err(CallWebhookError::NotEnabled),
            Some(office) => (office.take_on(wanted)?, office.committed.clone()),
        };
        let Some(mut committed) = committed else { return Ok(name) };
        match timeout(DISK_PATIENCE, committed.wait_for(|up_to| *up_to >= receipt)).await {
            Ok(Ok(_)) => Ok(name),
            Ok(Err(_)) | Err(_) => Err(CallWebhookError::NotStored),
        }
    }

    /// Forgets one that nothing is left to do for, unless it was named just now or that cannot be stored. Whether it is gone.
    pub(super) fn let_go(&self, name: &str, now: Time, writer: Option<&Writer>) -> bool {
        // Under the lock in which it is named: whoever names it later finds none, and what is stored then stays.
        let mut all = self.desks.write().unwrap_or_else(PoisonError::into_inner);
        let is_over = all.get(name).and_then(|desk| desk.lease.as_ref()).is_none_or(|lease| lease.is_over(now));
        if !is_over
            || writer
                .is_some_and(|writer| state::let_go(name).map(|it| writer.push_lazily(it)).iter().any(Result::is_err))
        {
            return false;
        }
        Arc::make_mut(&mut all).remove(name);
        true
    }
}
