//! What is said of a process at `/health`, which is what a load balancer asks, and at `/health/live`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookswitch_opensips::Link;
use serde_json::{Map, Value, json};

use super::nodes;
use super::status::{Answers, StatusReport, calendar};

/// What a listener takes new ones of, and so what its `/health` is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    /// Calls.
    Calls,
    /// Media channels of controllers.
    Channels,
}

impl StatusReport {
    const fn drains(&self, takes: Takes) -> bool {
        match takes {
            Takes::Calls => self.draining,
            Takes::Channels => self.channels_draining,
        }
    }
}

pub(super) fn shown((status, body): (StatusCode, String)) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// Whether each loop does its work.
pub(super) fn liveness(answers: &Answers) -> (StatusCode, String) {
    let (status, word) = match answers.iter().all(|(_, report)| report.is_some()) {
        true => (StatusCode::OK, "alive"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "stuck"),
    };
    (status, json!({ "status": word }).to_string())
}

/// The worst that is to be said about anybody decides.
pub(super) fn health(answers: &Answers, takes: Takes) -> (StatusCode, String) {
    let is_draining = answers.iter().any(|(_, report)| report.as_ref().is_some_and(|report| report.drains(takes)));
    let states: Vec<_> = answers.iter().map(|(_, report)| report.as_ref().map_or("down", state)).collect();
    let status = match (is_draining, states.as_slice()) {
        (_, states) if states.contains(&"down") => "down",
        (true, _) => "draining",
        (false, states) if states.contains(&"draining") => "draining",
        (false, states) if states.contains(&"starting") => "starting",
        (false, _) => "up",
    };
    let reports = || answers.iter().filter_map(|(_, report)| report.as_ref());
    let carriers: Map<String, Value> =
        answers.iter().map(|(name, report)| ((*name).to_owned(), carrier(report.as_ref()))).collect();
    let mut body = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": reports().map(|report| report.uptime).max().unwrap_or_default().as_secs(),
        "calls": reports().map(|report| report.calls).sum::<usize>(),
        "carriers": carriers,
    });
    if let Some(registrations) = reports().find_map(|report| report.registrations) {
        body["registrations"] = registrations.into();
    }
    if let Some(report) = reports().find(|report| !report.nodes.is_empty()) {
        body["nodes"] = nodes::documents(&report.nodes);
    }
    let code = if status == "up" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, body.to_string())
}

/// How a loop is, in a word.
pub(super) fn state(report: &StatusReport) -> &'static str {
    let mut links = report.links.iter().map(|(_, link)| link);
    let (of_nodes, _) = nodes::standing(&report.nodes);
    if links.clone().any(Link::is_down) || of_nodes == "down" {
        "down"
    } else if of_nodes == "draining" {
        "draining"
    } else if links.any(|link| *link == Link::Unknown) || of_nodes == "starting" {
        "starting"
    } else {
        "up"
    }
}

fn carrier(report: Option<&StatusReport>) -> Value {
    let Some(report) = report else {
        return json!({ "state": "down", "why": "the loop that drives it does not answer" });
    };
    let mut shown = json!({ "state": state(report) });
    if let (_, Some(why)) = nodes::standing(&report.nodes) {
        shown["why"] = why.into();
    }
    if let Some(version) = &report.version {
        shown["version"] = version.as_str().into();
    }
    for (name, link) in &report.links {
        shown[*name] = match link {
            Link::Unknown => json!({ "state": "starting" }),
            Link::Up => json!({ "state": "up" }),
            Link::Down { since, why } => json!({ "state": "down", "since": calendar(*since), "why": why.as_str() }),
        };
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookswitch_nodes::{NodeKind, NodeState, NodeStatus, Standing};

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
            figures: Vec::new(),
        }
    }

    fn shown(report: Option<StatusReport>) -> (StatusCode, Value) {
        asked(report, Takes::Calls)
    }

    fn asked(report: Option<StatusReport>, takes: Takes) -> (StatusCode, Value) {
        let (code, body) = health(&vec![("opensips", report)], takes);
        (code, serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn health_says_which_way_is_lost_since_when_and_why() {
        let (code, body) = shown(Some(report(vec![("mi", Link::Up), ("events", Link::Up)])));
        assert_eq!((code, &body["status"], &body["uptime"]), (StatusCode::OK, &json!("up"), &json!(90)));
        assert_eq!(body["carriers"]["opensips"]["version"], "OpenSIPS (4.1.0)");
        let down = Link::Down { since: Duration::from_secs(1_000_000_000), why: "connection refused".into() };
        let (code, body) = shown(Some(report(vec![("mi", down), ("events", Link::Up)])));
        assert_eq!((code, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("down")));
        let mi = json!({ "state": "down", "since": "2001-09-09T01:46:40Z", "why": "connection refused" });
        assert_eq!(body["carriers"]["opensips"]["mi"], mi);
    }

    #[test]
    fn where_all_nodes_drain_no_new_calls_are_taken_and_that_is_not_down() {
        let node = |state| NodeStatus {
            kind: NodeKind::Sip,
            url: "http://n".into(),
            standing: Standing { state, since: None, carries: 3, load: None },
        };
        let with = |nodes| shown(Some(StatusReport { nodes, ..report(Vec::new()) }));
        let (code, body) = with(vec![node(NodeState::Draining), node(NodeState::Draining)]);
        assert_eq!((code, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("draining")));
        let carrier = json!({ "state": "draining", "why": "all SIP nodes drain", "version": "OpenSIPS (4.1.0)" });
        assert_eq!((&body["carriers"]["opensips"], &body["calls"]), (&carrier, &json!(2)));
        let (code, body) = with(vec![node(NodeState::Draining), node(NodeState::Up)]);
        assert_eq!((code, &body["status"]), (StatusCode::OK, &json!("up")), "one takes calls");
        let (code, body) = with(vec![node(NodeState::Lost)]);
        assert_eq!((code, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("down")));
    }

    #[test]
    fn what_is_not_ready_is_not_healthy() {
        let unknown = vec![("mi", Link::Up), ("events", Link::Unknown)];
        let (code, body) = shown(Some(report(unknown)));
        assert_eq!((code, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("starting")));
        let (code, body) = shown(Some(StatusReport { draining: true, ..report(Vec::new()) }));
        assert_eq!((code, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("draining")));
        let (code, body) = shown(None);
        assert_eq!((code, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("down")));
        assert!(body["carriers"]["opensips"]["why"].as_str().unwrap().contains("does not answer"));
    }

    #[test]
    fn a_listener_says_that_it_drains_when_it_takes_no_more_of_what_is_asked_for_there() {
        let of_calls = StatusReport { draining: true, ..report(Vec::new()) };
        let of_channels = StatusReport { channels_draining: true, ..report(Vec::new()) };
        for (report, calls, channels) in [(of_calls, "draining", "up"), (of_channels, "up", "draining")] {
            for (takes, status) in [(Takes::Calls, calls), (Takes::Channels, channels)] {
                let (code, body) = asked(Some(report.clone()), takes);
                assert_eq!((code.is_success(), &body["status"]), (status == "up", &json!(status)), "{takes:?}");
            }
            // Nobody is to start it anew for that.
            assert_eq!(liveness(&vec![("sip", Some(report))]), (StatusCode::OK, r#"{"status":"alive"}"#.to_owned()));
        }
        let stuck = liveness(&vec![("sip", Some(report(Vec::new()))), ("opensips", None)]);
        assert_eq!(stuck, (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stuck"}"#.to_owned()));
    }
}
