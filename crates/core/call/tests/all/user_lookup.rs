//! Users who are asked for elsewhere: one question for all who wait, answers for a while, outages, and limits.

use std::net::IpAddr;
use std::time::Duration;

use hookswitch_call::Time;
use hookswitch_call::directory::{
    Busy, Directory, Forwarding, FoundUser, Layer, LookupConfig, LookupNews, MAX_DOUBTS, MAX_NOBODIES, Question,
    QuestionId, RETRY_AFTER, Secret, Standing, UserAnswer, UserLimits,
};

const AT: Time = Duration::from_secs(1_000_000);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn source(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn directory(config: LookupConfig) -> Directory {
    let mut dir = Directory::new();
    let alice = Layer { users: [("alice".into(), Secret::new("s3cret"))].into(), ..Layer::default() };
    dir.configure("a.test", alice).unwrap();
    dir.look_up(config).unwrap();
    dir
}

fn plain() -> Directory {
    directory(LookupConfig::default())
}

fn found(secret: &str) -> UserAnswer {
    let user = FoundUser {
        secret: Secret::new(secret),
        forward: Forwarding::default(),
        limits: UserLimits::default(),
        record: None,
    };
    UserAnswer::Found { user: Box::new(user), max_age: None }
}

fn nobody() -> UserAnswer {
    UserAnswer::Nobody { max_age: None }
}

fn failed() -> UserAnswer {
    UserAnswer::Failed("status 500".to_owned())
}

/// Asks for a user of a.test and answers at once.
fn settle(dir: &mut Directory, now: Time, user: &str, answer: UserAnswer) {
    let id = dir.ask(now, "a.test", user, None).unwrap();
    assert_eq!(dir.poll_question(), Some(Question { id, domain: "a.test".into(), user: user.into() }));
    dir.answered(now, id, answer);
    assert_eq!(dir.poll_settled().map(|settled| settled.id), Some(id));
}

fn secret<'a>(dir: &'a Directory, user: &str) -> Option<&'a str> {
    dir.secret("a.test", user).map(Secret::reveal)
}

#[test]
fn who_is_in_a_layer_is_never_asked_for() {
    let dir = plain();
    assert_eq!(dir.standing(AT, "a.test", "alice"), Standing::Known);
    assert_eq!(dir.standing(AT, "a.test", "bob"), Standing::Unsettled);
    assert_eq!(Directory::new().standing(AT, "a.test", "bob"), Standing::Nobody, "where nobody is to be asked");
    for name in ["", "b b", "b@b", "b\r\nb", &"b".repeat(256)] {
        assert_eq!(dir.standing(AT, "a.test", name), Standing::Nobody, "no name of a user: {name:?}");
    }
}

#[test]
fn those_who_wait_for_the_same_user_share_a_question() {
    let mut dir = plain();
    let first = dir.ask(AT, "a.test", "bob", source("192.0.2.1")).unwrap();
    let second = dir.ask(AT, "a.test", "bob", source("192.0.2.2")).unwrap();
    let other = dir.ask(AT, "a.test", "carol", source("192.0.2.1")).unwrap();
    assert_eq!((first, second, first == other), (first, first, false));
    assert_eq!(dir.poll_question().map(|question| question.id), Some(first));
    assert_eq!(dir.poll_question().map(|question| question.id), Some(other));
    assert_eq!(dir.poll_question(), None);
    assert_eq!(dir.lookup_totals().unwrap().shared, 1);
    // Carol's answer comes first; Bob's goes on being waited for.
    dir.answered(AT, other, found("c"));
    assert_eq!((secret(&dir, "carol"), secret(&dir, "bob")), (Some("c"), None));
    assert_eq!(dir.standing(AT, "a.test", "bob"), Standing::Unsettled);
    dir.answered(AT, first, found("b"));
    assert_eq!(secret(&dir, "bob"), Some("b"));
}

#[test]
fn an_answer_is_good_for_as_long_as_both_sides_want() {
    let mut dir = plain();
    settle(&mut dir, AT, "bob", found("1"));
    assert_eq!(dir.standing(AT + secs(299), "a.test", "bob"), Standing::Known);
    assert_eq!(dir.standing(AT + secs(300), "a.test", "bob"), Standing::Unsettled);
    for (says, good) in [(60, 60), (3_000, 300), (0, 1)] {
        let UserAnswer::Found { user, .. } = found("2") else { unreachable!() };
        settle(&mut dir, AT, "bob", UserAnswer::Found { user, max_age: Some(secs(says)) });
        assert_eq!(dir.standing(AT + secs(good) - Duration::from_nanos(1), "a.test", "bob"), Standing::Known);
        assert_eq!(dir.standing(AT + secs(good), "a.test", "bob"), Standing::Unsettled, "max-age {says}");
    }
}

