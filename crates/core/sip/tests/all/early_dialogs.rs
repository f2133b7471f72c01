//! Early dialogs of our INVITE (RFC 3261 12.1.2), and the PRACKs we send in them (RFC 3262 4).

use crate::support;

use crate::support::OFFER;
use crate::support::lone::{Lone, call, response};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{
    Body, DialogId, EndpointConfig, Event, Invite, MAX_FORKS, Rel100, RequestOut, SipError, Transport,
};
use hookswitch_sip_msg::{HeaderName, Method};

const BOB: &str = "Contact: <sip:bob@10.0.0.2:5060>\n";
const CAROL: &str = "Contact: <sip:carol@10.0.0.3:5060>\nRecord-Route: <sip:10.0.0.9;lr>\n";

fn reliable(number: u32, more: &str) -> String {
    format!("Require: 100rel\nRSeq: {number}\n{more}")
}

fn described(headers: &str) -> String {
    format!("{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}", OFFER.len())
}

/// A call of ours with an offer.
fn calling(order: impl FnOnce(&mut Invite)) -> (Lone, DialogId) {
    let mut lone = Lone::new(Transport::Udp);
    let mut invite = call(lone.flow);
    invite.body = Some(Body::sdp(OFFER));
    order(&mut invite);
    let id = lone.endpoint.invite(lone.now, invite).expect("room for a call");
    lone.drain();
    (lone, id)
}

/// What was told of provisional responses: status, early dialog, whether a PRACK of ours is due.
fn progress(lone: &Lone) -> Vec<(u16, u8, bool)> {
    lone.events
        .iter()
        .filter_map(|event| match event {
            Event::Progress { fork, prack_due, response, .. } => Some((response.status()?, *fork, *prack_due)),
            _ => None,
        })
        .collect()
}

#[test]
fn an_invite_says_what_it_wants() {
    for (rel100, supported, require) in
        [(Rel100::Off, "", ""), (Rel100::Offered, "100rel", ""), (Rel100::Required, "100rel", "100rel")]
    {
        let (lone, _) = calling(|invite| invite.rel100 = rel100);
        assert_eq!(lone.last("INVITE").header(HeaderName::Supported), supported);
        assert_eq!(lone.last("INVITE").header(HeaderName::Require), require);
    }
}

#[test]
fn a_reliable_response_is_acknowledged_in_its_early_dialog() {
    let (mut lone, _) = calling(|_| {});
    lone.answer("INVITE", 183, "carol", &described(&reliable(41, CAROL)));
    let prack = lone.last("PRACK");
    assert_eq!(prack.header(HeaderName::RAck), "41 1 INVITE");
    assert_eq!(prack.header(HeaderName::CSeq), "2 PRACK");
    assert_eq!((prack.to_tag().as_str(), prack.message.request_uri()), ("carol", Some("sip:carol@10.0.0.3:5060")));
    assert_eq!(prack.header(HeaderName::Route), "<sip:10.0.0.9;lr>");
    assert!(prack.message.body_bytes().is_empty());
    assert_eq!(progress(&lone), [(183, 0, false)]);
}

#[test]
fn repeats_and_responses_out_of_order_are_not_acknowledged_again() {
    let (mut lone, _) = calling(|_| {});
    lone.answer("INVITE", 183, "bob", &reliable(5, BOB));
    lone.answer("INVITE", 183, "bob", &reliable(5, BOB));
    lone.answer("INVITE", 180, "bob", &reliable(7, BOB));
    lone.answer("INVITE", 180, "bob", &reliable(4, BOB));
    assert_eq!(lone.words(), ["INVITE", "PRACK"]);
    lone.answer("INVITE", 182, "bob", &reliable(6, BOB));
    lone.answer("INVITE", 180, "bob", &reliable(7, BOB));
    let acks: Vec<_> = lone.sent[1..].iter().map(|sent| sent.header(HeaderName::RAck)).collect();
    assert_eq!(acks, ["5 1 INVITE", "6 1 INVITE", "7 1 INVITE"]);
    assert_eq!(progress(&lone), [(183, 0, false), (182, 0, false), (180, 0, false)]);
}

#[test]
fn a_number_without_require_is_no_reliable_response() {
    let (mut lone, _) = calling(|_| {});
    lone.answer("INVITE", 183, "bob", "RSeq: 5\nContact: <sip:bob@10.0.0.2>\n");
    lone.answer("INVITE", 180, "bob", "Require: 100rel\nContact: <sip:bob@10.0.0.2>\n");
    assert_eq!(lone.words(), ["INVITE"]);
    assert_eq!(progress(&lone).len(), 2);
}

