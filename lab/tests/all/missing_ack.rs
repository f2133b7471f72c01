//! An answer that is never acknowledged: both parties are let go.

use hookswitch_lab::{Audio, Lab, millis, sdp, seconds};
use hookswitch_phone::{EndCause, PhoneConfig};
use hookswitch_sip::Transport;

#[test]
fn a_caller_that_never_acknowledges() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut lab = Lab::new();
        let broken = |phone: &mut PhoneConfig| {
            phone.withhold_ack = true;
            phone.transport = transport;
        };
        let [alice] = lab.registered_with(["alice"], broken);
        let [bob] = lab.registered(["bob"]);
        lab.dial(alice, "bob");
        lab.pass(seconds(31));
        assert!(lab.in_call(bob), "it may still come");
        lab.pass(seconds(3));
        assert!(!lab.in_call(bob) && !lab.in_call(alice), "32 s after the answer it is over");
        assert_eq!(lab.endings()[0].kind, hookswitch_call::Kind::NotAcknowledged);
        lab.finish();
    }
}

#[test]
fn a_caller_of_the_echo_service() {
    let mut lab = Lab::new();
    let [alice] = lab.registered_with(["alice"], |phone| phone.withhold_ack = true);
    lab.dial(alice, "echo");
    lab.pass(seconds(35));
    assert!(!lab.in_call(alice));
    lab.finish();
}

#[test]
fn acknowledgements_that_are_lost_are_repeated() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    let mut lost = 0;
    lab.lose(move |letter| {
        lost += u32::from(letter.begins("ACK"));
        letter.begins("ACK") && lost <= 4
    });
    lab.dial(alice, "bob");
    lab.pass(seconds(6));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn a_callee_that_gets_no_acknowledgement_of_ours() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [alice] = lab.registered(["alice"]);
    let callee = lab.registered_agent("bob");
    let rtp = lab.agent_rtp(callee, 4000);
    let callee_ip = rtp.ip();
    lab.lose(move |letter| letter.begins("ACK") && letter.to.ip() == callee_ip);
    lab.dial(alice, "bob");
    lab.until("the callee is called", |lab| lab.agent_called(callee).is_some());
    lab.agent_responds(callee, 200, Some(sdp(rtp, "sendrecv")));
    lab.pass(seconds(33));
    assert!(matches!(lab.end_of(alice), Some(EndCause::PeerHungUp { .. })), "{:?}", lab.end_of(alice));
    lab.finish();
}

#[test]
fn the_caller_hangs_up_instead_of_acknowledging() {
    let mut lab = Lab::new();
    let caller = lab.agent("frank");
    let [bob] = lab.registered(["bob"]);
    let rtp = lab.agent_rtp(caller, 4000);
    let dialog = lab.agent_invites(caller, "bob", Some(sdp(rtp, "sendrecv")));
    lab.until("bob answers", |lab| lab.agent_answer(caller).is_some());
    lab.agent_acts(caller, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    lab.pass(millis(500));
    assert!(!lab.in_call(bob));
    lab.finish();
}
