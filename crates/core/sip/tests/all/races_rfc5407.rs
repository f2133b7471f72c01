//! The race conditions of RFC 5407, each under the number of its section. "Moratorium" is the time between our 2xx and
//! its ACK, "mortal" the time between a BYE and its answer.

use crate::support;

use crate::support::lone::{Lone, invite, request};
use crate::support::net::{Net, Weather};
use crate::support::{HERE, OFFER, THERE, addr, config, ms, secs};
use hookswitch_sip::{
    Body, DialogId, Ender, EndpointConfig, Event, FailCause, Invite, RequestOut, Response, Transport,
};
use hookswitch_sip_msg::{HeaderName, Method};

fn described(headers: &str) -> String {
    format!("{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}", OFFER.len())
}

/// A call with an offer that we have just answered, without its ACK; our tag.
fn moratorium(offer: bool) -> (Lone, DialogId, String) {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", &if offer { described("") } else { String::new() }));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    let tag = lone.last("200").to_tag();
    lone.events.clear();
    (lone, id, tag)
}

/// A call that stands, in which we have just sent BYE; our tag.
fn mortal() -> (Lone, DialogId, String) {
    let (mut lone, id, tag) = moratorium(true);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.pass(secs(33));
    lone.forget();
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    (lone, id, tag)
}

fn ends(lone: &Lone) -> Vec<Ender> {
    lone.events
        .iter()
        .filter_map(|event| match event {
            Event::Ended { by, .. } => Some(*by),
            _ => None,
        })
        .collect()
}

/// RFC 5407 3.1.1
#[test]
fn a_repeated_invite_behind_our_2xx_is_absorbed() {
    let (mut lone, _, _) = moratorium(true);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", &described("")));
    assert_eq!(lone.words(), ["200"]);
    assert!(lone.events.is_empty());
    lone.pass(ms(500));
    assert_eq!(lone.times("200"), [0, 500], "the 2xx repeats itself");
}

/// RFC 5407 3.1.2
#[test]
fn a_cancel_behind_our_2xx_is_answered_and_changes_nothing() {
    let (mut lone, id, tag) = moratorium(true);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", "").replace("INVITE", "CANCEL"));
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "1 CANCEL");
    assert!(lone.events.is_empty() && lone.times("487").is_empty());
    // The caller acknowledges what it has to, and hangs up.
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    assert_eq!(ends(&lone), [Ender::Peer]);
    assert!(lone.endpoint.dialog(id).is_none());
}

/// RFC 5407 3.1.3
#[test]
fn a_bye_sent_in_the_early_dialog_that_meets_our_2xx_ends_the_call() {
    let (mut lone, _, tag) = moratorium(true);
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "2 BYE");
    assert_eq!(ends(&lone), [Ender::Peer]);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.settle();
    assert_eq!(lone.times("200").len(), 2, "our 2xx is not repeated any more");
    lone.assert_nothing_left();
}

/// RFC 5407 3.1.3, RFC 3261 13.3.1.4 and 17.2.2
#[test]
fn a_2xx_that_whoever_gave_up_has_not_heard_is_repeated_until_it_is_acknowledged() {
    let (mut lone, _, tag) = moratorium(true);
    let bye = request("BYE", "z9hG4bK-bye", 2, "alice", &tag, "");
    lone.hear(&bye);
    assert_eq!(ends(&lone), [Ender::Peer]);
    lone.forget();
    lone.pass(ms(1_500));
    assert_eq!(lone.times("200"), [500, 1_500], "the 2xx repeats itself");
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "1 INVITE");
    lone.hear(&bye);
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "2 BYE", "so is a BYE that comes again answered again");
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.forget();
    lone.settle();
    assert_eq!(lone.times("200"), [] as [u128; 0]);
    assert!(ends(&lone).is_empty(), "told once");
    assert_eq!(lone.endpoint.dropped().stray_acks, 0);
    lone.assert_nothing_left();
}

