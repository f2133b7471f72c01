//! Replies and events come in any order; what is told comes in one.

use serde_json::json;

use crate::rig::Rig;

/// All orders of these.
fn permutations<T: Copy>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (place, first) in items.iter().enumerate() {
        let rest: Vec<T> =
            items.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, item)| *item).collect();
        for mut order in permutations(&rest) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}

fn place(story: &[String], start: &str) -> usize {
    story.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {story:?}"))
}

#[test]
fn every_order_of_a_holds_reply_and_events_tells_the_same() {
    const STEPS: [&str; 5] = ["reply", "caller start", "caller ok", "callee start", "callee ok"];
    for order in permutations(&STEPS) {
        let mut rig = Rig::up();
        rig.hold("a");
        let hold = rig.take("call_hold");
        for step in &order {
            match step.split_once(' ') {
                Some((leg, state)) => rig.hold_event("a", leg, "hold", state),
                None => rig.result(&hold, json!("OK")),
            }
        }
        let story = rig.read();
        assert_eq!(rig.outcomes.len(), 1, "{order:?}: {story:?}");
        assert_eq!(story.last().unwrap(), "ok", "{order:?}");
        assert_eq!(story.len(), 7, "{order:?}: {story:?}");
        assert_eq!(place(&story, "accepted"), 1);
        for leg in ["caller", "callee"] {
            assert!(place(&story, &format!("asked {leg}")) < place(&story, &format!("held {leg}")), "{order:?}");
        }
        assert_eq!(rig.core.counts().commands, 0);
    }
}

#[test]
fn every_order_of_a_transfers_reply_and_events_tells_the_same() {
    const STEPS: [&str; 5] = ["reply", "start", "notify 100 Trying", "notify 180 Ringing", "ok 200 OK"];
    for order in permutations(&STEPS) {
        let mut rig = Rig::up();
        rig.transfer("a");
        let transfer = rig.take("call_transfer");
        for step in &order {
            match step.split_once(' ') {
                None if *step == "reply" => rig.result(&transfer, json!("Accepted")),
                None => rig.transfer_event("a", "new", step, ""),
                Some((state, status)) => rig.transfer_event("a", "new", state, status),
            }
        }
        let story = rig.read();
        assert_eq!(rig.outcomes.len(), 1, "{order:?}: {story:?}");
        assert_eq!(story[1], "transferring callee to sip:cindy@10.0.0.12", "{order:?}");
        assert_eq!(story[2], "started new at sip:cindy@10.0.0.12:5060", "{order:?}");
        assert_eq!(story[story.len() - 2..], ["transferred", "ok"], "{order:?}");
        assert!(story[3..story.len() - 2].iter().all(|line| line.starts_with("transfer 1")), "{order:?}");
    }
}

#[test]
fn every_order_of_a_failing_transfer_ends_with_the_truth() {
    const STEPS: [&str; 4] = ["reply", "start", "fail 408 Request Timeout", "notify 404 Not Found"];
    for order in permutations(&STEPS) {
        let mut rig = Rig::up();
        rig.transfer("a");
        let transfer = rig.take("call_transfer");
        for step in &order {
            match step.split_once(' ') {
                None if *step == "reply" => rig.result(&transfer, json!("Accepted")),
                None => rig.transfer_event("a", "new", step, ""),
                Some((state, status)) => rig.transfer_event("a", "new", state, status),
            }
        }
        assert_eq!(rig.read().last().unwrap(), "failed Callee: 404 Not Found (Peer)", "{order:?}");
        assert_eq!(rig.outcomes.len(), 1);
    }
}

#[test]
fn repeated_events_and_replies_are_told_once() {
    let mut rig = Rig::up();
    rig.hold("a");
    let hold = rig.take("call_hold");
    for _ in 0..3 {
        rig.result(&hold, json!("OK"));
    }
    for (leg, state) in [("caller", "start"), ("caller", "ok"), ("callee", "start"), ("callee", "ok")] {
        for _ in 0..3 {
            rig.hold_event("a", leg, "hold", state);
        }
    }
    assert_eq!(rig.read().len(), 7);
    assert_eq!(rig.outcomes.len(), 1);
    assert_eq!((rig.core.counts().replies_late, rig.core.counts().events_late), (2, 8));
}
