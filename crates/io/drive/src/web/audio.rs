//! What the media threads have counted, as figures.

use hookswitch_media::DropReason;

use super::status::Figure;
use crate::MediaTotals;
use crate::media::Lateness;

/// A name without `hookswitch_` and `_total`, what it says, and where one thread has it.
type Row = (&'static str, &'static str, fn(&MediaTotals) -> u64);

const COUNTED: &[Row] = &[
    ("rtp_packets_lost", "RTP packets that never came, by the gaps in their numbers.", |one| {
        one.counted.counters.lost_packets
    }),
    ("rtp_packets_reordered", "RTP packets that came after a later one.", |one| one.counted.counters.reordered_packets),
    ("rtp_packets_duplicated", "RTP packets that came again, or too late to know.", |one| {
        one.counted.counters.duplicated_packets
    }),
    ("rtp_packets_late", "RTP packets that came too late to be heard.", |one| {
        one.counted.counters.dropped_for(DropReason::Late)
    }),
    (
        "audio_frames_concealed",
        "Frames of 20 ms in which something was made up for what was missing, of audio that is decoded here.",
        |one| one.counted.counters.concealed_frames,
    ),
    ("audio_parties", "Parties of calls that are over of which audio came.", |one| one.counted.rated.parties),
    ("audio_parties_poor", "Of them those with an opinion score (ITU-T G.107) below 3.6.", |one| {
        one.counted.rated.poor
    }),
    ("audio_parties_mute", "Of them those of which nothing but silence came, as far as anybody listened.", |one| {
        one.counted.rated.mute
    }),
    (
        "audio_parties_clipped",
        "Of them those that were too loud for their codec in more than 5 % of what was listened to.",
        |one| one.counted.rated.clipped,
    ),
    ("rtp_packets_dropped", "Packets to the media ports that went nowhere.", |one| {
        one.counted.counters.dropped_total()
    }),
];

/// What all media threads have counted together.
pub(super) fn audio_figures(totals: &[MediaTotals]) -> Vec<Figure> {
    let sum = |of: fn(&MediaTotals) -> u64| totals.iter().map(of).sum::<u64>();
    let packets = |direction, value| {
        Figure::total("rtp_packets", "RTP packets of believed parties.", value).labelled("direction", direction)
    };
    let mut figures = vec![
        packets("received", sum(|one| one.counted.counters.received_packets)),
        packets("sent", sum(|one| one.counted.counters.sent_packets)),
    ];
    figures.extend(COUNTED.iter().map(|(name, help, of)| Figure::total(name, help, sum(*of))));
    let ports = |of: fn(&MediaTotals) -> usize| totals.iter().map(of).sum();
    figures.push(Figure::now("media_ports_taken", "Port pairs for RTP in use.", ports(|one| one.ports_taken)));
    figures.push(Figure::now("media_ports", "Port pairs for RTP in all.", ports(|one| one.ports)));
    let refused = sum(|one| one.ports_refused);
    figures.push(Figure::total("media_ports_refused", "How often no port pair was free for a party: 503.", refused));
    figures.push(Figure::times(
        "media_tick_lateness_seconds",
        "How late media threads began to make what is said here, every 20 ms.",
        totals.iter().fold(Lateness::default(), |all, one| all.with(&one.lateness)),
    ));
    figures
}
