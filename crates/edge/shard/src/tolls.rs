//! Limits of calls over HTTP: who has called how much of which class of cost.

use hookswitch_call::Time;

use crate::bans::{Page, TEXT, json, text};
use crate::{Shard, TollWhy};

/// The path of all accounts; each has its own below.
const PATH: &str = "/limits";

impl Shard {
    /// The answer to a request for a page of this file; `None` for all others.
    pub(crate) fn limits_page(&mut self, now: Time, method: &str, path: &str) -> Option<Page> {
        let rest = path.strip_prefix(PATH)?;
        if rest.trim_end_matches('/').is_empty() {
            return Some(match method {
                "GET" | "HEAD" => json(&self.b2bua.toll_status(now)),
                _ => (405, TEXT, Some("GET"), "only GET\n".to_owned()),
            });
        }
        let account = unescaped(rest.strip_prefix('/')?);
        Some(match method {
            "DELETE" if self.b2bua.reset_toll(&account) => (204, TEXT, None, String::new()),
            "DELETE" => text(404, "nothing is counted of this account"),
            _ => (405, TEXT, Some("DELETE"), "only DELETE\n".to_owned()),
        })
    }

    /// How many calls were not made because of what they cost, by reason in the order of [`TollWhy::ALL`].
    #[must_use]
    pub fn toll_refused(&self) -> [u64; TollWhy::ALL.len()] {
        self.b2bua.toll_refused()
    }
}

/// A piece of a path as it was meant (RFC 3986 section 2.1); what is no escape stays as it is.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