#[test]
fn that_there_is_nobody_is_remembered_for_a_while_and_then_forgotten() {
    let mut dir = plain();
    settle(&mut dir, AT, "bob", nobody());
    assert_eq!(dir.standing(AT + secs(29), "a.test", "bob"), Standing::Nobody);
    assert!(!dir.may_have("a.test", "bob") && dir.may_have("a.test", "carol"));
    assert_eq!(dir.poll_timeout(), Some(AT + secs(5)), "when the question would have ended");
    dir.handle_timeout(AT + secs(5));
    assert_eq!(dir.poll_timeout(), Some(AT + secs(30)));
    dir.handle_timeout(AT + secs(30));
    assert_eq!((dir.standing(AT + secs(30), "a.test", "bob"), dir.poll_timeout()), (Standing::Unsettled, None));
}

#[test]
fn a_question_without_an_answer_ends_and_is_not_asked_again_at_once() {
    let mut dir = plain();
    let id = dir.ask(AT, "a.test", "bob", None).unwrap();
    assert_eq!(dir.poll_timeout(), Some(AT + secs(5)));
    dir.handle_timeout(AT + secs(5) - Duration::from_nanos(1));
    assert_eq!(dir.poll_settled(), None);
    let now = AT + secs(5);
    dir.handle_timeout(now);
    assert_eq!(dir.poll_settled().map(|settled| settled.id), Some(id));
    assert_eq!(dir.standing(now, "a.test", "bob"), Standing::Out);
    assert!(dir.may_have("a.test", "bob"), "nobody has said that there is no such user");
    // The answer comes after all: nobody waits for it any more.
    dir.answered(now, id, found("late"));
    assert_eq!(dir.poll_settled(), None);
    assert_eq!(secret(&dir, "bob"), None);
    assert_eq!(dir.standing(now + RETRY_AFTER, "a.test", "bob"), Standing::Unsettled);
}

#[test]
fn who_was_found_is_still_known_in_an_outage_but_not_for_ever() {
    let mut dir = plain();
    settle(&mut dir, AT, "bob", found("old"));
    let later = AT + secs(400);
    settle(&mut dir, later, "bob", failed());
    assert_eq!((dir.standing(later, "a.test", "bob"), secret(&dir, "bob")), (Standing::Known, Some("old")));
    assert_eq!(dir.standing(later + RETRY_AFTER, "a.test", "bob"), Standing::Unsettled, "and is asked for again");
    settle(&mut dir, later + RETRY_AFTER, "bob", found("new"));
    assert_eq!(secret(&dir, "bob"), Some("new"));
    let end = later + RETRY_AFTER + secs(300 + 86_400);
    settle(&mut dir, end - secs(1), "bob", failed());
    assert_eq!(secret(&dir, "bob"), Some("new"));
    dir.handle_timeout(end);
    assert_eq!((secret(&dir, "bob"), dir.standing(end, "a.test", "bob")), (None, Standing::Unsettled));
}

#[test]
fn an_outage_is_told_once_and_its_end_too() {
    let mut dir = plain();
    settle(&mut dir, AT, "bob", failed());
    settle(&mut dir, AT, "carol", failed());
    settle(&mut dir, AT, "dave", nobody());
    settle(&mut dir, AT, "erin", nobody());
    assert!(matches!(dir.poll_lookup_news(), Some(LookupNews::Failing { why, .. }) if why == "status 500"));
    assert!(matches!(dir.poll_lookup_news(), Some(LookupNews::Failed { question, .. }) if question.user == "carol"));
    assert_eq!(dir.poll_lookup_news(), Some(LookupNews::Answering));
    assert_eq!(dir.poll_lookup_news(), None);
}

