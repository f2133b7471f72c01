//! Whatever is told in whatever order: every command has one outcome, every call one end, and
//! nothing is left.

mod support;
use support::*;

use hookswitch_call::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Incoming(bool),
    Start,
    End(u8),
    Located(u8, u8),
    Nowhere(u8),
    Progress(u8, u8, bool),
    Answered(u8, u8, bool),
    Confirmed(u8, u8, bool),
    Reoffered(u8, u8),
    Ended(u8, u8, u16),
    MediaRefused(u8, u8),
    Pass(u8),
}

fn steps() -> impl Strategy<Value = Step> {
    use Step::{
        Answered, Confirmed, End, Ended, Incoming, Located, MediaRefused, Nowhere, Pass, Progress, Reoffered, Start,
    };
    prop_oneof![
        any::<bool>().prop_map(Incoming),
        Just(Start),
        (0..4u8).prop_map(End),
        (0..4u8, 1..4u8).prop_map(|(c, n)| Located(c, n)),
        (0..4u8).prop_map(Nowhere),
        (0..4u8, 0..5u8, any::<bool>()).prop_map(|(c, l, s)| Progress(c, l, s)),
        (0..4u8, 0..5u8, any::<bool>()).prop_map(|(c, l, s)| Answered(c, l, s)),
        (0..4u8, 0..5u8, any::<bool>()).prop_map(|(c, l, s)| Confirmed(c, l, s)),
        (0..4u8, 0..5u8).prop_map(|(c, l)| Reoffered(c, l)),
        (0..4u8, 0..5u8, 200..700u16).prop_map(|(c, l, s)| Ended(c, l, s)),
        (0..4u8, 0..5u8).prop_map(|(c, l)| MediaRefused(c, l)),
        (0..60u8).prop_map(Pass),
    ]
}

fn take(desk: &mut Desk, step: Step) {
    let id = |n: u8| CallId(u64::from(n) + 1);
    let sdp = |has: bool| has.then_some("sdp");
    match step {
        Step::Incoming(offer) => {
            desk.incoming(sdp(offer));
        }
        Step::Start => {
            let command =
                Command::Start { caller: Address::from("sip:a@x"), callee: Address::from("sip:b@x"), wire_id: None };
            let _ = desk.board.submit(desk.now, command);
            desk.drain();
        }
        Step::End(call) => {
            let _ = desk.end(CallRef::Id(id(call)));
        }
        Step::Located(call, branches) => {
            let found = Found::Targets((0..branches).map(|n| target(&format!("sip:{n}@y"))).collect());
            desk.tell(Report::Located { call: id(call), found, codecs: None, forwards: None });
        }
        Step::Nowhere(call) => desk.nowhere(id(call), Kind::NotFound),
        Step::Progress(call, leg, media) => desk.progress(id(call), u16::from(leg), 180, sdp(media)),
        Step::Answered(call, leg, media) => desk.answered(id(call), u16::from(leg), sdp(media)),
        Step::Confirmed(call, leg, media) => {
            let sdp = sdp(media).map(Sdp::from);
            desk.tell(Report::Confirmed { call: id(call), leg: LegId(u16::from(leg)), sdp });
        }
        Step::Reoffered(call, leg) => {
            desk.tell(Report::Reoffered { call: id(call), leg: LegId(u16::from(leg)), sdp: None });
        }
        Step::Ended(call, leg, status) => {
            desk.ended(id(call), u16::from(leg), Cause::from_status(status, ""));
        }
        Step::MediaRefused(call, leg) => {
            let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
            let refused =
                MediaReport::Refused { call: id(call), seat: Party::Callee.into(), leg: LegId(u16::from(leg)), cause };
            desk.board.tell_media(desk.now, refused);
            desk.drain();
        }
        Step::Pass(seconds) => desk.pass(sec(u64::from(seconds))),
    }
}

/// Ends every call by hanging up each leg that the core wants ended, as a backend would.
fn wind_up(desk: &mut Desk) {
    for _ in 0..3 {
        let calls: Vec<CallId> = desk.board.calls().map(|call| call.id).collect();
        for call in calls {
            let _ = desk.end(CallRef::Id(call));
        }
        desk.pass(sec(200));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_command_has_one_outcome_and_every_call_one_end(
        anchor in any::<bool>(),
        steps in prop::collection::vec(steps(), 1..60),
    ) {
        let limits = Limits { calls: 4, anchor, ring_time: sec(30), ..Limits::default() };
        let mut desk = Desk::new(limits);
        // The handles of incoming calls count live calls, so names repeat: part of the test.
        for step in steps {
            if matches!(step, Step::Incoming(_)) && desk.board.live() >= 4 {
                continue;
            }
            take(&mut desk, step);
        }
        wind_up(&mut desk);
        prop_assert_eq!(desk.board.live(), 0);
        prop_assert_eq!(desk.board.poll_timeout(), None);

        let mut tickets: Vec<Ticket> = desk.outcomes.iter().map(|outcome| outcome.ticket).collect();
        let count = tickets.len();
        tickets.sort();
        tickets.dedup();
        prop_assert_eq!(tickets.len(), count, "an outcome twice");
        let owners = desk.events.iter().filter_map(|told| told.owner);
        for owner in owners {
            prop_assert!(tickets.contains(&owner), "a command without outcome");
        }

        let mut last = std::collections::HashMap::new();
        for told in &desk.events {
            let next = last.get(&told.call).map_or(0, |(seq, _)| seq + 1);
            prop_assert_eq!(told.seq, next, "a gap in the events");
            last.insert(told.call, (told.seq, matches!(told.event, Event::Ended { .. })));
        }
        prop_assert!(last.values().all(|(_, ended)| *ended), "an event after the end, or no end");
        let opened = desk.media.iter().filter(|op| matches!(op, MediaOp::Open { .. })).count();
        let closed = desk.media.iter().filter(|op| matches!(op, MediaOp::Close { .. })).count();
        prop_assert_eq!(opened, closed, "media opened and closed");
    }
}
