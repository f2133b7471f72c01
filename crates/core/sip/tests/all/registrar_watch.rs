//! Watch over bindings: pings in their time, and what silence leads to.

use std::time::Duration;

use crate::registrar_phone::*;
use hookswitch_sip::Time;
use hookswitch_sip::registrar::{Change, Ping, Pong, Registrar, RegistrarConfig, RemovedWhy, TICK};

const PING: Duration = Duration::from_secs(30);

fn watching() -> Registrar {
    Registrar::new(RegistrarConfig { options_ping: PING, ..RegistrarConfig::default() })
}

/// Lets time pass until the next ping is due.
#[track_caller]
fn next(registrar: &mut Registrar, now: &mut Time) -> Ping {
    loop {
        if let Some(ping) = registrar.poll_ping(*now) {
            return ping;
        }
        *now = registrar.poll_timeout().expect("something is due").max(*now + Duration::from_nanos(1));
        registrar.handle_timeout(*now);
    }
}

#[track_caller]
fn fail(registrar: &mut Registrar, now: &mut Time, times: usize) {
    for _ in 0..times {
        let ping = next(registrar, now);
        registrar.pinged(*now, ping.key, ping.sent_at, Pong::Silence);
    }
}

fn called(registrar: &Registrar, now: Time) -> Vec<String> {
    registrar.reachable(now, ALICE).map(|binding| binding.contact.to_string()).collect()
}

/// The changes but for Put, in words.
fn news(registrar: &mut Registrar) -> Vec<String> {
    let word = |change| match change {
        Change::Put(_) => None,
        Change::Stale { why, .. } => Some(format!("stale {why:?}")),
        Change::Revived { .. } => Some("revived".to_owned()),
        Change::Removed { why, .. } => Some(format!("removed {why:?}")),
    };
    changes(registrar).into_iter().filter_map(word).collect()
}

#[test]
fn every_binding_is_pinged_once_in_an_interval_however_often_it_registers() {
    let mut registrar = watching();
    let mut now = at(0);
    for cseq in 1..4 {
        send(&mut registrar, now, cseq, &["Contact: <sip:a@h>", "Path: <sip:p;lr>"]);
    }
    let mut sent = Vec::new();
    for _ in 0..5 {
        let ping = next(&mut registrar, &mut now);
        assert_eq!((&*ping.contact, &*ping.aor, ping.flow), ("sip:a@h", ALICE, Some(udp(5060))));
        assert_eq!(ping.path.as_slice(), ["<sip:p;lr>"]);
        sent.push(now);
        assert!(registrar.poll_ping(now + 10 * PING).is_none(), "one at a time");
        registrar.pinged(now + Duration::from_millis(20), ping.key, ping.sent_at, Pong::Answered);
    }
    assert!(sent[0] <= at(30));
    assert!(sent.windows(2).all(|pair| pair[1] - pair[0] == PING), "{sent:?}");
    send(&mut registrar, now, 9, &["Contact: <sip:a@h>;expires=0"]);
    assert_eq!((registrar.poll_timeout(), registrar.pings_under_way()), (None, 0), "nobody pings what is gone");
}

#[test]
fn without_the_option_nobody_is_pinged() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>;expires=7200"]);
    assert!(registrar.poll_ping(at(7_000)).is_none());
    assert_eq!(registrar.poll_timeout(), Some(at(7_200)));
}

#[test]
fn a_silent_phone_is_stale_and_then_gone() {
    let mut registrar = watching();
    let mut now = at(0);
    send(&mut registrar, now, 1, &["Contact: <sip:a@h>;expires=7200"]);
    fail(&mut registrar, &mut now, 1);
    assert!(news(&mut registrar).is_empty(), "one may get lost");
    fail(&mut registrar, &mut now, 1);
    assert_eq!(news(&mut registrar), ["stale Silent"]);
    assert_eq!(only(&registrar, now).life.unanswered, 2);
    fail(&mut registrar, &mut now, 4);
    assert!(news(&mut registrar).is_empty(), "told once");
    fail(&mut registrar, &mut now, 1);
    assert_eq!(news(&mut registrar), ["removed Unreachable"]);
    assert_eq!(registrar.count().bindings, 0);
    let totals = registrar.totals();
    assert_eq!((totals.registered, totals.stale, totals.unreachable, totals.revived), (1, 1, 1, 0));
}