#[test]
fn questions_under_way_have_a_limit() {
    let mut dir = directory(LookupConfig { max_waiting: 2, ..LookupConfig::default() });
    let first = dir.ask(AT, "a.test", "1", None).unwrap();
    dir.ask(AT, "a.test", "2", None).unwrap();
    assert_eq!(dir.ask(AT, "a.test", "3", None), Err(Busy::Waiting));
    assert_eq!(dir.ask(AT, "a.test", "1", None), Ok(first), "whoever shares one takes no place");
    assert_eq!(dir.poll_lookup_news(), Some(LookupNews::Refused(Busy::Waiting)));
    assert_eq!(dir.ask(AT, "a.test", "4", None), Err(Busy::Waiting));
    assert_eq!((dir.poll_lookup_news(), dir.lookup_totals().unwrap().refused), (None, 2), "told once in a minute");
    assert_eq!(dir.ask(AT + secs(60), "a.test", "4", None), Err(Busy::Waiting));
    assert!(dir.poll_lookup_news().is_some());
    dir.answered(AT, first, nobody());
    assert!(dir.ask(AT, "a.test", "3", None).is_ok());
}

#[test]
fn questions_in_a_second_have_a_limit() {
    let mut dir = directory(LookupConfig { max_rate: 3, ..LookupConfig::default() });
    for user in ["1", "2", "3"] {
        settle(&mut dir, AT, user, nobody());
    }
    assert_eq!(dir.ask(AT, "a.test", "4", None), Err(Busy::Rate));
    settle(&mut dir, AT + Duration::from_millis(334), "4", nobody());
    assert_eq!(dir.ask(AT + Duration::from_millis(334), "a.test", "5", None), Err(Busy::Rate));
}

#[test]
fn one_address_cannot_use_up_what_all_may_ask() {
    let mut dir = directory(LookupConfig { max_rate_per_source: 2, ..LookupConfig::default() });
    for user in 0..20 {
        dir.ask(AT, "a.test", &user.to_string(), source("192.0.2.1")).unwrap();
    }
    assert_eq!(dir.ask(AT, "a.test", "x", source("192.0.2.1")), Err(Busy::Source));
    assert!(dir.is_fishing(AT, source("192.0.2.1").unwrap()));
    dir.ask(AT, "a.test", "x", source("192.0.2.2")).unwrap();
    dir.ask(AT + Duration::from_millis(500), "a.test", "y", source("192.0.2.1")).unwrap();
    // All addresses of a /64 are one.
    for host in 1..=20 {
        dir.ask(AT, "a.test", &format!("v6-{host}"), source(&format!("2001:db8::{host:x}"))).unwrap();
    }
    assert_eq!(dir.ask(AT, "a.test", "z", source("2001:db8::ffff")), Err(Busy::Source));
    assert!(dir.ask(AT, "a.test", "z", source("2001:db8:0:1::1")).is_ok());
}

#[test]
fn the_sources_that_are_counted_have_a_limit() {
    let mut dir = directory(LookupConfig { max_rate_per_source: 1, ..LookupConfig::default() });
    let ip = |n: usize| IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
    for n in 0..MAX_DOUBTS {
        assert!(!dir.is_fishing(AT, ip(n)));
    }
    assert!(dir.is_fishing(AT, ip(MAX_DOUBTS)), "no room");
    assert!(!dir.is_fishing(AT, ip(0)), "whoever is counted has its rate");
    assert!(!dir.is_fishing(AT + secs(2), ip(MAX_DOUBTS)), "the others were quiet meanwhile");
}

#[test]
fn remembered_users_have_a_limit_and_the_one_whose_time_is_over_first_goes() {
    let mut dir = directory(LookupConfig { max_users: 2, max_rate: 100_000, ..LookupConfig::default() });
    settle(&mut dir, AT, "1", found("1"));
    let UserAnswer::Found { user, .. } = found("2") else { unreachable!() };
    settle(&mut dir, AT + secs(1), "2", UserAnswer::Found { user, max_age: Some(secs(60)) });
    settle(&mut dir, AT + secs(2), "3", found("3"));
    assert_eq!([secret(&dir, "1"), secret(&dir, "2"), secret(&dir, "3")], [Some("1"), None, Some("3")]);
    let totals = dir.lookup_totals().unwrap();
    assert_eq!((totals.users, totals.evicted), (2, 1));
    // Whoever asks for many who do not exist does not drive out those who do.
    for n in 0..=MAX_NOBODIES {
        settle(&mut dir, AT + secs(3), &format!("n{n}"), nobody());
    }
    assert_eq!(dir.standing(AT + secs(3), "a.test", "n0"), Standing::Unsettled, "the oldest is forgotten");
    assert_eq!(dir.standing(AT + secs(3), "a.test", "n1"), Standing::Nobody);
    assert_eq!([secret(&dir, "1"), secret(&dir, "3")], [Some("1"), Some("3")]);
}

