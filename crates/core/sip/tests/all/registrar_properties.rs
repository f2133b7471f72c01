//! Whatever phones send, these things hold.

use crate::registrar_phone;

use std::collections::BTreeMap;

use crate::registrar_phone::*;
use hookswitch_sip::Time;
use hookswitch_sip::registrar::{Binding, BindingId, Change, Registrar, RegistrarConfig};
use hookswitch_sip_msg::Uri;
use proptest::prelude::*;

const AORS: [&str; 3] = ["alice@example.test", "bob@example.test", "alice@other.test"];
const CONTACTS: [&str; 8] = [
    "sip:a@h",
    "sip:%61@H",
    "sip:a@h;line=1",
    "sip:a@h;line=2",
    "sip:a@h:5060",
    "sip:a@h;transport=tcp",
    "sips:a@h",
    "sip:b@10.0.0.1",
];
const PER_AOR: usize = 3;
const TOTAL: usize = 6;

#[derive(Clone, Debug)]
struct Contact {
    uri: usize,
    expires: Option<u32>,
    reg_id: Option<u32>,
}

#[derive(Clone, Debug)]
enum Step {
    Register { aor: usize, phone: u8, cseq: u32, contacts: Vec<Contact>, connection: u64 },
    Wildcard { aor: usize, phone: u8, cseq: u32 },
    Wait { seconds: u64 },
    Close { connection: u64 },
    Restart,
}

