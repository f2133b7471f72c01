//! What the switch has said at one time, and what that makes per second since the time before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::figures::Figures;

/// One reading.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Timestamp,
    pub(super) health: Health,
    pub(super) figures: Figures,
    pub(super) calls: Vec<Call>,
    pub(super) registrations: Vec<Registration>,
    /// The list goes on behind what was read.
    pub(super) more: bool,
    /// Since the reading before; none after the first one, and after a restart of the switch.
    pub(super) rates: Option<Rates>,
}

/// `/health`. To strangers it says only the first.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Health {
    pub(super) status: String,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) uptime: u64,
    #[serde(default)]
    pub(super) calls: u64,
    #[serde(default)]
    pub(super) registrations: u64,
    #[serde(default)]
    pub(super) carriers: BTreeMap<String, Carrier>,
    #[serde(default)]
    pub(super) nodes: Vec<Node>,
}

/// A SIP or media node of a control process.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Node {
    pub(super) kind: String,
    pub(super) url: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) since: Option<Timestamp>,
    #[serde(default)]
    pub(super) legs: Option<u64>,
    #[serde(default)]
    pub(super) calls: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Carrier {
    pub(super) state: String,
}

/// An entry of `/v1/calls`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) caller: String,
    pub(super) callee: String,
    pub(super) began: Timestamp,
    pub(super) answered: Option<Timestamp>,
}

/// An entry of `/v1/registrations`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Registration {
    pub(super) domain: String,
    pub(super) user: String,
    pub(super) source: String,
    pub(super) user_agent: Option<String>,
    pub(super) registered: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) stale_since: Option<Timestamp>,
}

/// What happens in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) calls_ended: f64,
    pub(super) commands: f64,
    pub(super) received: f64,
    pub(super) sent: f64,
    pub(super) lost: f64,
    /// Processor time, in per cent of one processor.
    pub(super) processor: Option<f64>,
    /// Ticks of media threads that began more than a millisecond late, in per cent of all.
    pub(super) late: Option<f64>,
}

impl Reading {
    pub(super) const fn new(at: Timestamp, health: Health, figures: Figures) -> Self {
        Self { at, health, figures, calls: Vec::new(), registrations: Vec::new(), more: false, rates: None }
    }

    /// The same with what has changed since `earlier`.
    pub(super) fn after(self, earlier: Option<&Self>) -> Self {
        let rates = earlier.and_then(|earlier| self.rates_since(earlier));
        Self { rates, ..self }
    }

    fn rates_since(&self, earlier: &Self) -> Option<Rates> {
        let passed = self.at.duration_since(earlier.at).as_secs_f64();
        // A switch that has started anew counts from nothing.
        if passed <= 0.0 || self.health.uptime < earlier.health.uptime {
            return None;
        }
        let grown = |of: &dyn Fn(&Figures) -> Option<f64>| Some((of(&self.figures)? - of(&earlier.figures)?).max(0.0));
        let rate = |name: &str| grown(&|figures| figures.sum(name)).unwrap_or_default() / passed;
        let packets = |direction| {
            let packets = grown(&|figures| figures.labelled("rtp_packets_total", "direction", direction));
            packets.unwrap_or_default() / passed
        };
        let ticks = grown(&|figures| figures.sum("media_tick_lateness_seconds_count"));
        let early = grown(&|figures| figures.labelled("media_tick_lateness_seconds_bucket", "le", "0.001"));
        let processor = grown(&|figures| figures.sum("process_processor_milliseconds_total"));
        Some(Rates {
            calls_ended: rate("calls_ended_total"),
            commands: rate("commands_total"),
            received: packets("received"),
            sent: packets("sent"),
            lost: rate("rtp_packets_lost_total"),
            processor: processor.map(|milliseconds| milliseconds / passed / 10.0),
            late: ticks
                .zip(early)
                .filter(|(ticks, _)| *ticks > 0.0)
                .map(|(ticks, early)| (1.0 - early / ticks) * 100.0),
        })
    }
}