#[test]
fn each_early_dialog_of_a_fork_counts_for_itself_and_the_2xx_decides() {
    let (mut lone, id) = calling(|_| {});
    lone.answer("INVITE", 183, "bob", &reliable(10, BOB));
    lone.answer("INVITE", 183, "carol", &reliable(900, CAROL));
    lone.answer("INVITE", 180, "bob", &reliable(11, BOB));
    lone.answer("INVITE", 180, "carol", &reliable(901, CAROL));
    assert_eq!(progress(&lone), [(183, 0, false), (183, 1, false), (180, 0, false), (180, 1, false)]);
    let pracks: Vec<_> = lone.sent[1..]
        .iter()
        .map(|sent| (sent.to_tag(), sent.header(HeaderName::RAck), sent.header(HeaderName::CSeq)))
        .collect();
    let expected = [
        ("bob", "10 1 INVITE", "2 PRACK"),
        ("carol", "900 1 INVITE", "2 PRACK"),
        ("bob", "11 1 INVITE", "3 PRACK"),
        ("carol", "901 1 INVITE", "3 PRACK"),
    ];
    assert_eq!(pracks, expected.map(|(tag, rack, cseq)| (tag.to_owned(), rack, cseq)));
    assert_eq!(lone.endpoint.early(id, 0).unwrap().remote_target(), "sip:bob@10.0.0.2:5060");
    assert_eq!(lone.endpoint.early(id, 1).unwrap().remote_target(), "sip:carol@10.0.0.3:5060");
    assert!(lone.endpoint.early(id, 2).is_none());

    lone.answer("INVITE", 200, "carol", CAROL);
    assert!(matches!(lone.events.last(), Some(Event::Answered { fork: 1, .. })));
    lone.endpoint.ack(lone.now, id, None);
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    assert_eq!((lone.last("BYE").to_tag().as_str(), lone.last("BYE").header(HeaderName::CSeq)), ("carol", "4 BYE"));
    assert_eq!(lone.last("BYE").header(HeaderName::Route), "<sip:10.0.0.9;lr>");
    lone.answer("BYE", 200, "carol", "");
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_2xx_of_a_dialog_that_was_never_early_has_a_number_of_its_own() {
    let (mut lone, id) = calling(|_| {});
    lone.answer("INVITE", 180, "bob", BOB);
    lone.answer("INVITE", 200, "carol", CAROL);
    assert!(matches!(lone.events.last(), Some(Event::Answered { fork: 1, .. })));
    assert_eq!(lone.endpoint.dialog(id).unwrap().remote_tag(), "carol");
    assert_eq!(lone.endpoint.dialog(id).unwrap().remote_target(), "sip:carol@10.0.0.3:5060");
}

#[test]
fn an_offer_in_a_reliable_response_waits_for_the_answer_of_the_user() {
    let (mut lone, id) = calling(|invite| invite.body = None);
    lone.answer("INVITE", 183, "bob", &described(&reliable(5, BOB)));
    assert_eq!(lone.words(), ["INVITE"]);
    assert_eq!(progress(&lone), [(183, 0, true)]);
    assert_eq!(lone.endpoint.prack(lone.now, id, 1, None), Err(SipError::NotEstablished));
    lone.endpoint.prack(lone.now, id, 0, Some(Body::sdp(OFFER))).unwrap();
    lone.drain();
    assert!(lone.last("PRACK").text.ends_with(OFFER));
    assert_eq!(lone.last("PRACK").header(HeaderName::RAck), "5 1 INVITE");
    assert_eq!(lone.endpoint.prack(lone.now, id, 0, None), Err(SipError::NotEstablished), "once is enough");
    // What follows carries no other offer.
    lone.answer("INVITE", 180, "bob", &described(&reliable(6, BOB)));
    assert_eq!(lone.last("PRACK").header(HeaderName::RAck), "6 1 INVITE");
    assert_eq!(progress(&lone)[1..], [(180, 0, false)]);
}

#[test]
fn requests_in_an_early_dialog_reach_it_both_ways() {
    let (mut lone, id) = calling(|_| {});
    lone.answer("INVITE", 180, "bob", BOB);
    lone.answer("INVITE", 180, "carol", CAROL);
    let info = RequestOut { fork: 1, ..RequestOut::inside(id, Method::Info) };
    lone.endpoint.request(lone.now, info).unwrap();
    lone.drain();
    assert_eq!(lone.last("INFO").to_tag(), "carol");
    assert_eq!(lone.last("INFO").header(HeaderName::CSeq), "2 INFO");
    let absent = RequestOut { fork: 7, ..RequestOut::inside(id, Method::Info) };
    assert_eq!(lone.endpoint.request(lone.now, absent), Err(SipError::NotEstablished));

    let ours = lone.last("INVITE").message.clone();
    let (call_id, tag) = (ours.call_id().unwrap(), ours.from().unwrap().tag().unwrap().to_owned());
    for (from, cseq) in [("carol", 7), ("bob", 3)] {
        lone.hear(&format!(
            "INFO sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-{from}\n\
             From: <sip:bob@10.0.0.2>;tag={from}\nTo: <sip:alice@10.0.0.1>;tag={tag}\nCall-ID: {call_id}\n\
             CSeq: {cseq} INFO\nMax-Forwards: 70\n"
        ));
        assert!(matches!(lone.events.last(), Some(Event::Request { dialog: Some(of), .. }) if *of == id));
        assert_eq!(lone.endpoint.find_dialog(call_id, &tag, from), Some(id));
    }
    assert_eq!(lone.endpoint.find_dialog(call_id, &tag, "dave"), None);
}

#[test]
fn early_dialogs_beyond_the_limit_are_not_told() {
    let (mut lone, _) = calling(|_| {});
    for fork in 0..MAX_FORKS + 3 {
        lone.answer("INVITE", 180, &format!("fork{fork}"), &reliable(1, BOB));
    }
    assert_eq!(progress(&lone).len(), MAX_FORKS);
    assert_eq!(lone.times("PRACK").len(), MAX_FORKS);
    // The 2xx of one of them counts all the same.
    lone.answer("INVITE", 200, "fork17", BOB);
    assert!(matches!(lone.events.last(), Some(Event::Answered { fork: 16, .. })));
}

#[test]
fn a_reliable_response_that_finds_no_room_is_taken_when_it_is_repeated() {
    let mut lone = Lone::with(
        Transport::Udp,
        EndpointConfig { max_transactions: 2, ..support::config(support::addr(support::HERE)) },
    );
    let (first, second) = (call(lone.flow), call(lone.flow));
    lone.endpoint.invite(lone.now, first).unwrap();
    lone.drain();
    let waiting = lone.last("INVITE").message.clone();
    lone.endpoint.invite(lone.now, second).unwrap();
    lone.drain();
    let other = lone.last("INVITE").message.clone();
    lone.hear(&response(&waiting, 183, "bob", &reliable(5, BOB)));
    assert!(lone.times("PRACK").is_empty() && lone.events.is_empty());
    lone.hear(&response(&other, 486, "carol", ""));
    lone.pass(support::secs(33));
    lone.hear(&response(&waiting, 183, "bob", &reliable(5, BOB)));
    assert_eq!(lone.last("PRACK").header(HeaderName::RAck), "5 1 INVITE");
}

#[test]
fn a_challenged_prack_is_sent_again_with_credentials() {
    let credentials = Credentials { user: "alice".into(), realm: None, secret: "secret".into() };
    let (mut lone, _) = calling(|invite| invite.credentials = Some(credentials));
    lone.answer("INVITE", 183, "carol", &reliable(1, CAROL));
    lone.answer("INVITE", 183, "bob", &reliable(5, BOB));
    let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\n";
    lone.answer("PRACK", 401, "", challenge);
    let again = lone.last("PRACK");
    assert_eq!((again.header(HeaderName::CSeq), again.header(HeaderName::RAck)), ("3 PRACK", "5 1 INVITE"));
    assert!(!again.header(HeaderName::Authorization).is_empty());
}

/// RFC 5407 does not list it, but RFC 3262 4 leaves no way out: what crosses our CANCEL is repeated until its PRACK.
#[test]
fn a_reliable_response_that_crosses_our_cancel_is_acknowledged_and_not_told() {
    let (mut lone, id) = calling(|_| {});
    lone.answer("INVITE", 180, "bob", BOB);
    lone.endpoint.cancel(lone.now, id, None);
    lone.drain();
    lone.answer("INVITE", 183, "bob", &reliable(5, BOB));
    assert_eq!(lone.words(), ["INVITE", "CANCEL", "PRACK"]);
    assert_eq!(progress(&lone).len(), 1);
    lone.answer("CANCEL", 200, "bob", "");
    lone.answer("INVITE", 487, "bob", "");
    // The other side may have forgotten the call already.
    lone.answer("PRACK", 481, "bob", "");
    assert!(matches!(lone.events[1..], [Event::Failed { status: 487, .. }]), "{:?}", lone.events);
    lone.settle();
    lone.assert_nothing_left();
}

#[test]
fn a_refused_or_unanswered_prack_leaves_the_call_to_its_own_end() {
    for status in [Some(481), Some(500), None] {
        let (mut lone, id) = calling(|_| {});
        lone.answer("INVITE", 183, "bob", &reliable(5, BOB));
        match status {
            Some(status) => lone.answer("PRACK", status, "", ""),
            None => lone.pass(support::secs(33)),
        }
        assert_eq!(lone.events.len(), 1);
        let text = response(&lone.sent[0].message, 200, "bob", BOB);
        lone.hear(&text);
        assert!(matches!(lone.events[1..], [Event::Answered { fork: 0, .. }]));
        assert!(lone.endpoint.dialog(id).is_some());
    }
}
