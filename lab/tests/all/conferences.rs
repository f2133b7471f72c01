//! Phones in a conference: each hears all others, and the switch says that it is the focus.

use hookswitch_b2bua::Configured;
use hookswitch_call::{Event, RoomNews};
use hookswitch_codec::{by_static_payload_type, pcmu};
use hookswitch_lab::{Audio, DOMAIN, Lab, PhoneId, sdp, seconds};
use hookswitch_sip_msg::HeaderName;

const ROOM: &str = "conference-tea";

fn news(lab: &Lab) -> Vec<&RoomNews> {
    let told = lab.told().iter().filter_map(|told| match &told.event {
        Event::InRoom { news, .. } => Some(news),
        _ => None,
    });
    told.filter(|news| !matches!(news, RoomNews::Speaks(_))).collect()
}

#[test]
fn two_phones_that_dial_in_hear_each_other() {
    let mut lab = Lab::with_switch(|switch| switch.media.codecs.push(by_static_payload_type(9).expect("G.722")));
    lab.set_audio(Audio::Heard);
    let alice = lab.phone_with("alice", |phone| phone.codecs = vec![pcmu()]);
    let bob = lab.phone_with("bob", |phone| phone.codecs = vec![by_static_payload_type(9).expect("G.722")]);
    for phone in [alice, bob] {
        lab.register(phone);
        lab.dial(phone, ROOM);
        lab.pass(seconds(1));
    }
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    assert_eq!(news(&lab), [&RoomNews::Joined(1), &RoomNews::Joined(2)]);
    lab.hang_up(alice);
    lab.pass(seconds(1));
    lab.hang_up(bob);
    lab.pass(seconds(1));
    assert_eq!(news(&lab)[2..], [&RoomNews::Left, &RoomNews::Left]);
    lab.finish();
}

#[test]
fn of_three_nobody_hears_itself() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let phones: [PhoneId; 3] = lab.registered(["alice", "bob", "carol"]);
    for phone in phones {
        lab.dial(phone, ROOM);
        lab.pass(seconds(1));
    }
    lab.pass(seconds(2));
    for phone in phones {
        let heard = lab.heard(phone, lab.now() - seconds(1), lab.now());
        assert!(heard.len() >= 4 && heard.iter().all(|heard| heard.level_dbfs > -30.0), "{heard:?}");
        let own = lab.handset(phone).hz.expect("it plays a tone");
        lab.assert_never_heard(phone, own);
    }
    phones.iter().for_each(|phone| lab.hang_up(*phone));
    lab.finish();
}

#[test]
fn an_application_calls_a_phone_into_a_conference() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    let app = lab.app();
    lab.dial(alice, ROOM);
    lab.start_call(app, "c1", "bob", ROOM);
    lab.pass(seconds(3));
    lab.assert_talking(alice, bob);
    assert_eq!(lab.heard_by(app).events("c1").last(), Some(&"Ended"));
    lab.hang_up(alice);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn who_is_called_into_a_conference_is_told_so_at_once() {
    let mut lab = Lab::with_switch(|switch| {
        switch.shard.b2bua.services.insert("daily".into(), Configured::Conference("tea".into()));
    });
    let app = lab.app();
    for (who, callee, is_focus) in [("dave", ROOM, true), ("erin", "daily", true), ("frank", "echo", false)] {
        let agent = lab.registered_agent(who);
        lab.start_call(app, who, who, callee);
        lab.until("it is called", |lab| lab.agent_called(agent).is_some());
        let (_, invite) = lab.agent_called(agent).expect("a call");
        let contact = String::from_utf8_lossy(invite.header(HeaderName::Contact).unwrap_or_default()).into_owned();
        assert_eq!(contact.ends_with(">;isfocus"), is_focus, "{callee}: {contact}");
        lab.agent_responds(agent, 486, None);
        lab.pass(seconds(1));
    }
    lab.finish();
}

#[test]
fn a_configured_service_leads_into_the_conference_of_its_name() {
    let mut lab = Lab::with_switch(|switch| {
        switch.shard.b2bua.services.insert("daily".into(), Configured::Conference("tea".into()));
    });
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, ROOM);
    lab.dial(bob, "daily");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    assert_eq!(news(&lab), [&RoomNews::Joined(1), &RoomNews::Joined(2)]);
    lab.hang_up(alice);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn who_calls_a_full_conference_hears_that_it_is_busy() {
    let mut lab = Lab::with_switch(|switch| switch.media.room_members = 2);
    let phones: [PhoneId; 3] = lab.registered(["alice", "bob", "carol"]);
    for phone in phones {
        lab.dial(phone, ROOM);
        lab.pass(seconds(1));
    }
    lab.assert_talking(phones[0], phones[1]);
    let [.., refused] = news(&lab)[..] else { panic!("nothing was told") };
    assert!(matches!(refused, RoomNews::Refused(cause) if cause.code == 486), "{refused:?}");
    lab.hang_up(phones[0]);
    lab.pass(seconds(1));
    lab.dial(phones[2], ROOM);
    lab.pass(seconds(2));
    lab.assert_talking(phones[1], phones[2]);
    lab.hang_up(phones[1]);
    lab.hang_up(phones[2]);
    lab.finish();
}

#[test]
fn who_is_transferred_to_a_conference_is_in_it() {
    let mut lab = Lab::new();
    let [alice, bob, carol] = lab.registered(["alice", "bob", "carol"]);
    lab.dial(carol, ROOM);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.phone_acts(bob, |phone, now| phone.refer(now, &format!("sip:{ROOM}@{DOMAIN}"))).expect("it can be asked for");
    lab.pass(seconds(4));
    lab.assert_talking(alice, carol);
    lab.hang_up(alice);
    lab.hang_up(carol);
    lab.finish();
}

#[test]
fn the_contact_of_a_conference_says_that_it_is_one() {
    let mut lab = Lab::new();
    for (who, is_focus) in [(ROOM, true), ("echo", false)] {
        let agent = lab.registered_agent(if is_focus { "dave" } else { "erin" });
        let rtp = lab.agent_rtp(agent, 4000);
        let dialog = lab.agent_invites(agent, who, Some(sdp(rtp, "sendrecv")));
        lab.until("it is answered", |lab| lab.agent_answer(agent).is_some());
        let answer = lab.agent_answer(agent).expect("an answer");
        let contact = String::from_utf8_lossy(answer.header(HeaderName::Contact).unwrap_or_default()).into_owned();
        assert_eq!(contact.ends_with(">;isfocus"), is_focus, "{contact}");
        lab.agent_acts(agent, |endpoint, now| {
            endpoint.ack(now, dialog, None);
            endpoint.bye(now, dialog, Vec::new());
        });
    }
    lab.finish();
}
