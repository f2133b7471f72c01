//! Whom to call instead of a user.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::words::{Address, Forwards, MAX_ADDRESS};

/// Longest time that a user's phones ring before its calls are forwarded.
pub const MAX_NO_ANSWER: Duration = Duration::from_secs(3_600);

/// Whom to call instead of a user.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Forwarding {
    /// Always, without trying the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<Address>,
    /// When the user does not take a call.
    #[serde(default)]
    pub otherwise: Forwards,
}

impl Forwarding {
    /// Whether nobody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What of it cannot be used: the name of the member as in a configuration, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        const ADDRESS: &str = "is not an address such as sip:NAME@HOST or tel:NUMBER";
        let Forwards { busy, no_answer, no_answer_after, unreachable } = &self.otherwise;
        let addresses =
            [("always", &self.always), ("busy", busy), ("no_answer", no_answer), ("unreachable", unreachable)];
        for (name, address) in addresses {
            if address.as_ref().is_some_and(|address| !is_address(&address.0)) {
                return Some((name, ADDRESS));
            }
        }
        match no_answer_after {
            Some(_) if no_answer.is_none() => {
                Some(("no_answer_after", "says when, and no_answer does not say to whom"))
            }
            Some(time) if time.is_zero() || *time > MAX_NO_ANSWER => {
                Some(("no_answer_after", "must be from 1 to 3600 seconds"))
            }
            Some(_) | None => None,
        }
    }
}

/// A scheme and something behind it; whether anybody is there, only the call will tell.
fn is_address(text: &str) -> bool {
    let written = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte);
    let known = ["sip:", "sips:", "tel:"].iter().any(|scheme| {
        text.len() > scheme.len() && text.as_bytes()[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
    });
    known && text.len() <= MAX_ADDRESS && text.bytes().all(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy_to(address: &str) -> Forwarding {
        let otherwise = Forwards { busy: Some(Address::from(address)), ..Forwards::default() };
        Forwarding { otherwise, ..Forwarding::default() }
    }

    #[test]
    fn a_forward_that_leads_nowhere_is_refused_with_its_name() {
        let long = format!("sip:{}", "x".repeat(MAX_ADDRESS));
        let after = |to: Option<&str>, secs: u64| Forwarding {
            otherwise: Forwards {
                no_answer: to.map(Address::from),
                no_answer_after: Some(Duration::from_secs(secs)),
                ..Forwards::default()
            },
            ..Forwarding::default()
        };
        for (bad, member) in [
            (busy_to("1002"), "busy"),
            (busy_to("sip:"), "busy"),
            (busy_to("sip:a b@c"), "busy"),
            (busy_to("sip:a@c>,<sip:d@e"), "busy"),
            (busy_to(&long), "busy"),
            (Forwarding { always: Some(Address::from("")), ..Forwarding::default() }, "always"),
            (after(None, 10), "no_answer_after"),
            (after(Some("sip:a@c"), 0), "no_answer_after"),
            (after(Some("sip:a@c"), 3_601), "no_answer_after"),
        ] {
            assert_eq!(bad.problem().map(|(member, _)| member), Some(member), "{bad:?}");
        }
        for good in
            [busy_to("sip:a@c"), busy_to("SIPS:a@c:5061;transport=tls"), busy_to("tel:+49"), after(Some("sip:a@c"), 9)]
        {
            assert_eq!(good.problem(), None, "{good:?}");
        }
    }
}
