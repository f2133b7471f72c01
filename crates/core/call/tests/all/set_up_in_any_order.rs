//! Groups, forwards, redirections, early media, changes and parcels, in whatever order: nobody is
//! called after the end, nobody is left ringing, and whoever asked is answered once.

use crate::support::*;

use std::collections::{HashMap, HashSet};

use hookswitch_call::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Places as group, `after` and ring time, and whether the party names others.
    Found(Vec<(u8, u8, Option<u8>)>, bool),
    Diverted(u8),
    Nowhere,
    Redirected(u16, u8),
    Progress(u16, bool),
    Answered(u16, bool),
    Ended(u16, u16),
    Confirmed(u16, bool),
    Reoffered(u16, bool),
    Reaccepted(u16, Option<bool>),
    Brought(u16),
    Delivered(u8),
    Digit(u16),
    Refused(u16),
    Pass(u8),
}

fn steps() -> impl Strategy<Value = Step> {
    let leg = || 0..6u16;
    let place = (0..3u8, 0..20u8, prop::option::of(1..30u8));
    prop_oneof![
        (prop::collection::vec(place, 1..6), any::<bool>()).prop_map(|(places, named)| Step::Found(places, named)),
        (0..4u8).prop_map(Step::Diverted),
        Just(Step::Nowhere),
        (leg(), 0..4u8).prop_map(|(leg, to)| Step::Redirected(leg, to)),
        (leg(), any::<bool>()).prop_map(|(leg, sdp)| Step::Progress(leg, sdp)),
        (leg(), any::<bool>()).prop_map(|(leg, sdp)| Step::Answered(leg, sdp)),
        (leg(), prop::sample::select(&[200u16, 302, 404, 408, 480, 486, 503, 603][..]))
            .prop_map(|(leg, status)| Step::Ended(leg, status)),
        (leg(), any::<bool>()).prop_map(|(leg, sdp)| Step::Confirmed(leg, sdp)),
        (leg(), any::<bool>()).prop_map(|(leg, sdp)| Step::Reoffered(leg, sdp)),
        (leg(), prop::option::of(any::<bool>())).prop_map(|(leg, sdp)| Step::Reaccepted(leg, sdp)),
        leg().prop_map(Step::Brought),
        any::<u8>().prop_map(Step::Delivered),
        leg().prop_map(Step::Digit),
        leg().prop_map(Step::Refused),
        (0..40u8).prop_map(Step::Pass),
    ]
}

fn number(n: u8) -> Address {
    Address::from(format!("sip:n{n}@x").as_str())
}

fn take(desk: &mut Desk, call: CallId, receipt: u64, step: Step) {
    let text = |has: bool| has.then_some("sdp");
    match step {
        Step::Found(places, named) => {
            let place = |(n, (group, after, ring)): (usize, (u8, u8, Option<u8>))| Target {
                group,
                after: sec(u64::from(after)),
                ring_time: ring.map(|ring| sec(u64::from(ring))),
                ..target(&format!("sip:b{n}@x"))
            };
            let places = places.into_iter().enumerate().map(place).collect();
            let forwards = Forwards { busy: Some(number(7)), no_answer: Some(number(8)), ..Forwards::default() };
            desk.found(call, places, named.then_some(forwards));
        }
        Step::Diverted(n) => desk.diverted(call, &number(n).0),
        Step::Nowhere => desk.nowhere(call, Kind::Unreachable),
        Step::Redirected(leg, n) => {
            desk.tell(Report::Redirected { call, leg: LegId(leg), to: vec![number(n), number(n + 1)] });
            desk.ended(call, leg, Cause::from_status(302, ""));
        }
        Step::Progress(leg, sdp) => desk.progress(call, leg, 183, text(sdp)),
        Step::Answered(leg, sdp) => desk.answered(call, leg, text(sdp)),
        Step::Ended(leg, status) => desk.ended(call, leg, Cause::from_status(status, "")),
        Step::Confirmed(leg, sdp) => {
            desk.tell(Report::Confirmed { call, leg: LegId(leg), sdp: text(sdp).map(Sdp::from) });
        }
        Step::Reoffered(leg, sdp) => {
            desk.tell(Report::Reoffered { call, leg: LegId(leg), sdp: text(sdp).map(Sdp::from) });
        }
        Step::Reaccepted(leg, sdp) => {
            let refused = Cause::new(Kind::Pending, Fault::Peer);
            let sdp = sdp.map(|sdp| text(sdp).map(Sdp::from)).ok_or(refused);
            desk.tell(Report::Reaccepted { call, leg: LegId(leg), sdp });
        }
        Step::Brought(leg) => {
            let parcel = Parcel { kind: ParcelKind::Info, content_type: "".into(), body: [].into() };
            desk.tell(Report::Brought { call, leg: LegId(leg), receipt, parcel });
        }
        Step::Delivered(which) => {
            let sent = desk.ops.iter().filter_map(|op| match op {
                Op::Deliver { leg, receipt, .. } => Some((*leg, *receipt)),
                _ => None,
            });
            let sent: Vec<(LegId, u64)> = sent.collect();
            if let Some((leg, receipt)) = sent.get(usize::from(which) % sent.len().max(1)).copied() {
                desk.tell(Report::Delivered { call, leg, receipt, status: 200 });
            }
        }
        Step::Digit(leg) => {
            desk.tell(Report::Digit { call, leg: LegId(leg), digit: Digit { key: '1', time: sec(1) } });
        }
        Step::Refused(leg) => {
            let cause = Cause::new(Kind::NotAcceptable, Fault::Peer);
            let seat = Seat::Of(if leg == 0 { Party::Caller } else { Party::Callee });
            desk.board.tell_media(desk.now, MediaReport::Refused { call, seat, leg: LegId(leg), cause });
            desk.drain();
        }
        Step::Pass(seconds) => desk.pass(sec(u64::from(seconds))),
    }
}

