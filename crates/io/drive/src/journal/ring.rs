//! The newest events, in memory: batches as they were committed, each with a table of the domains in it, so that of a
//! thousand readers with a domain each only those look at an event whose it is.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_dialect::journal::{Filter, Logged};

/// Events that are held in memory; older ones are read from the disk.
pub const RING_EVENTS: usize = 32_768;

/// Bytes of events that are held in memory.
pub const RING_BYTES: usize = 16 * 1024 * 1024;

/// Batches from this length on have a table of their domains.
const TABLE_FROM: usize = 16;

/// Events that stand in the log one after the other: those that were committed together, or a page of the disk.
pub(super) struct Segment {
    events: Vec<Arc<Logged>>,
    first: u64,
    next: u64,
    bytes: usize,
    /// The places of the events of each domain. None for few events, which are looked at one by one.
    domains: Option<HashMap<CompactString, Vec<u32>>>,
}

impl Segment {
    /// All events there are from `first` up to `next`. One in between is missing if it cannot be read.
    pub(super) fn new(events: Vec<Logged>, first: u64, next: u64) -> Self {
        let bytes = events.iter().map(|event| event.text.len()).sum();
        let domains = (events.len() >= TABLE_FROM).then(|| {
            let mut domains: HashMap<CompactString, Vec<u32>> = HashMap::new();
            for (place, event) in events.iter().enumerate() {
                for domain in &event.domains {
                    domains.entry(domain.clone()).or_default().push(place as u32);
                }
            }
            domains
        });
        Self { events: events.into_iter().map(Arc::new).collect(), first, next, bytes, domains }
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The number after its last event.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Bytes of its events, as documents.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Calls `each` with every domain that something in it is about, with some more than once.
    pub(super) fn each_domain(&self, mut each: impl FnMut(&CompactString)) {
        match &self.domains {
            Some(table) => table.keys().for_each(each),
            None => self.events.iter().flat_map(|event| &event.domains).for_each(&mut each),
        }
    }

    /// Adds what is wanted of the events from this number on, until `most` are there. Returns the number to go on with.
    pub(super) fn collect(&self, from: u64, filter: &Filter, most: usize, into: &mut Vec<Arc<Logged>>) -> u64 {
        let skipped = self.events.partition_point(|event| event.id.0 < from);
        let mut take = |event: &Arc<Logged>| {
            if filter.wants(event) {
                into.push(Arc::clone(event));
            }
            (into.len() >= most).then(|| event.id.0 + 1)
        };
        let full = match (&self.domains, &*filter.domains) {
            (Some(table), [domain]) => {
                let places = table.get(domain).map_or(&[][..], Vec::as_slice);
                let places = &places[places.partition_point(|place| (*place as usize) < skipped)..];
                places.iter().find_map(|place| take(&self.events[*place as usize]))
            }
            _ => self.events.iter().skip(skipped).find_map(take),
        };
        full.unwrap_or_else(|| self.next())
    }
}

/// The newest events.
pub(super) struct Ring {
    segments: VecDeque<Arc<Segment>>,
    events: usize,
    bytes: usize,
    next: u64,
}

impl Ring {
    /// A ring whose first event gets this number.
    pub(super) const fn new(next: u64) -> Self {
        Self { segments: VecDeque::new(), events: 0, bytes: 0, next }
    }

    /// The number of the oldest event in it; that of the next one if there is none.
    pub(super) fn first(&self) -> u64 {
        self.segments.front().map_or(self.next, |segment| segment.first())
    }

    /// The number of the next event.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Adds a batch, which is not empty, and forgets old ones. The newest batch always stays.
    pub(super) fn push(&mut self, segment: Arc<Segment>) {
        self.next = segment.next();
        self.events += segment.events.len();
        self.bytes += segment.bytes;
        self.segments.push_back(segment);
        while (self.events > RING_EVENTS || self.bytes > RING_BYTES) && self.segments.len() > 1 {
            let Some(oldest) = self.segments.pop_front() else { return };
            self.events -= oldest.events.len();
            self.bytes -= oldest.bytes;
        }
    }