#[test]
fn a_password_that_turns_out_wrong_is_asked_for_anew_but_not_each_time() {
    let mut dir = plain();
    settle(&mut dir, AT, "bob", found("old"));
    assert!(!dir.doubt(AT + secs(29), "a.test", "bob"), "just asked");
    assert!(dir.doubt(AT + secs(30), "a.test", "bob"));
    assert_eq!(dir.standing(AT + secs(30), "a.test", "bob"), Standing::Unsettled);
    settle(&mut dir, AT + secs(30), "bob", found("new"));
    assert!(!dir.doubt(AT + secs(31), "a.test", "bob"));
    settle(&mut dir, AT + secs(400), "bob", failed());
    assert!(!dir.doubt(AT + secs(401), "a.test", "bob"), "nobody to ask");
    assert!(!dir.doubt(AT, "a.test", "alice") && !dir.doubt(AT, "a.test", "carol"));
}

#[test]
fn a_domain_of_a_pattern_is_ours_when_one_of_its_users_is_found() {
    let config = LookupConfig { domains: vec!["*.Many.test".into(), "One.test".into()], ..LookupConfig::default() };
    let mut dir = directory(config);
    assert_eq!(dir.resolve("one.test"), Some("one.test"), "what is named without a star exists");
    assert_eq!(dir.standing(AT, "one.test", "bob"), Standing::Unsettled);
    assert_eq!(dir.standing(AT, "a.test", "bob"), Standing::Nobody, "not one of them");
    assert_eq!((dir.resolve("x.many.test"), dir.may_become("X.many.test:5060")), (None, Some("x.many.test".into())));
    for host in ["many.test", "x.other.test", "127.0.0.1", "localhost", ".many.test", "x..many.test", "[::1]"] {
        assert_eq!(dir.may_become(host), None, "{host}");
    }
    let id = dir.ask(AT, "x.many.test", "bob", None).unwrap();
    dir.answered(AT, id, nobody());
    assert_eq!(dir.resolve("x.many.test"), None);
    let id = dir.ask(AT, "x.many.test", "carol", None).unwrap();
    dir.answered(AT, id, found("c"));
    assert_eq!(dir.resolve("X.many.test"), Some("x.many.test"));
    assert_eq!(dir.describe("x.many.test"), None, "it is not one of the directory for that");
}

#[test]
fn what_is_said_of_a_user_holds_and_can_be_taken_back() {
    let mut dir = plain();
    let forward = Forwarding { always: Some("sip:c@a.test".into()), ..Forwarding::default() };
    let limits = UserLimits { contacts: Some(1), ..UserLimits::default() };
    let user = Box::new(FoundUser {
        secret: Secret::new("b"),
        forward: forward.clone(),
        limits: limits.clone(),
        record: Some(true),
    });
    settle(&mut dir, AT, "bob", UserAnswer::Found { user, max_age: None });
    assert_eq!((dir.forwards("a.test", "bob"), dir.limits("a.test", "bob")), (Some(&forward), &limits));
    assert!(!dir.users("a.test").unwrap().iter().any(|user| user == "bob"), "not listed");
    // Whoever is pushed hides it, all of it.
    let pushed = Layer { users: [("bob".into(), Secret::new("p"))].into(), ..Layer::default() };
    dir.put("a.test", pushed).unwrap();
    assert_eq!((secret(&dir, "bob"), dir.forwards("a.test", "bob")), (Some("p"), None));
    dir.remove_user("A.test", "bob").unwrap();
    assert_eq!((secret(&dir, "bob"), dir.standing(AT, "a.test", "bob")), (None, Standing::Unsettled));
}

#[test]
fn an_answer_that_the_directory_would_not_take_is_none() {
    let mut dir = plain();
    let forward = Forwarding { always: Some("1002".into()), ..Forwarding::default() };
    let user = Box::new(FoundUser { secret: Secret::new("b"), forward, limits: UserLimits::default(), record: None });
    settle(&mut dir, AT, "bob", UserAnswer::Found { user, max_age: None });
    let Some(LookupNews::Failing { why, .. }) = dir.poll_lookup_news() else { panic!("told") };
    assert!(why.contains("forward.always"), "{why}");
    assert_eq!((secret(&dir, "bob"), dir.standing(AT, "a.test", "bob")), (None, Standing::Out));
    assert!(!format!("{dir:?}").contains("s3cret"), "no passwords in there");
    dir.answered(AT, QuestionId(99), nobody());
    assert_eq!(dir.poll_settled(), None, "a question that was never asked");
}
