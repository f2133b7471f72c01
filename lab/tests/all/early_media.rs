//! What a callee plays before it answers is heard by the caller.

use hookswitch_lab::{Audio, Lab, millis, sdp, seconds};

const ANNOUNCEMENT_HZ: f32 = 1_600.0;
const VOICE_HZ: f32 = 2_100.0;

#[test]
fn it_is_heard_before_the_answer_and_the_voice_after_it() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Heard);
    let [alice] = lab.registered(["alice"]);
    let gateway = lab.registered_agent("bob");
    let rtp = lab.agent_rtp(gateway, 4000);
    lab.listen(rtp);

    lab.dial(alice, "bob");
    lab.until("the gateway is called", |lab| lab.agent_called(gateway).is_some());
    let (dialog, invite) = lab.agent_called(gateway).unwrap();
    let switch_rtp = lab.media_of(invite.body_bytes());
    lab.agent_responds(gateway, 183, Some(sdp(rtp, "sendrecv")));
    let announcement = lab.speak(rtp, switch_rtp, ANNOUNCEMENT_HZ);
    lab.pass(seconds(1));
    assert!(!lab.talks(alice), "nobody has answered yet");
    lab.assert_hears_tone(alice, ANNOUNCEMENT_HZ);

    lab.hush(announcement);
    lab.agent_responds(gateway, 200, Some(sdp(rtp, "sendrecv")));
    let voice = lab.speak(rtp, switch_rtp, VOICE_HZ);
    lab.pass(seconds(2));
    assert!(lab.talks(alice));
    lab.assert_hears_tone(alice, VOICE_HZ);
    let own = lab.handset(alice).hz.unwrap();
    let heard = lab.ear(rtp).measure(lab.now() - seconds(1), lab.now()).expect("alice is heard");
    assert!((heard.dominant_hz.unwrap() - own).abs() < 5.0, "{heard:?}");
    assert!(lab.ear(rtp).sources().iter().eq([&switch_rtp]), "symmetric: from where the switch listens");

    lab.hush(voice);
    lab.agent_acts(gateway, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    lab.finish();
}

#[test]
fn of_two_callees_the_first_to_play_is_heard_until_one_answers() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Heard);
    let [alice] = lab.registered(["alice"]);
    let (one, other) = (lab.registered_agent("bob"), lab.registered_agent("bob"));
    let rtps = [one, other].map(|agent| lab.agent_rtp(agent, 4000));

    lab.dial(alice, "bob");
    lab.until("both are called", |lab| [one, other].iter().all(|agent| lab.agent_called(*agent).is_some()));
    let switch_rtp = lab.media_of(lab.agent_called(one).unwrap().1.body_bytes());
    lab.agent_responds(one, 183, Some(sdp(rtps[0], "sendrecv")));
    let first = lab.speak(rtps[0], switch_rtp, ANNOUNCEMENT_HZ);
    lab.pass(millis(700));
    lab.agent_responds(other, 183, Some(sdp(rtps[1], "sendrecv")));
    let second = lab.speak(rtps[1], switch_rtp, VOICE_HZ);
    lab.pass(seconds(1));
    lab.assert_hears_tone(alice, ANNOUNCEMENT_HZ);
    lab.assert_never_heard(alice, VOICE_HZ);

    lab.agent_responds(other, 200, Some(sdp(rtps[1], "sendrecv")));
    lab.hush(first);
    lab.pass(seconds(2));
    assert!(lab.talks(alice));
    lab.assert_hears_tone(alice, VOICE_HZ);
    lab.hush(second);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn a_caller_without_an_offer_hears_it_once_it_has_answered_ours() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Heard);
    let [alice] = lab.registered_with(["alice"], |phone| phone.late_offer = true);
    let gateway = lab.registered_agent("bob");
    let rtp = lab.agent_rtp(gateway, 4000);
    lab.dial(alice, "bob");
    lab.until("the gateway is called", |lab| lab.agent_called(gateway).is_some());
    let switch_rtp = lab.media_of(lab.agent_called(gateway).unwrap().1.body_bytes());
    lab.agent_responds(gateway, 183, Some(sdp(rtp, "sendrecv")));
    let voice = lab.speak(rtp, switch_rtp, VOICE_HZ);
    lab.pass(seconds(1));
    assert!(lab.rings(alice), "progress is told without a description");
    lab.agent_responds(gateway, 200, Some(sdp(rtp, "sendrecv")));
    lab.pass(seconds(1));
    lab.assert_hears_tone(alice, VOICE_HZ);
    lab.hush(voice);
    lab.hang_up(alice);
    lab.finish();
}
