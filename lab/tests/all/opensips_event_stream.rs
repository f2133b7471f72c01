//! Events as a stream: objects without anything between them, cut anywhere, and now and then a new connection.

use hookswitch_lab::opensips::{EVENT_STREAM, LabConfig, Network, OpenSipsLab};
use hookswitch_lab::{millis, seconds};
use hookswitch_shard::Mode;

const PARTIES: [(&str, &str); 2] = [("caller", "sip:dave@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")];

fn lab(seed: u64) -> OpenSipsLab {
    OpenSipsLab::new(LabConfig { stream: true, seed, ..LabConfig::default() })
}

#[test]
fn events_that_are_cut_anywhere_are_whole_again() {
    for seed in hookswitch_lab::seeds(0..20) {
        let mut lab = lab(seed);
        lab.keep_requests();
        let session = lab.open(Mode::Original);
        for number in 0..5 {
            lab.ask(session, "CallStart", &format!("a{number}"), &PARTIES);
        }
        lab.settle(seconds(30));
        assert_eq!((lab.client(session).ended, lab.client(session).failed), (5, 0), "seed {seed}");
        assert_eq!(lab.front().counts().events_bad, 0);
        lab.pass(seconds(60));
        let asked = lab.requests("event_subscribe");
        assert!(!asked.is_empty() && asked.iter().all(|request| request["params"]["socket"] == EVENT_STREAM));
    }
}

#[test]
fn a_stream_that_is_closed_in_the_middle_of_an_event_is_followed_by_another() {
    for seed in hookswitch_lab::seeds(0..20) {
        let mut lab = lab(seed);
        lab.network(Network { delay: millis(1), ..Network::CLEAR });
        let session = lab.open(Mode::Original);
        lab.ask(session, "CallStart", "cut", &PARTIES);
        lab.pass(millis(2 + seed));
        lab.cut_stream();
        lab.settle(seconds(300));
        lab.pass(seconds(30));
        assert!(!lab.sim().calls().any(|call| call == "cut"), "seed {seed}: the first leg is over");
        lab.ask(session, "CallStart", "next", &PARTIES);
        lab.settle(seconds(30));
        assert_eq!(lab.client(session).error("next"), "", "seed {seed}");
        assert!(lab.is_up());
    }
}
