//! The names of the lab's world.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use hookswitch_call::Time;
use hookswitch_sip::resolve::{Answer, LookupId, RecordKind, Records, Srv};

use crate::lab::{Lab, PhoneId};
use crate::mail::Parcel;
use crate::{millis, seconds};

/// A table of names: what is in it is answered, what is not is not there.
#[derive(Debug)]
pub struct Zone {
    records: BTreeMap<(String, RecordKind), Records>,
    silent: BTreeSet<String>,
    /// How long an answer takes. Default 20 ms.
    pub delay: Time,
    /// How long an answer is good. Default 5 minutes.
    pub ttl: Time,
}

impl Default for Zone {
    fn default() -> Self {
        Self { records: BTreeMap::new(), silent: BTreeSet::new(), delay: millis(20), ttl: seconds(300) }
    }
}

impl Zone {
    /// A host with these addresses.
    pub fn host(&mut self, name: &str, addresses: &[IpAddr]) {
        let v4 = addresses.iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None });
        let v6 = addresses.iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None });
        self.records.insert((name.into(), RecordKind::A), Records::A(v4.collect()));
        self.records.insert((name.into(), RecordKind::Aaaa), Records::Aaaa(v6.collect()));
    }

    /// A service with these hosts: priority, weight, port and name.
    pub fn service(&mut self, name: &str, hosts: &[(u16, u16, u16, &str)]) {
        let srv = |&(priority, weight, port, target): &(u16, u16, u16, &str)| Srv {
            priority,
            weight,
            port,
            target: target.into(),
        };
        self.records.insert((name.into(), RecordKind::Srv), Records::Srv(hosts.iter().map(srv).collect()));
    }

    /// The servers of this name say nothing.
    pub fn silence(&mut self, name: &str) {
        self.silent.insert(name.into());
    }

    fn answer(&self, name: &str, kind: RecordKind) -> Option<Answer> {
        if self.silent.contains(name) {
            return None;
        }
        let records = self.records.get(&(name.to_owned(), kind));
        Some(match records {
            Some(records) => Answer::Found { records: records.clone(), ttl: self.ttl },
            None => Answer::Nothing { ttl: Some(self.ttl) },
        })
    }
}

impl Lab {
    /// The names that the switch can look up.
    pub fn zone(&mut self) -> &mut Zone {
        &mut self.zone
    }

    /// Where a phone is, for names that lead to it.
    #[must_use]
    pub fn reached_at(&self, phone: PhoneId) -> SocketAddr {
        self.phones[phone.0].phone.config().local
    }

    pub(crate) fn look_up(&mut self, id: LookupId, name: &str, kind: RecordKind) {
        match self.zone.answer(name, kind) {
            Some(answer) => {
                self.journal.note(self.now, format!("the switch looks up {name} {kind:?}"));
                self.mail.post(self.now + self.zone.delay, Parcel::Answer(id, answer));
            }
            None => self.journal.note(self.now, format!("the switch looks up {name} {kind:?}: silence")),
        }
    }
}
