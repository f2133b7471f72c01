//! What is kept of answers, for how long, and what comes of the silence of a server.

use std::time::Duration;

use crate::resolve_zone::{ALL, World, Zone, config};
use hookswitch_sip::resolve::{Answer, RecordKind, Records, Resolution, ResolverConfig, ResolverOutput};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn an_answer_is_asked_for_again_when_its_time_is_over() {
    let mut world = World::new(config(), Zone { ttl: Some(secs(30)), ..Zone::default() }.a("x.test", &["192.0.2.1"]));
    assert_eq!(world.leads_to("sip:x.test:5060"), "udp:192.0.2.1:5060");
    world.zone = Zone { ttl: Some(secs(30)), ..Zone::default() }.a("x.test", &["192.0.2.2"]);
    world.pass(secs(29));
    assert_eq!(world.leads_to("sip:x.test:5060"), "udp:192.0.2.1:5060");
    world.pass(secs(1));
    assert_eq!(world.leads_to("sip:x.test:5060"), "udp:192.0.2.2:5060");
    assert_eq!(world.asked.len(), 2);
}

#[test]
fn what_a_zone_says_of_time_is_held_between_bounds() {
    for (says, kept) in [(0, 5), (1, 5), (90, 90), (1_000_000, 3_600)] {
        let zone = Zone { ttl: Some(secs(says)), ..Zone::default() }.a("x.test", &["192.0.2.1"]);
        let mut world = World::new(config(), zone);
        world.leads_to("sip:x.test:5060");
        world.pass(secs(kept) - Duration::from_millis(1));
        world.leads_to("sip:x.test:5060");
        assert_eq!(world.asked.len(), 1, "{says}");
        world.pass(Duration::from_millis(1));
        world.leads_to("sip:x.test:5060");
        assert_eq!(world.asked.len(), 2, "{says}");
    }
}

#[test]
fn questions_and_answers_are_counted() {
    let zone = Zone::default().a("x.test", &["192.0.2.1"]).broken("broken.test", RecordKind::A);
    let mut world = World::new(config(), zone.silent("silent.test", RecordKind::A));
    // Two ask for the same at once, and the answer takes a while.
    for _ in 0..2 {
        assert!(matches!(world.ask("sip:x.test:5060"), Ok(Resolution::Waits(_))));
    }
    world.now += Duration::from_millis(40);
    world.settle();
    let totals = world.resolver.totals();
    assert_eq!((totals.asked, totals.found, totals.waited), (1, 1, Duration::from_millis(40)));
    assert_eq!(totals.saved, 1, "the second one shares the question of the first");
    world.leads_to("sip:x.test:5060");
    for name in ["gone.test", "broken.test", "silent.test"] {
        let _ = world.ask(&format!("sip:{name}:5060"));
        world.settle();
    }
    world.pass(secs(30));
    let totals = world.resolver.totals();
    assert_eq!((totals.asked, totals.saved, totals.refused), (4, 2, 0), "{totals:?}");
    assert_eq!((totals.found, totals.nothing, totals.failed, totals.late), (1, 1, 1, 1), "{totals:?}");
}

/// How long it is kept that there is nothing.
fn kept(answer: &Answer) -> u64 {
    let mut world = World::new(config(), Zone::default());
    let asks = |world: &mut World| match world.ask("sip:x.test:5060") {
        Ok(Resolution::Waits(_)) => true,
        Ok(Resolution::Ready(hops)) => panic!("{hops:?}"),
        Err(_) => false,
    };
    assert!(asks(&mut world));
    let Some(ResolverOutput::Lookup { id, .. }) = world.resolver.poll_output() else { panic!("no look-up") };
    world.resolver.answer(world.now, id, answer.clone());
    (1..)
        .find(|_| {
            world.now += secs(1);
            asks(&mut world)
        })
        .unwrap()
}

