//! What the guard has counted, for `/metrics`.

use hookswitch_sip::guard::{GuardTotals, Offence};

use super::status::Figure;

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
