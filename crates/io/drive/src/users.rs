//! Asks for users by HTTP, on a thread of its own: one GET each, many at a time over connections that stay open. Whom to
//! ask for, when, how often, and what the answer means, the shard's machine decides.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_call::directory::{Question, QuestionId};
use hookswitch_shard::UserReply;
use reqwest::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, StatusCode, Url, redirect};
use tokio::runtime::Runtime;

use crate::opensips::innermost;

/// Longest document of a user, in bytes.
pub const MAX_DOCUMENT: usize = 64 * 1024;

/// Longest URL, in bytes, before the names of domain and user are put in.
pub const MAX_URL: usize = 1_024;

/// Connections kept open although they carry nothing.
const IDLE_CONNECTIONS: usize = 64;

/// For how long: less than usual servers keep them, so that no request meets a connection that is being closed.
const IDLE_FOR: Duration = Duration::from_secs(4);

/// What stands for the domain and for the user in a URL.
const PLACES: [&str; 2] = ["{domain}", "{user}"];

/// Whom to ask for users, and how.
#[derive(Clone, Debug)]
pub struct UserServiceConfig {
    /// Where each user is.
    pub url: UserUrl,
    /// What to prove to be. Default nothing.
    pub login: Option<Login>,
    /// A file of further authorities for certificates, as PEM, beside those of the system.
    pub authorities: Option<PathBuf>,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

/// The URL of a user, with places for its domain and its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserUrl(String);

/// Why a text is not the URL of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadUserUrl {
    /// Not a URL, or too long.
    #[error("not an http or https URL of at most {MAX_URL} bytes")]
    NoUrl,
    /// It says nothing of the user.
    #[error("`{{user}}` must stand where the name of the user goes")]
    NoUser,
    /// One of the places is in the host or behind a `#`.
    #[error("`{{domain}}` and `{{user}}` can only stand in the path and in the query")]
    Place,
    /// There is a password in it.
    #[error("user and password do not belong into it")]
    Login,
}