/// Who is still in a dialogue with us, by what was asked of the backend and what it told.
fn open_legs(desk: &Desk) -> HashSet<LegId> {
    let mut open = HashSet::new();
    for op in &desk.ops {
        match op {
            Op::Adopt { leg, .. } | Op::Dial { leg, .. } => assert!(open.insert(*leg), "a leg twice"),
            Op::Hangup { leg, .. } => assert!(open.remove(leg), "hung up twice, or never there: {leg}"),
            _ => {}
        }
    }
    open
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn nobody_is_left_ringing_and_whoever_asked_is_answered_once(
        (anchor, offer, follow_redirects) in any::<(bool, bool, bool)>(),
        steps in prop::collection::vec(steps(), 1..80),
    ) {
        let limits = Limits { anchor, follow_redirects, ring_time: sec(30), max_duration: sec(90), ..Limits::default() };
        let mut desk = Desk::new(limits);
        let call = desk.incoming(offer.then_some("a"));
        let mut gone = HashSet::new();
        let mut brought = HashMap::new();
        for (receipt, step) in (0u64..).zip(steps) {
            let names = |desk: &Desk, leg: u16| desk.board.call(call).is_some_and(|c| c.leg(LegId(leg)).is_some());
            if let Step::Ended(leg, _) | Step::Redirected(leg, _) = step && names(&desk, leg) {
                gone.insert(LegId(leg));
            }
            if let Step::Brought(leg) = step && names(&desk, leg) {
                brought.insert(receipt, LegId(leg));
            }
            if let Some(record) = desk.board.call(call) {
                let text = serde_json::to_string(record).unwrap();
                let back: machine::Call = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(serde_json::to_string(&back).unwrap(), text, "the record can be stored");
            }
            let over = desk.board.call(call).is_none_or(|call| call.state == machine::State::AwaitEnds);
            let before = desk.ops.len();
            take(&mut desk, call, receipt, step);
            let dialled = desk.ops[before..].iter().any(|op| matches!(op, Op::Dial { .. } | Op::Locate { .. }));
            prop_assert!(!(over && dialled), "somebody is called after the end");
        }
        let _ = desk.end(CallRef::Id(call));
        desk.pass(sec(200));
        prop_assert_eq!(desk.board.live(), 0);
        prop_assert_eq!(desk.board.poll_timeout(), None);
        for leg in open_legs(&desk) {
            prop_assert!(gone.contains(&leg), "leg {leg} was never told to end");
        }
        let mut answered = HashSet::new();
        for op in &desk.ops {
            if let Op::Receipt { leg, receipt, .. } = op {
                prop_assert_eq!(brought.get(receipt), Some(leg));
                prop_assert!(answered.insert(*receipt), "answered twice");
            }
        }
    }
}