#[test]
fn that_there_is_nothing_is_kept_as_long_as_the_zone_says_and_no_longer_than_five_minutes() {
    assert_eq!(kept(&Answer::Nothing { ttl: Some(secs(120)) }), 120);
    assert_eq!(kept(&Answer::Nothing { ttl: Some(secs(86_400)) }), 300);
    assert_eq!(kept(&Answer::Nothing { ttl: Some(secs(0)) }), 5);
    assert_eq!(kept(&Answer::Nothing { ttl: None }), 60);
    assert_eq!(kept(&Answer::Found { records: Records::A(Vec::new()), ttl: secs(100) }), 100);
}

#[test]
fn a_failure_is_kept_for_seconds_and_an_answer_of_another_kind_is_one() {
    assert_eq!(kept(&Answer::Failed), 5);
    let other = Records::Aaaa(vec!["2001:db8::1".parse().unwrap()]);
    assert_eq!(kept(&Answer::Found { records: other, ttl: secs(100) }), 5);
}

#[test]
fn a_silent_server_costs_its_own_caller_time_and_nobody_else() {
    let zone = Zone::default().silent("s.test", RecordKind::A).a("x.test", &["192.0.2.1"]);
    let mut world = World::new(config(), zone);
    let Ok(Resolution::Waits(waiting)) = world.ask("sip:s.test:5060") else { panic!("must wait") };
    assert_eq!(world.find("sip:x.test:5060"), (Ok(vec!["udp:192.0.2.1:5060".into()]), Duration::ZERO));
    world.pass(secs(5));
    let (query, result) = world.told.pop().expect("its time is over");
    assert_eq!((query, result.unwrap_err().to_string().as_str()), (waiting, "no answer from the name servers"));
    // Who comes next hears it at once, for a while.
    assert_eq!(world.find("sip:s.test:5060").1, Duration::ZERO);
    assert_eq!(world.asked.len(), 2);
}

#[test]
fn an_answer_that_comes_late_serves_the_next_one() {
    let mut world = World::new(config(), Zone::default().silent("s.test", RecordKind::A));
    world.find("sip:s.test:5060").0.unwrap_err();
    let (id, _, _) = world.unanswered[0].clone();
    world.pass(secs(2));
    let records = Records::A(vec!["192.0.2.9".parse().unwrap()]);
    world.resolver.answer(world.now, id, Answer::Found { records, ttl: secs(60) });
    assert_eq!(world.find("sip:s.test:5060"), (Ok(vec!["udp:192.0.2.9:5060".into()]), Duration::ZERO));
    assert_eq!(world.asked.len(), 1);
}

#[test]
fn a_server_that_never_answers_is_not_asked_twice_at_a_time_and_then_forgotten() {
    let mut world = World::new(config(), Zone::default().silent("s.test", RecordKind::A));
    for _ in 0..14 {
        let _ = world.ask("sip:s.test:5060");
        world.drain();
        world.pass(secs(1));
    }
    assert_eq!(world.asked.len(), 1);
    world.pass(secs(30));
    let counts = world.resolver.counts();
    assert_eq!((counts.lookups, counts.queries, world.resolver.poll_timeout()), (0, 0, None));
    assert!(world.told.iter().all(|(_, result)| result.is_err()) && !world.told.is_empty());
}

#[test]
fn the_rest_is_waited_for_only_a_moment_once_the_first_choice_is_known() {
    let lines = ["0 0 5060 first.test", "1 0 5060 slow.test"];
    let zone = || {
        Zone::default().srv("_sip._udp.x.test", &lines).a("first.test", &["192.0.2.1"]).a("slow.test", &["192.0.2.2"])
    };
    let mut world = World::new(config(), zone().silent("slow.test", RecordKind::A));
    let (found, after) = world.find("sip:x.test;transport=udp");
    assert_eq!((found.unwrap().join(" "), after), ("udp:192.0.2.1:5060".into(), Duration::from_millis(200)));
    // The first choice is waited for: a backup is not called only because its name was found sooner.
    let mut world = World::new(config(), zone().silent("first.test", RecordKind::A));
    let (found, after) = world.find("sip:x.test;transport=udp");
    assert_eq!((found.unwrap().join(" "), after), ("udp:192.0.2.2:5060".into(), secs(5)));
}

