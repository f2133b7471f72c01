//! What is printed.

use std::fmt::Write as _;

use serde::Serialize;

/// What one kind has cost.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) kind: String,
    /// Phones: two for each call of two parties.
    pub(super) channels: usize,
    /// Packets that phones have sent, and have received.
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    /// From sending to receiving, in milliseconds; in rooms from the first packet of a burst to the first that it is
    /// heard in. None where nobody has sent what is heard.
    pub(super) latency_p50_ms: Option<f64>,
    pub(super) latency_p99_ms: Option<f64>,
    pub(super) latency_max_ms: Option<f64>,
    /// How late this program sent at most, in milliseconds: what it added to the latency itself is not in it.
    pub(super) sent_late_ms: f64,
    /// How late ticks began: a bound that 99 of 100 kept, and the latest since the beginning. None without ticks.
    pub(super) tick_late_p99_ms: Option<f64>,
    pub(super) tick_late_max_ms: Option<f64>,
    /// Of one processor, the media thread alone.
    pub(super) core_percent: f64,
    pub(super) percent_per_channel: f64,
    pub(super) user_percent_per_channel: f64,
    pub(super) system_percent_per_channel: f64,
    /// Of one processor, all threads but that one and this program's own: those for files.
    pub(super) files_percent_per_channel: f64,
    /// Of the media thread, for each packet that phones have sent, or have received where those are more.
    pub(super) us_per_packet: f64,
    /// Recorded sound that the disk has not taken, in milliseconds.
    pub(super) recording_lost_ms: u64,
    /// Calls that came and went beside these.
    pub(super) churned: u64,
}

/// All kinds as a table.
pub(super) fn table(figures: &[Figures]) -> String {
    let mut text = String::from(
        "                            packets            latency, ms         late ticks, ms   % of a core per channel        CPU, µs\n\
         kind        channels      sent    lost    p50     p99     max    p99     max    user  system   files    sum  a packet\n",
    );
    for one in figures {
        let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        // Writing into memory cannot fail.
        let _ = writeln!(
            text,
            "{:<11} {:>8} {:>9} {:>7} {:>6} {:>7} {:>7} {:>6} {:>7} {:>7.4} {:>7.4} {:>7.4} {:>6.4} {:>9.2}",
            one.kind,
            one.channels,
            one.sent.max(one.received),
            one.lost,
            ms(one.latency_p50_ms),
            ms(one.latency_p99_ms),
            ms(one.latency_max_ms),
            ms(one.tick_late_p99_ms),
            ms(one.tick_late_max_ms),
            one.user_percent_per_channel,
            one.system_percent_per_channel,
            one.files_percent_per_channel,
            one.percent_per_channel,
            one.us_per_packet
        );
    }
    text
}
