use hookswitch_call::LegId;

use super::*;

const CALL: CallId = CallId(5);
const CALLER: Seat = Seat::Of(Party::Caller);
const CALLEE: Seat = Seat::Of(Party::Callee);

fn open() -> Journal {
    let offer = Some((Party::Caller, Sdp::from("a")));
    Journal::new(MediaOp::Open { call: CALL, offer, codecs: None, near: None, room: None })
}

fn offer(seat: Seat, leg: u16) -> MediaOp {
    MediaOp::MakeOffer { call: CALL, seat, leg: LegId(leg), near: None }
}

fn accept(seat: Seat, leg: u16, sdp: &str) -> MediaOp {
    MediaOp::Accept { call: CALL, seat, leg: LegId(leg), sdp: Sdp::from(sdp) }
}

fn answer(seat: Seat, leg: u16) -> MediaOp {
    MediaOp::MakeAnswer { call: CALL, seat, leg: LegId(leg) }
}

fn offered(seat: Seat, sdp: &str) -> MediaOp {
    MediaOp::Offered { call: CALL, seat, sdp: Sdp::from(sdp) }
}

/// What is said behind the opening, and whether that has the caller's first offer.
fn said(journal: &Journal) -> (bool, Vec<MediaOp>) {
    let mut ops = journal.replay();
    let first = ops.remove(0);
    let MediaOp::Open { offer, .. } = first else { panic!("it begins with {first:?}") };
    (offer.is_some(), ops)
}

fn talk() -> Journal {
    let mut journal = open();
    for op in [offer(CALLEE, 1), accept(CALLEE, 1, "b"), answer(CALLER, 0)] {
        journal.note(&op);
    }
    journal
}

#[test]
fn a_talk_is_said_as_it_was_ordered() {
    let journal = talk();
    assert_eq!(said(&journal), (true, vec![offer(CALLEE, 1), accept(CALLEE, 1, "b"), answer(CALLER, 0)]));
    assert!(journal.is_settled());
    assert_eq!(journal.agreed(), [CALLER, CALLEE]);
}

#[test]
fn an_exchange_that_is_over_makes_the_one_before_it_forgotten() {
    let mut journal = talk();
    for number in 0..100 {
        journal.note(&offer(CALLEE, 1));
        assert!(!journal.is_settled(), "an answer is owed");
        journal.note(&accept(CALLEE, 1, &number.to_string()));
        journal.note(&offered(CALLER, &number.to_string()));
        journal.note(&answer(CALLER, 0));
    }
    let last = [offer(CALLEE, 1), accept(CALLEE, 1, "99"), offered(CALLER, "99"), answer(CALLER, 0)];
    assert_eq!(said(&journal), (false, last.to_vec()), "nor has the caller's first offer a meaning");
    journal.note(&offer(CALLER, 0));
    journal.note(&accept(CALLER, 0, "new"));
    assert_eq!(said(&journal).1[2..], [offer(CALLER, 0), accept(CALLER, 0, "new")]);
}

#[test]
fn every_branch_of_a_fork_may_still_answer_and_there_is_a_limit_to_them() {
    let mut journal = open();
    for leg in 0..40 {
        journal.note(&offer(CALLEE, leg));
    }
    let (_, ops) = said(&journal);
    assert_eq!((ops.len(), &ops[0]), (MAX_OFFERS, &offer(CALLEE, 40 - MAX_OFFERS as u16)));
    assert!(!journal.is_settled());
}

#[test]
fn what_is_heard_held_and_joined_is_said_once_each() {
    let mut journal = talk();
    let hear = |source| MediaOp::Hear { call: CALL, seat: CALLER, source };
    let hold = |on| MediaOp::Hold { call: CALL, party: Party::Callee, on };
    let (room, part) = (Room::from("r"), Part::default());
    let join = MediaOp::Join { call: CALL, party: Party::Caller, room: room.clone(), part };
    for op in [hear(Source::Ringback), hold(true), hold(true), hear(Source::Room), join.clone()] {
        journal.note(&op);
    }
    let (_, ops) = said(&journal);
    assert_eq!((&ops[0], &ops[4..]), (&hold(true), &[join, hear(Source::Room)][..]));
    assert_eq!(journal.room(), Some(&room));
    assert!(journal.joined(Party::Caller, &room) && !journal.joined(Party::Caller, &room), "told once");
    journal.note(&hold(false));
    journal.note(&MediaOp::Leave { call: CALL, party: Party::Caller, room });
    assert_eq!((said(&journal).1.len(), journal.room()), (4, None));
}

