//! Which nodes are there.
//!
//! ```text
//!   unknown ──answer──▶ there ──MISSES in a row without one──▶ lost ──answer──▶ there
//!        └───────────────MISSES───────────────────────────────▶┘
//! ```
//!
//! Every node is asked each [`BEAT`], and not again before it has answered or the request was given up.

use std::time::Duration;

use hookswitch_call::Time;

use crate::NodeId;

/// How often a node is asked how it is.
pub const BEAT: Duration = Duration::from_secs(1);

/// So many questions in a row without an answer, and a node is lost.
pub const MISSES: u8 = 3;

/// What has become of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PulseNews {
    /// It answers, for the first time or again.
    There,
    /// It does not any more, or never has.
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Beat {
    /// When it is asked next; none while it is being asked.
    due: Option<Time>,
    missed: u8,
    there: Option<bool>,
    /// When that was said last of it for the first time in a row.
    since: Option<Time>,
}

/// The pulse of all nodes of one kind.
#[derive(Clone, Debug)]
pub struct Pulse(Vec<Beat>);

impl Pulse {
    /// Of so many nodes, of which nothing is known yet. All are asked at once.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self(vec![Beat { due: Some(Time::ZERO), missed: 0, there: None, since: None }; nodes])
    }

    /// The next node to be asked now; it counts as being asked.
    pub fn poll(&mut self, now: Time) -> Option<NodeId> {
        let index = self.0.iter().position(|beat| beat.due.is_some_and(|due| due <= now))?;
        self.0[index].due = None;
        u16::try_from(index).ok().map(NodeId)
    }

    /// Whether a node has answered what it was asked. Says what that changes.
    pub fn answered(&mut self, now: Time, node: NodeId, answered: bool) -> Option<PulseNews> {
        let beat = self.0.get_mut(usize::from(node.0))?;
        beat.due = Some(now + BEAT);
        beat.missed = if answered { 0 } else { beat.missed.saturating_add(1) };
        let there = match (answered, beat.missed >= MISSES) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => return None,
        };
        if beat.there.replace(there) == Some(there) {
            return None;
        }
        beat.since = Some(now);
        Some(if there { PulseNews::There } else { PulseNews::Lost })
    }

    /// Whether a node answers. One of which nothing is known does not.
    #[must_use]
    pub fn is_there(&self, node: NodeId) -> bool {
        self.0.get(usize::from(node.0)).is_some_and(|beat| beat.there == Some(true))
    }

    /// Whether a node answers, and since when it does or does not; none while nothing is known of it.
    #[must_use]
    pub fn standing(&self, node: NodeId) -> Option<(bool, Time)> {
        let beat = self.0.get(usize::from(node.0))?;
        Some((beat.there?, beat.since?))
    }

    /// Those that answer.
    pub fn there(&self) -> impl Iterator<Item = NodeId> {
        let there = self.0.iter().enumerate().filter(|(_, beat)| beat.there == Some(true));
        there.filter_map(|(index, _)| u16::try_from(index).ok().map(NodeId))
    }

    /// When somebody is to be asked next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.0.iter().filter_map(|beat| beat.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_000);
    const NODE: NodeId = NodeId(0);

    #[test]
    fn a_node_is_lost_after_three_misses_in_a_row_and_back_with_one_answer() {
        let mut pulse = Pulse::new(1);
        let mut now = NOW;
        let mut ask = |answered: bool| {
            assert_eq!(pulse.poll(now), Some(NODE));
            assert_eq!(pulse.poll(now), None, "it is being asked");
            let news = pulse.answered(now, NODE, answered);
            assert_eq!(pulse.standing(NODE).map(|(there, _)| there), Some(pulse.is_there(NODE)));
            assert_eq!(pulse.poll_timeout(), Some(now + BEAT));
            now += BEAT;
            (news, pulse.is_there(NODE))
        };
        assert_eq!(ask(true), (Some(PulseNews::There), true));
        assert_eq!([ask(false), ask(false), ask(true)], [(None, true); 3]);
        assert_eq!([ask(false), ask(false)], [(None, true); 2]);
        assert_eq!(ask(false), (Some(PulseNews::Lost), false));
        assert_eq!(ask(false), (None, false));
        assert_eq!(ask(true), (Some(PulseNews::There), true));
        // The ninth question, a second after another.
        assert_eq!(pulse.standing(NODE), Some((true, NOW + 8 * BEAT)));
    }

    #[test]
    fn a_node_that_has_never_answered_is_lost_once() {
        let mut pulse = Pulse::new(2);
        assert_eq!((pulse.poll(NOW), pulse.poll(NOW)), (Some(NodeId(0)), Some(NodeId(1))));
        assert_eq!(pulse.standing(NodeId(1)), None, "nothing is known of it");
        assert_eq!(pulse.poll_timeout(), None, "both are being asked");
        let said: Vec<_> = (0..MISSES).map(|_| pulse.answered(NOW, NodeId(1), false)).collect();
        assert_eq!(said, [None, None, Some(PulseNews::Lost)]);
        assert_eq!(pulse.standing(NodeId(1)), Some((false, NOW)));
        assert_eq!(pulse.answered(NOW, NodeId(7), true), None, "there is no such node");
        assert_eq!(pulse.there().count(), 0);
    }
}
