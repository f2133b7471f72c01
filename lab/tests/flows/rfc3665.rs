//! RFC 3665, as far as a registrar and a switch between two parties is concerned.

use hookswitch_lab::{DOMAIN, millis, seconds, switch_sip};
use hookswitch_phone::{AnswerPolicy, EndCause, Event};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{Event as SipEvent, Flow as Way, RequestOut};
use hookswitch_sip_msg::Method;

use crate::page::Flow;

const RINGING: AnswerPolicy = AnswerPolicy::Answer { after: millis(1_000) };

fn talk(page: [&'static str; 3], late_offer: bool) -> (Flow, [hookswitch_lab::PhoneId; 2]) {
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |user, config| {
        config.late_offer = late_offer && user == "alice";
        config.answer = RINGING;
    });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(2));
    flow.assert_talking(alice, bob);
    (flow, [alice, bob])
}

#[test]
fn a_phone_registers_and_takes_its_registration_back() {
    let mut flow = Flow::new(
        "rfc3665-2.1-registration",
        "Registration (RFC 3665, 2.1 and 2.4)",
        "A phone registers: the registrar asks for its password first. Later it takes the registration back.",
    );
    let bob = flow.phone("bob", |_| {});
    flow.lab.register(bob);
    flow.lab.pass(seconds(5));
    flow.lab.unregister(bob);
    flow.lab.pass(seconds(1));
    assert!(flow.lab.handset(bob).events.iter().any(|(_, event)| *event == Event::Unregistered));
    assert_eq!(flow.lab.counts().bindings, 0);
    flow.finish();
}

#[test]
fn a_second_phone_of_a_user_adds_a_contact() {
    let mut flow = Flow::new(
        "rfc3665-2.2-another-contact",
        "Another contact (RFC 3665, 2.2)",
        "A second phone of the same user registers. The registrar lists both contacts from then on.",
    );
    let [one, other] = [flow.phone("bob", |_| {}), flow.phone("bob", |_| {})];
    flow.lab.register(one);
    flow.lab.register(other);
    let registered = flow.lab.handset(other).events.iter().find_map(|(_, event)| match event {
        Event::Registered { bindings, .. } => Some(*bindings),
        _ => None,
    });
    assert_eq!(registered, Some(2));
    flow.finish();
}

#[test]
fn a_registration_without_a_contact_asks_for_those_that_there_are() {
    let mut flow = Flow::new(
        "rfc3665-2.3-contact-list",
        "Request for the contacts (RFC 3665, 2.3)",
        "A REGISTER without a contact changes nothing: the answer lists the contacts that there are.",
    );
    let bob = flow.phone("bob", |_| {});
    flow.lab.register(bob);
    let agent = flow.lab.agent("bob");
    let own = format!("<sip:bob@{DOMAIN}>");
    let way = Way::udp(flow.lab.agent_rtp(agent, 5060), switch_sip());
    let mut ask = RequestOut::new(Method::Register, &format!("sip:{DOMAIN}"), own.clone(), own, way);
    ask.credentials = Some(Credentials::new("bob", "bob-pw"));
    flow.lab.agent_acts(agent, |endpoint, now| endpoint.request(now, ask)).expect("a request that can be sent");
    flow.lab.pass(millis(100));
    let contacts = flow.lab.agent_events(agent).iter().find_map(|(_, event)| match event {
        SipEvent::Response { status: 200, response: Some(response), .. } => Some(response.contacts().count()),
        _ => None,
    });
    assert_eq!(contacts, Some(1));
    flow.finish();
}

#[test]
fn a_wrong_password_is_refused() {
    let mut flow = Flow::new(
        "rfc3665-2.5-wrong-password",
        "A wrong password (RFC 3665, 2.5)",
        "The registrar does not believe the phone, which is not asked a third time.",
    );
    let bob = flow.phone("bob", |config| config.credentials = Some(Credentials::new("bob", "guessed")));
    flow.lab.phone_acts(bob, hookswitch_phone::Phone::register);
    flow.lab.pass(seconds(1));
    let refused = |event: &Event| matches!(event, Event::RegisterFailed { status: 401 | 403, .. });
    assert!(flow.lab.handset(bob).events.iter().any(|(_, event)| refused(event)));
    flow.finish();
}

