//! The package `dialog` (RFC 4235): who is told of whose calls, in which words, and how a ringing one is taken.

use crate::support::raw::{answer, request, trusting_config, udp};
use crate::support::watch::{OFFER, Watch, between, body};
use crate::support::{SWITCH, World, at, sec, shard_config};
use hookswitch_shard::{Change, Input, Shard, Stored};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{Body, Event, Flow, Header, Invite, RequestOut};
use hookswitch_sip_msg::{HeaderName, Method};

#[test]
fn a_lamp_is_dark_blinks_burns_and_goes_out() {
    let mut watch = Watch::new();
    watch.subscribe();
    let first = watch.notify();
    assert_eq!(first.header_str(HeaderName::Event), Some("dialog"));
    assert_eq!(first.header_str(HeaderName::SubscriptionState), Some("active;expires=600"));
    assert_eq!(first.header_str(HeaderName::ContentType), Some("application/dialog-info+xml"));
    let text = body(&first);
    assert!(text.contains("version=\"0\" state=\"full\" entity=\"sip:bob@x.test\"/>"), "{text}");
    watch.raw.pass(sec(2));
    let invite = watch.ring();
    let text = body(&watch.notify());
    assert!(text.contains("version=\"1\""), "{text}");
    let lamp = between(&text, "<dialog ", "</dialog>").to_owned();
    assert_eq!(between(&lamp, "call-id=\"", "\""), invite.call_id().unwrap());
    assert_eq!(between(&lamp, "local-tag=\"", "\""), "b");
    assert_eq!(between(&lamp, "remote-tag=\"", "\""), invite.from().unwrap().tag().unwrap());
    assert!(lamp.contains("direction=\"recipient\"><state>early</state>"), "{lamp}");
    assert!(lamp.contains("<local><identity>sip:bob@x.test</identity><target uri=\"sip:bob@x.test\"/></local>"));
    assert!(lamp.contains("<remote><identity>sip:alice@x.test</identity>"), "{lamp}");
    watch.raw.hear(udp("10.0.0.3:5060"), &answer(&invite, "200 OK", "b", OFFER));
    let text = watch.document();
    assert!(text.contains("<state>confirmed</state>") && !text.contains("call-id"), "nobody takes it now: {text}");
    let id = between(&text, "id=\"", "\"").to_owned();
    let tag = watch.raw.last("200").1.to().unwrap().tag().unwrap().to_owned();
    watch.raw.hear(udp("10.0.0.2:5060"), &request("ACK", "sip:bob@x.test", 1, &tag, ""));
    watch.raw.hear(udp("10.0.0.2:5060"), &request("BYE", "sip:bob@x.test", 2, &tag, ""));
    let (flow, bye) = watch.raw.last("BYE").clone();
    watch.raw.hear(flow, &answer(&bye, "200 OK", "", ""));
    let text = watch.document();
    assert!(text.contains(&format!("<dialog id=\"{id}\"><state>terminated</state></dialog>")), "{text}");
    watch.silence();
    assert_eq!(watch.ask("sip:carol@x.test", "sip:bob@x.test", "dialog", "Expires: 600\r\n"), 200);
    assert!(!body(&watch.notify()).contains("<dialog "), "it was said once");
}

#[test]
fn who_calls_is_an_initiator_and_a_refused_call_leaves_nothing() {
    let mut watch = Watch::new();
    assert_eq!(watch.ask("sip:carol@x.test", "sip:alice@x.test", "dialog", ""), 200);
    watch.notify();
    watch.raw.pass(sec(2));
    let invite = watch.ring();
    let text = body(&watch.notify());
    assert!(text.contains("direction=\"initiator\"><state>"), "{text}");
    assert!(text.contains("<remote><identity>sip:bob@x.test</identity>") && !text.contains("call-id"), "{text}");
    assert!(watch.document().contains("<state>early</state>"), "it rings by now");
    watch.raw.hear(udp("10.0.0.3:5060"), &answer(&invite, "486 Busy Here", "b", ""));
    let text = watch.document();
    assert!(text.contains("<state>terminated</state>") && !text.contains("<state>early"), "{text}");
    watch.raw.pass(sec(40));
    assert_eq!(watch.raw.shard.counts().legs, 0);
}

