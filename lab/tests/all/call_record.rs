//! All that is known of a call is plain data at every moment of its life.

use hookswitch_lab::{Lab, SwitchConfig, Weather, millis, sdp, seconds};
use hookswitch_phone::{AnswerPolicy, Hold};

#[test]
fn of_calls_that_phones_make() {
    let mut lab = Lab::new();
    lab.keep_records();
    let [alice, bob, other] = lab.registered(["alice", "bob", "bob"]);
    lab.set_answer(bob, AnswerPolicy::Ring);
    lab.set_answer(other, AnswerPolicy::Answer { after: seconds(1) });
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, other);
    lab.hold(alice, Hold::On);
    lab.pass(millis(200));
    lab.hold(alice, Hold::Off);
    lab.pass(millis(200));
    lab.hang_up(other);
    lab.pass(seconds(1));
    lab.dial(alice, "echo");
    lab.pass(seconds(1));
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn of_calls_that_applications_start_and_end() {
    let mut lab = Lab::new();
    lab.keep_records();
    let [_alice, bob] = lab.registered(["alice", "bob"]);
    let app = lab.app();
    for (number, policy) in
        [AnswerPolicy::Ring, AnswerPolicy::BUSY, AnswerPolicy::Answer { after: millis(300) }].into_iter().enumerate()
    {
        lab.set_answer(bob, policy);
        let (start, end) = (format!("c{number}"), format!("e{number}"));
        lab.start_call(app, &start, "alice", "bob");
        lab.pass(millis(700));
        lab.end_call(app, &end, &start);
        lab.pass(seconds(1));
    }
    lab.finish();
}

#[test]
fn of_calls_with_early_media_and_late_offers() {
    let mut lab = Lab::new();
    lab.keep_records();
    let [alice] = lab.registered_with(["alice"], |phone| phone.late_offer = true);
    let gateway = lab.registered_agent("bob");
    let rtp = lab.agent_rtp(gateway, 4000);
    lab.dial(alice, "bob");
    lab.until("the gateway is called", |lab| lab.agent_called(gateway).is_some());
    lab.agent_responds(gateway, 183, Some(sdp(rtp, "sendrecv")));
    lab.pass(millis(100));
    lab.agent_responds(gateway, 200, Some(sdp(rtp, "sendrecv")));
    lab.pass(millis(500));
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn in_a_storm() {
    for seed in 0..10 {
        let mut lab = Lab::with(seed, Weather::CLEAR, SwitchConfig::default());
        lab.keep_records();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.set_weather(Weather::STORM);
        lab.dial(alice, "bob");
        lab.pass(seconds(4));
        lab.hang_up(alice);
        lab.pass(seconds(40));
        lab.hang_up(bob);
        lab.finish();
    }
}
