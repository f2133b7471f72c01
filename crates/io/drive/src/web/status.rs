//! `GET /health` and `GET /metrics`: each loop is asked how it is and answers in its turn; what it says is written down
//! here, where nobody waits for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_dialect::flow::AnswerTimes;
use hookswitch_nodes::NodeStatus;
use hookswitch_opensips::Link;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::audio::audio_figures;
use super::health::{Takes, health, liveness, shown, state};
use super::message::{Sink, WebMessage};
use super::process::process_figures;
use crate::media::{Lateness, MediaPlane};
use crate::webhook::WebhookHandle;

/// How long a loop may take to say how it is; one that takes longer is not well.
pub(crate) const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// The text format of OpenMetrics 1.0, which Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How a loop and what it drives are.
#[derive(Clone, Debug)]
pub(crate) struct StatusReport {
    /// The version of what is at the other end, as it writes it.
    pub(crate) version: Option<CompactString>,
    /// The ways there. None means that nothing can be lost.
    pub(crate) links: Vec<(&'static str, Link)>,
    /// Time since the loop has started.
    pub(crate) uptime: Duration,
    /// It takes no new calls.
    pub(crate) draining: bool,
    /// It takes no new media channels of controllers.
    pub(crate) channels_draining: bool,
    /// Calls there are.
    pub(crate) calls: usize,
    /// Registrations there are, where there can be any.
    pub(crate) registrations: Option<usize>,
    /// The nodes that have the legs and the audio of calls, where those are elsewhere.
    pub(crate) nodes: Vec<NodeStatus>,
    /// Everything countable.
    pub(crate) figures: Vec<Figure>,
}

/// One number for `GET /metrics`.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) kind: Kind,
    /// Without `hookswitch_` and without `_total`.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    /// A label and its value, beside that of the carrier.
    pub(crate) label: Option<(&'static str, &'static str)>,
    /// Another one, whose value the configuration says.
    pub(crate) named: Option<(&'static str, CompactString)>,
    pub(crate) value: u64,
}

/// How a number behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It only grows.
    Total,
    /// It goes up and down.
    Now,
    /// Times, sorted by how long they are; they stand in place of the number.
    Times(Times),
}

/// Times, sorted by how long they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Times {
    /// Each bound with how many are at most that long and longer than the one before it; those beyond all have none.
    counts: Vec<(Option<Duration>, u64)>,
    sum: Duration,
}

impl From<Lateness> for Times {
    fn from(late: Lateness) -> Self {
        Self { counts: late.counts().collect(), sum: late.sum() }
    }
}

impl From<AnswerTimes> for Times {
    fn from(times: AnswerTimes) -> Self {
        Self { counts: times.counts().collect(), sum: times.sum() }
    }
}

impl Figure {
    /// A number that only grows.
    pub(crate) const fn total(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { kind: Kind::Total, name, help, label: None, named: None, value }
    }

    /// A number that goes up and down.
    pub(crate) const fn now(name: &'static str, help: &'static str, value: usize) -> Self {
        Self { kind: Kind::Now, name, help, label: None, named: None, value: value as u64 }
    }

    /// Times, sorted by how long they are, in seconds.
    pub(crate) fn times(name: &'static str, help: &'static str, times: impl Into<Times>) -> Self {
        Self { kind: Kind::Times(times.into()), name, help, label: None, named: None, value: 0 }
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Times(Times { counts, sum }) => {
                let seconds = |bound: &Option<Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
                let all = counts.iter().map(|(_, count)| count).sum();
                let counts: Vec<_> = counts.iter().map(|(bound, count)| (seconds(bound), *count)).collect();
                encoder.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), all, &counts, None)
            }
            Kind::Total => ConstCounter::new(self.value).encode(encoder),
            Kind::Now => ConstGauge::new(i64::try_from(self.value).unwrap_or(i64::MAX)).encode(encoder),
        }
    }

    pub(crate) fn labelled(self, label: &'static str, value: &'static str) -> Self {
        Self { label: Some((label, value)), ..self }
    }

    /// With a label whose value the configuration says.
    pub(crate) fn named(self, label: &'static str, value: CompactString) -> Self {
        Self { named: Some((label, value)), ..self }
    }
}