#[test]
fn any_answer_and_any_register_revive() {
    let mut registrar = watching();
    let mut now = at(0);
    send(&mut registrar, now, 1, &["Contact: <sip:a@h>;expires=7200"]);
    fail(&mut registrar, &mut now, 2);
    let ping = next(&mut registrar, &mut now);
    registrar.pinged(now, ping.key, ping.sent_at, Pong::Answered);
    assert_eq!(news(&mut registrar), ["stale Silent", "revived"]);
    fail(&mut registrar, &mut now, 2);
    send(&mut registrar, now, 2, &["Contact: <sip:a@h>;expires=7200"]);
    assert_eq!(news(&mut registrar), ["stale Silent", "revived"]);
    assert_eq!(only(&registrar, now).life.unanswered, 0);
    // The end of a ping that was sent before the phone was heard again says nothing.
    let ping = next(&mut registrar, &mut now);
    send(&mut registrar, now + Duration::from_secs(1), 3, &["Contact: <sip:a@h>;expires=7200"]);
    registrar.pinged(now + Duration::from_secs(32), ping.key, ping.sent_at, Pong::FlowLost);
    assert!(news(&mut registrar).is_empty());
}

#[test]
fn stale_bindings_are_called_only_when_there_is_nothing_else() {
    let mut registrar = watching();
    let mut now = at(0);
    send(&mut registrar, now, 1, &["Contact: <sip:a@h>;expires=7200"]);
    fail(&mut registrar, &mut now, 2);
    assert_eq!(called(&registrar, now), ["sip:a@h"]);
    registrar.register(now, ALICE, &register("other", 1, &["Contact: <sip:b@h>;q=0.1"]), udp(7000));
    assert_eq!(called(&registrar, now), ["sip:b@h"]);
    assert_eq!(reach(&registrar, now).len(), 2, "both are registered");
}

#[test]
fn one_unanswered_ping_is_enough_when_the_phone_was_silent_for_long() {
    let config = RegistrarConfig {
        options_ping: Duration::from_secs(600),
        stale_after: 5,
        stale_time: Duration::from_secs(100),
        ..RegistrarConfig::default()
    };
    let mut registrar = Registrar::new(config);
    let mut now = at(0);
    send(&mut registrar, now, 1, &["Contact: <sip:a@h>;expires=7200"]);
    let ping = next(&mut registrar, &mut now);
    registrar.pinged(now, ping.key, ping.sent_at, Pong::Answered);
    fail(&mut registrar, &mut now, 1);
    assert_eq!(news(&mut registrar), ["stale Silent"]);
}

#[test]
fn none_is_removed_where_that_is_not_wanted() {
    let config = RegistrarConfig { options_ping: PING, unreachable_after: 0, ..RegistrarConfig::default() };
    let mut registrar = Registrar::new(config);
    let mut now = at(0);
    send(&mut registrar, now, 1, &["Contact: <sip:a@h>;expires=7200"]);
    fail(&mut registrar, &mut now, 50);
    assert_eq!((news(&mut registrar).len(), registrar.count().bindings), (1, 1));
}

#[test]
fn what_the_network_refuses_is_stale_at_once() {
    let mut registrar = watching();
    let mut now = at(0);
    send(&mut registrar, now, 1, &["Contact: <sip:a@h>;expires=7200"]);
    let ping = next(&mut registrar, &mut now);
    registrar.pinged(now, ping.key, ping.sent_at, Pong::FlowLost);
    assert_eq!(news(&mut registrar), ["stale FlowLost"]);
}

#[test]
fn a_closed_connection_makes_stale_unless_the_contact_is_where_it_came_from() {
    for (contact, stale) in [
        ("<sip:a@10.0.0.7:5060;transport=tcp>", true),
        ("<sip:a@198.51.100.7:5060;transport=tcp>", false),
        ("<sip:a@xyz.invalid;transport=ws>", true),
    ] {
        let mut registrar = registrar();
        registrar.register(at(0), ALICE, &register("c", 1, &[&format!("Contact: {contact}")]), tcp(1));
        registrar.remove_flow(at(1), tcp(1));
        assert_eq!(only(&registrar, at(1)).is_stale(), stale, "{contact}");
        assert_eq!(news(&mut registrar).len(), usize::from(stale));
        registrar.register(at(2), ALICE, &register("c", 2, &[&format!("Contact: {contact}")]), tcp(2));
        assert!(!only(&registrar, at(2)).is_stale());
    }
}