#[test]
fn a_call_is_placed_answered_and_ended() {
    let (mut flow, [_, bob]) = talk(
        [
            "rfc3665-3.2-call",
            "A call (RFC 3665, 3.2 and 3.3)",
            "The caller shows its password, the callee rings and answers, and later hangs up. The switch stands \
             between them: each side has a dialog of its own.",
        ],
        false,
    );
    flow.lab.hang_up(bob);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_description_in_the_ack_is_as_good() {
    let (mut flow, [alice, _]) = talk(
        [
            "rfc3665-3.6-description-in-ack",
            "The description in the ACK (RFC 3665, 3.6)",
            "The caller makes no offer. The switch makes one in its answer, and the caller's answer comes in the ACK.",
        ],
        true,
    );
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_party_moves_its_audio() {
    let (mut flow, [alice, bob]) = talk(
        [
            "rfc3665-3.7-moved",
            "A session that moves (RFC 3665, 3.7)",
            "The callee wants its audio elsewhere and says so by re-INVITE. The caller need not know.",
        ],
        false,
    );
    flow.lab.phone_acts(bob, hookswitch_phone::Phone::move_audio).unwrap();
    flow.lab.pass(millis(500));
    flow.assert_talking(alice, bob);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}

fn refused(page: [&'static str; 3], policy: AnswerPolicy, status: u16) {
    let (mut flow, [alice, _]) = Flow::with(page, ["alice", "bob"], |_, config| config.answer = policy);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(2));
    assert_eq!(flow.lab.refusal_of(alice), Some(status));
    flow.finish();
}

#[test]
fn a_caller_gives_up() {
    let page = [
        "rfc3665-3.8-no-answer",
        "No answer (RFC 3665, 3.8)",
        "The callee rings and nobody comes. The caller gives up; the switch cancels the other half.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |_, config| config.answer = AnswerPolicy::Ring);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(5));
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    assert_eq!(flow.lab.end_of(alice), Some(&EndCause::Cancelled));
    assert_eq!(flow.lab.end_of(bob), Some(&EndCause::Cancelled));
    flow.finish();
}

#[test]
fn a_callee_is_busy() {
    let about = "The callee is busy, and the caller hears of it.";
    refused(["rfc3665-3.9-busy", "Busy (RFC 3665, 3.9)", about], AnswerPolicy::BUSY, 486);
}

#[test]
fn a_callee_that_is_gone_is_not_waited_for_for_ever() {
    let page = [
        "rfc3665-3.10-no-response",
        "No response (RFC 3665, 3.10)",
        "The callee's phone has lost its cable. The switch repeats its INVITE, and gives up after 32 seconds.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |_, _| {});
    flow.lab.vanish(bob);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(40));
    assert!(matches!(flow.lab.refusal_of(alice), Some(408 | 480 | 503)), "{:?}", flow.lab.end_of(alice));
    flow.finish();
}

#[test]
fn a_callee_cannot_be_reached_for_now() {
    let about = "The callee does not want to be disturbed, and the caller is told that it cannot be reached for now.";
    let policy = AnswerPolicy::Refuse { status: 480, after: millis(500) };
    refused(["rfc3665-3.11-unavailable", "Temporarily unavailable (RFC 3665, 3.11)", about], policy, 480);
}

#[test]
fn a_phone_behind_an_address_translator() {
    let page = [
        "rfc3665-3.5-behind-nat",
        "A phone behind an address translator (in the place of RFC 3665, 3.5)",
        "Alice's phone has a private address and writes it into everything. The switch answers to where its messages \
         come from, and sends audio to where its audio comes from: the translator need not know SIP.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let alice = flow.lab.phone_behind_nat("alice", |config| config.sound = hookswitch_phone::Sound::Silence);
    let bob = flow.lab.phone("bob");
    flow.lab.set_audio(hookswitch_lab::Audio::Heard);
    [alice, bob].into_iter().for_each(|phone| flow.lab.register(phone));
    flow.lab.begin_ladder();
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(2));
    flow.lab.assert_hears(alice, bob);
    flow.lab.hang_up(bob);
    flow.lab.pass(seconds(1));
    assert!(!flow.lab.in_call(alice));
    flow.finish();
}
