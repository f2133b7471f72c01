//! How long a session may go on without a sign of life: RFC 4028, as a small machine that is a part of its dialog.
//!
//! ```text
//!            2xx with Session-Expires                   interval/2
//!   Off ─────────────────────────────▶ we refresh ─────────────────▶ Refresh ── refused: halfway to the end, again
//!    ▲                                     ▲  └─ the end ──▶ Expired      └── 2xx ──▶ from the start
//!    │                                     │
//!    │                              they refresh ── the end ──▶ Expired
//!    └── 2xx without it                    └── INVITE or UPDATE ──▶ from the start
//! ```
//!
//! The end comes a little before the interval is over, so that the BYE is there in time (RFC 4028 10).

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::peer::{Keeper, Said};
use crate::Time;
use crate::config::Refresher;

/// The least that Session-Expires and Min-SE may ask for, in seconds (RFC 4028 4).
pub(crate) const LEAST: u32 = 90;

/// A refused refresh is tried again after at least this long.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Who gives up early, gives up at most this much earlier (RFC 4028 10).
const MARGIN: Duration = Duration::from_secs(32);

/// What we want of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// Seconds; 0 switches session timers off.
    pub(crate) interval: u32,
    /// Seconds, at least [`LEAST`].
    pub(crate) min_se: u32,
    pub(crate) refresher: Refresher,
}

/// The session timer of one dialog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionTimer {
    /// Seconds; 0 when the session does not expire.
    interval: u32,
    /// The largest Min-SE that was asked of us, in seconds; 0 when none was.
    least: u32,
    /// We refresh it.
    ours: bool,
    /// When the next refresh is due, or else the end.
    next: Time,
    end: Time,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fired {
    /// A refresh, if one can be sent now.
    Refresh,
    /// The session has expired.
    Expired,
    /// Nothing yet.
    Nothing,
}

/// What a request of theirs asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asks {
    /// Session-Expires in seconds; 0 when there is none.
    interval: u32,
    /// Min-SE in seconds; 0 when there is none.
    min_se: u32,
    keeper: Option<Keeper>,
    /// It knows session timers.
    knows: bool,
}

impl From<&Said> for Asks {
    fn from(said: &Said) -> Asks {
        let (interval, keeper) = said.session_expires.unwrap_or((0, None));
        Asks { interval, min_se: said.min_se.unwrap_or(0), keeper, knows: said.knows_timer() }
    }
}

/// What a message of ours says: Session-Expires, its refresher, and Min-SE where it is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) interval: u32,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) min_se: u32,
    /// The other side must heed it: a 2xx to somebody who knows session timers (RFC 4028 9).
    pub(crate) required: bool,
}

impl SessionTimer {
    /// When something is due; `None` when the session does not expire.
    pub(crate) fn deadline(&self) -> Option<Time> {
        (self.interval > 0).then_some(self.next)
    }

    #[cfg(test)]
    fn is_ours(&self) -> bool {
        self.interval > 0 && self.ours
    }

    /// What a request of ours that makes or refreshes a session says (RFC 4028 7.1, 7.4).
    pub(crate) fn ask(&self, wishes: &Wishes) -> Option<Terms> {
        if wishes.interval == 0 {
            return None;
        }
        let keeper = match (self.interval, self.ours, wishes.refresher) {
            (0, _, Refresher::Either) => None,
            (0, _, Refresher::Ours) | (1.., true, _) => Some(Keeper::Sender),
            (0, _, Refresher::Theirs) | (1.., false, _) => Some(Keeper::Receiver),
        };
        let least = self.least.max(wishes.min_se);
        let interval = if self.interval > 0 { self.interval } else { wishes.interval }.max(least);
        // 90 is what its absence means.
        Some(Terms { interval, keeper, min_se: if least > LEAST { least } else { 0 }, required: false })
    }

    /// A 422 asks for more (RFC 4028 7.3); false when it asks for nothing that we do not do already.
    pub(crate) fn too_small(&mut self, said: &Said, wishes: &Wishes) -> bool {
        let asked = self.ask(wishes).map_or(0, |terms| terms.interval);
        match said.min_se {
            Some(min_se) if wishes.interval > 0 && min_se > asked => {
                self.least = min_se;
                self.interval = if self.interval > 0 { min_se } else { 0 };
                true
            }
            Some(_) | None => false,
        }
    }

    /// The least we accept in a request that makes or refreshes a session, when it asks for less (RFC 4028 9). Only
    /// whoever knows session timers can do better.
    pub(crate) fn refuses(said: &Said, wishes: &Wishes) -> Option<u32> {
        let (seconds, _) = said.session_expires?;
        (wishes.interval > 0 && said.knows_timer() && seconds < wishes.min_se).then_some(wishes.min_se)
    }