/// What an OpenSIPS and the dialect in front of it have counted.
pub(crate) fn opensips_figures(
    counts: &hookswitch_opensips::Counts,
    hub: hookswitch_dialect::call_api::Counts,
    sessions: (usize, usize),
) -> Vec<Figure> {
    const EVENTS: &str = "Events of OpenSIPS that moved no command, by kind.";
    const REPLIES: &str = "Replies of OpenSIPS that moved no command, by kind.";
    let mut figures = hub_figures(hub, sessions);
    figures.extend([
        Figure::now("mi_requests_waiting", "Requests that wait for a reply.", counts.requests),
        Figure::total("mi_requests", "Requests sent to OpenSIPS, repeats included.", counts.requests_sent),
        Figure::total("mi_repeats", "Requests sent again because no reply came.", counts.repeats),
        Figure::total("mi_replies_odd", REPLIES, counts.replies_lost).labelled("kind", "lost"),
        Figure::total("mi_replies_odd", REPLIES, counts.replies_late).labelled("kind", "late"),
        Figure::total("mi_replies_odd", REPLIES, counts.replies_bad).labelled("kind", "bad"),
        Figure::total("events", "Events of OpenSIPS seen.", counts.events),
        Figure::total("events_odd", EVENTS, counts.events_foreign).labelled("kind", "foreign"),
        Figure::total("events_odd", EVENTS, counts.events_late).labelled("kind", "late"),
        Figure::total("events_odd", EVENTS, counts.events_bad).labelled("kind", "bad"),
        Figure::total("subscriptions_remade", "Subscriptions that OpenSIPS had lost.", counts.subscriptions_remade),
        Figure::total("opensips_losses", "How often OpenSIPS stopped answering.", counts.losses),
        Figure::total("calls_unnoticed", "Calls that went unnoticed: too many were known.", counts.calls_unnoticed),
        Figure::total(
            "calls_unasked",
            "Calls whose parties were not asked for: too many waited.",
            counts.calls_unasked,
        ),
    ]);
    figures
}

/// What a dialect has counted, and how many sessions and commands it has.
pub(crate) fn hub_figures(hub: hookswitch_dialect::call_api::Counts, sessions: (usize, usize)) -> Vec<Figure> {
    vec![
        Figure::now("sessions", "Sessions of the Call API.", sessions.0),
        Figure::now("commands_running", "Commands that run.", sessions.1),
        Figure::total("commands", "Commands that started.", hub.commands),
        Figure::total("commands_refused", "Requests that became no command.", hub.refused),
        Figure::total("outcomes_late", "Outcomes of commands that had already ended.", hub.late),
        Figure::total("notifications_unheard", "Notifications of commands whose session was gone.", hub.unheard),
    ]
}

/// A loop that can be asked how it is, for the listener of another one.
#[derive(Clone)]
pub struct StatusHandle {
    carrier: &'static str,
    sink: Arc<dyn Sink>,
    /// What its listeners have refused for want of a token or certificate.
    unauthorized: Option<Arc<AtomicU64>>,
}

impl fmt::Debug for StatusHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusHandle").field(&self.carrier).finish()
    }
}

impl StatusHandle {
    /// The loop behind `sink`, which drives the carrier of this name.
    pub(crate) fn new(carrier: &'static str, sink: Arc<dyn Sink>) -> Self {
        Self { carrier, sink, unauthorized: None }
    }

    /// The same with what its listener has counted.
    pub(super) fn counting(self, unauthorized: &Arc<AtomicU64>) -> Self {
        Self { unauthorized: Some(Arc::clone(unauthorized)), ..self }
    }

    /// None when the loop does not answer in time.
    async fn ask(&self) -> Option<StatusReport> {
        let (reply, answer) = oneshot::channel();
        self.sink.push(WebMessage::Status { reply }).ok()?;
        let mut report = timeout(STATUS_PATIENCE, answer).await.ok()?.ok()?;
        if let Some(unauthorized) = &self.unauthorized {
            let refused = unauthorized.load(Ordering::Relaxed);
            let help = "Handshakes and requests refused for want of a valid token or certificate.";
            report.figures.push(Figure::total("unauthorized", help, refused));
        }
        Some(report)
    }
}

/// Everybody who is asked for a page.
#[derive(Clone)]
pub(super) struct Witnesses {
    pub(super) takes: Takes,
    pub(super) loops: Vec<StatusHandle>,
    pub(super) media: Option<Weak<MediaPlane>>,
    pub(super) webhooks: Option<WebhookHandle>,
}

