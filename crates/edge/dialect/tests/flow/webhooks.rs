//! A document names a webhook for its call.

use hookswitch_dialect::flow::{Document, Note, Reply};

use super::desk::{Desk, document};

fn reply(verbs: &str, webhook: &str) -> Reply {
    Reply { verbs: document(&format!("{{\"verbs\":[{verbs}]}}")).verbs, webhook: Some(webhook.into()) }
}

#[test]
fn a_call_has_the_webhook_of_its_document_before_the_first_verb() {
    let mut desk = Desk::new(None);
    desk.wanted(false);
    desk.reply_with(reply(r#"{"ring":{}},{"ask":{}}"#, "call.1"));
    assert_eq!((desk.since(), desk.webhooks.as_slice()), (vec!["ring".to_owned()], &["call.1".into()][..]));
    desk.done(Ok(()));
    // The next document names the same one, the one after it none.
    desk.has = Some("call.1".into());
    desk.reply_with(reply(r#"{"answer":{}},{"ask":{}}"#, "call.1"));
    desk.done(Ok(()));
    desk.reply(r#"{"verbs":[{"hangup":{}}]}"#);
    assert_eq!((desk.since(), desk.notes.len()), (vec!["answer".to_owned(), "end 200 OK".to_owned()], 0));
}

#[test]
fn a_call_that_has_another_one_keeps_it_and_whoever_leads_is_told() {
    let mut desk = Desk::new(None);
    desk.has = Some("call.2".into());
    desk.wanted(false);
    desk.reply_with(reply(r#"{"ask":{}}"#, "call.1"));
    let why = "the call has the webhook call.2";
    assert_eq!(desk.notes, [Note::Failed { verb: "webhook".into(), why: why.into() }]);
    assert_eq!(desk.posted()["failure"], serde_json::json!({ "verb": "webhook", "why": why }));
    assert_eq!(desk.flows.totals()[0].1.verbs_failed, 1);
}

#[test]
fn a_call_that_ends_before_its_document_comes_gets_none() {
    let mut desk = Desk::new(None);
    desk.wanted(false);
    let first = desk.questions[0].id;
    desk.ended();
    desk.flows.replied(desk.now, first, Ok(reply("", "call.1")));
    desk.pass(std::time::Duration::ZERO);
    assert!(desk.webhooks.is_empty() && desk.flows.poll_output().is_none());
}

#[test]
fn what_cannot_be_meant_as_a_webhook_is_told_with_its_place() {
    for (webhook, expected) in [
        (r#""https://h.test/""#, "webhook: invalid type: string"),
        (r#"{"url":7}"#, "webhook.url: invalid type: integer"),
        (r#"{"url":"https://h.test/","events":["call.*","call.ende"]}"#, "webhook.events[1]: `call.ende` is neither"),
        (r#"{"url":"https://h.test/","secret":"whsec_x"}"#, "webhook.secret: unknown field"),
    ] {
        let text = format!(r#"{{"webhook":{webhook},"verbs":[]}}"#);
        let error = Document::read(text.as_bytes()).expect_err(webhook).to_string();
        assert!(error.starts_with(expected), "{webhook}: {error}");
    }
    let too_many = vec!["\"call.*\""; 101].join(",");
    let long = "x".repeat(2_049);
    for (member, value) in [("events", format!("[{too_many}]")), ("key", format!("\"{}\"", &long[..65]))] {
        let text = format!(r#"{{"webhook":{{"url":"http://h.test/","{member}":{value}}},"verbs":[]}}"#);
        let error = Document::read(text.as_bytes()).expect_err(member).to_string();
        assert!(error.starts_with(&format!("webhook.{member}: ")), "{error}");
    }
    let error = Document::read(format!(r#"{{"webhook":{{"url":"{long}"}},"verbs":[]}}"#).as_bytes()).expect_err("long");
    assert!(error.to_string().starts_with("webhook.url: "), "{error}");
}
