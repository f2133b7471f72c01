//! What a call to a user with ten phones costs, against ten calls: `cargo run --release -p hookswitch-lab --example
//! fork_cost`. Everything is in one process and in virtual time, phones and network included, so only the ratio means
//! anything.

use std::time::{Duration, Instant};

use hookswitch_lab::{Audio, Lab, PhoneId, millis, seconds};
use hookswitch_phone::{AnswerPolicy, PhoneConfig, Sound};

/// Phones of the one user, and calls beside.
const BRANCHES: usize = 10;

/// How often each is played; the fastest counts.
const ROUNDS: usize = 30;

/// Calls of one round, so that one round takes long enough to be measured.
const CALLS: usize = 20;

fn quiet(config: &mut PhoneConfig) {
    config.sound = Sound::Nothing;
    config.answer = AnswerPolicy::Ring;
}

/// A caller and ten phones of bob's.
fn stage() -> (Lab, Vec<PhoneId>, Vec<PhoneId>) {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Marked);
    let callers: Vec<PhoneId> = (0..BRANCHES).map(|_| lab.phone_with("alice", quiet)).collect();
    let callees: Vec<PhoneId> = (0..BRANCHES).map(|_| lab.phone_with("bob", quiet)).collect();
    (lab, callers, callees)
}

/// One call to ten phones; one of them answers.
fn fork() -> Duration {
    let (mut lab, callers, callees) = stage();
    callees.iter().for_each(|phone| lab.register(*phone));
    let began = Instant::now();
    for _ in 0..CALLS {
        lab.dial(callers[0], "bob");
        lab.pass(millis(100));
        lab.answer(callees[0]);
        lab.pass(millis(100));
        assert!(lab.talks(callers[0]));
        lab.hang_up(callers[0]);
        lab.pass(seconds(40));
    }
    began.elapsed()
}

/// Ten calls to one phone each, one behind the other.
fn calls() -> Duration {
    let (mut lab, callers, callees) = stage();
    lab.register(callees[0]);
    let began = Instant::now();
    for _ in 0..CALLS {
        for caller in &callers {
            lab.dial(*caller, "bob");
            lab.pass(millis(100));
            lab.answer(callees[0]);
            lab.pass(millis(100));
            assert!(lab.talks(*caller));
            lab.hang_up(*caller);
            lab.pass(seconds(40) / BRANCHES as u32);
        }
    }
    began.elapsed()
}

fn main() {
    let fastest = |play: fn() -> Duration| (0..ROUNDS).map(|_| play()).min().unwrap_or_default() / CALLS as u32;
    let (fork, calls) = (fastest(fork), fastest(calls));
    let ratio = fork.as_secs_f64() / calls.as_secs_f64();
    println!("a fork to {BRANCHES}: {fork:?}; {BRANCHES} calls: {calls:?}; ratio {ratio:.2}");
}
