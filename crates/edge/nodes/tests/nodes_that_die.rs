//! A SIP node that dies or is cut off at any step of a call, and a switchboard that dies at any: what can go on does, what cannot
//! ends with its reason for whoever is left and in the events, once, and nothing is left anywhere.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use hookswitch_call::{Audience, AudioOrder, CallRef, Command, Event, Notes, Party, Sound, SoundKind, Soup};
use world::*;

const MOMENT: Duration = Duration::ZERO;

/// How a day goes if nobody dies.
type Course = fn(&mut World);

fn sec(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// alice calls bob. Her phone changes the session, bob is put on hold and taken off, his phone transfers her to carol, and she
/// hangs up.
fn a_talk(world: &mut World) {
    world.calls("alice", "bob");
    world.go(MOMENT);
    world.answers("bob");
    world.go(MOMENT);
    world.reoffers("alice");
    world.go(MOMENT);
    for on in [true, false] {
        if let Some(call) = world.call_of("alice").map(CallRef::Id) {
            let (party, notes) = (Some(Party::Callee), Notes::default());
            world.orders(match on {
                true => Command::Hold { call, party, notes },
                false => Command::Unhold { call, party, notes },
            });
        }
        world.go(MOMENT);
    }
    world.refers("bob", "carol");
    world.go(MOMENT);
    world.answers("carol");
    world.go(sec(3));
    world.hangs_up("alice");
    world.go(sec(1));
}

/// alice and bob are rung up by command, something is played to her, and while she is being transferred to carol she hangs up.
fn a_started_call(world: &mut World) {
    let (caller, callee) = ("sip:alice@x.test".into(), "sip:bob@x.test".into());
    world.orders(Command::Start { caller, callee, wire_id: None });
    world.go(MOMENT);
    world.answers("alice");
    world.go(MOMENT);
    world.answers("bob");
    world.go(MOMENT);
    if let Some(call) = world.call_of("alice").map(CallRef::Id) {
        let soup = Soup { sounds: vec![Sound::of(SoundKind::Wav, "s")], ..Soup::default() };
        let order = AudioOrder::Play { soup: soup.into(), update: false, to: Audience::Party };
        world.orders(Command::Audio { call: call.clone(), party: Party::Caller, order });
        world.go(MOMENT);
        world.orders(Command::Transfer { call, party: Party::Caller, to: "sip:carol@x.test".into(), by: None });
    }
    world.go(MOMENT);
    world.hangs_up("alice");
    world.go(sec(1));
}

/// alice and bob come into a conference and go again.
fn a_conference(world: &mut World) {
    for user in ["alice", "bob"] {
        world.calls(user, "conference");
        world.go(MOMENT);
    }
    for user in ["alice", "bob"] {
        world.hangs_up(user);
        world.go(sec(1));
    }
}

/// Once all times are over nobody has anything of a call any more, and whoever has commanded something knows what came of it.
fn nothing_is_left(world: &World, when: &str) {
    assert!(world.phones.is_empty(), "{when}: {:?}", world.phones);
    assert_eq!((world.board.live(), world.legs.live(), world.left()), (0, 0, (0, 0)), "{when}");
    assert!(world.open.is_empty(), "{when}: {:?}", world.open);
    let mut outcomes = world.outcomes.clone();
    outcomes.sort();
    assert_eq!(outcomes, world.tickets, "{when}: each command has one outcome");
}

/// What each call has ended with: caller, code and phrase. It is told once, and is the last that is told.
fn ends(world: &World, when: &str) -> Vec<(usize, u16, String)> {
    let mut ends = Vec::new();
    for user in PHONES {
        let Some(call) = world.call_of(user) else { continue };
        let told = world.told(call);
        let ended = told.iter().filter(|event| matches!(event, Event::Ended { .. })).count();
        assert_eq!(ended, 1, "{when}: {told:?}");
        let Some(Event::Ended { cause, .. }) = told.last() else { panic!("{when}: {told:?}") };
        ends.push((node_of(user), cause.code, cause.text.to_string()));
    }
    ends
}

/// How many things are carried in a course in which nobody dies.
fn steps(course: Course) -> usize {
    let mut world = World::new();
    course(&mut world);
    let steps = world.carried;
    world.pass(sec(42));
    nothing_is_left(&world, "nobody has died");
    let ends = ends(&world, "nobody has died");
    assert!(!ends.is_empty() && ends.iter().all(|(_, code, _)| *code == 200), "{ends:?}");
    assert!(steps > 20, "{steps}");
    steps
}

/// So many hits there are: each node, in either way.
const HITS: usize = 2 * PHONES.len();

/// Hits a node at each step, all of them in either way in turn: all of that at every step would take half a minute. `judge` says
/// what the call of a caller ends with then. Gives what was seen: who was hit, and how a call has ended.
fn hit_at_any_step(course: Course, judge: fn(&World, usize, &str) -> u16) -> BTreeSet<(usize, u16)> {
    let (steps, mut seen) = (steps(course), BTreeSet::new());
    for step in 0..steps {
        // As many things are carried in a second in which nothing happens: one further each time, so that each hit meets each.
        let turn = (step + step / HITS) % HITS;
        let (node, fate) = (turn / 2, [Fate::Dies, Fate::IsCutOff][turn % 2]);
        let when = format!("{fate:?}: the node of {} at step {step} of {steps}", PHONES[node]);
        let mut world = World::new();
        (world.doom, world.judge) = (Some((step, Victim::Node(node, fate))), judge);
        course(&mut world);
        assert!(world.doom.is_none(), "{when}");
        world.pass(sec(42));
        world.heals();
        world.pass(sec(35));
        nothing_is_left(&world, &when);
        let ends = ends(&world, &when);
        for (caller, code, text) in &ends {
            assert_eq!(*code, world.verdicts[*caller], "{when}: {text}, {:?}", world.events);
            let is_true = *code == 200 || LOST.contains(&text.as_str());
            assert!(is_true, "{when}: {text}");
            seen.insert((node, *code));
        }
        let is_well = ends.iter().all(|(_, code, _)| *code == 200);
        for (user, cause) in &world.heard {
            let is_there = node_of(user) != node;
            let may_be = |text: &str| match (is_there, is_well) {
                (true, true) => text == "OK",
                (true, false) => text == "OK" || LOST.contains(&text),
                (false, _) => LEFT.contains(&text),
            };
            assert!(may_be(cause.text.as_str()), "{when}: {user} hears {cause}");
        }
    }
    seen
}

/// Why legs end whose node does not answer.
const LOST: [&str; 2] = ["Node Lost", "Node Does Not Answer"];

/// Why legs end that nobody knows any more who could say something about them.
const LEFT: [&str; 4] = ["OK", "Controller Restarted", "Controller Lost", "Temporarily Unavailable"];

/// What alice's call ends with if a node is hit without which it goes on, or not.
fn verdict(world: &World, node: usize, user: &str, goes_on: fn(usize, &[&Event]) -> bool) -> u16 {
    let call = world.call_of(user);
    if let Some(code) = call.and_then(|call| world.end_of(call)) {
        return code;
    }
    // That she has hung up is on its way.
    let gone = node != node_of("alice") && world.says_goodbye(node_of("alice"));
    let told = call.map(|call| world.told(call)).unwrap_or_default();
    if gone || goes_on(node, &told) { 200 } else { 503 }
}

#[test]
fn a_sip_node_that_dies_at_any_step_of_a_talk_ends_it_only_where_one_of_the_two_is() {
    // Without bob it goes on once he has asked for the transfer, without carol until she has his place.
    let seen = hit_at_any_step(a_talk, |world, node, user| {
        verdict(world, node, user, |node, told| match node {
            0 => false,
            1 => told.iter().any(|event| matches!(event, Event::Transferring { .. })),
            _ => !told.iter().any(|event| matches!(event, Event::Replaced { .. })),
        })
    });
    assert_eq!(seen, BTreeSet::from([(0, 200), (0, 503), (1, 200), (1, 503), (2, 200), (2, 503)]));
}

#[test]
fn a_sip_node_that_dies_at_any_step_of_a_started_call_ends_it_only_where_one_of_the_two_is() {
    let seen = hit_at_any_step(a_started_call, |world, node, user| {
        verdict(world, node, user, |node, told| match node {
            0 => false,
            1 => told.iter().any(|event| matches!(event, Event::Transferring { .. })),
            _ => true,
        })
    });
    assert_eq!(seen, BTreeSet::from([(0, 200), (0, 503), (1, 200), (1, 503), (2, 200)]));
}

#[test]
fn a_sip_node_that_dies_in_a_conference_takes_only_its_own_members_along() {
    let seen = hit_at_any_step(a_conference, |world, node, user| {
        let ended = world.call_of(user).and_then(|call| world.end_of(call));
        ended.unwrap_or(if node_of(user) == node { 503 } else { 200 })
    });
    assert_eq!(seen, BTreeSet::from([(0, 200), (0, 503), (1, 200), (1, 503), (2, 200)]));
}

#[test]
fn a_switchboard_that_dies_at_any_step_finds_every_leg_when_it_is_back_and_ends_it() {
    for course in [a_talk as Course, a_started_call, a_conference] {
        let steps = steps(course);
        for step in 0..steps {
            let when = format!("step {step} of {steps}");
            let mut world = World::new();
            world.doom = Some((step, Victim::Switchboard));
            course(&mut world);
            assert!(world.doom.is_none(), "{when}");
            world.heals();
            world.pass(sec(42));
            nothing_is_left(&world, &when);
            assert!(world.events.is_empty(), "{when}: it takes nothing of before for a call of its own");
            for (user, cause) in &world.heard {
                assert!(LEFT.contains(&cause.text.as_str()), "{when}: {user} hears {cause}");
            }
            world.calls("alice", "bob");
            world.go(MOMENT);
            world.answers("bob");
            world.go(MOMENT);
            assert!(world.talks("alice"), "{when}: calls are made again");
            world.hangs_up("alice");
            world.go(sec(1));
            nothing_is_left(&world, &when);
        }
    }
}
