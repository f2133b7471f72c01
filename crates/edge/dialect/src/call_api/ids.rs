//! Makes the `cmd_id` of commands whose client named none.

use std::fmt::Write as _;

use compact_str::CompactString;
use sha2::{Digest, Sha256};

/// A stream of identifiers that look like UUIDs of version 4.
///
/// Each is the SHA-256 of the seed and a counter, so with a secret seed nobody can tell one from
/// the others: a `cmd_id` becomes a Call-ID, and those are seen by every phone.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: [u8; 32],
    made: u64,
}

impl Ids {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, made: 0 }
    }

    pub(crate) fn next(&mut self) -> CompactString {
        let hash = Sha256::new().chain_update(self.seed).chain_update(self.made.to_be_bytes()).finalize();
        self.made += 1;
        let mut text = CompactString::with_capacity(36);
        for (index, byte) in hash.iter().take(16).enumerate() {
            // RFC 9562 section 5.4: four bits of version, two bits of variant.
            let byte = match index {
                6 => (byte & 0x0f) | 0x40,
                8 => (byte & 0x3f) | 0x80,
                _ => *byte,
            };
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            write!(text, "{byte:02x}").expect("a string takes what is written to it");
        }
        text
    }

    /// Seeds for hash tables whose keys strangers choose.
    pub(crate) fn hash_state(&self) -> ahash::RandomState {
        let word = |at: usize| self.seed[at..at + 8].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        ahash::RandomState::with_seeds(word(0), word(8), word(16), word(24))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_look_like_version_4_and_do_not_repeat() {
        let mut ids = Ids::new([7; 32]);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let id = ids.next();
            assert_eq!(id.len(), 36);
            assert_eq!(&id[14..15], "4");
            assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"));
            assert!(seen.insert(id));
        }
        assert_ne!(Ids::new([8; 32]).next(), Ids::new([7; 32]).next());
    }
}
