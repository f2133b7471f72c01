//! Several 2xx to one INVITE: the first wins, the others are acknowledged and ended.

use crate::support;

use crate::support::lone::Lone;
use crate::support::secs;
use hookswitch_sip::{Event, Transport};
use hookswitch_sip_msg::HeaderName;

#[test]
fn the_losers_of_a_fork_get_their_own_ack_and_bye() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.answer("INVITE", 180, "carol", "Contact: <sip:carol@10.0.0.3:5060>\n");
    lone.answer("INVITE", 180, "bob", "Contact: <sip:bob@10.0.0.2:5060>\n");
    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2:5060>\n");
    lone.answer(
        "INVITE",
        200,
        "carol",
        "Record-Route: <sip:10.0.0.8;lr>\nRecord-Route: <sip:10.0.0.9;lr>\nContact: <sip:carol@10.0.0.3:5060>\n",
    );
    // Bob won, although our user has not acknowledged yet; Carol's own routes are used for hers.
    assert_eq!(lone.words(), ["INVITE", "ACK", "BYE"]);
    for word in ["ACK", "BYE"] {
        let sent = lone.last(word);
        assert_eq!(sent.message.request_uri(), Some("sip:carol@10.0.0.3:5060"));
        assert_eq!(sent.to_tag(), "carol");
        let routes: Vec<_> = sent.message.values(HeaderName::Route).collect();
        assert_eq!(routes, [b"<sip:10.0.0.9;lr>", b"<sip:10.0.0.8;lr>"]);
        assert_eq!(sent.flow.remote, support::addr("10.0.0.9:5060"));
    }
    assert_eq!(lone.last("ACK").header(HeaderName::CSeq), "1 ACK");
    assert_eq!(lone.last("BYE").header(HeaderName::CSeq), "2 BYE");
    lone.answer("BYE", 200, "carol", "");

    lone.endpoint.ack(lone.now, id, None);
    lone.drain();
    assert_eq!(lone.last("ACK").to_tag(), "bob");
    assert_eq!(lone.endpoint.dialog(id).unwrap().remote_tag(), "bob");
    let answered = lone.events.iter().filter(|event| matches!(event, Event::Answered { .. })).count();
    assert_eq!(answered, 1);

    // Repeats are told apart by their tags.
    lone.forget();
    lone.hear_repeat(200, "carol");
    lone.hear_repeat(200, "bob");
    let tags: Vec<_> = lone.sent.iter().map(|sent| (sent.word(), sent.to_tag())).collect();
    assert_eq!(tags, [("ACK".to_owned(), "carol".to_owned()), ("ACK".to_owned(), "bob".to_owned())]);
    lone.pass(secs(40));
    assert_eq!(lone.endpoint.counts().transactions, 0);
    assert_eq!(lone.endpoint.counts().dialogs, 1);
}

#[test]
fn the_number_of_forks_is_limited() {
    let mut lone = Lone::new(Transport::Udp);
    lone.invite();
    for fork in 0..40 {
        lone.answer("INVITE", 200, &format!("fork{fork}"), "Contact: <sip:x@10.0.0.3>\n");
    }
    assert_eq!(lone.times("BYE").len(), hookswitch_sip::MAX_FORKS);
    lone.settle();
    assert_eq!(lone.endpoint.counts().transactions, 0);
}

#[test]
fn a_fork_that_answers_after_the_call_has_ended_is_ended_too() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_out();
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    lone.answer("BYE", 200, "bob", "");
    lone.forget();
    let invite = lone.invite.clone().expect("a call was started");
    let routes = "Record-Route: <sip:10.0.0.8;lr>\nContact: <sip:carol@10.0.0.3:5060>\n";
    lone.hear(&support::lone::response(&invite, 200, "carol", routes));
    assert_eq!(lone.words(), ["ACK", "BYE"]);
    for (word, cseq) in [("ACK", "1 ACK"), ("BYE", "2 BYE")] {
        let sent = lone.last(word);
        assert_eq!(sent.message.request_uri(), Some("sip:carol@10.0.0.3:5060"));
        assert_eq!((sent.to_tag().as_str(), sent.header(HeaderName::CSeq)), ("carol", cseq));
        assert_eq!(sent.tag_of_from(), invite.from().unwrap().tag().unwrap());
        assert_eq!(sent.header(HeaderName::Route), "<sip:10.0.0.8;lr>");
        assert_eq!(sent.flow.remote, support::addr("10.0.0.8:5060"));
    }
    assert!(lone.events.is_empty(), "{:?}", lone.events);
    lone.answer("BYE", 200, "carol", "");
    lone.settle();
    lone.assert_nothing_left();
}