    /// The batches from that with this number on, if that is in the ring or comes next.
    pub(super) fn from(&self, number: u64) -> Option<Vec<Arc<Segment>>> {
        if number < self.first() || number > self.next {
            return None;
        }
        let start = self.segments.partition_point(|segment| segment.next() <= number);
        Some(self.segments.range(start..).cloned().collect())
    }
}

/// A batch for the ring. Its numbers have no gap.
pub(super) fn segment(events: Vec<Logged>) -> Arc<Segment> {
    let first = events.first().map_or(0, |event| event.id.0);
    let next = first + events.len() as u64;
    Arc::new(Segment::new(events, first, next))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookswitch_dialect::journal::EventId;

    use super::*;

    fn event(id: u64) -> Logged {
        let domains = vec![CompactString::from(format!("{}.test", id % 3))];
        let (at, kind, text) = (Duration::ZERO, "call.bridged".into(), "x".repeat(1_000).into());
        Logged { id: EventId(id), at, kind, call: None, seq: None, domains, webhook: None, text }
    }

    fn numbers(ring: &Ring, mut from: u64, domain: Option<&str>, most: usize) -> (Vec<u64>, u64) {
        let filter = Filter { domains: domain.map(CompactString::from).into_iter().collect(), ..Filter::default() };
        let mut found = Vec::new();
        for segment in ring.from(from).unwrap() {
            from = segment.collect(from, &filter, most, &mut found);
            if found.len() >= most {
                break;
            }
        }
        (found.iter().map(|event| event.id.0).collect(), from)
    }

    #[test]
    fn a_reader_gets_what_it_wants_from_where_it_is() {
        let mut ring = Ring::new(10);
        assert_eq!((ring.first(), ring.next()), (10, 10));
        // A batch that is looked at one by one, and one with a table.
        for batch in [10..14, 14..44] {
            ring.push(segment(batch.map(event).collect()));
        }
        assert_eq!((ring.first(), ring.next()), (10, 44));
        assert_eq!(numbers(&ring, 12, None, 4), (vec![12, 13, 14, 15], 16));
        assert_eq!(numbers(&ring, 11, Some("0.test"), 100), ((12..44).step_by(3).collect(), 44));
        assert_eq!(numbers(&ring, 16, Some("0.test"), 2), (vec![18, 21], 22));
        assert_eq!(numbers(&ring, 10, Some("9.test"), 2), (vec![], 44));
        assert_eq!(numbers(&ring, 44, None, 2), (vec![], 44));
        assert!(ring.from(9).is_none() && ring.from(45).is_none());
    }

    /// Fills a ring with twice as many events as it may hold, each of so many bytes, in batches of 512.
    fn full(bytes: usize) -> Ring {
        let mut ring = Ring::new(0);
        for start in (0..2 * RING_EVENTS as u64).step_by(512) {
            let events = (start..start + 512).map(|id| Logged { text: "x".repeat(bytes).into(), ..event(id) });
            ring.push(segment(events.collect()));
        }
        ring
    }

    #[test]
    fn the_oldest_batches_are_forgotten_at_the_limits() {
        let small = full(100);
        assert!(small.events <= RING_EVENTS && small.events > RING_EVENTS - 512, "{}", small.events);
        let mut large = full(1_000);
        assert!(large.bytes <= RING_BYTES && large.bytes > RING_BYTES - 512_000, "{}", large.bytes);
        for ring in [&small, &large] {
            assert_eq!(ring.next() - ring.first(), ring.events as u64);
        }
        large.push(segment((large.next()..large.next() + 2 * RING_EVENTS as u64).map(event).collect()));
        assert_eq!(large.segments.len(), 1);
    }
}
