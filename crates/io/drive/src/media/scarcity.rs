//! A thread that has no free ports, and when that is over: told once each, however many calls it costs.

use hookswitch_dialect::journal::PortsWord;

/// Of all ports so much has to be free again, one in so many, before a new shortage would be told anew.
const ENOUGH: usize = 20;

/// How often there was no port to be had.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scarcity {
    /// Since the start.
    refused: u64,
    /// The count when the present shortage began.
    before: Option<u64>,
}

impl Scarcity {
    /// How often there was none since the start.
    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// There is none.
    pub(super) fn none(&mut self) -> Option<PortsWord> {
        let is_new = self.before.is_none();
        self.before.get_or_insert(self.refused);
        self.refused += 1;
        is_new.then_some(PortsWord::Exhausted)
    }

    /// One is free again: so many of so many are now.
    pub(super) fn freed(&mut self, free: usize, all: usize) -> Option<PortsWord> {
        if free < all.div_ceil(ENOUGH) {
            return None;
        }
        self.before.take().map(|before| PortsWord::Free(self.refused - before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_at_its_beginning_and_at_its_end() {
        let mut scarcity = Scarcity::default();
        assert_eq!(scarcity.freed(100, 100), None, "nobody has missed any");
        assert_eq!([(); 3].map(|()| scarcity.none()), [Some(PortsWord::Exhausted), None, None]);
        assert_eq!(scarcity.freed(4, 100), None, "the next call would take it");
        assert_eq!(scarcity.none(), None);
        assert_eq!(scarcity.freed(5, 100), Some(PortsWord::Free(4)));
        assert_eq!((scarcity.freed(6, 100), scarcity.refused()), (None, 4));
        assert_eq!(scarcity.none(), Some(PortsWord::Exhausted), "that is another one");
        assert_eq!(scarcity.freed(1, 2), Some(PortsWord::Free(1)), "few ports have to do");
    }
}
