//! Addresses of one phone of a user (GRUU, RFC 5627): the public one names user and phone, a temporary one neither.
//!
//! ```text
//!   pub-gruu    sip:alice@example.test;gr=urn:uuid:…
//!   temp-gruu   sip:tgruu.<nonce ‖ sealed (check ‖ user) ‖ tag>@example.test;gr
//! ```
//!
//! A temporary one is made by a key from the record of the binding, and nothing is remembered of it: it lives as long as
//! the key and the registration that it was given with, and each refresh gives another one. The check is that
//! registration's: its phone, its Call-ID and when it began (RFC 5627 section 5.4.2).

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smallvec::SmallVec;
use subtle::ConstantTimeEq as _;

use super::aor::split;
use super::{Binding, MAX_INSTANCE_BYTES, Registrar};
use crate::Time;
use crate::keyed::Keyed;

/// What the user part of a temporary one begins with.
const PREFIX: &str = "tgruu.";
const NONCE_BYTES: usize = 8;
const CHECK_BYTES: usize = 8;
/// Bytes of the tag kept; 80 bits as in RFC 5627 appendix A.
const TAG_BYTES: usize = 10;
/// Longest user part of a temporary one; more is nobody's.
const MAX_TOKEN_CHARS: usize = 1_024;

/// The key of temporary addresses. Its `Debug` does not tell it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct GruuKey(pub [u8; 32]);

impl fmt::Debug for GruuKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GruuKey(…)")
    }
}

/// Where an address of one phone leads.
#[derive(Debug)]
pub enum Gruu<'a> {
    /// To these contacts of the phone, the newest first; to none while it is not registered.
    Contacts(SmallVec<[&'a Binding; 2]>),
    /// To nobody: it is not ours, or not any more.
    Invalid,
}

/// The public address of the phone with this `+sip.instance`, if there can be one.
pub(super) fn public(aor: &str, instance: &str) -> Option<String> {
    let mut text = format!("sip:{}", escaped_user(aor)?);
    text.push_str(";gr=");
    for byte in name_of(instance).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b':' | b'+' => {
                text.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    Some(text)
}

/// A temporary address of the phone that has registered this contact.
pub(super) fn temporary(key: &Keyed, binding: &Binding) -> Option<String> {
    let (user, domain) = split(&binding.aor);
    let refreshed = binding.refreshed_at.as_nanos().to_be_bytes();
    let hash = key.hash(&[b"nonce\0", binding.aor.as_bytes(), b"\0", &binding.id.0.to_be_bytes(), &refreshed]);
    let (nonce, _) = hash.split_first_chunk::<NONCE_BYTES>()?;
    let mut sealed = check(key, binding)?.to_vec();
    sealed.extend_from_slice(user.as_bytes());
    seal(key, nonce, &mut sealed);
    let tag = tag(key, nonce, &sealed, domain);
    let token = URL_SAFE_NO_PAD.encode([nonce, &sealed[..], &tag].concat());
    Some(format!("sip:{PREFIX}{token}@{domain};gr"))
}

/// User and check of a temporary address; `None` when we have not made it, or for another domain.
fn open(key: &Keyed, token: &str, domain: &str) -> Option<(String, [u8; CHECK_BYTES])> {
    if token.len() > MAX_TOKEN_CHARS {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (nonce, rest) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let (sealed, claimed) = rest.split_last_chunk::<TAG_BYTES>()?;
    if !bool::from(tag(key, nonce, sealed, domain).ct_eq(claimed)) {
        return None;
    }
    let mut plain = sealed.to_vec();
    seal(key, nonce, &mut plain);
    let (check, user) = plain.split_first_chunk::<CHECK_BYTES>()?;
    Some((String::from_utf8(user.to_vec()).ok()?, *check))
}

/// Hides bytes, or shows hidden ones.
fn seal(key: &Keyed, nonce: &[u8; NONCE_BYTES], bytes: &mut [u8]) {
    for (number, block) in (0_u32..).zip(bytes.chunks_mut(32)) {
        let mask = key.hash(&[b"mask\0", nonce, &number.to_be_bytes()]);
        block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
}

fn tag(key: &Keyed, nonce: &[u8], sealed: &[u8], domain: &str) -> [u8; TAG_BYTES] {
    let hash = key.hash(&[b"tag\0", nonce, sealed, domain.as_bytes()]);
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&hash[..TAG_BYTES]);
    tag
}

/// What a registration is told from others by.
fn check(key: &Keyed, binding: &Binding) -> Option<[u8; CHECK_BYTES]> {
    let instance = binding.instance.as_deref()?;
    let began = binding.series_began.as_nanos().to_be_bytes();
    let parts = [binding.aor.as_bytes(), b"\0", instance.as_bytes(), b"\0", binding.call_id.as_bytes(), &began];
    let hash = key.hash(&[b"check\0", &parts.concat()]);
    hash.first_chunk().copied()
}

/// The instance without the angle brackets it is written in.
fn name_of(instance: &str) -> &str {
    instance.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(instance)
}

/// The address of record as it stands in a URI; what may not stand there is escaped.
fn escaped_user(aor: &str) -> Option<String> {
    let (user, domain) = split(aor);
    let mut text = String::with_capacity(aor.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    (!user.is_empty()).then(|| text + "@" + domain)
}

impl Registrar {
    /// Where an address with a parameter `gr` leads: `user` as its user part stands there, unescaped, `domain` the domain
    /// of ours that it is in, and `gr` what the parameter says, empty for a temporary one.
    pub fn by_gruu(&self, now: Time, user: &str, domain: &str, gr: &str) -> Gruu<'_> {
        let (aor, check_of) = if gr.is_empty() {
            let token = user.strip_prefix(PREFIX);
            let Some((user, check)) = token.and_then(|token| open(&self.gruu_key, token, domain)) else {
                return Gruu::Invalid;
            };
            (format!("{user}@{domain}"), Some(check))
        } else {
            (format!("{user}@{domain}"), None)
        };
        let mut found: SmallVec<[&Binding; 2]> = self
            .bindings(now, &aor)
            .filter(|binding| match check_of {
                Some(_) => check(&self.gruu_key, binding) == check_of,
                None => binding.instance.as_deref().is_some_and(|instance| is_named(instance, gr)),
            })
            .collect();
        // What a temporary one was good for is over with its registration, that of a phone may come back.
        if found.is_empty() && check_of.is_some() {
            return Gruu::Invalid;
        }
        found.sort_by_key(|binding| (binding.is_stale(), std::cmp::Reverse(binding.refreshed_at)));
        Gruu::Contacts(found)
    }
}

fn is_named(instance: &str, gr: &str) -> bool {
    gr.len() <= 3 * MAX_INSTANCE_BYTES && unescaped(gr).eq_ignore_ascii_case(name_of(instance).as_bytes())
}

fn unescaped(text: &str) -> Vec<u8> {
    super::aor::unescaped(text).collect()
}
