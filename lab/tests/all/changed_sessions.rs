//! A party changes its session in the middle of a call.

use hookswitch_lab::{AgentId, Audio, Lab, PhoneId, millis, sdp, seconds};
use hookswitch_phone::Hold;
use hookswitch_sip::{Body, DialogId, Event};

const AGENT_HZ: f32 = 2_100.0;

/// A hand-made user agent that has called bob and is heard.
struct Called {
    lab: Lab,
    agent: AgentId,
    bob: PhoneId,
    dialog: DialogId,
    switch_rtp: std::net::SocketAddr,
}

fn call() -> Called {
    let mut lab = Lab::new();
    let agent = lab.agent("frank");
    let [bob] = lab.registered(["bob"]);
    let rtp = lab.agent_rtp(agent, 4000);
    lab.listen(rtp);
    let dialog = lab.agent_invites(agent, "bob", Some(sdp(rtp, "sendrecv")));
    lab.until("bob answers", |lab| lab.agent_answer(agent).is_some());
    lab.agent_acts(agent, |endpoint, now| endpoint.ack(now, dialog, None));
    let switch_rtp = lab.media_of(lab.agent_answer(agent).unwrap().body_bytes());
    Called { lab, agent, bob, dialog, switch_rtp }
}

impl Called {
    fn reinvite(&mut self, body: Option<String>) {
        let dialog = self.dialog;
        let body = body.map(Body::sdp);
        let asked = self.lab.agent_acts(self.agent, |endpoint, now| endpoint.reinvite(now, dialog, body, Vec::new()));
        asked.expect("the call stands");
        self.lab.pass(millis(100));
    }

    fn ack(&mut self, body: Option<String>) {
        let dialog = self.dialog;
        self.lab.agent_acts(self.agent, |endpoint, now| endpoint.ack(now, dialog, body.map(Body::sdp)));
    }

    fn was_refused(&self) -> Option<u16> {
        self.lab.agent_events(self.agent).iter().rev().find_map(|(_, event)| match event {
            Event::ReinviteFailed { status, .. } => Some(*status),
            _ => None,
        })
    }

    fn end(mut self) {
        let dialog = self.dialog;
        self.lab.agent_acts(self.agent, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
        self.lab.finish();
    }
}

#[test]
fn a_new_port_keeps_the_audio_in_both_directions() {
    let mut call = call();
    let old = call.lab.speak(call.lab.agent_rtp(call.agent, 4000), call.switch_rtp, AGENT_HZ);
    call.lab.pass(seconds(1));
    call.lab.assert_hears_tone(call.bob, AGENT_HZ);
    let moved = call.lab.agent_rtp(call.agent, 6000);
    call.lab.listen(moved);
    call.lab.hush(old);
    call.reinvite(Some(sdp(moved, "sendrecv")));
    call.ack(None);
    let switch_rtp = call.lab.media_of(call.lab.agent_answer(call.agent).unwrap().body_bytes());
    assert_eq!(switch_rtp, call.switch_rtp, "our end stays where it is");
    let new = call.lab.speak(moved, switch_rtp, AGENT_HZ + 300.0);
    call.lab.pass(millis(1_500));
    call.lab.assert_hears_tone(call.bob, AGENT_HZ + 300.0);
    let own = call.lab.handset(call.bob).hz.unwrap();
    let heard = call.lab.ear(moved).measure(call.lab.now() - seconds(1), call.lab.now()).expect("bob is heard there");
    assert!((heard.dominant_hz.unwrap() - own).abs() < 5.0);
    let late = call.lab.ear(call.lab.agent_rtp(call.agent, 4000)).packets_since(call.lab.now() - seconds(1));
    assert_eq!(late, 0, "nothing goes to the old port any more");
    call.lab.hush(new);
    call.end();
}

#[test]
fn one_without_an_offer_gets_ours() {
    let mut call = call();
    call.reinvite(None);
    let offer = call.lab.agent_answer(call.agent).unwrap();
    assert_eq!(call.lab.media_of(offer.body_bytes()), call.switch_rtp);
    let moved = call.lab.agent_rtp(call.agent, 6000);
    call.lab.listen(moved);
    call.ack(Some(sdp(moved, "sendrecv")));
    let voice = call.lab.speak(moved, call.switch_rtp, AGENT_HZ);
    call.lab.pass(millis(1_500));
    call.lab.assert_hears_tone(call.bob, AGENT_HZ);
    assert!(call.lab.ear(moved).packets_since(call.lab.now() - seconds(1)) > 40);
    call.lab.hush(voice);
    call.end();
}

#[test]
fn one_that_cannot_be_is_refused_and_the_call_goes_on() {
    let mut call = call();
    let rtp = call.lab.agent_rtp(call.agent, 4000);
    let voice = call.lab.speak(rtp, call.switch_rtp, AGENT_HZ);
    for body in [
        "nonsense".to_owned(),
        sdp(rtp, "sendrecv").replace("RTP/AVP 0 101", "RTP/AVP 96").replace("rtpmap:0 PCMU", "rtpmap:96 opus"),
        sdp(rtp, "sendrecv").replace("RTP/AVP", "RTP/SAVP"),
        sdp(rtp, "sendrecv").replace("audio", "video"),
    ] {
        call.reinvite(Some(body));
        assert_eq!(call.was_refused(), Some(488));
    }
    call.lab.pass(seconds(1));
    call.lab.assert_hears_tone(call.bob, AGENT_HZ);
    assert!(call.lab.ear(rtp).packets_since(call.lab.now() - seconds(1)) > 40);
    call.lab.hush(voice);
    call.end();
}

#[test]
fn hold_silences_and_unhold_brings_back() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    let own = lab.handset(alice).hz.unwrap();
    for style in [Hold::On, Hold::Silent, Hold::Nowhere] {
        lab.hold(alice, style);
        lab.pass(millis(1_500));
        lab.assert_hears_nothing(alice, seconds(1));
        // Who is kept waiting hears what the switch plays, and not who keeps it waiting.
        let heard = lab.heard(bob, lab.now() - seconds(1), lab.now());
        assert!(!heard.is_empty() && heard.iter().all(|heard| !heard.is_tone(own, -40.0)), "{style:?}: {heard:?}");
    }
    lab.hold(alice, Hold::Off);
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn both_may_hold_at_the_same_moment() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.hold(alice, Hold::On);
    lab.hold(bob, Hold::On);
    lab.pass(seconds(2));
    lab.assert_hears_nothing(alice, seconds(1));
    lab.assert_hears_nothing(bob, seconds(1));
    lab.hold(alice, Hold::Off);
    lab.hold(bob, Hold::Off);
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn a_change_that_meets_the_end_of_the_call() {
    for apart in [0, 3, 5, 8, 10, 12, 15] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.dial(alice, "bob");
        lab.pass(seconds(1));
        lab.hold(alice, Hold::On);
        lab.pass(millis(apart));
        lab.hang_up(bob);
        lab.finish();
    }
}