/// RFC 5407 3.1.3
#[test]
fn a_2xx_behind_a_bye_that_nobody_acknowledges_is_given_up_in_silence() {
    let (mut lone, _, tag) = moratorium(true);
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    lone.settle();
    assert_eq!(ends(&lone), [Ender::Peer]);
    assert!(lone.words().iter().all(|word| *word == "200"), "the dialog is over: {:?}", lone.words());
    assert!(lone.times("200").last().is_some_and(|at| *at < 32_000));
    lone.assert_nothing_left();
}

/// RFC 3261 13.3.1.4
#[test]
fn a_2xx_to_a_change_is_not_repeated_behind_a_bye() {
    let (mut lone, id, tag) = moratorium(true);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    lone.hear(&request("BYE", "z9hG4bK-bye", 3, "alice", &tag, ""));
    lone.forget();
    lone.settle();
    assert_eq!(lone.times("200"), [] as [u128; 0], "whoever changes a call has heard that it stands");
    lone.assert_nothing_left();
}

/// RFC 5407 3.1.4
#[test]
fn a_reinvite_before_the_ack_is_taken_when_no_answer_is_outstanding() {
    let (mut lone, id, tag) = moratorium(true);
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    assert!(matches!(lone.events[..], [Event::Reinvite { dialog, .. }] if dialog == id));
    lone.endpoint.respond(lone.now, id, Response::new(200).with_body(Body::sdp(OFFER)));
    lone.drain();
    assert_eq!(lone.last("200").header(HeaderName::CSeq), "2 INVITE");
    // The ACK that was overtaken comes at last.
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.hear(&request("ACK", "z9hG4bK-ack2", 2, "alice", &tag, ""));
    let acked = lone.events.iter().filter(|event| matches!(event, Event::Acked { .. })).count();
    assert_eq!(acked, 1, "only that to the second INVITE is still waited for");
}

/// RFC 5407 3.1.5
#[test]
fn a_reinvite_before_the_ack_with_the_answer_is_refused_491() {
    let (mut lone, _, tag) = moratorium(false);
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    assert_eq!(lone.words(), ["200", "491"]);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, &described("")));
    assert!(matches!(lone.events[..], [Event::Acked { .. }]));
    lone.hear(&request("INVITE", "z9hG4bK-re2", 3, "alice", &tag, &described("")));
    assert!(matches!(lone.events[1..], [Event::Reinvite { .. }]));
}

/// RFC 5407 3.1.6
#[test]
fn a_bye_that_overtakes_the_ack_ends_the_call() {
    let (mut lone, _, tag) = moratorium(false);
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    assert_eq!(ends(&lone), [Ender::Peer]);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, &described("")));
    assert_eq!(lone.events.len(), 1);
    lone.settle();
    lone.assert_nothing_left();
}

/// RFC 5407 3.2.1
#[test]
fn a_bye_that_meets_ours_is_answered_200_and_the_call_ends_once() {
    let (mut lone, _, tag) = mortal();
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    assert_eq!(lone.words(), ["BYE", "200"]);
    lone.answer("BYE", 200, "", "");
    assert_eq!(ends(&lone).len(), 1);
    lone.settle();
    lone.assert_nothing_left();
}

/// RFC 5407 3.2.2
#[test]
fn a_reinvite_that_meets_our_bye_is_refused_481() {
    let (mut lone, _, tag) = mortal();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, &described("")));
    assert_eq!(lone.words(), ["BYE", "481"]);
    lone.answer("BYE", 200, "", "");
    assert_eq!(ends(&lone), [Ender::Local]);
}

/// RFC 5407 3.2.3
#[test]
fn a_2xx_to_our_reinvite_behind_our_bye_is_acknowledged() {
    let (mut lone, id, tag) = moratorium(true);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    lone.forget();
    lone.endpoint.reinvite(lone.now, id, Some(Body::sdp(OFFER)), Vec::new()).unwrap();
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    let reinvite = lone.last("INVITE").message.clone();
    lone.answer("BYE", 200, "", "");
    assert!(matches!(
        lone.events[..],
        [Event::ReinviteFailed { cause: FailCause::Cancelled, .. }, Event::Ended { by: Ender::Local, .. }]
    ));
    lone.hear(&support::lone::response(&reinvite, 200, "", &described("Contact: <sip:alice@10.0.0.2>\n")));
    assert_eq!(lone.words(), ["INVITE", "BYE", "ACK"]);
    lone.settle();
    lone.assert_nothing_left();
}

