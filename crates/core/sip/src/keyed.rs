//! HMAC-SHA-256 (RFC 2104), whose key schedule is paid once.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A key, as the states after the inner and the outer pad.
#[derive(Clone)]
pub(crate) struct Keyed {
    inner: Sha256,
    outer: Sha256,
}

impl Keyed {
    pub fn new(key: &[u8; 32]) -> Self {
        const BLOCK: usize = 64;
        let mut inner_pad = [0x36_u8; BLOCK];
        let mut outer_pad = [0x5c_u8; BLOCK];
        for (i, byte) in key.iter().enumerate() {
            inner_pad[i] ^= byte;
            outer_pad[i] ^= byte;
        }
        Self { inner: Sha256::new_with_prefix(inner_pad), outer: Sha256::new_with_prefix(outer_pad) }
    }

    /// The hash of all parts in a row. Where their lengths vary it is the caller who keeps them apart.
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        let mut outer = self.outer.clone();
        outer.update(inner.finalize());
        outer.finalize().into()
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_tests_of_rfc_4231() {
        // Their keys are shorter than ours: the same with zeroes behind them.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let hash = Keyed::new(&key).hash(&[b"Hi ", b"There"]);
        assert_eq!(hash[..12], [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce]);
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hash = Keyed::new(&key).hash(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hash[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
        assert_eq!(hash[24..], [0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43]);
    }
}
