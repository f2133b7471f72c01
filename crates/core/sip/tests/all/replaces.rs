//! What INVITE with Replaces (RFC 3891) and Join (RFC 3911) need of the endpoint: finding the dialog that is meant.

use crate::support;

use crate::support::lone::{Lone, invite};
use crate::support::{HERE, addr, config};
use hookswitch_sip::{DialogState, EndpointConfig, Event, Response, Role, Transport};
use hookswitch_sip_msg::HeaderName;

fn with(supported: &[&str]) -> Lone {
    let supported = supported.iter().map(|tag| (*tag).into()).collect();
    Lone::with(Transport::Udp, EndpointConfig { supported, ..config(addr(HERE)) })
}

#[test]
fn a_dialog_is_found_by_its_call_id_and_tags_with_who_called_and_how_far_it_is() {
    let mut lone = with(&["100rel", "replaces"]);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", ""));
    let id = lone.invited();
    let tag = lone.endpoint.dialog(id).unwrap().local_tag().to_owned();
    assert_eq!(lone.endpoint.find_dialog("call-1", &tag, "alice"), Some(id));
    let early = lone.endpoint.dialog(id).unwrap();
    assert_eq!((early.state(), early.role()), (DialogState::Early, Role::Callee));
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    assert_eq!(lone.endpoint.dialog(id).unwrap().state(), DialogState::Confirmed);
    assert_eq!(lone.endpoint.find_dialog("call-1", &tag, "alice"), Some(id));
    for (call_id, local, remote) in
        [("call-2", tag.as_str(), "alice"), ("call-1", "alice", &tag), ("call-1", &tag, "bob"), ("call-1", &tag, "")]
    {
        assert_eq!(lone.endpoint.find_dialog(call_id, local, remote), None, "{call_id} {local} {remote}");
    }

    let ours = lone.call_out();
    let dialog = lone.endpoint.dialog(ours).unwrap();
    let (call_id, local) = (dialog.call_id().to_owned(), dialog.local_tag().to_owned());
    assert_eq!((dialog.state(), dialog.role()), (DialogState::Confirmed, Role::Caller));
    assert_eq!(lone.endpoint.find_dialog(&call_id, &local, "bob"), Some(ours));
}

#[test]
fn a_dialog_that_is_over_is_not_found() {
    let mut lone = with(&["replaces"]);
    let id = lone.call_in();
    let tag = lone.endpoint.dialog(id).unwrap().local_tag().to_owned();
    lone.hear(&support::lone::request("BYE", "z9hG4bK-b", 2, "alice", &tag, ""));
    assert_eq!(lone.endpoint.find_dialog("call-1", &tag, "alice"), None);
}

#[test]
fn an_invite_with_replaces_is_a_new_call_with_the_header_to_be_read() {
    let mut lone = with(&["replaces"]);
    let more = "Require: replaces\nReplaces: call-7@x;to-tag=1;from-tag=2;early-only\n";
    lone.hear(&invite("z9hG4bK-in", 1, "alice", more));
    assert!(matches!(&lone.events[..], [Event::Invite { request, .. }]
        if request.header_str(HeaderName::Replaces) == Some("call-7@x;to-tag=1;from-tag=2;early-only")));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    assert_eq!(lone.last("200").header(HeaderName::Supported), "replaces");
}

#[test]
fn join_is_refused_where_it_is_required_and_ignored_where_not() {
    let mut lone = with(&["replaces"]);
    lone.hear(&invite("z9hG4bK-in", 1, "alice", "Require: join\nJoin: call-7@x;to-tag=1;from-tag=2\n"));
    assert_eq!(lone.last("420").header(HeaderName::Unsupported), "join");
    assert!(lone.events.is_empty());
    lone.hear(&invite("z9hG4bK-in2", 1, "bob", "Join: call-7@x;to-tag=1;from-tag=2\n"));
    assert!(matches!(lone.events[..], [Event::Invite { .. }]));
}

#[test]
fn what_is_supported_is_said_in_invites_and_their_answers() {
    let mut lone = with(&["replaces", "100rel", "norefersub"]);
    lone.call_out();
    assert_eq!(lone.invite.clone().unwrap().header_str(HeaderName::Supported), Some("replaces, 100rel, norefersub"));
    let id = lone.call_in();
    assert_eq!(lone.last("200").header(HeaderName::Supported), "replaces, 100rel, norefersub");
    assert!(!lone.endpoint.supports(id, "replaces"), "the caller has said nothing");
    lone.hear(&invite("z9hG4bK-in2", 1, "carol", "Supported: norefersub,replaces\nAllow: INVITE,REFER\n"));
    let id = lone.invited();
    assert!(lone.endpoint.supports(id, "replaces") && lone.endpoint.supports(id, "norefersub"));
    assert!(!lone.endpoint.supports(id, "100rel"));
    assert!(lone.endpoint.allows(id, &hookswitch_sip_msg::Method::Refer));
}
