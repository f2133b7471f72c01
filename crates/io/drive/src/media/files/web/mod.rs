//! Sounds from web servers: fetched by a thread of its own, and kept on the disk for as long as they are good.
//!
//! ```text
//!   file threads ── want ──▶ kept and good? ── yes ──▶ opened at once
//!                                 │ no
//!                                 ▼
//!                       one GET for all who want it ── 200 ──▶ kept ──▶ opened for each of them
//!                                 │ 304: as it was, or no answer while an old one is kept ──▲
//!                                 └─ anything else: each of them is told why
//! ```
//!
//! Only URLs below those that are configured are asked for, and nothing that they lead to: a redirect is no sound, so
//! that no source can send us to an address within. Nobody waits for a source but whoever wants to hear its sound.

mod cache;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_media::FileError;
use reqwest::header::{
    AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use tokio::runtime::Runtime;

use crate::clock::Clock;
use crate::opensips::innermost;
use crate::users::authorities;
pub(super) use cache::Kept;
use cache::{Age, Cache, HEAD, MAX_VALIDATOR};

/// Longest URL of a sound, in bytes.
pub const MAX_SOUND_URL: usize = 1_024;

/// Most sounds that are fetched at a time; more are refused.
pub const MAX_FETCHES: usize = 64;

/// Most who wait for sounds; more are refused.
pub const MAX_WAITING_FOR_SOUNDS: usize = 10_000;

/// How long a sound without a word about that is good: then its source is asked whether it has changed.
pub const GOOD_FOR: Duration = Duration::from_secs(60);

/// Longest time that is believed of a source that says how long a sound is good: a year.
const MAX_GOOD_FOR: Duration = Duration::from_secs(365 * 86_400);

/// What the URL of a sound begins with.
#[derive(Clone, Debug)]
pub struct SoundSource(Url);

/// A text that is no [`SoundSource`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an http or https URL without user, password, `?` and `#`, of at most {MAX_SOUND_URL} bytes")]
pub struct BadSoundSource;

impl FromStr for SoundSource {
    type Err = BadSoundSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).ok().filter(|url| is_plain(url) && url.query().is_none());
        url.filter(|url| url.as_str().len() <= MAX_SOUND_URL).map(Self).ok_or(BadSoundSource)
    }
}

/// Sounds from web servers.
#[derive(Clone, Debug)]
pub struct WebSoundsConfig {
    /// Scheme, host and port of a sound are those of one of these, and its path is below that one's.
    pub from: Vec<SoundSource>,
    /// A file of further authorities for certificates, as PEM, beside those of the system.
    pub authorities: Option<PathBuf>,
    /// Where sounds are kept. Made if it is not there.
    pub folder: PathBuf,
    /// Most bytes that they take there.
    pub most: u64,
    /// Longest sound that is fetched, in bytes.
    pub largest: u64,
    /// How long a source may say nothing. Less than [`MAX_STALL_MS`](hookswitch_media::MAX_STALL_MS), so that whoever
    /// waits hears why.
    pub patience: Duration,
    /// How long the whole of a sound may take. Whoever waits for it gives up sooner, and the next one has it.
    pub whole: Duration,
    /// How long a source is asked whether a sound has changed before the one that is kept is played.
    pub asking: Duration,
}

impl WebSoundsConfig {
    /// Sounds below these URLs, kept in this folder: 1 GB of them, 50 MB each, 4 s of silence, a minute in all, 2 s for
    /// the question whether one has changed.
    #[must_use]
    pub fn new(from: Vec<SoundSource>, folder: PathBuf) -> Self {
        Self {
            from,
            authorities: None,
            folder,
            most: 1_000_000_000,
            largest: 50_000_000,
            patience: Duration::from_secs(4),
            whole: Duration::from_secs(60),
            asking: Duration::from_secs(2),
        }
    }

    /// Whether a sound of this name may be asked for.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        self.allowed(name).is_some()
    }

    fn allowed(&self, name: &str) -> Option<Url> {
        let url = Url::parse(name).ok().filter(|url| url.as_str().len() <= MAX_SOUND_URL && is_plain(url))?;
        let below = |SoundSource(from): &&SoundSource| {
            let path = from.path().strip_suffix('/').unwrap_or(from.path());
            let rest = url.path().strip_prefix(path);
            from.origin() == url.origin() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // `%2F` is no step down for us and may be one for the server.
        let encoded = url.path().to_ascii_lowercase();
        self.from.iter().find(below).filter(|_| !encoded.contains("%2f") && !encoded.contains("%5c"))?;
        Some(url)
    }
}