/// RFC 5407 3.2.4: our BYE waits for the ACK, so it can only be late when we have given up on it.
#[test]
fn an_ack_behind_our_bye_is_nobodys_business() {
    let (mut lone, _, tag) = moratorium(true);
    lone.pass(secs(32));
    assert_eq!(lone.words().last().unwrap(), "BYE");
    assert_eq!(ends(&lone), [Ender::AckTimeout]);
    lone.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
    assert_eq!(lone.events.len(), 1);
    assert_eq!(lone.endpoint.dropped().stray_acks, 1);
}

/// Two phones in a call, in a network with 10 ms to each side.
fn pair() -> (Net, [DialogId; 2]) {
    let hosts = [HERE, THERE].map(|at| (addr(at), EndpointConfig { ..config(addr(at)) }));
    let mut net = Net::new(hosts.into(), Weather::CLEAR, 1);
    let order = Invite {
        body: Some(Body::sdp(OFFER)),
        ..Invite::new("sip:b@10.0.0.2", "<sip:a@x>", "<sip:b@x>", net.flow(Transport::Udp, 0, 1))
    };
    let caller = net.hosts[0].endpoint.invite(net.now, order).unwrap();
    net.drain(0);
    net.pass(ms(50));
    let Some(Event::Invite { dialog: callee, .. }) = net.hosts[1].events.first().cloned() else {
        panic!("{:?}", net.hosts[1].events);
    };
    net.hosts[1].endpoint.respond(net.now, callee, Response::new(200).with_body(Body::sdp(OFFER)));
    net.drain(1);
    net.pass(ms(50));
    net.hosts[0].endpoint.ack(net.now, caller, None);
    net.drain(0);
    net.pass(secs(40));
    for host in &mut net.hosts {
        host.events.clear();
    }
    net.ladder.clear();
    (net, [caller, callee])
}

/// Answers everything that is asked, until nothing more happens for ten seconds.
fn go_on(net: &mut Net) {
    let until = net.now + secs(10);
    let mut seen = [0; 2];
    while net.step(until) {
        for (host, seen) in seen.iter_mut().enumerate() {
            let Some(event) = net.hosts[host].events.get(*seen).cloned() else { continue };
            *seen += 1;
            let (now, endpoint) = (net.now, &mut net.hosts[host].endpoint);
            let answer = Response::new(200).with_body(Body::sdp(OFFER));
            match event {
                Event::Reinvite { dialog, .. } => endpoint.respond(now, dialog, answer),
                Event::Reanswered { dialog, .. } => endpoint.ack(now, dialog, None),
                Event::Update { txn, .. } => endpoint.reply(now, txn, answer),
                _ => {}
            }
            net.drain(host);
        }
    }
}

fn outcomes(net: &Net, host: usize) -> usize {
    let won = |event: &&Event| matches!(event, Event::Reanswered { .. } | Event::Updated { .. });
    let lost = |event: &&Event| matches!(event, Event::ReinviteFailed { .. } | Event::UpdateFailed { .. });
    assert_eq!(net.hosts[host].events.iter().filter(lost).count(), 0, "{:?}", net.hosts[host].events);
    net.hosts[host].events.iter().filter(won).count()
}

fn refusals(net: &Net) -> usize {
    net.ladder.iter().filter(|(_, _, line)| line.contains(" 491 ")).count()
}

