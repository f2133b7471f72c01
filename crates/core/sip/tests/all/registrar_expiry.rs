//! Timers, the queue of changes, and the way through a store.

use crate::registrar_phone::*;
use hookswitch_sip::Time;
use hookswitch_sip::registrar::{
    Binding, Change, EXPIRIES_PER_TIMEOUT, Life, Registrar, RegistrarConfig, RegistrarCounts, RemovedWhy,
};

#[test]
fn a_binding_ends_at_its_time() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>;expires=100, <sip:b@h>;expires=200"]);
    changes(&mut registrar);
    assert_eq!(registrar.poll_timeout(), Some(at(100)));
    registrar.handle_timeout(at(99));
    assert_eq!(registrar.count().bindings, 2);

    assert_eq!(reach(&registrar, at(100)), ["sip:b@h"], "over, even before its timer is served");
    registrar.handle_timeout(at(100));
    let Change::Removed { aor, contact, why, .. } = &changes(&mut registrar)[0] else { panic!("expected a removal") };
    assert_eq!((&**aor, &**contact, *why), (ALICE, "sip:a@h", RemovedWhy::Expired));
    assert_eq!(registrar.poll_timeout(), Some(at(200)));
    registrar.handle_timeout(at(1_000));
    assert_eq!(registrar.poll_timeout(), None);
    assert_eq!(registrar.count(), RegistrarCounts::default());
}

#[test]
fn a_refresh_moves_the_timer() {
    let mut registrar = registrar();
    for (cseq, second) in [(1, 0), (2, 50), (3, 90)] {
        send(&mut registrar, at(second), cseq, &["Contact: <sip:a@h>;expires=100"]);
        assert_eq!(registrar.poll_timeout(), Some(at(second + 100)));
        assert_eq!(registrar.count().timers, 1);
    }
}

#[test]
fn what_is_over_does_not_stand_in_the_way() {
    let mut registrar = Registrar::new(RegistrarConfig { max_bindings_per_aor: 1, ..RegistrarConfig::default() });
    send(&mut registrar, at(0), 7, &["Contact: <sip:a@h>;expires=100"]);
    // The same Call-ID with a lower CSeq, but the binding it would collide with is over.
    let outcome = send(&mut registrar, at(100), 2, &["Contact: <sip:a@h>;expires=100"]);
    assert_status(&outcome, 200);
    let kinds: Vec<&str> = changes(&mut registrar)
        .iter()
        .map(|change| match change {
            Change::Put(_) => "put",
            Change::Removed { .. } => "removed",
            Change::Stale { .. } | Change::Revived { .. } => "watched",
        })
        .collect();
    assert_eq!(kinds, ["put", "removed", "put"]);
}

#[test]
fn a_mass_expiry_is_served_in_portions() {
    let mut registrar = registrar();
    let total = EXPIRIES_PER_TIMEOUT + 5;
    for user in 0..total {
        let aor = format!("user{user}@example.test");
        registrar.register(at(0), &aor, &register("c", 1, &["Contact: <sip:a@h>;expires=60"]), udp(1));
    }
    changes(&mut registrar);
    registrar.handle_timeout(at(60));
    assert_eq!(registrar.count().bindings, 5);
    assert!(registrar.poll_timeout().is_some_and(|due| due <= at(60)), "more is due");
    registrar.handle_timeout(at(60));
    assert_eq!(registrar.count().bindings, 0);
    assert_eq!(changes(&mut registrar).len(), total);
}

/// What a store would hold after these changes.
fn store(changes: Vec<Change>) -> Vec<Binding> {
    let mut stored: Vec<Binding> = Vec::new();
    for change in changes {
        let (aor, id) = match &change {
            Change::Put(binding) => (binding.aor.clone(), binding.id),
            Change::Removed { aor, id, .. } => (aor.clone(), *id),
            Change::Stale { .. } | Change::Revived { .. } => continue,
        };
        stored.retain(|known| (&known.aor, known.id) != (&aor, id));
        if let Change::Put(binding) = change {
            stored.push(binding);
        }
    }
    stored
}

