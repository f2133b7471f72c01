//! One call on a media node, as a record.

use std::collections::VecDeque;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{LegId, MediaOp, RecordOrder, RecordingId, Room, Sdp, Seat, Time};

use super::journal::Journal;
use crate::NodeId;

/// Where a call is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// It is to be given to a node.
    Unplaced,
    /// A node has been asked to take it.
    Opening {
        /// Which.
        node: NodeId,
    },
    /// A node has it.
    Open {
        /// Which.
        node: NodeId,
        /// Its name there.
        uuid: CompactString,
        /// A request is under way.
        busy: bool,
    },
    /// Its node is gone, and no other takes it.
    Nowhere {
        /// How long it waits for one.
        until: Time,
    },
    /// No node has taken it, and it ends.
    Refused,
    /// It is over, but for its last word.
    Over {
        /// How long that is waited for.
        until: Time,
    },
}

impl At {
    pub(super) const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Opening { node } | Self::Open { node, .. } => Some(*node),
            Self::Unplaced | Self::Nowhere { .. } | Self::Refused | Self::Over { .. } => None,
        }
    }
}

/// A recording that runs.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    pub(super) recording: RecordingId,
    pub(super) file: CompactString,
    pub(super) mailbox: Option<CompactString>,
    /// Its file is open.
    pub(super) begun: bool,
}

/// The channel that a call has left for another one, which still carries its audio until its parties are told.
#[derive(Clone, Debug)]
pub(super) struct Old {
    pub(super) node: NodeId,
    pub(super) uuid: CompactString,
    pub(super) number: u32,
    /// Who still sends there.
    pub(super) unsettled: Vec<Seat>,
    pub(super) until: Time,
    /// The node has been told that nobody needs it any more.
    pub(super) freed: bool,
    pub(super) recordings: Vec<Recording>,
    /// Orders that it had not been given, in case the call has to go back; none once the other node has taken it.
    pub(super) waited: Option<VecDeque<MediaOp>>,
}

/// One call.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) journal: Journal,
    pub(super) at: At,
    /// Which of its channels is the present one, from 1.
    pub(super) number: u32,
    /// How many there have been.
    pub(super) last: u32,
    /// The node of the present one, also when the call is over.
    pub(super) home: Option<NodeId>,
    /// What its channels are called, for as long as something may be told of them.
    pub(super) names: Vec<CompactString>,
    /// Orders that the node has not been given.
    pub(super) queue: VecDeque<MediaOp>,
    /// Descriptions that the call waits for.
    pub(super) owed: Vec<(Seat, LegId)>,
    /// How often it waits to hear what is known of its audio.
    pub(super) inspects: u32,
    pub(super) recordings: Vec<Recording>,
    pub(super) old: Option<Old>,
    /// The room in whose hall it is noted.
    pub(super) in_room: Option<Room>,
    pub(super) awake: bool,
    /// A node has had it, and its parties may have been told so.
    pub(super) was_open: bool,
    /// Until when it waits for a node, since it has none.
    pub(super) patience: Option<Time>,
    origins: Vec<(LegId, Origin)>,
}

/// What stands in the origin line of a description (RFC 8866 section 5.2) beside its version.
#[derive(Clone, Debug)]
struct Origin {
    before: CompactString,
    version: u64,
    after: CompactString,
}

impl Carried {
    pub(super) fn new(journal: Journal) -> Self {
        Self {
            journal,
            at: At::Unplaced,
            number: 0,
            last: 0,
            home: None,
            names: Vec::new(),
            queue: VecDeque::new(),
            owed: Vec::new(),
            inspects: 0,
            recordings: Vec::new(),
            old: None,
            in_room: None,
            awake: false,
            was_open: false,
            patience: None,
            origins: Vec::new(),
        }
    }