/// RFC 5407 3.3.1
#[test]
fn reinvites_that_cross_are_both_refused_and_both_succeed_later() {
    let (mut net, dialogs) = pair();
    for (host, dialog) in dialogs.into_iter().enumerate() {
        net.hosts[host].endpoint.reinvite(net.now, dialog, Some(Body::sdp(OFFER)), Vec::new()).unwrap();
        net.drain(host);
    }
    go_on(&mut net);
    assert_eq!((outcomes(&net, 0), outcomes(&net, 1)), (1, 1));
    assert_eq!(refusals(&net), 2);
    // The callee tries first, within 2 s; the caller, who owns the Call-ID, after 2.1 s.
    let again = net.ladder.iter().filter(|(_, _, line)| line.starts_with("INVITE")).map(|(_, from, _)| *from);
    assert_eq!(again.collect::<Vec<_>>(), [0, 1, 1, 0]);
}

/// RFC 5407 3.3.2
#[test]
fn an_update_and_a_reinvite_that_cross_are_both_refused_and_both_succeed_later() {
    let (mut net, [caller, callee]) = pair();
    net.hosts[0].endpoint.update(net.now, caller, 0, Some(Body::sdp(OFFER)), Vec::new()).unwrap();
    net.hosts[1].endpoint.reinvite(net.now, callee, Some(Body::sdp(OFFER)), Vec::new()).unwrap();
    net.drain(0);
    net.drain(1);
    go_on(&mut net);
    assert_eq!((outcomes(&net, 0), outcomes(&net, 1)), (1, 1));
    assert_eq!(refusals(&net), 2);
}

/// RFC 5407 3.3.2, with UPDATE on both sides (RFC 3311 5.2).
#[test]
fn updates_that_cross_are_both_refused_and_both_succeed_later() {
    let (mut net, dialogs) = pair();
    for (host, dialog) in dialogs.into_iter().enumerate() {
        net.hosts[host].endpoint.update(net.now, dialog, 0, Some(Body::sdp(OFFER)), Vec::new()).unwrap();
        net.drain(host);
    }
    go_on(&mut net);
    assert_eq!((outcomes(&net, 0), outcomes(&net, 1)), (1, 1));
    assert_eq!(refusals(&net), 2);
}

/// RFC 5407 3.3.3
#[test]
fn a_refer_that_meets_our_bye_is_refused_481() {
    let allow = vec![Method::Invite, Method::Ack, Method::Bye, Method::Refer];
    let mut lone = Lone::with(Transport::Udp, EndpointConfig { allow, ..config(addr(HERE)) });
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.forget();
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
    lone.hear(&request("REFER", "z9hG4bK-r", 2, "alice", &tag, "Refer-To: <sip:carol@10.0.0.3>\n"));
    assert_eq!(lone.words(), ["BYE", "481"]);
    assert!(lone.events.is_empty());
}

/// RFC 5407 appendix A: the caller may send BYE in an early dialog.
#[test]
fn a_bye_in_the_early_dialog_ends_the_invite_with_487() {
    let mut lone = Lone::new(Transport::Udp);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(180));
    lone.drain();
    let tag = lone.last("180").to_tag();
    lone.hear(&request("BYE", "z9hG4bK-bye", 2, "alice", &tag, ""));
    let answers: Vec<_> = lone.sent[1..].iter().map(|sent| (sent.status(), sent.header(HeaderName::CSeq))).collect();
    assert_eq!(answers, [(200, "2 BYE"), (487, "1 INVITE")]);
    assert!(matches!(lone.events[1..], [Event::Cancelled { .. }]));
}

/// RFC 5407 appendix D: what is sent behind a BYE finds no dialog, and what was asked before it is still answered.
#[test]
fn requests_before_and_behind_a_bye_are_each_answered_once() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.forget();
    lone.hear(&request("INFO", "z9hG4bK-i", 2, "alice", &tag, ""));
    lone.hear(&request("BYE", "z9hG4bK-b", 3, "alice", &tag, ""));
    lone.hear(&request("INFO", "z9hG4bK-j", 4, "alice", &tag, ""));
    let answers: Vec<_> = lone.sent.iter().map(|sent| (sent.status(), sent.header(HeaderName::CSeq))).collect();
    assert_eq!(answers, [(200, "3 BYE"), (487, "2 INFO"), (481, "4 INFO")]);
    assert!(lone.endpoint.request(lone.now, RequestOut::inside(id, Method::Info)).is_err());
}
