//! Phones that like different codecs: what both can is agreed, else each has its own; and they are heard.

use hookswitch_codec::{Codec, by_static_payload_type, pcma, pcmu, telephone_event};
use hookswitch_lab::{Audio, DOMAIN, Lab, PhoneId, SwitchConfig, seconds};
use hookswitch_phone::Event;
use serde_json::json;

type Likes = Vec<&'static Codec>;

fn g722() -> &'static Codec {
    by_static_payload_type(9).expect("G.722")
}

/// A switch that knows G.722 as well.
fn with_g722() -> Lab {
    Lab::with_switch(|switch| switch.media.codecs.push(g722()))
}

/// The domain's own wishes.
fn wish(switch: &mut SwitchConfig, names: &[&str]) {
    let wishes = hookswitch_call::Codecs(names.iter().map(|name| (*name).into()).collect());
    switch.shard.b2bua.codecs.insert(DOMAIN.into(), wishes);
}

fn phones(lab: &mut Lab, alice: Likes, bob: Likes) -> [PhoneId; 2] {
    lab.set_audio(Audio::Heard);
    let alice = lab.phone_with("alice", |phone| phone.codecs = alice);
    let bob = lab.phone_with("bob", |phone| phone.codecs = bob);
    lab.register(alice);
    lab.register(bob);
    [alice, bob]
}

fn spoken(lab: &Lab, phone: PhoneId) -> Option<&'static str> {
    lab.handset(phone).events.iter().rev().find_map(|(_, event)| match event {
        Event::Answered { codec, .. } => Some(*codec),
        _ => None,
    })
}

#[test]
fn the_one_that_both_have_is_spoken_by_both() {
    let (u, a, e) = (pcmu(), pcma(), telephone_event());
    for (alice, bob, expected) in
        [(vec![u, a, e], vec![a], "PCMA"), (vec![a, u], vec![u, a], "PCMU"), (vec![e, u], vec![e, u, a], "PCMU")]
    {
        let mut lab = Lab::new();
        let [alice, bob] = phones(&mut lab, alice, bob);
        lab.dial(alice, "bob");
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        assert_eq!((spoken(&lab, alice), spoken(&lab, bob)), (Some(expected), Some(expected)));
        lab.hang_up(bob);
        lab.finish();
    }
}

#[test]
fn those_that_have_none_in_common_hear_each_other_all_the_same() {
    let (u, a, e, g) = (pcmu(), pcma(), telephone_event(), g722());
    // The last one has what Alice has, and answers by an order of its own.
    for (alice, bob, expected) in [
        (vec![a], vec![u], ("PCMA", "PCMU")),
        (vec![u, e], vec![g, e], ("PCMU", "G722")),
        (vec![g, e], vec![a], ("G722", "PCMA")),
        (vec![a], vec![u, a, e], ("PCMA", "PCMU")),
    ] {
        let mut lab = with_g722();
        let [alice, bob] = phones(&mut lab, alice, bob);
        lab.dial(alice, "bob");
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        assert_eq!((spoken(&lab, alice), spoken(&lab, bob)), (Some(expected.0), Some(expected.1)));
        lab.hang_up(bob);
        lab.finish();
    }
}

#[test]
fn a_party_that_comes_by_a_transfer_may_have_another() {
    let mut lab = with_g722();
    let [alice, bob] = phones(&mut lab, vec![pcmu()], vec![pcmu()]);
    let carol = lab.phone_with("carol", |phone| phone.codecs = vec![g722()]);
    lab.register(carol);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.phone_acts(bob, |phone, now| phone.refer(now, &format!("sip:carol@{DOMAIN}"))).expect("it can be asked for");
    lab.pass(seconds(4));
    lab.assert_talking(alice, carol);
    assert_eq!(spoken(&lab, carol), Some("G722"));
    lab.hang_up(carol);
    lab.finish();
}

#[test]
fn a_phone_that_wants_another_codec_in_mid_call_is_heard_on() {
    let mut lab = with_g722();
    let [alice, bob] = phones(&mut lab, vec![pcmu(), telephone_event()], vec![pcmu(), telephone_event()]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    for likes in [vec![g722(), telephone_event()], vec![pcma()], vec![pcmu(), telephone_event()]] {
        lab.phone_acts(alice, |phone, now| phone.prefer(now, &likes)).expect("it can be asked for");
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
    }
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn an_application_joins_those_that_can_speak() {
    let mut lab = Lab::new();
    let [alice, bob] = phones(&mut lab, vec![pcma()], vec![pcmu()]);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn and_tells_of_those_that_cannot() {
    let mut lab = Lab::with_switch(|switch| wish(switch, &["PCMA"]));
    let [alice, bob] = phones(&mut lab, vec![pcma()], vec![pcmu()]);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(2));
    let error = lab.heard_by(app).data("c1", "Error").cloned();
    assert_eq!(error, Some(json!("transfer failed with status 488 Not Acceptable Here")));
    assert!(!lab.in_call(alice) && !lab.in_call(bob));
    lab.finish();
}

#[test]
fn a_domain_may_have_wishes_of_its_own() {
    let mut lab = Lab::with_switch(|switch| wish(switch, &["PCMA", "telephone-event"]));
    let both = || vec![pcmu(), pcma(), telephone_event()];
    let [alice, bob] = phones(&mut lab, both(), both());
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    assert_eq!((spoken(&lab, alice), spoken(&lab, bob)), (Some("PCMA"), Some("PCMA")));
    lab.hang_up(alice);
    lab.finish();
}