    /// Notes what this order is to be answered with, and which recording it begins.
    pub(super) fn expect_answer(&mut self, op: &MediaOp) {
        if let MediaOp::MakeOffer { seat, leg, .. } | MediaOp::MakeAnswer { seat, leg, .. } = op {
            self.owed.push((*seat, *leg));
        } else if let MediaOp::Inspect { .. } = op {
            self.inspects += 1;
        } else if let MediaOp::Record { recording, order: RecordOrder::Begin(plan), .. } = op
            && !self.recordings.iter().any(|running| running.recording == *recording)
        {
            let (file, mailbox) = (plan.file.clone(), plan.mailbox.clone());
            self.recordings.push(Recording { recording: *recording, file, mailbox, begun: false });
        }
    }

    /// A description for a seat has come: whether it was waited for.
    pub(super) fn owes(&mut self, what: (Seat, LegId)) -> bool {
        let at = self.owed.iter().position(|owed| *owed == what);
        at.map(|at| self.owed.remove(at)).is_some()
    }

    /// A party agrees to what it was offered: whether that leads it away from the old node.
    pub(super) fn accepts(&mut self, op: &MediaOp) -> bool {
        let MediaOp::Accept { seat, .. } = op else { return false };
        let Some(old) = self.old.as_mut().filter(|old| old.waited.is_none()) else { return false };
        old.unsettled.retain(|other| other != seat);
        old.unsettled.is_empty() && !old.freed
    }

    /// A description for a leg. Behind a move it goes on where the one of the node before ended: one and the same origin,
    /// and a higher version (RFC 3264 section 8).
    pub(super) fn continued(&mut self, leg: LegId, sdp: Sdp) -> Sdp {
        let Some((head, tail)) = split_origin(&sdp.0) else { return sdp };
        let Some(origin) = Origin::read(head.1) else { return sdp };
        let moved = self.number > 1;
        match self.origins.iter_mut().find(|(other, _)| *other == leg) {
            Some((_, known)) if moved => {
                known.version += 1;
                let Origin { before, version, after } = known;
                Sdp(format!("{}{before} {version} {after}{tail}", head.0).into())
            }
            Some((_, known)) => {
                *known = origin;
                sdp
            }
            None => {
                self.origins.push((leg, origin));
                sdp
            }
        }
    }
}

/// What stands before the origin line and the line itself, and what follows that.
fn split_origin(text: &str) -> Option<((&str, &str), &str)> {
    let start = text.find("\no=")? + 1;
    let (head, rest) = text.split_at(start);
    let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
    let (line, tail) = rest.split_at(end);
    Some(((head, line), tail))
}

impl Origin {
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, ' ');
        let (user, id, version, after) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let version = version.parse().ok()?;
        Some(Self { before: format_compact!("{user} {id}"), version, after: after.into() })
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_call::CallId;

    use super::*;

    fn description(id: u32, version: u32, port: u16) -> Sdp {
        Sdp(format!("v=0\r\no=- {id} {version} IN IP4 10.0.0.{id}\r\ns=-\r\nm=audio {port} RTP/AVP 0\r\n").into())
    }

    #[test]
    fn behind_a_move_a_description_goes_on_with_the_origin_of_the_node_before() {
        let open = MediaOp::Open { call: CallId(1), offer: None, codecs: None, near: None, room: None };
        let mut carried = Carried::new(Journal::new(open));
        carried.number = 1;
        assert_eq!(carried.continued(LegId(0), description(7, 1, 4000)), description(7, 1, 4000));
        assert_eq!(carried.continued(LegId(0), description(7, 2, 4002)), description(7, 2, 4002));
        carried.number = 2;
        let told = carried.continued(LegId(0), description(9, 1, 5000)).0;
        assert_eq!(&*told, "v=0\r\no=- 7 3 IN IP4 10.0.0.7\r\ns=-\r\nm=audio 5000 RTP/AVP 0\r\n");
        assert!(carried.continued(LegId(0), description(9, 2, 5000)).0.contains("o=- 7 4 "));
        assert_eq!(carried.continued(LegId(1), description(9, 1, 5000)), description(9, 1, 5000), "it saw no other");
        for odd in ["", "v=0\r\n", "v=0\r\no=- 7\r\n", "v=0\r\no=- 7 x IN IP4 1\r\n"] {
            assert_eq!(carried.continued(LegId(0), Sdp::from(odd)), Sdp::from(odd));
        }
    }
}