    /// We accept a request of theirs with a 2xx that says what is returned (RFC 4028 9).
    pub(crate) fn accept(&mut self, now: Time, asks: &Asks, wishes: &Wishes) -> Option<Terms> {
        if wishes.interval == 0 {
            return None;
        }
        let wished = wishes.interval.max(asks.min_se);
        // It may be shortened down to Min-SE, and never be made longer.
        let interval = if asks.interval > 0 { asks.interval.min(wished) } else { wished }.max(LEAST);
        let keeper = match (asks.knows, asks.keeper, wishes.refresher) {
            // Whoever does not know of it will not refresh.
            (false, _, _) | (true, None, Refresher::Ours) => Keeper::Receiver,
            (true, Some(keeper), _) => keeper,
            (true, None, Refresher::Either | Refresher::Theirs) => Keeper::Sender,
        };
        self.least = self.least.max(asks.min_se);
        self.start(now, interval, keeper == Keeper::Receiver);
        Some(Terms { interval, keeper: Some(keeper), min_se: 0, required: asks.knows })
    }

    /// They have accepted a request of ours (RFC 4028 7.2).
    pub(crate) fn accepted(&mut self, now: Time, said: &Said, wishes: &Wishes) {
        match said.session_expires {
            Some((interval, keeper)) if wishes.interval > 0 => {
                self.start(now, interval.max(LEAST), keeper != Some(Keeper::Receiver));
            }
            Some(_) | None => self.interval = 0,
        }
    }