impl FromStr for UserUrl {
    type Err = BadUserUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let filled = PLACES.iter().fold(text.to_owned(), |text, place| text.replace(place, "hookswitch-place"));
        let url = Url::parse(&filled).map_err(|_| BadUserUrl::NoUrl)?;
        let is_http = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty());
        if !is_http || text.len() > MAX_URL {
            return Err(BadUserUrl::NoUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUserUrl::Login);
        }
        let host_has_one = url.host_str().is_some_and(|host| host.contains("hookswitch-place"));
        if host_has_one || url.fragment().is_some() {
            return Err(BadUserUrl::Place);
        }
        if !text.contains("{user}") {
            return Err(BadUserUrl::NoUser);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for UserUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl UserUrl {
    /// The URL of one user. None for a name that would lead to another place.
    fn of(&self, domain: &str, user: &str) -> Option<Url> {
        if [domain, user].iter().any(|name| matches!(*name, "." | "..")) {
            return None;
        }
        // Both at once: a user may be called `{domain}`.
        let mut text = String::with_capacity(self.0.len() + 64);
        let mut rest = self.0.as_str();
        while let Some((at, place)) = PLACES.iter().filter_map(|place| Some((rest.find(place)?, *place))).min() {
            text.push_str(&rest[..at]);
            text.push_str(&escaped(if place == PLACES[0] { domain } else { user }));
            rest = &rest[at + place.len()..];
        }
        text.push_str(rest);
        Url::parse(&text).ok()
    }
}

/// Every byte that is not unreserved as `%XX` (RFC 3986 section 2.3).
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What is proved with each request.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// Name and password (RFC 7617).
    Basic(String, String),
    /// A token (RFC 6750).
    Bearer(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic(..) => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

/// Why users cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum UserServiceError {
    /// The file of authorities.
    #[error("authorities {}: {why}", file.display())]
    Authorities {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client.
    #[error("{0}")]
    Client(String),
    /// The system gives us no thread.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Takes what came of a question, in any thread.
pub(crate) type ReplySink = Arc<dyn Fn(QuestionId, UserReply) + Send + Sync>;

/// The client, its connections and the thread that serves them.
pub(crate) struct UserService {
    client: Client,
    config: UserServiceConfig,
    sink: ReplySink,
    runtime: Option<Runtime>,
}

impl UserService {
    pub(crate) fn start(config: UserServiceConfig, sink: ReplySink) -> Result<Self, UserServiceError> {
        let mut builder = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_FOR);
        if let Some(file) = &config.authorities {
            builder = builder.tls_certs_merge(authorities(file)?);
        }
        let client = builder.build().map_err(|error| UserServiceError::Client(innermost(&error)))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("user-lookup")
            .enable_all()
            .build()?;
        Ok(Self { client, config, sink, runtime: Some(runtime) })
    }

    /// Asks for a user. What comes of it goes to the sink, in time or late.
    pub(crate) fn ask(&self, question: Question) {
        let Question { id, domain, user } = question;
        let Some(url) = self.config.url.of(&domain, &user) else {
            return (self.sink)(id, UserReply::Nobody { max_age: None });
        };
        let get = self.client.get(url).header(ACCEPT, HeaderValue::from_static("application/json"));
        let get = match &self.config.login {
            None => get,
            Some(Login::Basic(user, password)) => get.basic_auth(user, Some(password)),
            Some(Login::Bearer(token)) => get.bearer_auth(token),
        };
        let get = get.timeout(self.config.timeout);
        let sink = Arc::clone(&self.sink);
        let Some(runtime) = &self.runtime else { return };
        runtime.spawn(async move { sink(id, exchange(get).await.unwrap_or_else(UserReply::Failed)) });
    }
}

impl Drop for UserService {
    fn drop(&mut self) {
        // Nobody waits for answers any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn exchange(get: reqwest::RequestBuilder) -> Result<UserReply, String> {
    let why = |error: reqwest::Error| match error.is_timeout() {
        true => "no answer in time".to_owned(),
        false => innermost(&error),
    };
    let mut response = get.send().await.map_err(why)?;
    let max_age = max_age(response.headers());
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(UserReply::Nobody { max_age }),
        status => return Err(format!("status {}", status.as_u16())),
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(why)? {
        if body.len() + piece.len() > MAX_DOCUMENT {
            return Err(format!("the document is longer than {MAX_DOCUMENT} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(UserReply::Document { body: Bytes::from(body), max_age })
}

/// How long an answer is good, if it says so (RFC 9111 section 5.2.2).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = values.flat_map(|value| value.split(',')).map(str::trim);
    let times = directives.filter_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(0),
            // What cannot be read is as old as can be.
            "max-age" => Some(value.trim_matches('"').parse().unwrap_or(0)),
            _ => None,
        }
    });
    times.min().map(Duration::from_secs)
}

pub(crate) fn authorities(file: &Path) -> Result<Vec<Certificate>, UserServiceError> {
    let bad = |why: String| UserServiceError::Authorities { file: file.to_owned(), why };
    let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| bad(innermost(&error)))?;
    if found.is_empty() { Err(bad("no certificate in it".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<UserUrl, BadUserUrl> {
        text.parse()
    }

    #[test]
    fn names_are_put_into_the_url_and_lead_nowhere_else() {
        let at = url("https://h.test:8443/a/{domain}/u/{user}?of={domain}").unwrap();
        let of = |domain, user| at.of(domain, user).map(|url| url.as_str().to_owned());
        assert_eq!(of("a.test", "1001").unwrap(), "https://h.test:8443/a/a.test/u/1001?of=a.test");
        let odd = "https://h.test:8443/a/a.test/u/..%2F..%2Fx%3Fy%23z%25%26%C3%A4%7Bdomain%7D?of=a.test";
        assert_eq!(of("a.test", "../../x?y#z%&ä{domain}").unwrap(), odd);
        assert_eq!((of("a.test", ".."), of(".", "1001"), of("a.test", ".")), (None, None, None));
    }

    #[test]
    fn what_is_no_url_of_a_user_is_refused_and_says_why() {
        for (text, expected) in [
            ("h.test/{user}", BadUserUrl::NoUrl),
            ("ftp://h.test/{user}", BadUserUrl::NoUrl),
            ("http:///", BadUserUrl::NoUrl),
            ("http://h.test/{domain}", BadUserUrl::NoUser),
            ("http://{domain}/{user}", BadUserUrl::Place),
            ("http://h.test/#{user}", BadUserUrl::Place),
            ("http://joe:s3cret@h.test/{user}", BadUserUrl::Login),
        ] {
            assert_eq!(url(text), Err(expected), "{text}");
        }
        assert_eq!(url(&format!("http://h/{{user}}{}", "x".repeat(MAX_URL))), Err(BadUserUrl::NoUrl));
        assert!(url("http://[::1]:80/x?u={user}").is_ok());
    }

    #[test]
    fn the_shortest_time_that_an_answer_gives_itself_counts() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!((of(&[]), of(&["public"]), of(&["private, Max-Age=60"])), (None, None, Some(60)));
        assert_eq!(
            (of(&["max-age=60", "no-store"]), of(&["max-age=soon"]), of(&["max-age=\"7\""])),
            (Some(0), Some(0), Some(7))
        );
    }

    #[test]
    fn a_login_is_not_shown() {
        let shown = format!("{:?} {:?}", Login::Basic("joe".into(), "s3cret".into()), Login::Bearer("t0ken".into()));
        assert_eq!(shown, "Basic(…) Bearer(…)");
    }
}
