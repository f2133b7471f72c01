//! Many callers at once, hostile names and answers in any order: bounded, and everybody hears exactly once.

use std::collections::HashMap;
use std::time::Duration;

use crate::resolve_zone::{ALL, World, Zone, config};
use crate::support::Dice;
use hookswitch_sip::resolve::{
    Answer, Naptr, QueryId, RecordKind, Records, Resolution, ResolveError, ResolverConfig, Srv,
};

#[test]
fn a_thousand_callers_of_one_name_are_one_look_up() {
    let mut world = World::new(config(), Zone::default().a("x.test", &["192.0.2.1"]));
    for _ in 0..1_000 {
        assert!(matches!(world.ask("sip:x.test:5060"), Ok(Resolution::Waits(_))));
    }
    world.settle();
    assert_eq!(world.asked, ["x.test A"]);
    assert_eq!(world.told.len(), 1_000);
    assert!(world.told.iter().all(|(_, result)| result.as_ref().is_ok_and(|hops| hops[0] == "udp:192.0.2.1:5060")));
}

#[test]
fn a_storm_of_names_has_so_many_look_ups_and_no_more() {
    let limits = ResolverConfig { max_lookups: 50, max_entries: 20, ..config() };
    let mut world = World::new(limits, Zone::default());
    let refused = (0..200).filter(|n| world.ask(&format!("sip:h{n}.test:5060")) == Err(ResolveError::Busy)).count();
    assert_eq!((refused, world.resolver.counts().lookups), (150, 50));
    // A name that is known, or on its way already, is no matter of the limit.
    assert!(matches!(world.ask("sip:h7.test:5060"), Ok(Resolution::Waits(_))));
    world.settle();
    let counts = world.resolver.counts();
    assert_eq!((counts.entries, counts.lookups, counts.queries), (20, 0, 0));
    assert!(matches!(world.ask("sip:h199.test:5060"), Ok(Resolution::Waits(_))));
}

#[test]
fn so_many_callers_wait_and_no_more() {
    let limits = ResolverConfig { max_queries: 3, ..config() };
    let mut world = World::new(limits, Zone::default().a("x.test", &["192.0.2.1"]));
    let waits = (0..10).filter(|_| matches!(world.ask("sip:x.test:5060"), Ok(Resolution::Waits(_)))).count();
    assert_eq!(waits, 3);
    assert_eq!(world.ask("sip:x.test:5060"), Err(ResolveError::Busy));
    world.settle();
    assert_eq!(world.told.len(), 3);
    assert!(matches!(world.ask("sip:x.test:5060"), Ok(Resolution::Ready(_))));
}

fn anything(dice: &mut Dice) -> Answer {
    let name = |dice: &mut Dice| ["a.test", "b.test", "c.test", ".", "", "..", "a b"][dice.below(7) as usize].into();
    let few = dice.below(4);
    let records = match dice.below(6) {
        0 => Records::A((0..few).map(|n| [192, 0, 2, n as u8].into()).collect()),
        1 => Records::Aaaa((0..few).map(|n| [0x2001, 0xdb8, 0, 0, 0, 0, 0, n as u16].into()).collect()),
        2 | 3 => Records::Srv(
            (0..few)
                .map(|_| Srv {
                    priority: dice.below(3) as u16,
                    weight: dice.next() as u16,
                    port: 5060,
                    target: name(dice),
                })
                .collect(),
        ),
        4 => Records::Naptr(
            (0..few)
                .map(|n| {
                    let service = ["SIP+D2U", "SIP+D2T", "SIPS+D2T", ""][dice.below(4) as usize].into();
                    Naptr { order: n as u16, preference: 0, flags: "s".into(), service, replacement: name(dice) }
                })
                .collect(),
        ),
        _ => return if dice.percent(50) { Answer::Failed } else { Answer::Nothing { ttl: None } },
    };
    Answer::Found { records, ttl: Duration::from_secs(dice.below(100)) }
}

/// Random askings, answers, wrong answers, silence and giving up; after each, everybody who was not told at once is
/// told exactly once, in time, and nothing is left.
#[test]
fn whatever_comes_everybody_is_told_once_and_nothing_is_left() {
    let names = ["a.test", "b.test", "c.test", "d.test"];
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let limits = ResolverConfig { reach: ALL, max_lookups: 12, max_queries: 20, max_entries: 6, ..config() };
        let mut world = World::new(limits, Zone::default());
        let mut waiting: HashMap<QueryId, Duration> = HashMap::new();
        for _ in 0..200 {
            match dice.below(10) {
                0..=3 => {
                    let tail = ["", ":5060", ";transport=tcp", ";transport=udp"][dice.below(4) as usize];
                    let uri = format!("sip:{}{tail}", names[dice.below(4) as usize]);
                    match world.ask(&uri) {
                        Ok(Resolution::Waits(query)) => assert!(waiting.insert(query, world.now).is_none()),
                        Ok(Resolution::Ready(hops)) => assert!(!hops.is_empty(), "seed {seed}"),
                        Err(_) => {}
                    }
                }
                4..=7 if !world.unanswered.is_empty() => {
                    let at = dice.below(world.unanswered.len() as u64) as usize;
                    let (id, _, kind) = world.unanswered[at].clone();
                    let mut answer = anything(&mut dice);
                    if dice.percent(40) && kind == RecordKind::A {
                        let records = Records::A(vec!["192.0.2.1".parse().unwrap()]);
                        answer = Answer::Found { records, ttl: Duration::from_secs(1) };
                    }
                    // Sometimes it comes twice.
                    if dice.percent(90) {
                        world.unanswered.remove(at);
                    }
                    world.resolver.answer(world.now, id, answer);
                }
                8 => {
                    let mut all: Vec<QueryId> = waiting.keys().copied().collect();
                    all.sort();
                    if let Some(query) = all.get(dice.below(8) as usize) {
                        world.resolver.forget(*query);
                        waiting.remove(query);
                    }
                }
                _ => {
                    world.now += Duration::from_millis(dice.below(2_000));
                    world.resolver.handle_timeout(world.now);
                }
            }
            world.drain();
            for (query, result) in std::mem::take(&mut world.told) {
                let since = waiting.remove(&query).unwrap_or_else(|| panic!("seed {seed}: told twice or unasked"));
                assert!(world.now - since <= Duration::from_secs(12), "seed {seed}");
                assert!(result.is_err() || result.is_ok_and(|hops| !hops.is_empty() && hops.len() <= 16));
            }
            let counts = world.resolver.counts();
            assert!(counts.lookups <= 12 && counts.queries <= 20 && counts.entries <= 6, "seed {seed}: {counts:?}");
            assert_eq!(counts.queries, waiting.len(), "seed {seed}");
        }
        world.unanswered.clear();
        for _ in 0..200 {
            let Some(at) = world.resolver.poll_timeout() else { break };
            world.now = world.now.max(at);
            world.resolver.handle_timeout(world.now);
            world.drain();
        }
        for (query, _) in std::mem::take(&mut world.told) {
            assert!(waiting.remove(&query).is_some(), "seed {seed}");
        }
        let counts = world.resolver.counts();
        assert_eq!((counts.lookups, counts.queries, waiting.len()), (0, 0, 0), "seed {seed}");
    }
}
