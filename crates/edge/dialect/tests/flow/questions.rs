//! Who is asked what, and what comes when nobody answers well.

use hookswitch_call::Cause;
use hookswitch_dialect::flow::{FlowTerms, FlowTotals, Note, QUESTION_TIME};

use super::desk::{Desk, document, sec};

const FALLBACK: &str = r#"{"verbs":[{"dial":{"to":"desk"}}]}"#;

#[test]
fn a_call_that_comes_is_described() {
    let mut desk = Desk::new(None);
    desk.wanted(false);
    let expected = serde_json::json!({
        "event": "incoming", "flow": "sales", "domain": "x.test", "call": "call_000000000007", "question": 1,
        "party": "caller", "from": "sip:alice@x.test", "to": "sip:sales@x.test", "answered": false,
    });
    assert_eq!(desk.posted(), expected);
    let question = desk.questions.last().unwrap();
    assert_eq!((&question.url, question.flow.as_str(), question.last), (&None, "sales", false));
}

#[test]
fn without_a_good_answer_the_verbs_of_the_configuration_come_once() {
    let mut desk = Desk::new(Some(r#"{"verbs":[{"ring":{}},{"ask":{}}]}"#));
    desk.wanted(false);
    desk.fails();
    assert_eq!(desk.since(), ["ring"]);
    assert_eq!(desk.notes, [Note::Unanswered("status 500".into()), Note::FellBack]);
    desk.done(Ok(()));
    desk.fails();
    assert_eq!(desk.since(), ["end 500 Call Flow Failed"], "else it would go on for ever");
    // After a good answer they may come again.
    let mut desk = Desk::new(Some(r#"{"verbs":[{"ring":{}},{"ask":{}}]}"#));
    desk.wanted(false);
    desk.fails();
    desk.done(Ok(()));
    desk.reply(r#"{"verbs":[{"ask":{"url":"/more"}}]}"#);
    desk.fails();
    assert_eq!(desk.since(), ["ring", "ring"]);
}

#[test]
fn what_becomes_of_questions_is_counted_by_flow() {
    let mut desk = Desk::new(Some(r#"{"verbs":[{"ring":{}},{"ask":{}}]}"#));
    desk.wanted(false);
    desk.elsewhere("status 502");
    desk.pass(sec(2));
    desk.fails();
    desk.done(Ok(()));
    desk.pass(sec(1));
    desk.reply(r#"{"verbs":[{"ring":{}},{"ask":{}}]}"#);
    desk.done(Err(Cause::hangup()));
    desk.pass(QUESTION_TIME);
    let counted =
        |desk: &Desk| desk.flows.totals().into_iter().map(|(name, totals, live)| (name.to_string(), totals, live));
    let mut totals = desk.flows.totals();
    let (_, FlowTotals { waited, .. }, _) = totals.remove(0);
    let times: Vec<_> = waited.counts().filter(|(_, count)| *count > 0).collect();
    assert_eq!((times, waited.sum()), (vec![(Some(sec(1)), 1), (Some(sec(2)), 1), (None, 1)], sec(3) + QUESTION_TIME));
    let expected = FlowTotals { calls: 1, answered: 1, failed: 2, waited, other_url: 1, fell_back: 2, verbs_failed: 1 };
    assert_eq!(counted(&desk).collect::<Vec<_>>(), [("sales".to_owned(), expected, 1)]);
    assert_eq!(desk.notes[0], Note::OtherUrl("status 502".into()));
    // A flow without somebody to ask does not fall back on its verbs: it has nothing else.
    let fallback = Some(document(r#"{"verbs":[{"ring":{}}]}"#).verbs);
    let mut desk = Desk::with(FlowTerms { has_url: false, fallback });
    desk.wanted(false);
    assert_eq!((desk.since(), desk.notes.len()), (vec!["ring".to_owned()], 0));
    assert_eq!(
        counted(&desk).next().map(|(_, totals, _)| totals),
        Some(FlowTotals { calls: 1, ..FlowTotals::default() })
    );
}

#[test]
fn without_those_the_call_ends() {
    let mut desk = Desk::new(None);
    desk.wanted(false);
    desk.fails();
    assert_eq!(desk.since(), ["end 500 Call Flow Failed"]);
    let mut desk = Desk::new(None);
    desk.wanted(true);
    desk.fails();
    assert_eq!(desk.since(), ["end 200 OK"]);
}

#[test]
fn an_answer_that_never_comes_is_none_and_one_that_is_late_is_not_heard() {
    let mut desk = Desk::new(Some(FALLBACK));
    desk.wanted(false);
    desk.pass(QUESTION_TIME);
    assert_eq!(desk.since(), ["dial sip:desk@x.test"]);
    desk.reply(r#"{"verbs":[{"reject":{}}]}"#);
    assert_eq!(desk.since(), [""; 0]);
}

#[test]
fn the_end_of_a_call_is_told_once() {
    let mut desk = Desk::new(None);
    desk.wanted(false);
    desk.reply(r#"{"verbs":[{"answer":{}},{"play":{"sounds":["a"]}}]}"#);
    desk.done(Ok(()));
    desk.ended();
    assert_eq!((&desk.posted()["event"], &desk.posted()["ended"]["status"]), (&"ended".into(), &200.into()));
    assert!(desk.questions.last().unwrap().last);
    let told = desk.questions.len();
    desk.ended();
    desk.done(Ok(()));
    desk.pass(sec(3_600));
    assert_eq!((desk.questions.len(), desk.flows.counts()), (told, (0, 0)));
    assert_eq!(desk.flows.poll_timeout(), None);
}

#[test]
fn a_caller_that_gives_up_while_somebody_is_asked_leaves_nothing_behind() {
    let mut desk = Desk::new(Some(FALLBACK));
    desk.wanted(false);
    desk.ended();
    let first = desk.questions[0].id;
    desk.flows.replied(desk.now, first, Err("late".into()));
    assert_eq!((desk.flows.counts(), desk.flows.poll_timeout()), ((0, 0), None));
    assert_eq!(desk.since(), [""; 0]);
}

#[test]
fn a_party_that_is_brought_to_a_flow_again_is_asked_about_again() {
    let mut desk = Desk::new(None);
    desk.wanted(true);
    desk.reply(r#"{"verbs":[{"redirect":{"to":"bob"}}]}"#);
    desk.done(Ok(()));
    desk.wanted(true);
    assert_eq!((&desk.posted()["event"], &desk.posted()["question"]), (&"incoming".into(), &2.into()));
}