fn contact() -> impl Strategy<Value = Contact> {
    let expires = prop_oneof![
        2 => Just(None),
        2 => Just(Some(0)),
        6 => (0_u32..400).prop_map(Some),
    ];
    (0..CONTACTS.len(), expires, prop::option::weighted(0.3, 1_u32..3)).prop_map(|(uri, expires, reg_id)| Contact {
        uri,
        expires,
        reg_id,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let aor = 0..AORS.len();
    prop_oneof![
        10 => (aor.clone(), 0_u8..3, 0_u32..20, prop::collection::vec(contact(), 0..4), 0_u64..4).prop_map(
            |(aor, phone, cseq, contacts, connection)| Step::Register { aor, phone, cseq, contacts, connection }
        ),
        1 => (aor, 0_u8..3, 0_u32..20).prop_map(|(aor, phone, cseq)| Step::Wildcard { aor, phone, cseq }),
        3 => (0_u64..200).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0_u64..4).prop_map(|connection| Step::Close { connection }),
        1 => Just(Step::Restart),
    ]
}

/// A registrar, and a store that follows its changes.
struct World {
    registrar: Registrar,
    stored: BTreeMap<(String, BindingId), Binding>,
    now: Time,
}

fn config() -> RegistrarConfig {
    RegistrarConfig { max_bindings_per_aor: PER_AOR, max_bindings: TOTAL, ..RegistrarConfig::default() }
}

impl World {
    fn new() -> World {
        World { registrar: Registrar::new(config()), stored: BTreeMap::new(), now: at(0) }
    }

    fn perform(&mut self, step: &Step) {
        match step {
            Step::Register { aor, phone, cseq, contacts, connection } => {
                self.register(AORS[*aor], *phone, *cseq, contacts, *connection);
            }
            Step::Wildcard { aor, phone, cseq } => {
                let request = register(&format!("phone-{phone}"), *cseq, &["Contact: *", "Expires: 0"]);
                self.registrar.register(self.now, AORS[*aor], &request, udp(1));
            }
            Step::Wait { seconds } => {
                self.now += Time::from_secs(*seconds);
                self.registrar.handle_timeout(self.now);
                assert!(self.registrar.poll_timeout().is_none_or(|due| due > self.now));
            }
            Step::Close { connection } => self.registrar.remove_flow(self.now, tcp(*connection)),
            Step::Restart => {
                self.follow();
                self.registrar = Registrar::new(config());
                for binding in self.stored.values() {
                    assert!(self.registrar.restore(binding.clone()), "what was there fits again");
                }
            }
        }
        self.follow();
    }

    fn register(&mut self, aor: &str, phone: u8, cseq: u32, contacts: &[Contact], connection: u64) {
        let lines: Vec<String> = contacts.iter().map(line).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let request = register(&format!("phone-{phone}"), cseq, &lines);
        // Connection 0 stands for datagrams.
        let flow = if connection == 0 { udp(1) } else { tcp(connection) };
        let count = self.registrar.bindings(self.now, aor).count();
        let outcome = self.registrar.register(self.now, aor, &request, flow);
        let listed = contacts_of(&self.registrar, self.now, aor);
        match outcome.result {
            Ok(done) => {
                assert_eq!(count + done.added - done.removed, done.total);
                assert_eq!(registrar_phone::contacts(&outcome).len(), done.total);
                assert_eq!(listed.len(), done.total);
            }
            Err(_) => assert_eq!(count, listed.len(), "a refused request changes nothing"),
        }
    }

    fn follow(&mut self) {
        while let Some(change) = self.registrar.poll_change() {
            match change {
                Change::Put(binding) => {
                    self.stored.insert((binding.aor.to_string(), binding.id), binding);
                }
                Change::Stale { aor, id, .. } | Change::Revived { aor, id, .. } => {
                    assert!(self.stored.contains_key(&(aor.to_string(), id)), "only what is known is watched");
                }
                Change::Removed { aor, id, .. } => {
                    assert!(self.stored.remove(&(aor.to_string(), id)).is_some(), "only what is known is removed");
                }
            }
        }
    }

    fn check(&self) {
        let counts = self.registrar.count();
        assert!(counts.bindings <= TOTAL);
        assert_eq!((counts.timers, self.stored.len()), (counts.bindings, counts.bindings));
        let mut users = 0;
        for aor in AORS {
            let bindings: Vec<&Binding> = self.registrar.bindings(self.now, aor).collect();
            users += usize::from(self.stored.keys().any(|(stored, _)| stored == aor));
            assert!(bindings.len() <= PER_AOR);
            assert!(bindings.iter().all(|binding| binding.expires_at > self.now && &*binding.aor == aor));
            assert!(bindings.is_sorted_by_key(|binding| std::cmp::Reverse((binding.q, binding.refreshed_at))));
            for (at, one) in bindings.iter().enumerate() {
                assert!(!bindings[at + 1..].iter().any(|other| same(one, other)), "{bindings:?}");
                let mut stored = self.stored[&(aor.to_owned(), one.id)].clone();
                if one.flow.is_none() {
                    stored.flow = None;
                }
                stored.life = one.life;
                assert_eq!(**one, stored, "the store knows what is bound");
            }
        }
        assert_eq!(counts.users, users);
    }
}

fn line(contact: &Contact) -> String {
    let mut line = format!("Contact: <{}>", CONTACTS[contact.uri]);
    if let Some(expires) = contact.expires {
        line.push_str(&format!(";expires={expires}"));
    }
    if let Some(reg_id) = contact.reg_id {
        line.push_str(&format!(";+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}"));
    }
    line
}

fn contacts_of(registrar: &Registrar, now: Time, aor: &str) -> Vec<String> {
    registrar.bindings(now, aor).map(|binding| binding.contact.to_string()).collect()
}

/// Two bindings that should be one.
fn same(a: &Binding, b: &Binding) -> bool {
    if a.reg_id.is_some() && b.reg_id.is_some() {
        return (a.reg_id, &a.instance) == (b.reg_id, &b.instance);
    }
    let uri = |binding| Uri::parse(binding).expect("checked when it was stored");
    uri(&a.contact).equivalent(&uri(&b.contact))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_sequence_of_requests_keeps_the_books_in_order(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.perform(step);
            world.check();
        }
        world.perform(&Step::Wait { seconds: 7_200 });
        prop_assert_eq!(world.registrar.count().bindings, 0);
        prop_assert!(world.stored.is_empty());
        prop_assert_eq!(world.registrar.poll_timeout(), None);
    }
}
