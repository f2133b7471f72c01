//! What proves to a target that a webhook is ours and new: the signatures of Standard Webhooks 1.0.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Most secrets of one endpoint: the one in use, and those before and after it while keys are changed.
pub const MAX_WEBHOOK_SECRETS: usize = 8;

/// Shortest and longest key of the symmetric kind, in bytes.
const SYMMETRIC: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets are read with the padding at their end and without it, as the libraries of the scheme do.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Lengths of a seed of Ed25519, and of that with the public key behind it.
const SEED: usize = 32;
const SEED_AND_PUBLIC: usize = 64;

/// A key that webhooks are signed with. Never shown.
pub struct WebhookSecret(Key);

enum Key {
    /// HMAC-SHA256, `v1`: target and switch have the same.
    Symmetric(Box<hmac::Key>),
    /// Ed25519, `v1a`: the target has the public half.
    Asymmetric(Ed25519KeyPair),
}

/// A text that is no key. It does not say which.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadWebhookSecret {
    /// It begins in another way.
    #[error("a secret begins with `whsec_` (HMAC-SHA256) or `whsk_` (Ed25519)")]
    Prefix,
    /// What follows is not base64 (RFC 4648 section 4).
    #[error("what follows `whsec_` or `whsk_` is not base64")]
    Base64,
    /// Too short or too long.
    #[error("the key behind `whsec_` has 24 to 64 bytes")]
    Symmetric,
    /// Neither a seed nor a seed with its public key.
    #[error("the key behind `whsk_` is a seed of 32 bytes, alone or followed by its own public key of 32 bytes")]
    Asymmetric,
}

impl FromStr for WebhookSecret {
    type Err = BadWebhookSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let decode = |text: &str| LENIENT.decode(text).map_err(|_| BadWebhookSecret::Base64);
        if let Some(rest) = text.strip_prefix("whsec_") {
            let key = decode(rest)?;
            if !SYMMETRIC.contains(&key.len()) {
                return Err(BadWebhookSecret::Symmetric);
            }
            return Ok(Self(Key::Symmetric(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &key)))));
        }
        let key = decode(text.strip_prefix("whsk_").ok_or(BadWebhookSecret::Prefix)?)?;
        let pair = match key.len() {
            SEED => Ed25519KeyPair::from_seed_unchecked(&key),
            SEED_AND_PUBLIC => Ed25519KeyPair::from_seed_and_public_key(&key[..SEED], &key[SEED..]),
            _ => return Err(BadWebhookSecret::Asymmetric),
        };
        pair.map(Key::Asymmetric).map(Self).map_err(|_| BadWebhookSecret::Asymmetric)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(…)", self.scheme())
    }
}

impl WebhookSecret {
    /// What its signatures begin with.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match self.0 {
            Key::Symmetric(_) => "v1",
            Key::Asymmetric(_) => "v1a",
        }
    }

    /// What the target needs to check signatures with, of a key of Ed25519: `whpk_…`. Not secret.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        match &self.0 {
            Key::Symmetric(_) => None,
            Key::Asymmetric(pair) => Some(format!("whpk_{}", STANDARD.encode(pair.public_key().as_ref()))),
        }
    }

    fn sign(&self, content: &[u8]) -> String {
        match &self.0 {
            Key::Symmetric(key) => STANDARD.encode(hmac::sign(key, content).as_ref()),
            Key::Asymmetric(pair) => STANDARD.encode(pair.sign(content).as_ref()),
        }
    }
}

/// The value of `webhook-signature`: one of each secret. Empty without secrets.
pub(super) fn signatures(secrets: &[WebhookSecret], id: &str, timestamp: u64, body: &str) -> String {
    let content = format!("{id}.{timestamp}.{body}");
    let each = secrets.iter().map(|secret| format!("{},{}", secret.scheme(), secret.sign(content.as_bytes())));
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const PAIR: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const SEED: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";

    fn signed(secrets: &[&str]) -> String {
        let secrets: Vec<WebhookSecret> = secrets.iter().map(|text| text.parse().unwrap()).collect();
        signatures(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#)
    }

    /// The vectors that the libraries of Standard Webhooks are tested with.
    #[test]
    fn signatures_are_those_of_the_known_answers() {
        let symmetric = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let asymmetric = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        assert_eq!(signed(&[SECRET]), symmetric);
        assert_eq!(signed(&[PAIR]), asymmetric);
        assert_eq!(signed(&[SEED]), asymmetric);
        assert_eq!(signed(&[SEED.trim_end_matches('=')]), asymmetric);
        // While keys are changed, all of them sign.
        assert_eq!(signed(&[SECRET, PAIR]), format!("{symmetric} {asymmetric}"));
        let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
        assert_eq!(PAIR.parse::<WebhookSecret>().unwrap().public().as_deref(), Some(public));
        assert_eq!(SECRET.parse::<WebhookSecret>().unwrap().public(), None);
    }

    #[test]
    fn what_is_no_key_is_refused_and_says_why() {
        let key = |len: usize| STANDARD.encode(vec![7; len]);
        for (text, expected) in [
            (key(32), BadWebhookSecret::Prefix),
            ("whsec_***".to_owned(), BadWebhookSecret::Base64),
            (format!("whsec_{}", key(23)), BadWebhookSecret::Symmetric),
            (format!("whsec_{}", key(65)), BadWebhookSecret::Symmetric),
            (format!("whsk_{}", key(33)), BadWebhookSecret::Asymmetric),
            // The public key of somebody else.
            (format!("whsk_{}", key(64)), BadWebhookSecret::Asymmetric),
        ] {
            assert_eq!(text.parse::<WebhookSecret>().err(), Some(expected), "{text}");
        }
        assert_eq!(format!("{:?}", SECRET.parse::<WebhookSecret>().unwrap()), "v1(…)");
    }
}
