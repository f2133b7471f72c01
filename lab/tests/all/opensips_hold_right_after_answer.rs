//! A call is answered before OpenSIPS calls its dialog ready: what is asked of it in between waits.

use std::time::Duration;

use hookswitch_lab::opensips::{LabConfig, OpenSipsLab};
use hookswitch_lab::seconds;
use hookswitch_opensips_sim::SimConfig;
use hookswitch_shard::Mode;

fn assert_works(command: &str, params: &[(&str, &str)]) {
    let sim = SimConfig { spread: Duration::ZERO, ..SimConfig::default() };
    let mut lab = OpenSipsLab::new(LabConfig { sim, ..LabConfig::default() });
    let session = lab.open(Mode::Original);
    let parties = [("caller", "sip:dave@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")];
    lab.ask(session, "CallStart", "start", &parties);
    lab.settle(seconds(10));
    let callid = lab.client(session).data("start", "CalleeAnswered")["callid"].as_str().unwrap().to_owned();
    let params: Vec<(&str, &str)> = params.iter().copied().chain([("callid", callid.as_str())]).collect();
    lab.ask(session, command, "next", &params);
    lab.settle(seconds(60));
    assert_eq!(lab.client(session).error("next"), "", "{command}");
}

#[test]
fn a_hold_right_after_the_answer_waits_for_the_ack() {
    assert_works("CallHold", &[]);
}

#[test]
fn a_transfer_right_after_the_answer_waits_for_the_ack() {
    assert_works("CallBlindTransfer", &[("leg", "caller"), ("destination", "sip:frank@127.0.0.1:5080")]);
}

#[test]
fn an_end_right_after_the_answer_needs_no_ack() {
    assert_works("CallEnd", &[]);
}
