//! Keys, texts and questions within a call.

use hookswitch_lab::{Audio, PhoneId, sdp, seconds, switch_sip};
use hookswitch_phone::{Event, Keys};
use hookswitch_sip::{Flow as Way, RequestOut};
use hookswitch_sip_msg::{HeaderName, Method};

use crate::page::{Flow, Page};

/// Alice and bob talk, and their phones listen themselves.
fn listening(page: Page, anchor: bool) -> (Flow, [PhoneId; 2]) {
    let mut flow = Flow::on(page, |switch| switch.shard.limits.anchor = anchor);
    let [alice, bob] = flow.phones(["alice", "bob"], |_, config| config.sound = hookswitch_phone::Sound::Silence);
    flow.lab.set_audio(Audio::Heard);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(1));
    (flow, [alice, bob])
}

fn keys_heard(flow: &Flow, phone: PhoneId) -> Vec<(char, Keys)> {
    let key = |event: &Event| match event {
        Event::Digit { digit, by } => Some((*digit, *by)),
        _ => None,
    };
    flow.lab.handset(phone).events.iter().filter_map(|(_, event)| key(event)).collect()
}

#[test]
fn a_key_told_by_info_arrives_in_the_audio() {
    let page = [
        "keys-info-to-audio",
        "A key, told by INFO, arrives as telephone event (RFC 4733)",
        "Alice's phone tells the key 5 in the signalling. Bob's phone takes telephone events, so it gets one.",
    ];
    let (mut flow, [alice, bob]) = listening(page, true);
    flow.lab.phone_acts(alice, |phone, now| phone.press(now, '5', Keys::Info)).expect("a call stands");
    flow.lab.pass(seconds(1));
    assert_eq!(keys_heard(&flow, bob), [('5', Keys::Rtp)]);
    flow.lab.note("bob's phone has heard the key 5 in the audio");
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_key_in_the_audio_arrives_in_the_audio() {
    let page = [
        "keys-in-the-audio",
        "A key in the audio (RFC 4733)",
        "A telephone event is relayed as it is, in the numbering that the other phone has agreed to. The signalling \
         has no part in it.",
    ];
    let (mut flow, [alice, bob]) = listening(page, true);
    flow.lab.note("alice presses 7 in the audio");
    flow.lab.phone_acts(alice, |phone, now| phone.press(now, '7', Keys::Rtp)).expect("a call stands");
    flow.lab.pass(seconds(1));
    assert_eq!(keys_heard(&flow, bob), [('7', Keys::Rtp)]);
    flow.lab.note("bob's phone has heard the key 7 in the audio");
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_key_told_by_info_is_heard_as_a_sound_where_there_is_no_other_way() {
    let page = [
        "keys-info-to-sound",
        "A key, told by INFO, for a phone without telephone events",
        "Bob's phone has not agreed to telephone events, so the key is played to it as the two tones that every \
         exchange understands.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let [alice, bob] = flow.phones(["alice", "bob"], |user, config| {
        config.sound = hookswitch_phone::Sound::Silence;
        if user == "bob" {
            config.codecs = vec![hookswitch_codec::pcmu()];
        }
    });
    flow.lab.set_audio(Audio::Heard);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(1));
    let before = flow.lab.now();
    flow.lab.phone_acts(alice, |phone, now| phone.press(now, '5', Keys::Info)).expect("a call stands");
    flow.lab.pass(seconds(1));
    let is_loud = |heard: &hookswitch_phone::Heard| heard.level_dbfs > -30.0;
    assert!(flow.lab.heard(bob, before, flow.lab.now()).iter().any(is_loud));
    flow.lab.note("bob has heard the key 5 as a sound");
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_key_told_by_info_where_the_audio_does_not_run_through_the_switch() {
    let page = [
        "keys-info-direct",
        "A key, told by INFO, audio direct between the phones",
        "With `media.anchor: false` the key goes on as INFO, and Bob's answer comes back.",
    ];
    let (mut flow, [alice, bob]) = listening(page, false);
    flow.lab.phone_acts(alice, |phone, now| phone.press(now, '5', Keys::Info)).expect("a call stands");
    flow.lab.pass(seconds(1));
    assert_eq!(keys_heard(&flow, bob), [('5', Keys::Info)]);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_text_reaches_the_other_party_and_its_answer_comes_back() {
    let page = [
        "message-in-call",
        "A text within a call (MESSAGE)",
        "Alice sends Bob a text within their call. Bob's phone answers, and Alice's learns of it.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |_, _| {});
    flow.talk(alice, bob);
    flow.lab.phone_acts(alice, |phone, now| phone.text(now, "coffee?")).expect("a call stands");
    flow.lab.pass(seconds(1));
    let told = |phone: PhoneId, wanted: Event| flow.lab.handset(phone).events.iter().any(|(_, event)| *event == wanted);
    assert!(told(bob, Event::Text { text: "coffee?".into() }));
    assert!(told(alice, Event::Delivered { status: 200 }));
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_question_is_answered_by_the_switch() {
    let page = [
        "options",
        "OPTIONS, within a call and without one",
        "The switch answers by itself what it is asked with OPTIONS: within a call for that leg, without one for \
         itself.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let frank = flow.lab.agent("frank");
    let [bob] = flow.phones(["bob"], |_, _| {});
    let way = Way::udp(flow.lab.agent_rtp(frank, 5060), switch_sip());
    let alone = RequestOut::new(Method::Options, "sip:x.test", "<sip:frank@x.test>", "<sip:x.test>", way);
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.request(now, alone)).expect("a request that can be sent");
    flow.lab.pass(seconds(1));
    let shown = flow.show(frank, "SIP/2.0 200", &[HeaderName::Allow, HeaderName::Supported]);
    assert!(shown[0].contains("REFER") && shown[1].contains("replaces"), "{shown:?}");
    assert_eq!(shown[0].matches("INVITE").count(), 1, "each method is named once");
    let rtp = flow.lab.agent_rtp(frank, 4000);
    let dialog = flow.lab.agent_invites(frank, "bob", Some(sdp(rtp, "sendrecv")));
    flow.lab.pass(seconds(1));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.ack(now, dialog, None));
    let inside = RequestOut::inside(dialog, Method::Options);
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.request(now, inside)).expect("a call stands");
    flow.lab.pass(seconds(1));
    assert!(flow.last(frank, "SIP/2.0 200").header_str(HeaderName::CSeq).is_some_and(|cseq| cseq.ends_with("OPTIONS")));
    flow.hang_up(&[bob]);
    flow.finish();
}
