//! Phones that like different codecs: what both can is agreed, and heard.

use hookswitch_codec::{Codec, pcma, pcmu, telephone_event};
use hookswitch_lab::{Audio, Lab, PhoneId, seconds};
use hookswitch_phone::Event;
use serde_json::json;

type Likes = Vec<&'static Codec>;

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
    for (alice, bob, expected) in [
        (vec![u, a, e], vec![a], "PCMA"),
        (vec![a], vec![u, a, e], "PCMA"),
        (vec![a, u], vec![u, a], "PCMU"),
        (vec![e, u], vec![e, u, a], "PCMU"),
    ] {
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
fn an_application_joins_those_that_can_speak() {
    let mut lab = Lab::new();
    let [alice, bob] = phones(&mut lab, vec![pcma()], vec![pcmu(), pcma()]);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn and_tells_of_those_that_cannot() {
    let mut lab = Lab::new();
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
    let mut lab = Lab::with_switch(|switch| {
        let wishes = hookswitch_call::Codecs(["PCMA".into(), "telephone-event".into()].into());
        switch.shard.b2bua.codecs.insert(hookswitch_lab::DOMAIN.into(), wishes);
    });
    let both = || vec![pcmu(), pcma(), telephone_event()];
    let [alice, bob] = phones(&mut lab, both(), both());
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    assert_eq!((spoken(&lab, alice), spoken(&lab, bob)), (Some("PCMA"), Some("PCMA")));
    lab.hang_up(alice);
    lab.finish();
}
