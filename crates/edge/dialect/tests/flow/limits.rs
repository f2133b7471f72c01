//! Questions that never end are cut off.

use hookswitch_dialect::flow::{MAX_IDLE, MAX_PER_MINUTE, MAX_QUESTIONS, Note};

use super::desk::{Desk, sec};

#[test]
fn documents_that_only_ask_again_are_cut_off() {
    let mut desk = Desk::new(Some(r#"{"verbs":[{"reject":{"status":404}}]}"#));
    desk.wanted(false);
    for _ in 0..MAX_IDLE {
        desk.reply(r#"{"verbs":[{"ask":{}}]}"#);
        assert_eq!(desk.since(), [""; 0]);
    }
    desk.reply(r#"{"verbs":[{"ask":{}}]}"#);
    let why = "documents in a row do nothing but ask again";
    assert_eq!(desk.notes, [Note::Unanswered(why.into()), Note::FellBack]);
    assert_eq!((desk.since(), desk.questions.len()), (vec!["end 404 Not Found".to_owned()], 4));
}

#[test]
fn questions_are_limited_by_the_minute_and_by_the_call() {
    let mut desk = Desk::new(None);
    desk.wanted(true);
    for _ in 1..MAX_PER_MINUTE {
        desk.reply(r#"{"verbs":[{"play":{"sounds":["a"]}},{"ask":{}}]}"#);
        desk.done(Ok(()));
    }
    assert_eq!((desk.questions.len(), desk.notes.len()), (MAX_PER_MINUTE, 0));
    desk.reply(r#"{"verbs":[{"play":{"sounds":["a"]}},{"ask":{}}]}"#);
    desk.done(Ok(()));
    assert_eq!(desk.notes, [Note::Unanswered("too many questions in a minute".into())]);

    let mut desk = Desk::new(None);
    desk.wanted(true);
    for _ in 1..MAX_QUESTIONS {
        desk.reply(r#"{"verbs":[{"pause":{"seconds":4}},{"ask":{}}]}"#);
        desk.pass(sec(4));
    }
    assert_eq!((desk.questions.len(), desk.notes.len()), (MAX_QUESTIONS as usize, 0));
    desk.reply(r#"{"verbs":[{"pause":{"seconds":4}},{"ask":{}}]}"#);
    desk.pass(sec(4));
    assert_eq!(desk.notes, [Note::Unanswered("too many questions about one call".into())]);
    assert_eq!(desk.since().last().unwrap(), "end 200 OK");
}