#[test]
fn whoever_has_taken_a_place_is_described_in_it() {
    let mut journal = talk();
    let spare = MediaOp::OpenSpare { call: CALL, party: Party::Callee, near: None };
    journal.note(&spare);
    assert!(!journal.is_settled(), "somebody is about to come");
    journal.note(&offer(Seat::Spare, 2));
    journal.note(&accept(Seat::Spare, 2, "c"));
    assert_eq!(said(&journal).1[0], spare);
    journal.note(&MediaOp::Swap { call: CALL });
    let (_, ops) = said(&journal);
    assert!(ops.contains(&accept(CALLEE, 2, "c")) && ops.contains(&accept(Seat::Spare, 1, "b")), "{ops:?}");
    journal.note(&MediaOp::CloseSpare { call: CALL });
    assert_eq!(said(&journal), (true, vec![answer(CALLER, 0), offer(CALLEE, 2), accept(CALLEE, 2, "c")]));
}

#[test]
fn a_caller_who_leaves_takes_its_first_offer_along() {
    let mut journal = talk();
    journal.note(&MediaOp::OpenSpare { call: CALL, party: Party::Caller, near: None });
    journal.note(&offer(Seat::Spare, 2));
    journal.note(&accept(Seat::Spare, 2, "c"));
    journal.note(&MediaOp::Swap { call: CALL });
    let (first, ops) = said(&journal);
    assert!(!first && ops.contains(&offered(Seat::Spare, "a")), "{ops:?}");
    // It comes back.
    journal.note(&MediaOp::Swap { call: CALL });
    journal.note(&MediaOp::CloseSpare { call: CALL });
    let (_, ops) = said(&journal);
    assert!(ops.contains(&offered(CALLER, "a")) && ops.contains(&answer(CALLER, 0)), "{ops:?}");
    assert!(!ops.contains(&accept(CALLER, 2, "c")));
}

#[test]
fn what_is_played_is_played_anew_and_what_was_stopped_or_replaced_is_not() {
    let mut journal = talk();
    let play = |number| {
        let soup = Arc::new(Soup::default());
        MediaOp::Play { call: CALL, party: Party::Caller, play: PlayId(number), soup, to: Audience::Party }
    };
    for number in 1..=3 {
        journal.note(&play(number));
    }
    journal.played(Party::Caller, PlayId(1));
    assert_eq!(journal.end_plays(), [(Party::Caller, PlayId(2), PlayEnd::Replaced)]);
    assert_eq!(said(&journal).1[3..], [play(3)]);
    let (party, control) = (Party::Caller, PlayControl::Stop);
    journal.note(&MediaOp::ControlPlay { call: CALL, party, play: PlayId(3), control });
    assert_eq!(said(&journal).1.len(), 3);
    assert_eq!(journal.end_plays(), [(Party::Caller, PlayId(3), PlayEnd::Stopped)]);
    assert!(journal.forget_plays().is_empty());
}

#[test]
fn what_is_played_anew_is_as_loud_as_it_was_and_stands_still_if_it_did() {
    let mut journal = talk();
    let (party, play) = (Party::Caller, PlayId(1));
    let begin = || MediaOp::Play { call: CALL, party, play, soup: Arc::new(Soup::default()), to: Audience::Party };
    let control = |control| MediaOp::ControlPlay { call: CALL, party, play, control };
    journal.note(&begin());
    for order in [PlayControl::Gain(-6), PlayControl::Pause, PlayControl::Seek(std::time::Duration::from_secs(3))] {
        journal.note(&control(order));
    }
    let paused = [begin(), control(PlayControl::Gain(-6)), control(PlayControl::Pause)];
    assert_eq!(said(&journal).1[3..], paused);
    journal.note(&begin());
    assert_eq!(said(&journal).1[3..], paused, "another version of it");
    journal.note(&control(PlayControl::Resume));
    journal.note(&control(PlayControl::Gain(0)));
    assert_eq!(said(&journal).1[3..], [begin()]);
    journal.played(party, play);
    journal.note(&begin());
    assert_eq!(said(&journal).1[3..], [begin()]);
}
