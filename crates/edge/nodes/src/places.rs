//! Which node a call is placed on, or a leg.
//!
//! The least loaded of those that answer, take new ones and have room. How loaded one is says the greater of two figures:
//! how much of its channels or dialogs are in use, those that were given to it since it last spoke included, and how much of
//! its processors. The second jumps about, and is believed only when it has moved by [`CPU_STEP`]; a node whose ticks came too
//! late counts as busier for [`LATE_MEMORY`], for somebody has heard that.

use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::Time;
use serde::Deserialize;

use crate::{NodeId, NodeState, Pulse, PulseNews, Standing};

/// Percent of the processors by which a node's figure must differ from the one that is believed.
pub const CPU_STEP: f32 = 5.0;

/// How long a node whose ticks were late is thought busier.
pub const LATE_MEMORY: Duration = Duration::from_secs(10);

/// By how much, as a part of all it can do.
const LATE_PENALTY: f32 = 0.25;

/// How long a node that has refused a call, or has not answered one, is given no other unless it says that it has room.
pub const REST: Duration = Duration::from_secs(5);

/// What a node says of itself: a media node at `GET /channel`, a SIP node at `GET /dialog`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Load {
    /// Channels in use, or dialogs. A call is two.
    #[serde(alias = "count")]
    pub active: u32,
    /// How many more it takes.
    #[serde(default = "untold")]
    pub available: u32,
    /// It takes no new calls; a media node wants to be rid of those it has.
    #[serde(default)]
    pub draining: bool,
    /// Percent of the time of its media threads, or of the thread that has SIP.
    #[serde(default)]
    pub cpu: f32,
    /// Ticks of its last second that were too late; a SIP node has none.
    #[serde(default)]
    pub late_ticks: u32,
    /// Names the start of its program; what was there under another one is gone.
    #[serde(default)]
    pub instance: CompactString,
}

#[derive(Deserialize)]
struct Said {
    channels: Load,
}

/// Room of a node that does not say how much it has.
const UNTOLD: u32 = 10_000;

const fn untold() -> u32 {
    UNTOLD
}

impl Load {
    /// From the body of an answer of a media node.
    #[must_use]
    pub fn read(body: &Bytes) -> Option<Self> {
        serde_json::from_slice::<Said>(body).ok().map(|said| said.channels)
    }

    /// From the body of an answer of a SIP node.
    #[must_use]
    pub fn read_dialogs(body: &Bytes) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

/// What has become of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlaceNews {
    /// Calls can be placed there, for the first time or again.
    There(NodeId),
    /// It does not answer any more.
    Lost(NodeId),
    /// It answers, and has forgotten everything: it has been started anew.
    Forgot(NodeId),
    /// It takes no new calls, and a media node wants to be rid of those it has. Said each time that it says so.
    Drains(NodeId),
}

#[derive(Clone, Debug, Default)]
struct Place {
    load: Option<Load>,
    /// The figure of its processors that is believed.
    cpu: f32,
    late_until: Time,
    rests_until: Time,
    /// Since when it takes no new calls; none while it does.
    drains: Option<Time>,
    /// Channels or dialogs given to it since it last spoke.
    fresh: u32,
}

impl Place {
    fn weight(&self, now: Time) -> f32 {
        let Some(load) = &self.load else { return f32::INFINITY };
        let used = load.active.saturating_add(self.fresh) as f32;
        let share = used / (load.active.saturating_add(load.available).max(1)) as f32;
        let late = if now < self.late_until { LATE_PENALTY } else { 0.0 };
        share.max(self.cpu / 100.0) + late
    }

    fn has_room(&self, now: Time, each: u32) -> bool {
        let open = |load: &Load| !load.draining && load.available >= self.fresh.saturating_add(each);
        self.load.as_ref().is_some_and(open) && now >= self.rests_until
    }
}

/// Channels that a call takes of a media node.
pub const CHANNELS: u32 = 2;

/// Dialogs that a leg takes of a SIP node.
pub const DIALOGS: u32 = 1;

/// All nodes of one kind.
#[derive(Clone, Debug)]
pub struct Places {
    pulse: Pulse,
    places: Vec<Place>,
    /// What one more takes of its node.
    each: u32,
}

impl Places {
    /// So many nodes, of which nothing is known yet. `each` is what one more call or leg takes: [`CHANNELS`] or [`DIALOGS`].
    #[must_use]
    pub fn new(nodes: usize, each: u32) -> Self {
        Self { pulse: Pulse::new(nodes), places: vec![Place::default(); nodes], each }
    }

    /// The next node to be asked how it is; it counts as being asked.
    pub fn poll(&mut self, now: Time) -> Option<NodeId> {
        self.pulse.poll(now)
    }

