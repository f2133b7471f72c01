//! A caller without an offer gets ours with the answer and answers it with its acknowledgement.

use hookswitch_lab::{Lab, millis, sdp, seconds};
use hookswitch_sip::Transport::{self, Tcp, Udp};

fn call(transport: Transport) {
    let mut lab = Lab::new();
    let alice = lab.phone_with("alice", |phone| {
        phone.late_offer = true;
        phone.transport = transport;
    });
    lab.register(alice);
    let [bob] = lab.registered(["bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn over_udp() {
    call(Udp);
}

#[test]
fn over_tcp() {
    call(Tcp);
}

#[test]
fn to_the_echo_service() {
    let mut lab = Lab::new();
    let [alice] = lab.registered_with(["alice"], |phone| phone.late_offer = true);
    lab.dial(alice, "echo");
    lab.pass(seconds(2));
    lab.assert_hears(alice, alice);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn an_offer_that_is_never_answered_ends_the_call() {
    let mut lab = Lab::new();
    let caller = lab.agent("frank");
    let [bob] = lab.registered(["bob"]);
    let dialog = lab.agent_invites(caller, "bob", None);
    lab.until("there is an offer", |lab| lab.agent_answer(caller).is_some());
    lab.agent_acts(caller, |endpoint, now| endpoint.ack(now, dialog, None));
    lab.pass(seconds(1));
    assert!(!lab.in_call(bob), "bob does not wait for a party that cannot be heard");
    assert_eq!(lab.endings()[0].code, 488);
    lab.finish();
}

#[test]
fn an_answer_that_cannot_be_used_ends_the_call() {
    let mut lab = Lab::new();
    let caller = lab.agent("frank");
    let [bob] = lab.registered(["bob"]);
    let dialog = lab.agent_invites(caller, "bob", None);
    lab.until("there is an offer", |lab| lab.agent_answer(caller).is_some());
    let strange =
        "v=0\r\no=- 1 1 IN IP4 10.200.0.1\r\ns=-\r\nc=IN IP4 10.200.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 97\r\n";
    let body = hookswitch_sip::Body::sdp(strange);
    lab.agent_acts(caller, |endpoint, now| endpoint.ack(now, dialog, Some(body)));
    lab.pass(seconds(1));
    assert!(!lab.in_call(bob));
    lab.finish();
}

#[test]
fn a_hand_made_one_is_heard() {
    let mut lab = Lab::new();
    let caller = lab.agent("frank");
    let [bob] = lab.registered(["bob"]);
    let rtp = lab.agent_rtp(caller, 4000);
    let dialog = lab.agent_invites(caller, "bob", None);
    lab.until("there is an offer", |lab| lab.agent_answer(caller).is_some());
    let switch_rtp = lab.media_of(lab.agent_answer(caller).unwrap().body_bytes());
    let answer = hookswitch_sip::Body::sdp(sdp(rtp, "sendrecv"));
    lab.agent_acts(caller, |endpoint, now| endpoint.ack(now, dialog, Some(answer)));
    let voice = lab.speak(rtp, switch_rtp, 2_100.0);
    lab.pass(millis(1_500));
    lab.assert_hears_tone(bob, 2_100.0);
    lab.hush(voice);
    lab.agent_acts(caller, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    lab.finish();
}
