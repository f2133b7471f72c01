//! What is said and heard before the answer, and offers that come late.

use hookswitch_lab::{Audio, millis, sdp, seconds, switch_sip};
use hookswitch_phone::{AnswerPolicy, Phone};
use hookswitch_sip::{Flow as Way, Invite, Rel100};
use hookswitch_sip_msg::HeaderName;

use crate::page::Flow;

const RINGING: AnswerPolicy = AnswerPolicy::Answer { after: millis(1_000) };

#[test]
fn what_the_callee_plays_is_heard() {
    let page = [
        "early-media",
        "Early media",
        "Bob's side plays something before it answers, as gateways do. Alice hears it, and Bob after the answer.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |user, config| {
        config.answer = RINGING;
        config.early_media = user == "bob";
    });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(millis(500));
    let early = hookswitch_phone::Event::Ringing { status: 183, early_media: true };
    assert!(flow.lab.handset(alice).events.iter().any(|(_, event)| *event == early));
    flow.lab.pass(seconds(1));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

/// An answer to an INVITE, as the user agents behind a proxy would give it.
fn answer(invite: &hookswitch_sip_msg::Message, status: &str, tag: &str, body: &str) -> String {
    let line = |name: HeaderName| format!("{}: {}\r\n", name.as_str(), invite.header_str(name).unwrap_or_default());
    let copied: String = [HeaderName::Via, HeaderName::From, HeaderName::CallId, HeaderName::CSeq].map(line).concat();
    let to = invite.header_str(HeaderName::To).unwrap_or_default();
    format!(
        "SIP/2.0 {status}\r\n{copied}To: {to};tag={tag}\r\nContact: <sip:{tag}@10.200.0.1:5060>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn several_early_dialogs_are_heard_in_turn_and_the_winner_stays() {
    let page = [
        "early-media-several",
        "Several early dialogs",
        "Behind a gateway an INVITE reaches two announcements, each with a dialog of its own (two tags). Alice hears \
         the one that was announced last; the second one answers, and is who she talks to.",
    ];
    let mut flow = Flow::on(page, |switch| {
        let route = hookswitch_b2bua::route::Route::new("sip:9*", "sip:10.200.0.1:5060").expect("a route");
        switch.shard.b2bua.routes.push(route);
    });
    let gateway = flow.lab.agent("gateway");
    let [alice] = flow.phones(["alice"], |_, config| config.sound = hookswitch_phone::Sound::Silence);
    flow.lab.set_audio(Audio::Heard);
    // Its answers are written here.
    flow.lab.vanish(gateway);
    flow.lab.begin_ladder();
    flow.lab.dial(alice, "99");
    flow.lab.pass(millis(100));
    let invite = flow.last(gateway, "INVITE");
    let (from, switch_rtp) = (flow.lab.agent_rtp(gateway, 5060), flow.lab.media_of(invite.body_bytes()));
    let speaks = |flow: &mut Flow, status: &str, tag: &str, port: u16, hz: f32| {
        let rtp = flow.lab.agent_rtp(gateway, port);
        flow.lab.throw(from, switch_sip(), answer(&invite, status, tag, &sdp(rtp, "sendrecv")));
        let mouth = flow.lab.speak(rtp, switch_rtp, hz);
        flow.lab.pass(seconds(1));
        flow.lab.assert_hears_tone(alice, hz);
        mouth
    };
    let one = speaks(&mut flow, "183 Session Progress", "one", 4000, 900.0);
    let two = speaks(&mut flow, "183 Session Progress", "two", 4010, 1_300.0);
    flow.lab.hush(one);
    flow.lab.hush(two);
    let voice = speaks(&mut flow, "200 OK", "two", 4010, 1_700.0);
    assert!(flow.lab.talks(alice));
    flow.lab.hush(voice);
    flow.lab.hang_up(alice);
    flow.lab.pass(millis(20));
    let bye = flow.last(gateway, "BYE");
    assert_eq!(bye.request_uri(), Some("sip:two@10.200.0.1:5060"), "the one that answered is hung up");
    flow.lab.throw(from, switch_sip(), answer(&bye, "200 OK", "two", "").replace(";tag=two;tag=two", ";tag=two"));
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_callee_that_rings_reliably_is_acknowledged() {
    let page = [
        "prack-from-callee",
        "PRACK: the callee rings reliably (RFC 3262)",
        "Bob's phone wants to know that its ringing has arrived. The switch acknowledges it, and need not tell Alice.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |user, config| {
        config.answer = RINGING;
        config.reliable = user == "bob";
        config.early_media = user == "bob";
    });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(2));
    flow.last(bob, "PRACK");
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_caller_gets_early_media_reliably() {
    let page = [
        "prack-to-caller",
        "PRACK: the switch rings reliably (RFC 3262)",
        "With `sip.reliable_early_media` the description of what Bob plays goes reliably to Alice, whose phone \
         understands that: it acknowledges the 183.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.b2bua.reliable = hookswitch_b2bua::Reliable::Offered);
    let [alice, bob] = flow.phones(["alice", "bob"], |user, config| {
        config.answer = RINGING;
        config.early_media = user == "bob";
    });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(2));
    let [require, seq] = [HeaderName::Require, HeaderName::RSeq];
    let shown = flow.show(alice, "SIP/2.0 183", &[require, seq]);
    assert_eq!(shown[0], "100rel");
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_caller_that_insists_gets_everything_reliably() {
    let page = [
        "prack-required",
        "PRACK: the caller insists (RFC 3262)",
        "Frank's INVITE requires reliable ringing: even a 180 without a description is numbered and acknowledged.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let frank = flow.lab.agent("frank");
    let [bob] = flow.phones(["bob"], |_, config| config.answer = RINGING);
    let rtp = flow.lab.agent_rtp(frank, 4000);
    let way = Way::udp(flow.lab.agent_rtp(frank, 5060), switch_sip());
    let mut invite = Invite::new("sip:bob@x.test", "<sip:frank@x.test>", "<sip:bob@x.test>", way);
    invite.body = Some(hookswitch_sip::Body::sdp(sdp(rtp, "sendrecv")));
    invite.rel100 = Rel100::Required;
    let dialog = flow.lab.agent_acts(frank, |endpoint, now| endpoint.invite(now, invite)).expect("room for a call");
    flow.lab.pass(seconds(2));
    assert_eq!(flow.show(frank, "SIP/2.0 180", &[HeaderName::Require]), ["100rel"]);
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.ack(now, dialog, None));
    flow.lab.pass(seconds(1));
    assert!(flow.lab.talks(bob));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_caller_without_offer_is_offered_what_the_callee_offers() {
    let page = [
        "late-offer-direct",
        "A late offer, audio direct between the phones",
        "With `media.anchor: false` the switch has nothing to offer of its own: Bob is called without an offer too, \
         makes one in his answer, and Alice's answer travels in both ACKs.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.anchor = false);
    let [alice, bob] = flow.phones(["alice", "bob"], |user, config| {
        config.late_offer = user == "alice";
        config.answer = RINGING;
    });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(2));
    assert!(!flow.last(bob, "ACK").body_bytes().is_empty(), "the answer came in the ACK");
    flow.assert_talking(alice, bob);
    flow.hang_up(&[bob]);
    flow.finish();
}

#[test]
fn a_change_without_an_offer_asks_for_ours() {
    let page = [
        "late-offer-in-call",
        "A late offer in the middle of a call",
        "Alice's phone sends a re-INVITE without an offer. The switch offers the session as it is, and the answer \
         comes in the ACK.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |_, _| {});
    flow.talk(alice, bob);
    flow.lab.phone_acts(alice, Phone::reoffer_late).expect("a call stands");
    flow.lab.pass(millis(500));
    assert!(!flow.last(alice, "SIP/2.0 200").body_bytes().is_empty());
    flow.assert_talking(alice, bob);
    flow.hang_up(&[bob]);
    flow.finish();
}
