//! The running switch, asked over its control listener.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::figures::Figures;
use super::reading::{Call, Health, Reading, Registration};
use super::view::{Page, View};

/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most entries that are read of a list: one page of the REST. Fetching more every two seconds would be load itself.
pub(super) const MAX_ENTRIES: usize = 1_000;

/// Longest answer that is read, in bytes: a page of a thousand long entries is far below.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why there is nothing new to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It answers, and not to us.
    #[error("{0}")]
    Refused(String),
    /// It may answer when asked again.
    #[error("{0}")]
    Silent(String),
}

/// Where to ask.
#[derive(Debug)]
pub(super) struct Source {
    client: Client,
    url: String,
    token: Option<String>,
}

impl Source {
    pub(super) fn new(url: String, token: Option<String>, ca: Option<&Path>) -> anyhow::Result<Self> {
        anyhow::ensure!(
            url.starts_with("http://") || url.starts_with("https://"),
            "--url {url}: write http://HOST:PORT or https://HOST:PORT"
        );
        let mut builder = Client::builder().timeout(PATIENCE).no_proxy();
        if let Some(file) = ca {
            let pem = std::fs::read(file).with_context(|| file.display().to_string())?;
            let authorities =
                reqwest::Certificate::from_pem_bundle(&pem).with_context(|| file.display().to_string())?;
            builder = builder.tls_certs_merge(authorities);
        }
        Ok(Self { client: builder.build()?, url, token })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// All that is shown, as it is now.
    pub(super) async fn read(&self, view: &View) -> Result<Reading, Failure> {
        let health: Health = self.document("/health", &[]).await?;
        let figures = Figures::parse(&self.text("/metrics", &[]).await?);
        let limit = MAX_ENTRIES.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(view.domain.as_deref().map(|domain| ("domain", domain)));
        let mut reading = Reading::new(Timestamp::now(), health, figures);
        match view.page {
            Page::Calls => {
                let page: Calls = self.document("/v1/calls", &query).await?;
                (reading.calls, reading.more) = (page.calls, page.next.is_some());
            }
            Page::Registrations => {
                let page: Registrations = self.document("/v1/registrations", &query).await?;
                (reading.registrations, reading.more) = (page.registrations, page.next.is_some());
            }
        }
        Ok(reading)
    }

    async fn document<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        let text = self.text(path, query).await?;
        serde_json::from_str(&text)
            .map_err(|_| Failure::Refused(format!("{}{path} is not what a Hookswitch answers", self.url)))
    }

    async fn text(&self, path: &str, query: &[(&str, &str)]) -> Result<String, Failure> {
        let silent = |error: reqwest::Error| {
            Failure::Silent(format!("no switch answers at {}: {}", self.url, innermost(&error)))
        };
        let mut request = self.client.get(format!("{}{path}{}", self.url, written(query)));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let mut answer = request.send().await.map_err(silent)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(silent)? {
            if body.len() + part.len() > MAX_ANSWER {
                return Err(Failure::Silent(format!("{path} answers more than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&part);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        // The health of a switch that drains is told with this status.
        if status.is_success() || (path == "/health" && status == StatusCode::SERVICE_UNAVAILABLE) {
            return Ok(text);
        }
        let why = format!("{}{path} is answered {status}: {}", self.url, detail(&text));
        Err(if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            Failure::Refused(why)
        } else {
            Failure::Silent(why)
        })
    }
}

#[derive(Deserialize)]
struct Calls {
    calls: Vec<Call>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Registrations {
    registrations: Vec<Registration>,
    next: Option<String>,
}

/// A query, each value with everything escaped that is not plain.
fn written(query: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in query {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

/// What a problem document says, or the beginning of what else was answered.
fn detail(text: &str) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let problem: Option<Problem> = serde_json::from_str(text).ok();
    let said = problem.map_or_else(|| text.trim().to_owned(), |problem| problem.detail);
    said.chars().take(200).flat_map(char::escape_debug).collect()
}

/// The cause at the bottom: what is above says that there was one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_query_is_escaped() {
        assert_eq!(written(&[]), "");
        assert_eq!(written(&[("limit", "10"), ("domain", "a b&c.test")]), "?limit=10&domain=a%20b%26c.test");
    }

    #[test]
    fn a_refusal_says_why_without_moving_the_cursor() {
        assert_eq!(detail(r#"{"code":"x","detail":"a token is needed"}"#), "a token is needed");
        assert_eq!(detail("\u{1b}[2Jgone\n"), "\\u{1b}[2Jgone");
    }
}