#[test]
fn one_family_does_not_wait_for_the_other_for_long() {
    let zone = Zone::default().a("x.test", &["192.0.2.1"]).silent("x.test", RecordKind::Aaaa);
    let mut world = World::new(ResolverConfig { reach: ALL, ..config() }, zone);
    let (found, after) = world.find("sip:x.test:5060");
    assert_eq!((found.unwrap().join(" "), after), ("udp:192.0.2.1:5060".into(), Duration::from_millis(200)));
}

#[test]
fn all_look_ups_of_one_uri_have_one_time_together() {
    // Every step is answered only after four seconds: NAPTR, SRV, host.
    let zone = Zone::default().a("x.test", &["192.0.2.1"]);
    let mut world = World::new(config(), Zone::default());
    let Ok(Resolution::Waits(_)) = world.ask("sip:x.test") else { panic!("must wait") };
    let start = world.now;
    let mut told = None;
    while told.is_none() {
        world.drain();
        let asked = std::mem::take(&mut world.unanswered);
        world.now += secs(4);
        world.resolver.handle_timeout(world.now);
        for (id, name, kind) in asked {
            world.resolver.answer(world.now, id, zone.answer(&name, kind).unwrap());
        }
        world.drain();
        told = world.told.pop();
        assert!(world.now - start <= secs(12), "it never ends");
    }
    assert_eq!(told.unwrap().1.unwrap_err().to_string(), "no answer from the name servers");
}

#[test]
fn who_no_longer_waits_is_told_nothing_and_the_answer_is_kept_all_the_same() {
    let mut world = World::new(config(), Zone::default().a("x.test", &["192.0.2.1"]));
    let Ok(Resolution::Waits(query)) = world.ask("sip:x.test:5060") else { panic!("must wait") };
    world.resolver.forget(query);
    world.settle();
    assert!(world.told.is_empty() && world.resolver.counts().queries == 0);
    assert_eq!(world.find("sip:x.test:5060").1, Duration::ZERO);
    // Also when the answer has just come in.
    let Ok(Resolution::Waits(query)) = world.ask("sip:y.test:5060") else { panic!("must wait") };
    let Some(ResolverOutput::Lookup { id, .. }) = world.resolver.poll_output() else { panic!("no look-up") };
    world.resolver.answer(world.now, id, Answer::Failed);
    world.resolver.forget(query);
    assert_eq!(world.resolver.poll_output(), None);
}

#[test]
fn an_address_that_is_out_of_order_is_tried_last_for_a_while() {
    let zone = Zone::default()
        .srv("_sip._udp.x.test", &["0 0 5060 a.test", "1 0 5060 b.test"])
        .a("a.test", &["192.0.2.1"])
        .a("b.test", &["192.0.2.2"]);
    let mut world = World::new(config(), zone);
    let uri = "sip:x.test;transport=udp";
    assert_eq!(world.leads_to(uri), "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
    let Ok(Resolution::Ready(hops)) = world.ask(uri) else { panic!("it is known") };
    world.resolver.shun(world.now, hops[0], secs(30));
    assert_eq!(world.leads_to(uri), "udp:192.0.2.2:5060 udp:192.0.2.1:5060");
    world.pass(secs(30));
    assert_eq!(world.leads_to(uri), "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
    world.resolver.shun(world.now, hops[0], secs(30));
    world.resolver.pardon(hops[0]);
    assert_eq!(world.leads_to(uri), "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
}

#[test]
fn what_is_out_of_order_is_remembered_for_so_many_and_no_more() {
    let mut world = World::new(ResolverConfig { max_shunned: 2, ..config() }, Zone::default());
    let zone = Zone::default().a("x.test", &["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    world.zone = zone;
    world.leads_to("sip:x.test:5060");
    let Ok(Resolution::Ready(mut hops)) = world.ask("sip:x.test:5060") else { panic!("it is known") };
    hops.sort_by_key(|hop| hop.address);
    for hop in &hops {
        world.resolver.shun(world.now, *hop, secs(60));
    }
    // The one that was remembered first is forgotten.
    assert!(world.leads_to("sip:x.test:5060").starts_with("udp:192.0.2.1:5060"));
}
