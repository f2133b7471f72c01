//! One POST to one URL.

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::Time;
use hookswitch_dialect::webhook::{Answer, Failure};
use hookswitch_sip::Network;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, Response, Url, redirect};

use super::WebhooksError;
use super::guard::{Guard, Lookup, Private};
use super::sign::{WebhookSecret, signatures};
use crate::clock::Clock;
use crate::opensips::innermost;
use crate::users::authorities;

/// How much of an answer is read, in bytes. The rest is not wanted, and its connection not used again.
pub const MAX_WEBHOOK_ANSWER: usize = 16 * 1024;

/// How long a connection without work is kept: less than usual servers keep them, so that no request meets one that is
/// being closed.
const IDLE_FOR: Duration = Duration::from_secs(4);

const PRODUCT: HeaderValue = HeaderValue::from_static(concat!("Hookswitch/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What one target wants.
pub(crate) struct PosterConfig {
    /// What is signed with.
    pub(crate) secrets: Vec<WebhookSecret>,
    /// Networks that are allowed although they are not public.
    pub(crate) allow_private: Vec<Network>,
    /// A file of further authorities for certificates.
    pub(crate) authorities: Option<PathBuf>,
    /// How long an answer is waited for.
    pub(crate) timeout: Duration,
    /// Most connections that are kept although they carry nothing.
    pub(crate) idle: usize,
}

/// Posts for one target.
pub(crate) struct Poster {
    client: Client,
    guard: Arc<Guard>,
    secrets: Vec<WebhookSecret>,
    timeout: Duration,
    clock: Clock,
}

impl Poster {
    pub(crate) fn new(config: PosterConfig, clock: Clock) -> Result<Self, WebhooksError> {
        let PosterConfig { secrets, allow_private, authorities: file, timeout, idle } = config;
        let guard = Arc::new(Guard { allow_private });
        let mut builder = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .dns_resolver(Arc::new(Lookup(Arc::clone(&guard))))
            .connect_timeout(timeout)
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(IDLE_FOR);
        if let Some(file) = &file {
            builder =
                builder.tls_certs_merge(authorities(file).map_err(|why| WebhooksError::Authorities(why.to_string()))?);
        }
        let client = builder.build().map_err(|error| WebhooksError::Client(innermost(&error)))?;
        Ok(Self { client, guard, secrets, timeout, clock })
    }

    /// The same with other secrets, over the same connections.
    pub(super) fn signing_with(&self, secrets: Vec<WebhookSecret>) -> Self {
        let Self { client, guard, secrets: _, timeout, clock } = self;
        Self { client: client.clone(), guard: Arc::clone(guard), secrets, timeout: *timeout, clock: *clock }
    }

    /// Whether a URL leads nowhere where webhooks do not go, as far as it shows without a look-up.
    pub(super) fn check(&self, url: &Url) -> Result<(), IpAddr> {
        self.guard.check(url).map_err(|Private(address)| address)
    }

    pub(super) fn secrets(&self) -> &[WebhookSecret] {
        &self.secrets
    }

    /// What became of a POST of this document.
    pub(super) async fn post(&self, url: &Url, id: &str, text: Arc<str>) -> Answer {
        match self.send(url, id, text).await {
            Ok(response) => self.answer(response).await,
            Err(failure) => Answer::Failed(failure),
        }
    }

    /// Posts a document under this name. The time also counts for what is read of the answer.
    pub(crate) async fn send(&self, url: &Url, id: &str, text: Arc<str>) -> Result<Response, Failure> {
        if let Err(Private(address)) = self.guard.check(url) {
            return Err(Failure::Private(address));
        }
        // What the target compares with its own calendar.
        let timestamp = self.clock.calendar().as_secs();
        let mut post = self
            .client
            .post(url.clone())
            .timeout(self.timeout)
            .header(USER_AGENT, PRODUCT)
            .header(CONTENT_TYPE, JSON)
            .header(ID, id)
            .header(TIMESTAMP, timestamp);
        if !self.secrets.is_empty() {
            post = post.header(SIGNATURE, signatures(&self.secrets, id, timestamp, &text));
        }
        post.body(text.as_bytes().to_vec()).send().await.map_err(|error| failure(&error))
    }

    async fn answer(&self, mut response: Response) -> Answer {
        let code = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| wait_of(text, self.clock.calendar()));
        // Nothing in the body matters, but a connection is used again only when it was read.
        let mut seen = 0;
        while let Ok(Some(piece)) = response.chunk().await {
            seen += piece.len();
            if seen > MAX_WEBHOOK_ANSWER {
                break;
            }
        }
        Answer::Status { code, retry_after }
    }
}

/// `Retry-After`: seconds or a date (RFC 9110 section 10.2.3).
fn wait_of(text: &str, now: Time) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    let date = Duration::from_secs(u64::try_from(date.as_second()).ok()?);
    Some(date.saturating_sub(now))
}

pub(crate) fn failure(error: &reqwest::Error) -> Failure {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(one) = source {
        if let Some(Private(address)) = one.downcast_ref() {
            return Failure::Private(*address);
        }
        source = one.source();
    }
    if error.is_timeout() { Failure::TimedOut } else { Failure::Unreachable(innermost(error).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_come_again_is_read_in_both_forms() {
        let now = Duration::from_secs(784_111_777);
        let wait = |text| wait_of(text, now).map(|wait| wait.as_secs());
        assert_eq!((wait("120"), wait(" 0 ")), (Some(120), Some(0)));
        // 784111777 is 06 Nov 1994 08:49:37 GMT.
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!((wait("soon"), wait("-1"), wait("1.5")), (None, None, None));
    }
}
