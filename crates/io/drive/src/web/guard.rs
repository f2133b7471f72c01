//! What the guard and the limits of calls have counted, for `/metrics`.

use hookswitch_shard::TollWhy;
use hookswitch_sip::Dropped;
use hookswitch_sip::guard::{GuardTotals, Offence};

use super::status::Figure;
use crate::nftables::FilterCounts;

/// What the guard has counted, and how many bans stand.
pub(crate) fn guard_figures((totals, standing): (GuardTotals, usize)) -> Vec<Figure> {
    const DROPPED: &str = "Datagrams and connections dropped unread, by what says so.";
    const OFFENCES: &str = "What only scanners, guessers and broken phones do.";
    let mut figures = vec![
        Figure::now("bans", "Sources that are banned.", standing),
        Figure::total("bans_made", "Bans for what a source has done.", totals.bans),
        Figure::total("guard_dropped", DROPPED, totals.dropped).labelled("by", "ban"),
        Figure::total("guard_dropped", DROPPED, totals.dropped_by_list).labelled("by", "list"),
        Figure::total("guard_uncounted", "Offences that could not be counted against a source.", totals.uncounted),
        Figure::total("bans_crowded", "Bans lifted early because there were too many.", totals.crowded),
    ];
    let counted = Offence::ALL.into_iter().zip(totals.offences);
    figures.extend(
        counted.map(|(offence, count)| Figure::total("offences", OFFENCES, count).labelled("offence", offence.name())),
    );
    figures
}

/// How many SIP messages came to nothing.
pub(crate) fn dropped_figures(dropped: Dropped) -> [Figure; 6] {
    const MESSAGES: &str = "SIP messages that came to nothing, by why.";
    let Dropped { garbage, stray_responses, stray_acks, overload, flood, oversize } = dropped;
    [
        ("garbage", garbage),
        ("stray_response", stray_responses),
        ("stray_ack", stray_acks),
        ("overload", overload),
        ("rate_per_source", flood),
        ("oversize", oversize),
    ]
    .map(|(why, count)| Figure::total("sip_dropped", MESSAGES, count).labelled("why", why))
}

/// How many calls were not made because of what they cost.
pub(crate) fn toll_figures(refused: [u64; TollWhy::ALL.len()]) -> Vec<Figure> {
    const REFUSED: &str = "Calls that were not made because of what they cost, by limit.";
    let counted = TollWhy::ALL.into_iter().zip(refused);
    counted.map(|(why, count)| Figure::total("toll_refused", REFUSED, count).labelled("limit", why.name())).collect()
}

/// How the packet filter stands that is fed with bans.
pub(crate) fn filter_figures(counts: FilterCounts) -> [Figure; 3] {
    let works = usize::from(counts.works);
    [
        Figure::now("nftables_works", "Whether bans are in the packet filter.", works),
        Figure::now("nftables_sources", "Sources that the packet filter is to drop.", counts.sources),
        Figure::total("nftables_failures", "Calls of nft that have failed.", counts.failures),
    ]
}