#[test]
fn a_colleague_takes_a_ringing_call_by_what_the_lamp_says() {
    // Phones name the tags as the watched phone has them, or as we have them.
    for turned in [false, true] {
        let mut world = World::anchoring();
        world.register(1);
        world.invite(0, "sip:bob@x.test", Some(OFFER));
        let (_, invite) = world.called(1).expect("bob is called");
        world.respond(1, 180, None);
        let carol = &mut world.agents[3];
        let flow = Flow::udp(carol.address, at(SWITCH));
        let (from, to) = ("<sip:carol@x.test>", "<sip:bob@x.test>");
        let mut subscribe = RequestOut::new(Method::Subscribe, "sip:bob@x.test", from, to, flow);
        subscribe.headers.push(Header::new(HeaderName::Event, "dialog"));
        carol.endpoint.request(world.now, subscribe).unwrap();
        world.run();
        let notify = world.wire.iter().rev().find(|(.., message)| message.method() == Some(&Method::Notify));
        let text = body(&notify.expect("she is told at once").2);
        let (local, remote) = (between(&text, "local-tag=\"", "\""), between(&text, "remote-tag=\"", "\""));
        let (to_tag, from_tag) = if turned { (remote, local) } else { (local, remote) };
        let call_id = between(&text, "call-id=\"", "\"");
        let mut pickup = Invite::new("sip:bob@x.test", from, to, flow);
        let replaces = format!("{call_id};to-tag={to_tag};from-tag={from_tag}");
        pickup.headers.push(Header::new(HeaderName::Replaces, replaces));
        pickup.body = Some(Body::sdp(OFFER));
        let pickup = world.agents[3].endpoint.invite(world.now, pickup).unwrap();
        world.run();
        let answered = world.has(3, |event| matches!(event, Event::Answered { .. }));
        assert!(answered, "turned: {turned}, refused: {:?}", world.failure(3));
        world.ack(3, pickup, None);
        let cancelled = |event: &Event| matches!(event, Event::Cancelled { .. });
        assert!(world.has(1, cancelled), "bob's phone stops ringing: {:?}", invite.call_id());
    }
}

#[test]
fn who_may_watch_whom() {
    let mut config = shard_config();
    let layer = |name: &str| hookswitch_call::directory::Layer {
        users: [(name.into(), hookswitch_call::directory::Secret::new("pw"))].into(),
        ..Default::default()
    };
    config.directory.configure("y.test", layer("dave")).unwrap();
    let mut watch = Watch::with(config);
    for (from, to, password, expected) in [
        ("sip:carol@x.test", "sip:bob@x.test", "carol-pw", 200),
        ("sip:carol@x.test", "sip:bob@x.test", "wrong", 403),
        ("sip:carol@x.test", "sip:nobody@x.test", "carol-pw", 404),
        ("sip:dave@y.test", "sip:bob@x.test", "pw", 403),
        ("sip:eve@z.test", "sip:bob@x.test", "pw", 403),
    ] {
        watch.tag.clear();
        let status = watch.ask(from, to, "dialog", "");
        if status != 401 {
            assert_eq!((status, from), (expected, "sip:eve@z.test"));
            continue;
        }
        let user = from.trim_start_matches("sip:").split('@').next().unwrap();
        let status = watch.ask_as(&Credentials::new(user, password), from, to, "dialog", "");
        assert_eq!(status, expected, "{from} {to}");
    }
}

#[test]
fn what_cannot_be_subscribed_to_is_refused_with_the_reason() {
    let mut watch = Watch::new();
    let (carol, bob) = ("sip:carol@x.test", "sip:bob@x.test");
    for (event, expires, status) in [
        ("nonsense", "", 489),
        ("refer", "", 489),
        ("dialog;id=", "Expires: 59\r\n", 423),
        ("dialog", "Accept: application/pidf+xml\r\n", 406),
        ("dialog", "Accept: text/plain, application/*\r\n", 200),
        ("dialog", "Expires: 4000000000\r\n", 200),
    ] {
        watch.tag.clear();
        assert_eq!(watch.ask(carol, bob, event, expires), status, "{event} {expires}");
        let answer = watch.raw.sent[0].1.clone();
        match status {
            489 => assert!(answer.header_str(HeaderName::AllowEvents).is_some_and(|all| all.contains("dialog"))),
            423 => assert_eq!(answer.header_str(HeaderName::MinExpires), Some("60")),
            406 => assert_eq!(answer.header_str(HeaderName::Accept), Some("application/dialog-info+xml")),
            _ => assert_eq!(answer.header_str(HeaderName::Expires), Some("3600")),
        }
    }
    watch.tag = "unknown".into();
    assert_eq!(watch.ask(carol, bob, "dialog", ""), 481);
}

