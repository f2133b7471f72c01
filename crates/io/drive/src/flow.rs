//! Asks who leads calls by HTTP, on a thread of its own: one POST each, signed and guarded as webhooks are. What is asked and
//! when, and what comes of the answer, the shard's machine decides.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_dialect::flow::{Document, MAX_DOCUMENT, Question, QuestionId, Reply};
use hookswitch_sip::Network;
use reqwest::Url;
use tokio::runtime::Runtime;

use crate::clock::Clock;
use crate::webhook::client::{Poster, PosterConfig};
use crate::webhook::{WebhookHandle, WebhookSecret, WebhookUrl, WebhooksError};

/// Most questions that are under way; others are not asked, and have failed.
pub const MAX_FLOW_QUESTIONS: usize = 1_000;

/// Connections to one server that are kept open although they carry nothing.
const IDLE_CONNECTIONS: usize = 64;

/// Who leads the calls of one flow.
#[derive(Debug)]
pub struct FlowConfig {
    /// The flow.
    pub name: CompactString,
    /// Who is asked.
    pub url: WebhookUrl,
    /// Who is asked the same where that has no good answer.
    pub fallback: Option<WebhookUrl>,
    /// What questions are signed with, each of them; none leaves them unsigned.
    pub secrets: Vec<WebhookSecret>,
    /// Networks that are not of the public Internet and allowed nevertheless.
    pub allow_private: Vec<Network>,
    /// A file of further authorities for certificates, as PEM, beside those of the system.
    pub authorities: Option<PathBuf>,
    /// How long an answer of each URL is waited for.
    pub timeout: Duration,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum FlowServiceError {
    /// The HTTP client of a flow.
    #[error("{name}: {why}")]
    Client {
        /// Which flow.
        name: CompactString,
        /// What is wrong.
        why: WebhooksError,
    },
    /// The system gives us no thread.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// What is heard of a question.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The URL of the flow has no good answer, for this reason, and its fallback URL is asked.
    Elsewhere(CompactString),
    /// What came of it: once, and nothing after it.
    Reply(Result<Reply, CompactString>),
}

/// Takes what is heard of a question, in any thread.
pub(crate) type DocumentSink = Arc<dyn Fn(QuestionId, Heard) + Send + Sync>;

struct Leader {
    name: CompactString,
    url: Url,
    fallback: Option<Url>,
    poster: Poster,
    /// Where the webhooks are taken on that documents name.
    webhooks: WebhookHandle,
}

/// The clients, their connections and the thread that serves them.
pub(crate) struct FlowService {
    leaders: BTreeMap<CompactString, Arc<Leader>>,
    under_way: Arc<AtomicUsize>,
    sink: DocumentSink,
    runtime: Option<Runtime>,
}

impl FlowService {
    pub(crate) fn start(
        flows: Vec<FlowConfig>,
        webhooks: &WebhookHandle,
        clock: Clock,
        sink: DocumentSink,
    ) -> Result<Self, FlowServiceError> {
        let mut leaders = BTreeMap::new();
        for flow in flows {
            let FlowConfig { name, url, fallback, secrets, allow_private, authorities, timeout } = flow;
            let idle = IDLE_CONNECTIONS;
            let poster = Poster::new(PosterConfig { secrets, allow_private, authorities, timeout, idle }, clock)
                .map_err(|why| FlowServiceError::Client { name: name.clone(), why })?;
            let leader = Leader {
                name: name.clone(),
                url: url.url().clone(),
                fallback: fallback.map(|it| it.url().clone()),
                poster,
                webhooks: webhooks.clone(),
            };
            leaders.insert(name, Arc::new(leader));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("call-flows")
            .enable_all()
            .build()?;
        Ok(Self { leaders, under_way: Arc::default(), sink, runtime: Some(runtime) })
    }

    /// Asks. What comes of it goes to the sink, in time or late, unless it was the last question about a call.
    pub(crate) fn ask(&self, question: Question) {
        let (id, last) = (question.id, question.last);
        let answer = move |sink: &DocumentSink, reply| {
            if !last {
                sink(id, Heard::Reply(reply))
            }
        };
        let (Some(leader), Some(runtime)) = (self.leaders.get(&question.flow), &self.runtime) else {
            return answer(&self.sink, Err("there is nobody to ask".into()));
        };
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= MAX_FLOW_QUESTIONS {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            return answer(&self.sink, Err("too many questions are under way".into()));
        }
        let (leader, sink, under_way) = (Arc::clone(leader), Arc::clone(&self.sink), Arc::clone(&self.under_way));
        runtime.spawn(async move {
            let reply = leader.ask(&question, &sink).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
            match reply {
                Err(why) if last => tracing::info!(flow = %leader.name, %why, "nobody has heard the end of a call"),
                reply => answer(&sink, reply),
            }
        });
    }
}

impl Drop for FlowService {
    fn drop(&mut self) {
        // Nobody waits for answers any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Leader {
    /// Asks the URL, and where that has no good answer the other one.
    async fn ask(&self, question: &Question, sink: &DocumentSink) -> Result<Reply, CompactString> {
        let first = match self.url_of(question) {
            Ok(url) => self.exchange(&url, question).await,
            Err(why) => Err(why),
        };
        let (Err(why), Some(fallback), false) = (&first, &self.fallback, question.last) else { return first };
        sink(question.id, Heard::Elsewhere(why.clone()));
        let second = self.exchange(fallback, question).await;
        second.map_err(|other| format_compact!("{why}; the fallback URL: {other}"))
    }

    /// Who is asked: as the document says, from the URL of the flow on.
    fn url_of(&self, question: &Question) -> Result<Url, CompactString> {
        let Some(text) = &question.url else { return Ok(self.url.clone()) };
        let joined = self.url.join(text).map_err(|error| format_compact!("`{text}`: {error}"))?;
        let known = joined.as_str().parse::<WebhookUrl>().map_err(|error| format_compact!("`{text}`: {error}"))?;
        Ok(known.url().clone())
    }

    async fn exchange(&self, url: &Url, question: &Question) -> Result<Reply, CompactString> {
        let send = self.poster.send(url, &question.name, Arc::clone(&question.body));
        let mut response = send.await.map_err(|failure| format_compact!("{failure}"))?;
        if question.last {
            return Ok(Reply { verbs: Vec::new(), webhook: None });
        }
        if response.status().as_u16() != 200 {
            return Err(format_compact!("status {}", response.status().as_u16()));
        }
        let mut text = Vec::new();
        while let Some(piece) =
            response.chunk().await.map_err(|error| format_compact!("{}", crate::webhook::client::failure(&error)))?
        {
            text.extend_from_slice(&piece);
            if text.len() > MAX_DOCUMENT {
                break;
            }
        }
        let Document { webhook, verbs } = Document::read(&text).map_err(|error| format_compact!("{error}"))?;
        let webhook = match &webhook {
            None => None,
            Some(wanted) => {
                let taken_on = self.webhooks.take_on(wanted).await;
                Some(taken_on.map_err(|error| format_compact!("webhook.{}: {error}", error.member()))?)
            }
        };
        Ok(Reply { verbs, webhook })
    }
}

#[cfg(test)]
mod tests;
