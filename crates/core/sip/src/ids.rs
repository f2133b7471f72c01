//! Unguessable names: tags, branches and Call-IDs, drawn from ChaCha20 (RFC 8439) under the seed given at the start.
//!
//! RFC 3261 19.3 wants tags with at least 32 bits of cryptographic randomness; ours have 64, branches too.

use compact_str::CompactString;

const ALPHABET: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz0123456";

/// A stream of random numbers; the same seed gives the same stream.
pub(crate) struct Ids {
    key: [u32; 8],
    counter: u64,
    block: [u64; 8],
    left: usize,
}

impl Ids {
    pub(crate) fn new(seed: [u8; 32]) -> Ids {
        let mut key = [0; 8];
        for (word, bytes) in key.iter_mut().zip(seed.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ids { key, counter: 0, block: [0; 8], left: 0 }
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        if self.left == 0 {
            let words = chacha20_block(&self.key, self.counter as u32, [(self.counter >> 32) as u32, 0, 0]);
            for (pair, out) in words.chunks_exact(2).zip(self.block.iter_mut()) {
                *out = u64::from(pair[0]) | u64::from(pair[1]) << 32;
            }
            self.counter += 1;
            self.left = self.block.len();
        }
        self.left -= 1;
        self.block[self.left]
    }

    /// A number below `bound`, near enough to evenly.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// A tag: 13 letters and digits.
    pub(crate) fn tag(&mut self) -> CompactString {
        let mut text = [0; TOKEN];
        write_token(self.next(), &mut text);
        // Every byte comes from ALPHABET, which is ASCII.
        CompactString::from_utf8_lossy(&text)
    }

    /// A Call-ID: 24 letters and digits, some 119 random bits, which fit without an allocation.
    pub(crate) fn call_id(&mut self) -> CompactString {
        let mut text = [0; 2 * TOKEN];
        for half in text.chunks_exact_mut(TOKEN) {
            let mut token = [0; TOKEN];
            write_token(self.next(), &mut token);
            half.copy_from_slice(&token);
        }
        CompactString::from_utf8_lossy(&text[..24])
    }
}

/// Characters that hold 64 bits at five bits each.
pub(crate) const TOKEN: usize = 13;

/// Writes 64 bits as letters and digits.
pub(crate) fn write_token(mut bits: u64, out: &mut [u8; TOKEN]) {
    for byte in out {
        *byte = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
}

/// Reads back what [`write_token`] wrote.
pub(crate) fn read_token(text: &[u8]) -> Option<u64> {
    let text: &[u8; TOKEN] = text.try_into().ok()?;
    let mut bits = 0_u64;
    for (at, byte) in text.iter().enumerate() {
        let value = match byte {
            b'a'..=b'k' => byte - b'a',
            b'm'..=b'z' => byte - b'a' - 1,
            b'0'..=b'6' => byte - b'0' + 25,
            _ => return None,
        };
        bits |= u64::from(value).checked_shl(at as u32 * 5)?;
    }
    Some(bits)
}

fn chacha20_block(key: &[u32; 8], counter: u32, nonce: [u32; 3]) -> [u32; 16] {
    let mut start = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574, 0, 0, 0, 0, 0, 0, 0, 0, counter, 0, 0, 0];
    start[4..12].copy_from_slice(key);
    start[13..].copy_from_slice(&nonce);
    let mut state = start;
    for _ in 0..10 {
        for [a, b, c, d] in [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]] {
            quarter_round(&mut state, a, b, c, d);
        }
        for [a, b, c, d] in [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]] {
            quarter_round(&mut state, a, b, c, d);
        }
    }
    for (word, initial) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(initial);
    }
    state
}

fn quarter_round(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    for (x, y, z, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        state[x] = state[x].wrapping_add(state[y]);
        state[z] = (state[z] ^ state[x]).rotate_left(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_block_of_rfc_8439_section_2_3_2() {
        let mut key = [0; 8];
        for (at, word) in key.iter_mut().enumerate() {
            let first = at as u32 * 4;
            *word = first | (first + 1) << 8 | (first + 2) << 16 | (first + 3) << 24;
        }
        let block = chacha20_block(&key, 1, [0x0900_0000, 0x4a00_0000, 0]);
        assert_eq!(block[..4], [0xe4e7_f110, 0x1559_3bd1, 0x1fdd_0f50, 0xc471_20a3]);
        assert_eq!(block[12..], [0xd19c_12b5, 0xb94e_16de, 0xe883_d0cb, 0x4e3c_50a2]);
    }

    #[test]
    fn tokens_read_back() {
        for bits in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let mut text = [0; TOKEN];
            write_token(bits, &mut text);
            assert_eq!(read_token(&text), Some(bits));
        }
        assert_eq!(read_token(b"short"), None);
        assert_eq!(read_token(b"aaaaaaaaaaaal"), None);
    }

    #[test]
    fn tags_differ_and_repeat_under_the_same_seed() {
        let (mut a, mut b) = (Ids::new([1; 32]), Ids::new([1; 32]));
        let tags: Vec<_> = (0..1000).map(|_| a.tag()).collect();
        assert!((0..1000).all(|at| b.tag() == tags[at]));
        let mut unique = tags.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), tags.len());
    }
}