/// Whether this is a URL of the web, and nothing but that.
fn is_plain(url: &Url) -> bool {
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_web && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// Whether a name is a URL and not that of a file.
#[must_use]
pub fn is_url(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

/// Told what has become of a sound; on any thread.
pub(super) type Waiter = Box<dyn FnOnce(Result<Kept, FileError>) + Send>;

/// Who fetches sounds, for all file threads.
pub(in super::super) struct WebSounds {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    config: WebSoundsConfig,
    client: Client,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    cache: Cache,
    under_way: HashMap<Url, Vec<Waiter>>,
    waiting: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebSounds {
    pub(in super::super) fn start(config: WebSoundsConfig, clock: Clock) -> io::Result<Self> {
        let mut builder = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(config.patience)
            .read_timeout(config.patience)
            .timeout(config.whole);
        if let Some(file) = &config.authorities {
            builder = builder.tls_certs_merge(authorities(file).map_err(io::Error::other)?);
        }
        let client = builder.build().map_err(|error| io::Error::other(innermost(&error)))?;
        // It waits for the disk as well, and then for no other sound: nobody's audio depends on it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("web-sounds")
            .enable_all()
            .build()?;
        let cache = Cache::open(&config.folder, config.most)?;
        let state = Mutex::new(State { cache, under_way: HashMap::new(), waiting: 0 });
        let shared = Arc::new(Shared { config, client, clock, state });
        Ok(Self { shared, runtime: Some(runtime) })
    }

    /// Gives a sound to somebody, at once if it is here and good.
    pub(super) fn want(&self, name: &str, waiter: Waiter) {
        let Some(url) = self.shared.config.allowed(name) else { return waiter(Err(FileError::NotAllowed)) };
        let mut state = self.shared.state();
        let now = self.shared.clock.now();
        if state.cache.age(url.as_str()).is_some_and(|age| age.is_good(now))
            && let Some(kept) = state.cache.get(url.as_str())
        {
            drop(state);
            return waiter(Ok(kept));
        }
        let is_new = !state.under_way.contains_key(&url);
        let too_many = state.waiting >= MAX_WAITING_FOR_SOUNDS || (is_new && state.under_way.len() >= MAX_FETCHES);
        let Some(runtime) = self.runtime.as_ref().filter(|_| !too_many) else {
            drop(state);
            return waiter(Err(FileError::Busy));
        };
        state.waiting += 1;
        state.under_way.entry(url.clone()).or_default().push(waiter);
        if is_new {
            let shared = Arc::clone(&self.shared);
            runtime.spawn(async move { shared.fetch(url).await });
        }
    }
}

impl Drop for WebSounds {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a source has answered.
enum Answer {
    /// The sound, in this file.
    New(Part),
    /// What is kept may be played.
    Same,
}

/// A sound that has come, in a file that has no name for it yet and goes with this.
struct Part {
    file: File,
    path: PathBuf,
    len: u64,
    age: Age,
    /// Its source does not want it to be kept.
    once: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        // Where it was kept it has another name now.
        let _ = fs::remove_file(&self.path);
    }
}

impl Shared {
    /// Fetches a sound and gives it to all who wait for it.
    async fn fetch(self: Arc<Self>, url: Url) {
        let known = self.state().cache.age(url.as_str()).cloned();
        let answer = match &known {
            None => self.exchange(&url, None).await,
            Some(age) => {
                let asked = tokio::time::timeout(self.config.asking, self.exchange(&url, Some(age))).await;
                asked.unwrap_or(Err(FileError::Stalled)).or_else(|why| match why {
                    FileError::Status(404 | 410) | FileError::Elsewhere => Err(why),
                    _ if age.strict => Err(why),
                    _ => {
                        tracing::debug!(%url, %why, "a sound is played as it was");
                        Ok(Answer::Same)
                    }
                })
            }
        };
        let mut given = Vec::new();
        {
            let mut state = self.state();
            let waiters = state.under_way.remove(&url).unwrap_or_default();
            state.waiting -= waiters.len();
            let taken = answer.and_then(|answer| state.take(url.as_str(), answer));
            if let Err(FileError::Status(404 | 410)) = taken {
                state.cache.forget(url.as_str());
            }
            for waiter in waiters {
                let kept = match &taken {
                    Ok(Some(part)) => reopened(part),
                    Ok(None) => state.cache.get(url.as_str()).ok_or(FileError::Busy),
                    Err(why) => Err(why.clone()),
                };
                given.push((waiter, kept));
            }
        }
        for (waiter, kept) in given {
            waiter(kept);
        }
    }

    async fn exchange(&self, url: &Url, known: Option<&Age>) -> Result<Answer, FileError> {
        let mut get = self.client.get(url.clone());
        let ask = |name: HeaderName, text: &Option<String>| {
            let value = HeaderValue::from_str(text.as_deref()?).ok()?;
            Some((name, value))
        };
        if let Some(age) = known {
            let asked = [ask(IF_NONE_MATCH, &age.etag), ask(IF_MODIFIED_SINCE, &age.modified)];
            for (name, value) in asked.into_iter().flatten() {
                get = get.header(name, value);
            }
        }
        let response = get.send().await.map_err(|error| failure(&error))?;
        let status = response.status();
        let age = age_of(self.clock.now(), response.headers(), known.filter(|_| status == StatusCode::NOT_MODIFIED));
        match (status, known) {
            (StatusCode::OK, _) => self.download(response, age).await.map(Answer::New),
            (StatusCode::NOT_MODIFIED, Some(_)) => {
                self.state().cache.confirm(url.as_str(), age);
                Ok(Answer::Same)
            }
            (status, _) if status.is_redirection() => Err(FileError::Elsewhere),
            (status, _) => Err(FileError::Status(status.as_u16())),
        }
    }

    async fn download(&self, mut response: Response, age: Age) -> Result<Part, FileError> {
        // What is larger than all that is kept would push everything else out, and itself.
        let largest = self.config.largest.min(self.config.most.saturating_sub(HEAD));
        if response.content_length().is_some_and(|len| len > largest) {
            return Err(FileError::TooLarge(largest));
        }
        let once = cache_words(response.headers()).any(|(name, _)| name == "no-store");
        let (file, path) = self.state().cache.part().map_err(|error| unwritten(&error))?;
        let mut part = Part { file, path, len: 0, age, once };
        while let Some(piece) = response.chunk().await.map_err(|error| failure(&error))? {
            if part.len + piece.len() as u64 > largest {
                return Err(FileError::TooLarge(largest));
            }
            part.file.write_all_at(&piece, HEAD + part.len).map_err(|error| unwritten(&error))?;
            part.len += piece.len() as u64;
        }
        Ok(part)
    }
}

impl State {
    /// Keeps what has come. What is not to be kept is given back.
    fn take(&mut self, url: &str, answer: Answer) -> Result<Option<Part>, FileError> {
        match answer {
            Answer::Same => Ok(None),
            Answer::New(part) if part.once => {
                self.cache.forget(url);
                Ok(Some(part))
            }
            Answer::New(part) => {
                let kept = self.cache.keep(url, (&part.file, &part.path), part.len, part.age.clone());
                kept.map(|()| None).map_err(|error| unwritten(&error))
            }
        }
    }
}

/// The same file once more: whoever reads has a place of its own in it.
fn reopened(part: &Part) -> Result<Kept, FileError> {
    let file = File::open(&part.path).map_err(|error| unwritten(&error))?;
    Ok(Kept { file, begin: HEAD, len: part.len })
}

fn unwritten(error: &io::Error) -> FileError {
    FileError::Unreadable(format!("it cannot be kept: {error}").into())
}

fn failure(error: &reqwest::Error) -> FileError {
    if error.is_timeout() { FileError::Stalled } else { FileError::Unreachable(innermost(error).into()) }
}

/// What the headers say about keeping (RFC 9111 section 5.2.2), in small letters.
fn cache_words(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|word| {
        let (name, value) = word.trim().split_once('=').unwrap_or((word.trim(), ""));
        (name.to_ascii_lowercase(), value.trim_matches('"').to_owned())
    })
}

/// How old an answer is, and for how long it is good. What one that says that nothing has changed does not say again is
/// as it was (RFC 9111 section 4.3.4).
fn age_of(now: Duration, headers: &HeaderMap, known: Option<&Age>) -> Age {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let validator = |name| text(name).filter(|text| text.len() <= MAX_VALIDATOR);
    let (mut max_age, mut strict) = (None, known.is_some_and(|known| known.strict));
    for (name, value) in cache_words(headers) {
        let time = match name.as_str() {
            // What cannot be read is over at once.
            "max-age" => Duration::from_secs(value.parse().unwrap_or(0)),
            "no-cache" => Duration::ZERO,
            _ => Duration::MAX,
        };
        strict |= matches!(name.as_str(), "no-cache" | "must-revalidate");
        max_age = Some(time).filter(|time| *time < max_age.unwrap_or(Duration::MAX)).or(max_age);
    }
    let passed = text(AGE).and_then(|age| age.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
    let good_for = max_age.map(|time| time.saturating_sub(passed).min(MAX_GOOD_FOR));
    Age {
        checked: now,
        good_for: good_for.or(known.map(|known| known.good_for)).unwrap_or(GOOD_FOR),
        etag: validator(ETAG).or_else(|| known?.etag.clone()),
        modified: validator(LAST_MODIFIED).or_else(|| known?.modified.clone()),
        strict,
    }
}

#[cfg(test)]
mod tests;