#[test]
fn a_store_that_follows_the_changes_can_restore_everything() {
    let mut first = registrar();
    send(&mut first, at(0), 1, &["Contact: <sip:a@h>;q=0.3, <sip:b@h;line=1>;expires=100", "Path: <sip:p;lr>"]);
    send(&mut first, at(1), 2, &["Contact: <sip:b@h>;expires=500;+sip.instance=\"<urn:uuid:1>\""]);
    send(&mut first, at(2), 3, &["Contact: <sip:c@h>"]);
    send(&mut first, at(3), 4, &["Contact: <sip:c@h>;expires=0"]);
    let stored = store(changes(&mut first));

    let text = serde_json::to_string(&stored).expect("bindings are plain data");
    let read: Vec<Binding> = serde_json::from_str(&text).expect("what was written");
    // What watching has shown is not stored.
    let stored: Vec<Binding> = stored.into_iter().map(|known| Binding { life: Life::default(), ..known }).collect();
    assert_eq!(read, stored);

    let mut second = registrar();
    for binding in read {
        assert!(second.restore(binding));
    }
    assert!(changes(&mut second).is_empty(), "the store knows already");
    assert_eq!(second.count(), first.count());
    let bindings = |registrar: &Registrar| registrar.bindings(at(4), ALICE).cloned().collect::<Vec<_>>();
    assert_eq!(bindings(&second), bindings(&first));
    assert_eq!(second.poll_timeout(), first.poll_timeout());

    // A binding made later gets a number of its own.
    send(&mut second, at(5), 5, &["Contact: <sip:new@h>"]);
    let mut ids: Vec<_> = second.bindings(at(5), ALICE).map(|binding| binding.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_restored_binding_keeps_its_flow_over_udp_only() {
    let mut first = registrar();
    first.register(at(0), ALICE, &register("u", 1, &["Contact: <sip:u@h>"]), udp(1));
    first.register(at(0), ALICE, &register("t", 1, &["Contact: <sip:t@h>"]), tcp(1));
    let mut second = registrar();
    for binding in store(changes(&mut first)) {
        second.restore(binding);
    }
    for binding in second.bindings(at(1), ALICE) {
        assert_eq!(binding.flow.is_some(), &*binding.contact == "sip:u@h");
    }
}

#[test]
fn what_ended_while_the_switch_was_down_is_removed_with_a_change() {
    let mut first = registrar();
    send(&mut first, at(0), 1, &["Contact: <sip:a@h>;expires=100"]);
    let mut second = registrar();
    for binding in store(changes(&mut first)) {
        second.restore(binding);
    }
    assert!(!second.is_registered(at(500), ALICE));
    second.handle_timeout(at(500));
    assert!(matches!(changes(&mut second)[..], [Change::Removed { why: RemovedWhy::Expired, .. }]));
}

#[test]
fn restoring_the_same_binding_twice_leaves_one() {
    let mut first = registrar();
    send(&mut first, at(0), 1, &["Contact: <sip:a@h>"]);
    let binding = only(&first, at(0));
    assert!(first.restore(binding.clone()));
    assert_eq!(first.count(), RegistrarCounts { bindings: 1, users: 1, timers: 1 });
    assert_eq!(only(&first, at(0)), binding);
}

#[test]
fn restoring_stops_at_the_limits() {
    let mut first = registrar();
    send(&mut first, at(0), 1, &["Contact: <sip:a@h>, <sip:b@h>"]);
    let stored = store(changes(&mut first));
    for config in [
        RegistrarConfig { max_bindings: 1, ..RegistrarConfig::default() },
        RegistrarConfig { max_bindings_per_aor: 1, ..RegistrarConfig::default() },
    ] {
        let mut second = Registrar::new(config);
        let restored: Vec<bool> = stored.iter().cloned().map(|binding| second.restore(binding)).collect();
        assert_eq!(restored, [true, false]);
    }
}

#[test]
fn a_deleted_user_loses_all_bindings() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>, <sip:b@h>"]);
    changes(&mut registrar);
    assert_eq!(registrar.remove_aor(ALICE), 2);
    assert_eq!(registrar.remove_aor(ALICE), 0);
    assert_eq!(registrar.count(), RegistrarCounts::default());
    assert!(matches!(changes(&mut registrar)[..], [Change::Removed { why: RemovedWhy::Revoked, .. }, _]));
}

#[test]
fn a_binding_of_a_fraction_of_a_second_is_not_shown_as_over() {
    let mut registrar = registrar();
    send(&mut registrar, at(0) + Time::from_millis(1), 1, &["Contact: <sip:a@h>;expires=60"]);
    assert_eq!(only(&registrar, at(60)).seconds_left(at(60)), 1);
}
