//! How a front is, for `GET /health` and `GET /metrics`.

use std::time::Duration;

use hookswitch_opensips::Health;

use super::Counts;
use crate::web::{Figure, StatusReport, opensips_figures};

/// What OpenSIPS is called in `/health` and `/metrics`.
pub(super) const CARRIER: &str = "opensips";

/// Health and figures of a front.
pub(super) fn of(health: &Health, counts: &Counts, uptime: Duration, draining: bool) -> StatusReport {
    let mut figures = opensips_figures(&counts.opensips, counts.call_api, (counts.sessions, counts.commands));
    figures.push(Figure::now("queued", "Messages of applications that wait.", counts.queued));
    let strangers = Figure::total("events_strange", "Events of hosts that are not OpenSIPS's.", counts.foreign_events);
    figures.push(strangers);
    StatusReport {
        version: health.version.clone(),
        links: vec![("mi", health.mi.clone()), ("events", health.events.clone())],
        uptime,
        draining,
        channels_draining: false,
        calls: counts.opensips.calls,
        registrations: None,
        nodes: Vec::new(),
        figures,
    }
}