/// What each loop has said, by the name of its carrier.
pub(super) type Answers = Vec<(&'static str, Option<StatusReport>)>;

impl Witnesses {
    async fn ask(&self) -> Answers {
        let mut answers = Vec::with_capacity(self.loops.len());
        // There are one or two.
        for one in &self.loops {
            answers.push((one.carrier, one.ask().await));
        }
        answers
    }

    pub(super) async fn health(&self) -> Response {
        shown(health(&self.ask().await, self.takes))
    }

    /// Whether all is well, and nothing else: for those of whom it is not known who they are.
    pub(super) async fn health_alone(&self) -> Response {
        let (status, body) = health(&self.ask().await, self.takes);
        let whole: Value = serde_json::from_str(&body).unwrap_or_default();
        shown((status, json!({ "status": whole["status"] }).to_string()))
    }

    /// Whether each loop does its work, however many calls can be carried: where not, only a restart helps.
    pub(super) async fn liveness(&self) -> Response {
        shown(liveness(&self.ask().await))
    }

    pub(super) async fn metrics(&self) -> Response {
        let answers = self.ask().await;
        let mut own = self.media_figures().await;
        own.extend(process_figures());
        if let Some(webhooks) = &self.webhooks {
            own.extend(webhooks.figures().await);
        }
        match exposition(&answers, own) {
            Ok(text) => ([(header::CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS))], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// Media threads are asked by whoever has time to wait for them.
    async fn media_figures(&self) -> Vec<Figure> {
        let Some(media) = self.media.as_ref().and_then(Weak::upgrade) else { return Vec::new() };
        let asked = tokio::task::spawn_blocking(move || {
            let totals = media.totals();
            // The last one to hold it joins its threads, which is not for this thread to do.
            (totals, media)
        });
        let Ok((totals, media)) = asked.await else { return Vec::new() };
        drop(media);
        audio_figures(&totals)
    }
}

/// A time as RFC 3339 writes it, in UTC.
pub(super) fn calendar(at: Time) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}

fn exposition(answers: &Answers, own: Vec<Figure>) -> Result<String, fmt::Error> {
    let mut families = Families::default();
    for (name, report) in answers {
        let is_up = report.as_ref().is_some_and(|report| state(report) == "up");
        families.add(Some(name), Figure::now("carrier_up", "Whether calls can be carried.", usize::from(is_up)));
        let Some(report) = report else { continue };
        for (link, link_state) in &report.links {
            let is_up = usize::from(*link_state == Link::Up);
            families.add(Some(name), Figure::now("link_up", "Whether this way works.", is_up).labelled("link", link));
        }
        families.add(Some(name), Figure::now("calls", "Calls there are.", report.calls));
        let uptime = usize::try_from(report.uptime.as_secs()).unwrap_or(usize::MAX);
        families.add(Some(name), Figure::now("uptime_seconds", "Time since the start.", uptime));
        if let Some(registrations) = report.registrations {
            families.add(Some(name), Figure::now("registrations", "Registered contacts.", registrations));
        }
        for figure in &report.figures {
            families.add(Some(name), figure.clone());
        }
    }
    for figure in own {
        families.add(None, figure);
    }
    let mut registry = Registry::with_prefix("hookswitch");
    registry.register_collector(Box::new(families));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// Numbers by name: one of each name is a family.
#[derive(Debug, Default)]
struct Families(BTreeMap<&'static str, Vec<(Labels, Figure)>>);

impl Families {
    fn add(&mut self, carrier: Option<&'static str>, figure: Figure) {
        let fixed = carrier.map(|name| ("carrier", name)).into_iter().chain(figure.label);
        let fixed = fixed.map(|(label, value)| (label, Cow::Borrowed(value)));
        let named = figure.named.iter().map(|(label, value)| (*label, Cow::Owned(value.to_string())));
        let labels = fixed.chain(named).collect();
        self.0.entry(figure.name).or_default().push((labels, figure));
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, members) in &self.0 {
            let Some((_, first)) = members.first() else { continue };
            let kind = match first.kind {
                Kind::Total => MetricType::Counter,
                Kind::Now => MetricType::Gauge,
                Kind::Times(_) => MetricType::Histogram,
            };
            let mut family = encoder.encode_descriptor(name, first.help, None, kind)?;
            for (labels, figure) in members {
                if labels.is_empty() {
                    // The only one of its name.
                    figure.encode(family)?;
                    break;
                }
                figure.encode(family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_dialect::flow::FlowTotals;

    use super::super::figures::flow_figures;
    use super::super::nodes::node_figures;
    use super::*;

    fn report(links: Vec<(&'static str, Link)>) -> StatusReport {
        StatusReport {
            version: Some("OpenSIPS (4.1.0)".into()),
            links,
            uptime: Duration::from_secs(90),
            draining: false,
            channels_draining: false,
            calls: 2,
            registrations: None,
            nodes: Vec::new(),
            figures: vec![
                Figure::total("commands", "Commands that started.", 7),
                Figure::total("events", "Events seen.", 3).labelled("kind", "late"),
                Figure::total("events", "Events seen.", 4).labelled("kind", "bad"),
            ],
        }
    }

    fn shown(report: StatusReport) -> (StatusCode, Value) {
        let (code, body) = health(&vec![("opensips", Some(report))], Takes::Calls);
        (code, serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn a_switch_without_a_node_that_takes_calls_is_not_healthy_and_tells_of_all() {
        use hookswitch_nodes::{NodeKind, NodeState, Standing};
        let node = |url: &str, state| {
            let standing = Standing { state, since: Some(Duration::from_secs(1_000_000_000)), carries: 0, load: None };
            NodeStatus { kind: NodeKind::Media, url: url.into(), standing }
        };
        let nodes = vec![node("http://a", NodeState::Lost), node("http://b", NodeState::Up)];
        let (code, body) = shown(StatusReport { nodes, ..report(Vec::new()) });
        assert_eq!((code, &body["status"], &body["nodes"][0]["state"]), (StatusCode::OK, &json!("up"), &json!("lost")));
        let nodes = vec![node("http://a", NodeState::Lost), node("http://b", NodeState::Draining)];
        let report = StatusReport { figures: node_figures(&nodes), nodes, ..report(Vec::new()) };
        let (code, body) = shown(report.clone());
        assert_eq!((code, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("draining")));
        assert_eq!(body["carriers"]["opensips"]["why"], "no media node takes calls");
        let text = exposition(&vec![("sip", Some(report))], Vec::new()).unwrap();
        for line in [
            "hookswitch_node_up{carrier=\"sip\",kind=\"media\",node=\"http://a\"} 0",
            "hookswitch_node_draining{carrier=\"sip\",kind=\"media\",node=\"http://b\"} 1",
            "hookswitch_node_calls{carrier=\"sip\",node=\"http://b\"} 0",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }

    #[test]
    fn metrics_are_families_with_labels_and_an_end() {
        let answers = vec![("opensips", Some(report(vec![("mi", Link::Up)])))];
        let mut late = Lateness::default();
        late.note(Duration::from_micros(900));
        late.note(Duration::from_secs(1));
        let ticks = Figure::times("media_tick_lateness_seconds", "Ticks.", late);
        let text = exposition(&answers, vec![Figure::now("media_ports", "Ports.", 1), ticks]).unwrap();
        for line in [
            "# TYPE hookswitch_media_tick_lateness_seconds histogram",
            "hookswitch_media_tick_lateness_seconds_count 2",
            "hookswitch_media_tick_lateness_seconds_bucket{le=\"0.00005\"} 0",
            "hookswitch_media_tick_lateness_seconds_bucket{le=\"0.001\"} 1",
            "hookswitch_media_tick_lateness_seconds_bucket{le=\"0.1\"} 1",
            "hookswitch_media_tick_lateness_seconds_bucket{le=\"+Inf\"} 2",
            "# TYPE hookswitch_commands counter",
            "hookswitch_commands_total{carrier=\"opensips\"} 7",
            "hookswitch_events_total{carrier=\"opensips\",kind=\"late\"} 3",
            "hookswitch_events_total{carrier=\"opensips\",kind=\"bad\"} 4",
            "hookswitch_link_up{carrier=\"opensips\",link=\"mi\"} 1",
            "hookswitch_media_ports 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("# TYPE hookswitch_events counter").count(), 1);
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn times_of_several_are_one_histogram_each() {
        let flow = |name: &str, millis: &[u64]| {
            let mut waited = AnswerTimes::default();
            millis.iter().for_each(|millis| waited.note(Duration::from_millis(*millis)));
            (name.into(), FlowTotals { waited, ..FlowTotals::default() }, 0)
        };
        let figures = flow_figures(&[flow("sales", &[3, 700, 75_000]), flow("office", &[])]);
        let text =
            exposition(&vec![("sip", Some(StatusReport { figures, ..report(Vec::new()) }))], Vec::new()).unwrap();
        for line in [
            "# TYPE hookswitch_flow_answer_seconds histogram",
            "hookswitch_flow_answer_seconds_sum{carrier=\"sip\",flow=\"sales\"} 75.703",
            "hookswitch_flow_answer_seconds_count{carrier=\"sip\",flow=\"sales\"} 3",
            "hookswitch_flow_answer_seconds_bucket{le=\"0.005\",carrier=\"sip\",flow=\"sales\"} 1",
            "hookswitch_flow_answer_seconds_bucket{le=\"0.5\",carrier=\"sip\",flow=\"sales\"} 1",
            "hookswitch_flow_answer_seconds_bucket{le=\"1.0\",carrier=\"sip\",flow=\"sales\"} 2",
            "hookswitch_flow_answer_seconds_bucket{le=\"+Inf\",carrier=\"sip\",flow=\"sales\"} 3",
            "hookswitch_flow_answer_seconds_count{carrier=\"sip\",flow=\"office\"} 0",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }
}