    fn start(&mut self, now: Time, seconds: u32, ours: bool) {
        let interval = Duration::from_secs(u64::from(seconds));
        self.interval = seconds;
        self.ours = ours;
        self.end = now + interval - MARGIN.min(interval / 3);
        self.next = if ours { now + interval / 2 } else { self.end };
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: Time) -> Fired {
        if self.interval == 0 || now < self.next {
            return Fired::Nothing;
        }
        if now >= self.end {
            return Fired::Expired;
        }
        self.next = (now + ((self.end - now) / 2).max(TRY_AGAIN)).min(self.end);
        Fired::Refresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Duration::from_secs(1_000_000);

    fn wishes(refresher: Refresher) -> Wishes {
        Wishes { interval: 1_800, min_se: 90, refresher }
    }

    fn said(headers: &str) -> Said {
        let text = format!("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n{headers}Content-Length: 0\r\n\r\n");
        Said::by(&hookswitch_sip_msg::Message::parse(text.into_bytes().into()).unwrap())
    }

    fn seconds(time: Option<Time>) -> u64 {
        (time.unwrap() - NOW).as_secs()
    }

    #[test]
    fn a_2xx_follows_table_2_of_rfc_4028() {
        for (headers, refresher, keeper, required) in [
            ("", Refresher::Theirs, Keeper::Receiver, false),
            ("x: 1800;refresher=uac\r\n", Refresher::Theirs, Keeper::Receiver, false),
            ("k: timer\r\n", Refresher::Either, Keeper::Sender, true),
            ("k: timer\r\n", Refresher::Ours, Keeper::Receiver, true),
            ("k: timer\r\nx: 1800;refresher=uac\r\n", Refresher::Ours, Keeper::Sender, true),
            ("k: timer\r\nx: 1800;refresher=uas\r\n", Refresher::Theirs, Keeper::Receiver, true),
        ] {
            let mut timer = SessionTimer::default();
            let terms = timer.accept(NOW, &Asks::from(&said(headers)), &wishes(refresher)).unwrap();
            assert_eq!((terms.interval, terms.keeper, terms.required), (1_800, Some(keeper), required), "{headers}");
            assert_eq!(timer.is_ours(), keeper == Keeper::Receiver);
        }
    }

    #[test]
    fn an_interval_is_shortened_to_ours_and_never_below_their_least() {
        for (headers, interval) in [
            ("k: timer\r\nx: 7200\r\n", 1_800),
            ("k: timer\r\nx: 600\r\n", 600),
            ("k: timer\r\nx: 7200\r\nMin-SE: 3600\r\n", 3_600),
            ("k: timer\r\nMin-SE: 3600\r\n", 3_600),
            ("x: 20\r\n", 90),
        ] {
            let asks = Asks::from(&said(headers));
            let terms = SessionTimer::default().accept(NOW, &asks, &wishes(Refresher::Either)).unwrap();
            assert_eq!(terms.interval, interval, "{headers}");
        }
    }

    #[test]
    fn we_refresh_at_half_time_and_again_until_the_end() {
        let mut timer = SessionTimer::default();
        timer.accepted(NOW, &said("x: 1800;refresher=uac\r\n"), &wishes(Refresher::Either));
        assert_eq!(seconds(timer.deadline()), 900);
        assert_eq!(timer.on_time(NOW + Duration::from_secs(899)), Fired::Nothing);
        let mut times = Vec::new();
        loop {
            let at = timer.deadline().unwrap();
            times.push((at - NOW).as_secs());
            if timer.on_time(at) == Fired::Expired {
                break;
            }
        }
        assert_eq!(times, [900, 1_334, 1_551, 1_659, 1_713, 1_740, 1_754, 1_764, 1_768]);
    }

    #[test]
    fn they_refresh_or_the_session_ends_a_little_early() {
        let mut timer = SessionTimer::default();
        timer.accepted(NOW, &said("x: 1800;refresher=uas\r\n"), &wishes(Refresher::Either));
        assert_eq!(seconds(timer.deadline()), 1_800 - 32);
        timer.accepted(NOW, &said("x: 90;refresher=uas\r\n"), &wishes(Refresher::Either));
        assert_eq!(seconds(timer.deadline()), 60);
        assert_eq!(timer.on_time(NOW + Duration::from_secs(60)), Fired::Expired);
        timer.accepted(NOW, &said(""), &wishes(Refresher::Either));
        assert_eq!(timer.deadline(), None, "a 2xx without Session-Expires has no end");
    }

    #[test]
    fn a_refresh_keeps_who_does_it() {
        let mut timer = SessionTimer::default();
        assert_eq!(timer.ask(&wishes(Refresher::Either)).unwrap().keeper, None);
        assert_eq!(timer.ask(&wishes(Refresher::Ours)).unwrap().keeper, Some(Keeper::Sender));
        assert_eq!(timer.ask(&wishes(Refresher::Theirs)).unwrap().keeper, Some(Keeper::Receiver));
        timer.accepted(NOW, &said("x: 600;refresher=uas\r\n"), &wishes(Refresher::Ours));
        let terms = timer.ask(&wishes(Refresher::Ours)).unwrap();
        assert_eq!((terms.keeper, terms.interval), (Some(Keeper::Receiver), 600));
        timer.accepted(NOW, &said("x: 600\r\n"), &wishes(Refresher::Ours));
        assert_eq!(timer.ask(&wishes(Refresher::Theirs)).unwrap().keeper, Some(Keeper::Sender), "none named: we do");
    }

    #[test]
    fn a_422_raises_what_we_ask_for() {
        let (mut timer, wishes) = (SessionTimer::default(), wishes(Refresher::Either));
        assert!(!timer.too_small(&said("Min-SE: 1800\r\n"), &wishes), "that is what we ask for already");
        assert!(!timer.too_small(&said(""), &wishes));
        assert!(timer.too_small(&said("Min-SE: 3600\r\n"), &wishes));
        let terms = timer.ask(&wishes).unwrap();
        assert_eq!((terms.interval, terms.min_se), (3_600, 3_600));
        assert!(!timer.too_small(&said("Min-SE: 3600\r\n"), &wishes));
    }

    #[test]
    fn only_those_who_know_it_are_refused_for_too_little() {
        let wishes = Wishes { min_se: 600, ..wishes(Refresher::Either) };
        assert_eq!(SessionTimer::refuses(&said("k: timer\r\nx: 599\r\n"), &wishes), Some(600));
        assert_eq!(SessionTimer::refuses(&said("k: timer\r\nx: 600\r\n"), &wishes), None);
        assert_eq!(SessionTimer::refuses(&said("x: 599\r\n"), &wishes), None);
        assert_eq!(SessionTimer::refuses(&said("k: timer\r\n"), &wishes), None);
        assert_eq!(SessionTimer::refuses(&said("k: timer\r\nx: 1\r\n"), &Wishes { interval: 0, ..wishes }), None);
    }

    #[test]
    fn switched_off_it_says_and_does_nothing() {
        let off = Wishes { interval: 0, ..wishes(Refresher::Either) };
        let mut timer = SessionTimer::default();
        assert_eq!(timer.ask(&off), None);
        assert_eq!(timer.accept(NOW, &Asks::from(&said("k: timer\r\nx: 600\r\n")), &off), None);
        timer.accepted(NOW, &said("x: 600\r\n"), &off);
        assert_eq!((timer.deadline(), timer.is_ours()), (None, false));
        assert_eq!(timer.on_time(NOW + Duration::from_secs(9_999)), Fired::Nothing);
    }
}