    /// When somebody is to be asked next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.pulse.poll_timeout()
    }

    /// What a node has said of itself, if it has. Says what that changes.
    pub fn answered(&mut self, now: Time, node: NodeId, load: Option<Load>) -> Vec<PlaceNews> {
        let mut news = Vec::new();
        match self.pulse.answered(now, node, load.is_some()) {
            Some(PulseNews::There) => news.push(PlaceNews::There(node)),
            Some(PulseNews::Lost) => news.push(PlaceNews::Lost(node)),
            None => {}
        }
        let (Some(load), Some(place)) = (load, self.places.get_mut(usize::from(node.0))) else { return news };
        if place.load.as_ref().is_some_and(|before| before.instance != load.instance) {
            news.insert(0, PlaceNews::Forgot(node));
        }
        if load.draining {
            news.push(PlaceNews::Drains(node));
        }
        if (load.cpu - place.cpu).abs() >= CPU_STEP {
            place.cpu = load.cpu;
        }
        if load.late_ticks > 0 {
            place.late_until = now + LATE_MEMORY;
        }
        place.drains = load.draining.then(|| place.drains.unwrap_or(now));
        place.fresh = 0;
        place.load = Some(load);
        news
    }

    /// A node for one more call, which counts there from now on. None if nobody has room.
    pub fn choose(&mut self, now: Time) -> Option<NodeId> {
        let chosen = self.least_loaded(now)?;
        self.gave(chosen);
        Some(chosen)
    }

    /// The least loaded node that takes one more, and of equals the first in the configuration. None if nobody has room.
    #[must_use]
    pub fn least_loaded(&self, now: Time) -> Option<NodeId> {
        let open = self.pulse.there().filter(|node| self.may_take(now, *node)).filter(|node| self.has_room(now, *node));
        let weight = |node: &NodeId| self.places.get(usize::from(node.0)).map_or(f32::INFINITY, |it| it.weight(now));
        open.min_by(|a, b| weight(a).total_cmp(&weight(b)))
    }

    /// One more is placed on a node, whoever has chosen that.
    pub fn gave(&mut self, node: NodeId) {
        if let Some(place) = self.places.get_mut(usize::from(node.0)) {
            place.fresh = place.fresh.saturating_add(self.each);
        }
    }

    /// Whether a node answers. One of which nothing is known does not.
    #[must_use]
    pub fn is_there(&self, node: NodeId) -> bool {
        self.pulse.is_there(node)
    }

    /// Those that answer.
    pub fn there(&self) -> impl Iterator<Item = NodeId> {
        self.pulse.there()
    }

    /// Whether calls may be brought to a node where others of theirs are.
    #[must_use]
    pub fn may_take(&self, now: Time, node: NodeId) -> bool {
        let rests = |place: &Place| now < place.rests_until;
        self.holds(node) && self.places.get(usize::from(node.0)).is_some_and(|place| !rests(place))
    }

    /// How a node stands that has so many of our calls or legs.
    #[must_use]
    pub fn standing(&self, node: NodeId, carries: usize) -> Standing {
        let place = self.places.get(usize::from(node.0));
        let (state, since) = match self.pulse.standing(node) {
            None => (NodeState::Starting, None),
            Some((false, since)) => (NodeState::Lost, Some(since)),
            Some((true, since)) => match place.and_then(|place| place.drains) {
                Some(drains) => (NodeState::Draining, Some(drains.max(since))),
                None => (NodeState::Up, Some(since)),
            },
        };
        Standing { state, since, carries, load: place.and_then(|place| place.load.clone()) }
    }

    fn has_room(&self, now: Time, node: NodeId) -> bool {
        self.places.get(usize::from(node.0)).is_some_and(|place| place.has_room(now, self.each))
    }

    /// A node has refused a call, or has not answered one.
    pub fn rests(&mut self, now: Time, node: NodeId) {
        if let Some(place) = self.places.get_mut(usize::from(node.0)) {
            place.rests_until = now + REST;
        }
    }

    /// Whether what is on a media node may stay there: it answers, and does not want to be rid of its calls. A SIP node of which
    /// that is so takes new legs.
    #[must_use]
    pub fn holds(&self, node: NodeId) -> bool {
        let draining = |place: &Place| place.load.as_ref().is_some_and(|load| load.draining);
        self.pulse.is_there(node) && self.places.get(usize::from(node.0)).is_some_and(|place| !draining(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_000);
    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);

    fn load(active: u32, available: u32) -> Load {
        Load { active, available, draining: false, cpu: 0.0, late_ticks: 0, instance: "i".into() }
    }

    fn two(a: Load, b: Load) -> Places {
        let mut places = Places::new(2, CHANNELS);
        assert_eq!(places.answered(NOW, A, Some(a)), [PlaceNews::There(A)]);
        assert_eq!(places.answered(NOW, B, Some(b)).first(), Some(&PlaceNews::There(B)));
        places
    }

    #[test]
    fn the_least_loaded_gets_the_call_and_what_it_got_counts_before_it_says_so() {
        let mut places = two(load(40, 60), load(30, 70));
        let chosen: Vec<NodeId> = (0..7).filter_map(|_| places.choose(NOW)).collect();
        assert_eq!(chosen, [B, B, B, B, B, A, B], "at 40 of 100 the first of the configuration");
        // The second one says how it is now, and has lost some.
        places.answered(NOW, B, Some(load(10, 90)));
        assert_eq!(places.choose(NOW), Some(B));
    }

    #[test]
    fn busy_processors_count_as_channels_do_and_small_changes_of_them_do_not() {
        let mut places = two(Load { cpu: 50.0, ..load(0, 100) }, load(20, 80));
        assert_eq!(places.choose(NOW), Some(B));
        places.answered(NOW, B, Some(load(0, 100)));
        places.answered(NOW, A, Some(Load { cpu: 4.0, ..load(0, 100) }));
        assert_eq!(places.choose(NOW), Some(B), "4 percent are 4 percent");
        places.answered(NOW, B, Some(load(3, 97)));
        places.answered(NOW, A, Some(Load { cpu: 1.0, ..load(0, 100) }));
        assert_eq!(places.choose(NOW), Some(B), "3 percent of channels are less than what is believed");
        places.answered(NOW, B, Some(load(5, 95)));
        assert_eq!(places.choose(NOW), Some(A));
    }

    #[test]
    fn one_whose_ticks_were_late_is_spared_for_a_while() {
        let mut places = two(Load { late_ticks: 1, ..load(0, 100) }, load(20, 80));
        assert_eq!(places.choose(NOW), Some(B));
        assert_eq!(places.choose(NOW + LATE_MEMORY), Some(A));
    }

    #[test]
    fn full_draining_resting_and_lost_ones_get_nothing() {
        let mut places = two(load(99, 1), Load { draining: true, ..load(0, 100) });
        assert_eq!(places.choose(NOW), None, "a call is two channels");
        assert!(!places.may_take(NOW, B) && places.may_take(NOW, A));
        assert_eq!(places.answered(NOW, B, Some(load(0, 100))), []);
        places.rests(NOW, B);
        assert_eq!(places.choose(NOW), None);
        assert_eq!(places.choose(NOW + REST), Some(B));
        let news: Vec<_> = (0..3).flat_map(|_| places.answered(NOW, B, None)).collect();
        assert_eq!((news, places.choose(NOW + REST)), (vec![PlaceNews::Lost(B)], None));
        assert_eq!(places.answered(NOW, B, Some(load(0, 4))), [PlaceNews::There(B)]);
        let chosen: Vec<_> = (0..3).map(|_| places.choose(NOW + REST)).collect();
        assert_eq!(chosen, [Some(B), Some(B), None], "it has room for two calls");
    }

    #[test]
    fn a_node_starts_is_up_drains_and_is_lost_and_it_is_known_since_when() {
        let mut places = Places::new(1, CHANNELS);
        let at = |places: &Places| {
            let Standing { state, since, load, .. } = places.standing(A, 0);
            (state, since.map(|since| since - NOW), load.map(|load| load.active))
        };
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(at(&places), (NodeState::Starting, None, None));
        places.answered(NOW, A, Some(load(2, 8)));
        assert_eq!(at(&places), (NodeState::Up, seconds(0), Some(2)));
        for second in [1, 2] {
            places.answered(NOW + Duration::from_secs(second), A, Some(Load { draining: true, ..load(3, 7) }));
        }
        assert_eq!(at(&places), (NodeState::Draining, seconds(1), Some(3)));
        places.answered(NOW + Duration::from_secs(3), A, Some(load(3, 7)));
        assert_eq!(at(&places), (NodeState::Up, seconds(0), Some(3)));
        for second in 4..7 {
            places.answered(NOW + Duration::from_secs(second), A, None);
        }
        assert_eq!(at(&places), (NodeState::Lost, seconds(6), Some(3)), "what it said last is still known");
    }

    #[test]
    fn a_node_that_was_started_anew_between_two_questions_has_forgotten_everything() {
        let mut places = two(load(0, 9), load(0, 9));
        let again = Load { instance: "j".into(), ..load(0, 9) };
        assert_eq!(places.answered(NOW, A, Some(again.clone())), [PlaceNews::Forgot(A)]);
        assert_eq!(places.answered(NOW, A, Some(again)), []);
        for _ in 0..3 {
            places.answered(NOW, A, None);
        }
        let later = Load { instance: "k".into(), draining: true, ..load(0, 9) };
        assert_eq!(
            places.answered(NOW, A, Some(later)),
            [PlaceNews::Forgot(A), PlaceNews::There(A), PlaceNews::Drains(A)]
        );
    }

    #[test]
    fn what_a_node_says_is_read_and_a_server_of_the_seeds_says_less() {
        let said = |text: &'static str| Load::read(&Bytes::from_static(text.as_bytes()));
        let plain = said(r#"{"channels":{"active":1,"available":4998}}"#).unwrap();
        assert_eq!((plain.active, plain.available, plain.draining), (1, 4_998, false));
        let whole =
            r#"{"channels":{"active":2,"available":0,"draining":true,"cpu":7.5,"late_ticks":3,"instance":"ab"}}"#;
        let whole = said(whole).unwrap();
        assert_eq!((whole.draining, whole.cpu, whole.late_ticks, whole.instance.as_str()), (true, 7.5, 3, "ab"));
        assert_eq!(said("{}"), None);
        assert_eq!(said("oops"), None);
    }
}
