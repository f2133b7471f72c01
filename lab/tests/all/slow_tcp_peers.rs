//! Slow and dead peers on TCP: their own calls suffer, nobody else's.

use std::net::SocketAddr;

use hookswitch_lab::{Audio, Lab, Place, Weather, millis, seconds};
use hookswitch_phone::{AnswerPolicy, PhoneConfig};
use hookswitch_sip::Transport;

fn over_tcp(phone: &mut PhoneConfig) {
    phone.transport = Transport::Tcp;
}

#[test]
fn one_that_reads_slowly_gets_its_call_later() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered_with(["alice", "bob"], over_tcp);
    let [carol, dave] = lab.registered(["carol", "dave"]);
    lab.dial(carol, "dave");
    lab.pass(seconds(1));
    lab.pause(bob, seconds(20));
    lab.dial(alice, "bob");
    for _ in 0..3 {
        lab.pass(seconds(6));
        lab.assert_talking(carol, dave);
    }
    lab.pass(seconds(4));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.hang_up(carol);
    lab.finish();
}

#[test]
fn one_that_is_slow_in_the_middle_of_its_call_hears_of_its_end_later() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered_with(["alice", "bob"], over_tcp);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.pause(bob, seconds(10));
    lab.hang_up(alice);
    lab.pass(seconds(1));
    assert!(!lab.in_call(alice) && lab.in_call(bob));
    lab.pass(seconds(10));
    assert!(!lab.in_call(bob));
    lab.finish();
}

#[test]
fn streams_in_small_pieces() {
    let mut lab = Lab::new();
    lab.set_weather(Weather { chunk: 7, ..Weather::CLEAR });
    let [alice, bob] = lab.registered_with(["alice", "bob"], over_tcp);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn connections_that_break_in_the_middle_of_a_call() {
    for who in [0, 1] {
        let mut lab = Lab::new();
        let phones = lab.registered_with(["alice", "bob"], over_tcp);
        lab.dial(phones[0], "bob");
        lab.pass(seconds(2));
        lab.break_streams(Place::from(phones[who]));
        lab.pass(seconds(2));
        lab.assert_talking(phones[0], phones[1]);
        // The phone opens another one; the switch calls back where the phone listens.
        lab.hang_up(phones[1]);
        lab.pass(seconds(1));
        assert!(!lab.in_call(phones[0]) && !lab.in_call(phones[1]));
        lab.finish();
    }
}

#[test]
fn connections_that_break_while_it_rings() {
    for who in [0, 1] {
        let mut lab = Lab::new();
        lab.set_audio(Audio::Unchecked);
        let phones = lab.registered_with(["alice", "bob"], over_tcp);
        lab.set_answer(phones[1], AnswerPolicy::Answer { after: seconds(2) });
        lab.dial(phones[0], "bob");
        lab.pass(seconds(1));
        lab.break_streams(Place::from(phones[who]));
        lab.pass(seconds(60));
        phones.iter().for_each(|phone| lab.hang_up(*phone));
        lab.finish();
    }
}

#[test]
fn connections_that_break_at_any_moment() {
    for at in (0..60).step_by(3) {
        let mut lab = Lab::new();
        lab.set_audio(Audio::Unchecked);
        let phones = lab.registered_with(["alice", "bob"], over_tcp);
        lab.dial(phones[0], "bob");
        lab.pass(millis(at));
        lab.break_streams(Place::Switch);
        lab.pass(seconds(45));
        phones.iter().for_each(|phone| lab.hang_up(*phone));
        lab.finish();
    }
}

/// What a connection brought comes before its end, also at a switch that is busy twice in a row.
#[test]
fn a_connection_that_ends_while_the_switch_is_busy_is_forgotten() {
    let mut lab = Lab::new();
    let [alice] = lab.registered(["alice"]);
    let [dave] = lab.registered_with(["dave"], over_tcp);
    lab.set_answer(dave, AnswerPolicy::Ring);
    lab.dial(alice, "dave");
    lab.until("dave rings", |lab| lab.rings(dave));
    lab.pass(seconds(1));
    lab.pause(Place::Switch, millis(800));
    lab.pass(millis(200));
    lab.phone_acts(dave, |phone, now| phone.refuse(now, 603)).expect("it rings");
    lab.pass(millis(200));
    lab.pause(Place::Switch, millis(1_000));
    lab.pass(millis(5));
    lab.kill(dave);
    lab.bring_back(dave);
    lab.pass(seconds(3));
    assert_eq!(lab.refusal_of(alice), Some(603), "its last word is heard");
    assert_eq!(lab.counts().connections, 1, "that of its new life");
    lab.finish();
}

#[test]
fn connections_that_say_nothing_take_no_place_of_others() {
    let mut lab = Lab::with_switch(|switch| switch.shard.b2bua.endpoint.max_connections = 50);
    let crowd: Vec<_> = (0..100).map(|n| lab.intrude(SocketAddr::from(([198, 51, 100, 1], 20_000 + n)))).collect();
    lab.pass(seconds(1));
    assert_eq!(lab.counts().connections, 50);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    crowd.into_iter().for_each(|connection| lab.leave(connection));
    lab.pass(seconds(1));
    assert_eq!(lab.counts().connections, 0);
    let [carol] = lab.registered_with(["carol"], over_tcp);
    lab.dial(carol, "echo");
    lab.pass(seconds(2));
    lab.assert_hears(carol, carol);
    lab.hang_up(carol);
    lab.finish();
}
