//! Nonces that prove themselves, so that a challenge costs the server no memory.
//!
//! A nonce is `time ‖ serial ‖ tag` in base64, where the tag is a keyed hash over time, serial and realm. Whoever returns
//! it proves that this gate issued it and when; nothing has to be remembered until the nonce has been used with a right
//! password (see [`super::replay`]). A flood of requests without credentials therefore cannot fill a table.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::Time;
use crate::keyed::Keyed;

/// Bytes of the tag kept, of the 32 computed. 96 bits cannot be guessed over a network.
const TAG_BYTES: usize = 12;
/// Bytes of the issuing time in milliseconds and of the serial number, each.
const FIELD_BYTES: usize = 6;
/// Bytes of a nonce before base64.
const NONCE_BYTES: usize = 2 * FIELD_BYTES + TAG_BYTES;
/// Characters of a nonce on the wire.
const NONCE_CHARS: usize = NONCE_BYTES / 3 * 4;
/// Largest value a six-byte field holds.
const FIELD_MAX: u64 = (1 << (8 * FIELD_BYTES)) - 1;

/// What a genuine nonce says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Issued {
    /// When it was made, to the millisecond.
    pub at: Time,
    /// Its place in the sequence of this gate's nonces; later nonces have higher numbers.
    pub serial: u64,
}

/// Makes nonces and opaque strings, and recognises its own.
#[derive(Clone)]
pub(super) struct Mint {
    key: Keyed,
    next_serial: u64,
}

impl Mint {
    /// `seed` must be fresh for each start of the process: a repeated seed would let nonces of the previous run pass
    /// again without their replay history.
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { key: Keyed::new(seed), next_serial: 0 }
    }

    /// A new nonce for one challenge.
    pub(super) fn mint(&mut self, now: Time, realm: &str) -> String {
        let issued = Issued { at: now, serial: self.next_serial };
        self.next_serial = (self.next_serial + 1) & FIELD_MAX;
        let mut raw = [0_u8; NONCE_BYTES];
        let fields = encode(issued);
        raw[..fields.len()].copy_from_slice(&fields);
        raw[fields.len()..].copy_from_slice(&self.tag(b"nonce", &fields, realm));
        URL_SAFE_NO_PAD.encode(raw)
    }

    /// Reads a nonce back; `None` when this gate did not make it for this realm.
    pub(super) fn open(&self, nonce: &str, realm: &str) -> Option<Issued> {
        if nonce.len() != NONCE_CHARS {
            return None;
        }
        let mut raw = [0_u8; NONCE_BYTES];
        let written = URL_SAFE_NO_PAD.decode_slice(nonce, &mut raw).ok()?;
        if written != NONCE_BYTES {
            return None;
        }
        let (fields, tag) = raw.split_at(2 * FIELD_BYTES);
        let genuine: bool = self.tag(b"nonce", fields, realm).ct_eq(tag).into();
        genuine.then(|| decode(fields))
    }

    /// The opaque string of a realm: the same for every challenge of this gate, different after a restart.
    pub(super) fn opaque(&self, realm: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.tag(b"opaque", &[], realm))
    }

    /// A password nobody has, to spend the same work on a user who does not exist.
    pub(super) fn decoy_secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.tag(b"decoy", &[], ""))
    }

    fn tag(&self, purpose: &[u8], fields: &[u8], realm: &str) -> [u8; TAG_BYTES] {
        let full = self.key.hash(&[purpose, &[0], fields, realm.as_bytes()]);
        let mut tag = [0_u8; TAG_BYTES];
        tag.copy_from_slice(&full[..TAG_BYTES]);
        tag
    }
}

fn encode(issued: Issued) -> [u8; 2 * FIELD_BYTES] {
    let millis = u64::try_from(issued.at.as_millis()).unwrap_or(FIELD_MAX).min(FIELD_MAX);
    let mut fields = [0_u8; 2 * FIELD_BYTES];
    fields[..FIELD_BYTES].copy_from_slice(&millis.to_be_bytes()[8 - FIELD_BYTES..]);
    fields[FIELD_BYTES..].copy_from_slice(&issued.serial.to_be_bytes()[8 - FIELD_BYTES..]);
    fields
}

fn decode(fields: &[u8]) -> Issued {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    let (millis, serial) = fields.split_at(FIELD_BYTES);
    Issued { at: Time::from_millis(number(millis)), serial: number(serial) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_000_000_123);

    #[test]
    fn a_nonce_tells_when_it_was_made() {
        let mut mint = Mint::new(&[7; 32]);
        let first = mint.mint(NOW, "example.test");
        let second = mint.mint(NOW, "example.test");
        assert_ne!(first, second);
        assert_eq!(mint.open(&first, "example.test"), Some(Issued { at: NOW, serial: 0 }));
        assert_eq!(mint.open(&second, "example.test"), Some(Issued { at: NOW, serial: 1 }));
    }

    #[test]
    fn a_nonce_of_another_realm_or_key_is_foreign() {
        let mut mint = Mint::new(&[7; 32]);
        let nonce = mint.mint(NOW, "example.test");
        assert_eq!(mint.open(&nonce, "other.test"), None);
        assert_eq!(Mint::new(&[8; 32]).open(&nonce, "example.test"), None);
    }

    #[test]
    fn changing_any_character_makes_a_nonce_foreign() {
        let mut mint = Mint::new(&[7; 32]);
        let nonce = mint.mint(NOW, "example.test");
        for at in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("both letters are ASCII");
            assert_eq!(mint.open(&forged, "example.test"), None, "position {at}");
        }
        assert_eq!(mint.open("", "example.test"), None);
        assert_eq!(mint.open(&nonce[1..], "example.test"), None);
        assert_eq!(mint.open(&"é".repeat(NONCE_CHARS / 2), "example.test"), None);
    }
}
