//! A day in front of an OpenSIPS that is restarted every hour, over a network that loses, doubles and reorders.
//!
//! Every client checks that a command begins once, ends once, and is told of in causal order.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use hookswitch_lab::opensips::{LabConfig, Network, OpenSipsLab};
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::{Dice, millis, seconds};
use hookswitch_opensips_sim::{Answer, Behaviour, Reaction};
use hookswitch_shard::{Mode, SessionId};

/// Counts the bytes that are in use.
struct Counting;

static IN_USE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every request goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HOURS: u64 = 24;

/// Time between two commands.
const EVERY: u64 = 6;

/// What may be in use at the end of an hour beyond what was at the end of the second.
const SLACK_BYTES: isize = 128 * 1_024;

/// More than the calls and requests that a front remembers after their end.
const REMEMBERED: u64 = 4_500;

/// All phones hang up after a while, so that calls come and go; some are difficult.
fn people(lab: &mut OpenSipsLab) {
    let hangs_up = |phone: Behaviour| Behaviour { hangs_up_after: Some(seconds(90)), ..phone };
    for (user, answer) in [
        ("dave", Answer::After(millis(1_500))),
        ("erin", Answer::After(millis(700))),
        ("frank", Answer::After(seconds(3))),
        ("grace", Answer::Refuses(486, seconds(1))),
    ] {
        lab.sim().phone(user, hangs_up(scripted(user).answering(answer)));
    }
    let refuses = scripted("heidi").referred(Reaction::Refuses(603)).reinvited(Reaction::Refuses(488));
    lab.sim().phone("heidi", hangs_up(refuses));
    for (user, host) in [("alice", "127.0.0.11:5060"), ("bob", "127.0.0.12:5060")] {
        lab.sim().phone(user, hangs_up(Behaviour::baresip(user, host)));
    }
}

fn uri(user: &str) -> String {
    format!("sip:{user}@127.0.0.1:5080")
}

/// One command, whichever it is.
fn ask(lab: &mut OpenSipsLab, dice: &mut Dice, session: SessionId, number: u64) {
    const USERS: [&str; 8] = ["alice", "bob", "dave", "erin", "frank", "grace", "heidi", "nobody"];
    let mut user = || uri(USERS[dice.below(USERS.len() as u64) as usize]);
    let (one, other) = (user(), user());
    let now = lab.now();
    let calls: Vec<String> = lab.sim().calls().map(str::to_owned).collect();
    let mut call = || calls.get(dice.below(calls.len() as u64 + 1) as usize).map_or("nope", String::as_str);
    let (first, second) = (call(), call());
    let cmd_id = format!("c{number}");
    let leg = if number.is_multiple_of(2) { "caller" } else { "callee" };
    match number % 10 {
        0 | 1 => lab.ask(session, "CallStart", &cmd_id, &[("caller", &one), ("callee", &other)]),
        2 => lab.sim().call(now, &format!("people-{number}"), "dave", "erin"),
        3 => lab.ask(session, "CallHold", &cmd_id, &[("callid", first)]),
        4 => lab.ask(session, "CallUnhold", &cmd_id, &[("callid", first)]),
        5 | 6 => {
            let params = [("callid", first), ("leg", leg), ("destination", one.as_str())];
            lab.ask(session, "CallBlindTransfer", &cmd_id, &params);
        }
        7 => {
            let params = [("callidA", first), ("legA", leg), ("callidB", second), ("legB", "callee")];
            lab.ask(session, "CallAttendedTransfer", &cmd_id, &params);
        }
        8 => lab.ask(session, "CallEnd", &cmd_id, &[("callid", first)]),
        _ => lab.ask(session, "Echo", &cmd_id, &[("n", &cmd_id)]),
    }
}

/// So many commands as are remembered after their end, so that what is in use at the end of a day can be compared with
/// what was at its beginning.
fn fill_the_memory_of_what_has_ended(lab: &mut OpenSipsLab) {
    let session = lab.open(Mode::Original);
    for number in 0..REMEMBERED {
        let parties = [("caller", "sip:nobody@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")];
        lab.ask(session, "CallStart", &format!("first-{number}"), &parties);
        lab.pass(millis(20));
    }
    lab.settle(seconds(60));
    assert_eq!(lab.client(session).failed, REMEMBERED);
    lab.forget(session);
    lab.close(session);
}

/// Waits for the end of every command; the follower's never ends.
fn settle(lab: &mut OpenSipsLab, sessions: &[SessionId]) {
    let most = lab.now() + seconds(200);
    while sessions.iter().any(|session| !lab.client(*session).running.is_empty()) {
        assert!(lab.now() < most, "a command does not end");
        lab.pass(seconds(1));
    }
}

#[test]
fn a_day_of_commands_over_a_bad_network_with_an_opensips_that_restarts_every_hour() {
    let mut lab = OpenSipsLab::new(LabConfig::default());
    fill_the_memory_of_what_has_ended(&mut lab);
    lab.network(Network::ROUGH);
    people(&mut lab);
    let mut dice = Dice::new(7);
    let sessions = [lab.open(Mode::Original), lab.open(Mode::Original), lab.open(Mode::Strict)];
    let follower = lab.open(Mode::Strict);
    lab.ask(follower, "Subscribe", "all", &[]);
    let (mut asked, mut memory) = (0, Vec::new());
    for hour in 0..HOURS {
        let begun = lab.now();
        while lab.now() < begun + seconds(3_500) {
            asked += 1;
            let session = sessions[asked as usize % sessions.len()];
            ask(&mut lab, &mut dice, session, asked);
            // In the middle of whatever is going on.
            if lab.now() - begun < seconds(EVERY) {
                lab.restart_opensips();
            }
            lab.pass(seconds(EVERY));
        }
        settle(&mut lab, &sessions);
        for session in sessions.into_iter().chain([follower]) {
            lab.forget(session);
        }
        lab.forget_noted();
        lab.pass((begun + seconds(3_600)).saturating_sub(lab.now()));
        let counts = lab.front().counts();
        assert_eq!((counts.commands, lab.front().commands_running()), (0, 1), "hour {hour}: only the follower");
        assert!(counts.calls < 150, "hour {hour}: {counts:?}");
        assert!(lab.is_up(), "hour {hour}: {:?}", lab.front().health());
        let now = lab.now();
        assert_eq!(lab.sim().live_subscriptions(now), 3, "hour {hour}: no subscription is lost");
        memory.push(IN_USE.load(Ordering::Relaxed));
    }
    lab.pass(seconds(900));
    let counts = lab.front().counts();
    assert_eq!((counts.calls, lab.sim().counts().dialogs), (0, 0), "everybody has hung up: {counts:?}");
    let told = lab.client(follower);
    assert_eq!(told.followed, std::collections::BTreeMap::new(), "every call that was told of has its end told");
    assert!(told.seen_to_end > asked / 10, "{}", told.seen_to_end);
    let ended: u64 = sessions.iter().map(|session| lab.client(*session).ended).sum();
    let failed: u64 = sessions.iter().map(|session| lab.client(*session).failed).sum();
    assert_eq!(ended, asked - asked.div_ceil(10), "every command has ended, and once");
    assert!(failed * 4 < ended * 3, "{failed} of {ended} failed");
    assert!(lab.front().counts().subscriptions_remade >= 3 * (HOURS - 1));
    assert_eq!(lab.front().counts().requests, 0);
    let grown = memory.last().unwrap() - memory[1];
    assert!(grown < SLACK_BYTES, "{grown} bytes more than after the second hour: {memory:?}");
}