#[test]
fn a_watcher_fetches_refreshes_and_leaves() {
    let mut watch = Watch::new();
    assert_eq!(watch.ask("sip:carol@x.test", "sip:bob@x.test", "dialog", "Expires: 0\r\n"), 200);
    let state = watch.notify().header_str(HeaderName::SubscriptionState).map(str::to_owned);
    assert_eq!(state.as_deref(), Some("terminated;reason=timeout"));
    assert!(watch.raw.shard.poll_timeout().is_some());
    watch.tag.clear();
    watch.subscribe();
    watch.notify();
    watch.raw.pass(sec(500));
    watch.subscribe();
    assert_eq!(watch.notify().header_str(HeaderName::SubscriptionState), Some("active;expires=600"));
    assert_eq!(watch.ask("sip:carol@x.test", "sip:bob@x.test", "dialog;id=1", "Expires: 0\r\n"), 481);
    assert_eq!(watch.ask("sip:alice@x.test", "sip:bob@x.test", "dialog", "Expires: 0\r\n"), 403, "not alice's");
    assert_eq!(watch.ask("sip:carol@x.test", "sip:bob@x.test", "dialog", "Expires: 0\r\n"), 200);
    let last = watch.notify();
    assert_eq!(last.header_str(HeaderName::SubscriptionState), Some("terminated;reason=timeout"));
    assert_eq!(watch.ask("sip:carol@x.test", "sip:bob@x.test", "dialog", "Expires: 600\r\n"), 481);
    watch.ring();
    watch.silence();
}

#[test]
fn a_phone_that_knows_nothing_of_it_is_told_no_more() {
    let mut watch = Watch::new();
    watch.subscribe();
    let (flow, notify) = watch.raw.last("NOTIFY").clone();
    watch.raw.hear(flow, &answer(&notify, "481 No Subscription", "", ""));
    watch.raw.sent.clear();
    watch.ring();
    watch.silence();
}

#[test]
fn a_user_that_is_removed_is_watched_no_more() {
    let mut watch = Watch::new();
    watch.subscribe();
    watch.notify();
    let http = |watch: &mut Watch, method: &str, body: &'static str| {
        let id = hookswitch_shard::HttpId(1);
        let (method, path) = (method.into(), "/dir/x.test/erin".to_owned());
        watch.raw.shard.handle(watch.raw.now, Input::Http { id, method, path, body: body.into() });
        // A keep-alive, behind which everything is sent.
        watch.raw.hear(udp("10.0.0.9:5060"), "\r\n");
    };
    let ask = |watch: &mut Watch, to: &str| {
        watch.tag.clear();
        watch.ask("sip:carol@x.test", to, "dialog", "")
    };
    http(&mut watch, "PUT", "{\"secret\":\"x\"}");
    let status = ask(&mut watch, "sip:erin@x.test");
    assert_eq!(status, 200);
    watch.notify();
    http(&mut watch, "DELETE", "");
    let last = watch.notify();
    assert_eq!(last.header_str(HeaderName::SubscriptionState), Some("terminated;reason=noresource"));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let config = trusting_config();
    let mut watch = Watch::with(config.clone());
    watch.subscribe();
    let before = watch.notify();
    let stored: Vec<Change> = std::mem::take(&mut watch.raw.stored);
    watch.raw.shard = Shard::new(config, [8; 32]);
    for change in stored {
        let entry = match change {
            Change::SubscriptionPut(it) => Stored::Subscription(it),
            Change::BindingPut(it) => Stored::Binding(it),
            _ => continue,
        };
        watch.raw.shard.handle(watch.raw.now, Input::Restore(entry));
    }
    watch.raw.pass(sec(0));
    let after = watch.notify();
    assert_eq!(after.call_id().ok(), before.call_id().ok());
    assert_eq!(after.from().unwrap().tag(), before.from().unwrap().tag());
    let (old, new) = (before.cseq().unwrap().number, after.cseq().unwrap().number);
    assert!(new > old, "{new} {old}");
    watch.ring();
    assert!(watch.document().contains("early"));
    watch.subscribe();
}
