//! Controllers hear of registrations: `PUT <control>/reg/<domain>/<user>` for one that is made or refreshed, `DELETE` for
//! one that is gone. A switchboard of ours hears besides which phones of the user those are and when each has registered, and of
//! each that goes while others stay: it may know the same ones at other hosts.

use std::fmt;
use std::net::SocketAddr;

use compact_str::{CompactString, format_compact};
use hookswitch_call::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::Dialogs;
use crate::detail::is_switchboard;
use crate::inbound::base;
use crate::outbox::{Lane, Letter};
use crate::record::escaped;

/// A name for one phone of a user, by which it is known at whichever hosts it has registered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Phone(u64);

impl Phone {
    /// The name of a phone that says who it is (`+sip.instance`, RFC 5626 section 4.1), or else has this contact. A phone of the
    /// second kind that writes its contact otherwise when it registers elsewhere is another one.
    #[must_use]
    pub fn of(instance: Option<&str>, contact: &str) -> Self {
        let hash = Sha256::digest(instance.unwrap_or(contact));
        let mut name = [0; 8];
        name.copy_from_slice(&hash[..8]);
        Self(u64::from_be_bytes(name))
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Phone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = CompactString::deserialize(deserializer)?;
        let is_name = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = u64::from_str_radix(&text, 16).ok().filter(|_| is_name);
        name.map(Self).ok_or_else(|| de::Error::custom("a phone is 16 hexadecimal digits"))
    }
}

/// Where a user's phones are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// Where the packets of the newest come from.
    pub remote: SocketAddr,
    /// What that calls itself.
    pub agent: Option<CompactString>,
    /// All of them that can be reached, and when each has registered or refreshed last.
    pub phones: Vec<(Phone, Time)>,
    /// One of them has registered or is heard again; otherwise one is gone, and these are left.
    pub is_new: bool,
}

impl Dialogs {
    /// What has become of a user's registrations; `None` when there is none any more.
    pub fn registration(&mut self, now: Time, control: &str, (user, domain): (&str, &str), at: Option<Registration>) {
        // These would lead to another path.
        if [user, domain].iter().any(|name| matches!(*name, "." | "..")) {
            return;
        }
        let url = format!("{}/reg/{}/{}", base(control), escaped(domain), escaped(user));
        let aor = format_compact!("{user}@{domain}");
        let (method, body, ages) = match at {
            None => ("DELETE", String::new(), Vec::new()),
            // The others know of one phone only.
            Some(Registration { is_new: false, .. }) if !is_switchboard(control) => return,
            Some(Registration { remote, agent, phones, .. }) => {
                let host = remote.ip().to_canonical().to_string();
                let mut body = json!({ "host": host, "port": remote.port(), "user": aor });
                if let Some(agent) = agent {
                    body["agent"] = json!(agent);
                }
                let mut ages = Vec::new();
                if is_switchboard(control) {
                    let (names, moments): (Vec<Phone>, _) = phones.into_iter().unzip();
                    body["phones"] = json!(names);
                    ages = moments;
                }
                ("PUT", body.to_string(), ages)
            }
        };
        self.outbox.push(now, &Lane::User(aor), Letter { method, url, body, ages, once: false });
        self.send();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_named_after_its_instance_wherever_it_is_and_after_its_contact_otherwise() {
        let named = Phone::of(Some("<urn:uuid:1>"), "sip:bob@10.0.0.3:4000");
        assert_eq!(named, Phone::of(Some("<urn:uuid:1>"), "sip:bob@10.0.0.3:5000"));
        let plain = Phone::of(None, "sip:bob@10.0.0.3:4000");
        assert_eq!(plain, Phone::of(None, "sip:bob@10.0.0.3:4000"));
        assert!(plain != named && plain != Phone::of(None, "sip:bob@10.0.0.3:5000"));
        let text = serde_json::to_string(&plain).unwrap();
        assert_eq!((text.len(), serde_json::from_str::<Phone>(&text).unwrap()), (18, plain));
        for wrong in [r#""1""#, r#""+123456789abcdef""#, r#""0123456789abcdeg""#, "7"] {
            assert!(serde_json::from_str::<Phone>(wrong).is_err(), "{wrong}");
        }
    }
}
