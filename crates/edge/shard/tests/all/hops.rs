//! How far a call may go.

use crate::support::*;

use crate::support::raw::{Raw, request, trusting_config, udp};

use hookswitch_shard::Counts;

fn invite(max_forwards: u8) -> String {
    request("INVITE", "sip:bench-1@x.test", 1, "", "a")
        .replace("Max-Forwards: 70", &format!("Max-Forwards: {max_forwards}"))
}

#[test]
fn each_call_takes_one_hop_and_without_one_left_goes_nowhere() {
    let alice = udp("10.0.0.2:5060");
    for (from, to) in [(70, 69), (1, 0)] {
        let mut raw = Raw::new(trusting_config());
        raw.hear(alice, &invite(from));
        assert_eq!(raw.last("INVITE").1.max_forwards().ok().flatten(), Some(to));
    }
    let mut raw = Raw::new(trusting_config());
    raw.hear(alice, &invite(0));
    assert_eq!(raw.last("483").0.remote, alice.remote);
    assert!(raw.told.is_empty(), "it never became a call");
    raw.pass(sec(40));
    assert_eq!(raw.shard.counts(), Counts::default());
}