#[test]
fn a_keep_alive_speaks_for_a_phone_and_not_for_those_behind_a_proxy() {
    let mut registrar = watching();
    let mut now = at(0);
    registrar.register(now, ALICE, &register("c", 1, &["Contact: <sip:a@h>;expires=7200"]), tcp(1));
    fail(&mut registrar, &mut now, 2);
    registrar.flow_heard(now, udp(5060));
    registrar.flow_heard(now, tcp(2));
    assert_eq!(news(&mut registrar), ["stale Silent"]);
    registrar.flow_heard(now, tcp(1));
    assert_eq!(news(&mut registrar), ["revived"]);

    let path = ["Contact: <sip:a@h>;expires=7200", "Path: <sip:p;lr>"];
    registrar.register(now, ALICE, &register("c", 2, &path), tcp(1));
    fail(&mut registrar, &mut now, 2);
    registrar.flow_heard(now, tcp(1));
    assert_eq!(news(&mut registrar), ["stale Silent"]);
}

#[test]
fn a_storm_of_registrations_is_followed_by_a_trickle_of_pings() {
    const PHONES: usize = 3_000;
    let mut registrar = watching();
    let config = RegistrarConfig { options_ping: PING, ..RegistrarConfig::default() };
    let mut restored = Registrar::new(config);
    for number in 0..PHONES {
        let aor = format!("user{number}@example.test");
        registrar.register(at(0), &aor, &register("c", 1, &["Contact: <sip:a@h>;expires=7200"]), udp(1));
    }
    for change in changes(&mut registrar) {
        if let Change::Put(binding) = change {
            restored.restore(binding);
        }
    }
    // A second is given a thirtieth of them, or twice that when they come out of a store and all are due.
    for (mut registrar, start, most) in
        [(registrar, 0, PHONES / 30 * 11 / 10), (restored, 1_000, PHONES / 15 * 11 / 10)]
    {
        let mut now = at(start);
        let (mut sent, mut second, mut in_second) = (0, start, 0);
        while sent < 3 * PHONES {
            let ping = next(&mut registrar, &mut now);
            registrar.pinged(now, ping.key, ping.sent_at, Pong::Answered);
            if now >= at(second + 1) {
                (second, in_second) = (second + 1, 0);
            }
            in_second += 1;
            sent += 1;
            assert!(in_second <= most + 2, "{in_second} in second {second}, at most {most}");
        }
        assert!(now <= at(start + 95), "three rounds take three intervals");
    }
}

#[test]
fn pings_under_way_are_limited() {
    let config = RegistrarConfig { options_ping: PING, max_pings: 10, ..RegistrarConfig::default() };
    let mut registrar = Registrar::new(config);
    for number in 0..50 {
        let aor = format!("user{number}@example.test");
        registrar.register(at(0), &aor, &register("c", 1, &["Contact: <sip:a@h>;expires=7200"]), udp(1));
    }
    let mut now = at(60);
    let mut open = Vec::new();
    for _ in 0..200 {
        open.extend(registrar.poll_ping(now));
        now += TICK;
    }
    assert_eq!((open.len(), registrar.pings_under_way()), (10, 10));
    assert_eq!(registrar.poll_timeout(), Some(at(7_200)), "nothing to do until one ends");
    // Bindings that are gone give their place back all the same.
    for number in 0..50 {
        registrar.remove_aor(&format!("user{number}@example.test"));
    }
    for ping in open {
        registrar.pinged(now, ping.key, ping.sent_at, Pong::Silence);
    }
    assert_eq!(registrar.pings_under_way(), 0);
    let removed = changes(&mut registrar);
    assert!(
        removed
            .iter()
            .all(|change| matches!(change, Change::Put(_) | Change::Removed { why: RemovedWhy::Revoked, .. }))
    );
}
