//! Sessions that change before the call is answered (RFC 3311), and callers that answer our offer by then (RFC 3262).

use hookswitch_b2bua::Reliable;
use hookswitch_lab::{Audio, Lab, millis, sdp, seconds};
use hookswitch_sip::{Body, Event, Response};

const FIRST_HZ: f32 = 1_600.0;
const SECOND_HZ: f32 = 2_100.0;

/// A lab whose switch describes early audio reliably.
fn reliable_lab() -> Lab {
    let mut lab = Lab::with_switch(|config| config.shard.b2bua.reliable = Reliable::Offered);
    lab.set_audio(Audio::Heard);
    lab
}

#[test]
fn a_called_party_that_moves_its_audio_before_it_answers_is_heard_from_there() {
    let mut lab = reliable_lab();
    let [alice] = lab.registered(["alice"]);
    let gateway = lab.registered_agent("bob");
    let [first, second] = [4000, 6000].map(|port| lab.agent_rtp(gateway, port));
    lab.dial(alice, "bob");
    lab.until("the gateway is called", |lab| lab.agent_called(gateway).is_some());
    let (dialog, invite) = lab.agent_called(gateway).unwrap();
    let switch_rtp = lab.media_of(invite.body_bytes());
    let ringing = Response::new(183).with_body(Body::sdp(sdp(first, "sendrecv"))).reliably();
    lab.agent_acts(gateway, |endpoint, now| endpoint.respond(now, dialog, ringing));
    let voice = lab.speak(first, switch_rtp, FIRST_HZ);
    lab.pass(seconds(2));
    lab.assert_hears_tone(alice, FIRST_HZ);

    lab.hush(voice);
    let offer = Some(Body::sdp(sdp(second, "sendrecv")));
    let sent = lab.agent_acts(gateway, |endpoint, now| endpoint.update(now, dialog, 0, offer, Vec::new()));
    sent.expect("its first description is acknowledged");
    lab.pass(millis(100));
    let updated = lab.agent_events(gateway).iter().any(|(_, event)| matches!(event, Event::Updated { .. }));
    assert!(updated, "{:?}", lab.agent_events(gateway));
    let voice = lab.speak(second, switch_rtp, SECOND_HZ);
    lab.pass(seconds(2));
    assert!(!lab.talks(alice), "nobody has answered yet");
    lab.assert_hears_tone(alice, SECOND_HZ);

    lab.agent_responds(gateway, 200, None);
    lab.pass(seconds(2));
    assert!(lab.talks(alice));
    lab.assert_hears_tone(alice, SECOND_HZ);
    lab.hush(voice);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn a_caller_that_moves_its_audio_before_the_answer_hears_there() {
    let mut lab = reliable_lab();
    let (caller, gateway) = (lab.agent("frank"), lab.registered_agent("bob"));
    let [first, second] = [4000, 6000].map(|port| lab.agent_rtp(caller, port));
    lab.listen(first);
    lab.listen(second);
    let announcer = lab.agent_rtp(gateway, 4000);
    let dialog = lab.agent_invites(caller, "bob", Some(sdp(first, "sendrecv")));
    lab.until("the gateway is called", |lab| lab.agent_called(gateway).is_some());
    let switch_rtp = lab.media_of(lab.agent_called(gateway).unwrap().1.body_bytes());
    lab.agent_responds(gateway, 183, Some(sdp(announcer, "sendrecv")));
    let voice = lab.speak(announcer, switch_rtp, FIRST_HZ);
    lab.pass(seconds(2));
    assert!(lab.ear(first).packets_since(lab.now() - seconds(1)) > 40);

    let offer = Some(Body::sdp(sdp(second, "sendrecv")));
    let sent = lab.agent_acts(caller, |endpoint, now| endpoint.update(now, dialog, 0, offer, Vec::new()));
    sent.expect("its offer is answered");
    lab.pass(seconds(2));
    assert!(lab.ear(second).packets_since(lab.now() - seconds(1)) > 40, "{:?}", lab.agent_events(caller));
    assert_eq!(lab.ear(first).packets_since(lab.now() - seconds(1)), 0, "nothing goes where it was any more");

    lab.agent_responds(gateway, 200, Some(sdp(announcer, "sendrecv")));
    lab.pass(seconds(1));
    lab.agent_acts(caller, |endpoint, now| endpoint.ack(now, dialog, None));
    lab.pass(seconds(2));
    assert!(lab.ear(second).packets_since(lab.now() - seconds(1)) > 40);
    lab.hush(voice);
    lab.agent_acts(caller, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    lab.finish();
}

#[test]
fn a_caller_without_an_offer_that_acknowledges_ringing_hears_what_is_played_before_the_answer() {
    let mut lab = reliable_lab();
    let [alice] = lab.registered_with(["alice"], |phone| phone.late_offer = true);
    let gateway = lab.registered_agent("bob");
    let rtp = lab.agent_rtp(gateway, 4000);
    lab.dial(alice, "bob");
    lab.until("the gateway is called", |lab| lab.agent_called(gateway).is_some());
    let switch_rtp = lab.media_of(lab.agent_called(gateway).unwrap().1.body_bytes());
    lab.agent_responds(gateway, 183, Some(sdp(rtp, "sendrecv")));
    let voice = lab.speak(rtp, switch_rtp, FIRST_HZ);
    lab.pass(seconds(2));
    assert!(!lab.talks(alice), "nobody has answered yet");
    lab.assert_hears_tone(alice, FIRST_HZ);
    lab.agent_responds(gateway, 200, Some(sdp(rtp, "sendrecv")));
    lab.pass(seconds(2));
    assert!(lab.talks(alice));
    lab.assert_hears_tone(alice, FIRST_HZ);
    lab.hush(voice);
    lab.hang_up(alice);
    lab.finish();
}
