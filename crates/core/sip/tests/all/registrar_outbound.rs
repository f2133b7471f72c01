//! Phones that keep their flows (RFC 5626).

use std::sync::Arc;
use std::time::Duration;

use crate::registrar_phone::*;
use hookswitch_sip::registrar::{
    Change, Instance, Pong, Refusal, RegisterOutcome, Registrar, RegistrarConfig, RemovedWhy, StaleWhy,
};
use hookswitch_sip::{Flow, Time};
use hookswitch_sip_msg::HeaderName;

fn contact(reg_id: u32) -> String {
    format!("Contact: <sip:a@10.0.0.5;ob>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}")
}

/// Registers a flow of the phone as RFC 5626 wants it.
fn keep(registrar: &mut Registrar, now: Time, reg_id: u32, flow: Flow) -> RegisterOutcome {
    let request = register(&format!("flow-{reg_id}"), 1, &[&contact(reg_id), "Supported: path, outbound"]);
    registrar.register(now, ALICE, &request, flow)
}

/// The same flow again, as a phone does that has lost it.
fn keep_again(registrar: &mut Registrar, now: Time, reg_id: u32, flow: Flow) {
    let request = register("again", 1, &[&contact(reg_id), "Supported: path, outbound"]);
    assert_status(&registrar.register(now, ALICE, &request, flow), 200);
}

fn phone() -> Instance {
    Instance { aor: Arc::from(ALICE), instance: Arc::from("<urn:uuid:1>") }
}

/// The numbers of the flows that a call may go over, in order.
fn flows(registrar: &Registrar, now: Time) -> Vec<u32> {
    registrar.flows(now, &phone()).filter_map(|binding| binding.reg_id).collect()
}

fn removals(registrar: &mut Registrar) -> Vec<RemovedWhy> {
    let why = |change| match change {
        Change::Removed { why, .. } => Some(why),
        Change::Put(_) | Change::Stale { .. } | Change::Revived { .. } => None,
    };
    changes(registrar).into_iter().filter_map(why).collect()
}

#[test]
fn a_phone_that_keeps_its_flow_is_told_that_we_know() {
    let mut registrar = registrar();
    let outcome = keep(&mut registrar, at(0), 1, tcp(1));
    assert_eq!(values(&outcome, HeaderName::Require), ["outbound"]);
    assert_eq!(values(&outcome, HeaderName::Supported), ["path, outbound"]);
    assert!(values(&outcome, HeaderName::FlowTimer).is_empty());
    let expected = "<sip:a@10.0.0.5;ob>;expires=3600;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
    assert_eq!(contacts(&outcome), [expected]);

    let timed = RegistrarConfig { flow_timer: Duration::from_secs(25), ..RegistrarConfig::default() };
    let outcome = keep(&mut Registrar::new(timed), at(0), 1, tcp(1));
    assert_eq!(values(&outcome, HeaderName::FlowTimer), ["25"]);
}

#[test]
fn a_phone_that_does_not_know_is_told_nothing() {
    for lines in [
        vec!["Contact: <sip:a@10.0.0.5>", "Supported: path, outbound"],
        vec!["Contact: <sip:a@10.0.0.5>;+sip.instance=\"<urn:uuid:1>\"", "Supported: outbound"],
        vec!["Contact: <sip:a@10.0.0.5>;+sip.instance=\"<urn:uuid:1>\";reg-id=1", "Supported: path"],
        vec!["Contact: <sip:a@10.0.0.5>;+sip.instance=\"<urn:uuid:1>\";reg-id=1;expires=0", "Supported: outbound"],
    ] {
        let mut registrar = registrar();
        let outcome = send(&mut registrar, at(0), 1, &lines);
        assert_status(&outcome, 200);
        assert!(values(&outcome, HeaderName::Require).is_empty(), "{lines:?}");
        assert!(!registrar.bindings(at(0), ALICE).any(|binding| binding.keeps_flow()), "nor taken at its word");
    }
}

#[test]
fn the_first_hop_of_the_phone_has_to_know_as_well() {
    let proxied = |path: &str, supported: &str| {
        let mut registrar = registrar();
        let mut lines = vec!["Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKphone".to_owned(), contact(1)];
        lines.extend([path, supported].iter().filter(|line| !line.is_empty()).map(|line| (*line).to_owned()));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let outcome = send(&mut registrar, at(0), 1, &lines);
        let kept = registrar.bindings(at(0), ALICE).any(|binding| binding.keeps_flow());
        (outcome.status, kept, outcome)
    };
    let (status, kept, outcome) = proxied("Path: <sip:edge.test;lr>", "Supported: path, outbound");
    assert_eq!((status, kept, outcome.result), (439, false, Err(Refusal::FirstHopLacksOutbound)));
    assert_eq!(outcome.reason, "First Hop Lacks Outbound Support");
    let (status, ..) = proxied("", "Supported: outbound");
    assert_eq!(status, 439);
    // The edge proxy is the one that was there first; what another one in between can do does not matter.
    let (status, ..) = proxied("Path: <sip:inner.test;lr;ob>, <sip:edge.test;lr>", "Supported: path, outbound");
    assert_eq!(status, 439);
    let (status, kept, outcome) =
        proxied("Path: <sip:inner.test;lr>, <sip:token@edge.test;lr;ob>", "Supported: path, outbound");
    assert_eq!((status, kept), (200, true));
    assert_eq!(values(&outcome, HeaderName::Require), ["outbound"]);
    let (status, kept, _) = proxied("Path: <sip:edge.test;lr>", "Supported: path");
    assert_eq!((status, kept), (200, false), "registered as of old");
}

#[test]
fn the_flow_that_was_refreshed_last_comes_first() {
    let mut registrar = registrar();
    keep(&mut registrar, at(0), 1, tcp(1));
    keep(&mut registrar, at(1), 2, udp(5062));
    assert_eq!(flows(&registrar, at(1)), [2, 1]);
    let again = register("flow-1", 2, &[&contact(1), "Supported: outbound"]);
    assert_status(&registrar.register(at(2), ALICE, &again, tcp(1)), 200);
    assert_eq!(flows(&registrar, at(2)), [1, 2]);
    // Another phone of the user is another phone.
    send(&mut registrar, at(3), 1, &["Contact: <sip:b@h>;+sip.instance=\"<urn:uuid:2>\";reg-id=1"]);
    assert_eq!(flows(&registrar, at(3)), [1, 2]);
}

#[test]
fn a_new_flow_with_the_same_number_takes_the_place_of_the_old_one() {
    let mut registrar = registrar();
    keep(&mut registrar, at(0), 1, tcp(1));
    let moved = register("after-reboot", 1, &[&contact(1).replace("10.0.0.5", "10.9.9.9"), "Supported: outbound"]);
    assert_status(&registrar.register(at(1), ALICE, &moved, tcp(2)), 200);
    assert_eq!(only(&registrar, at(1)).flow, Some(tcp(2)));
    registrar.remove_flow(at(2), tcp(1));
    assert_eq!(registrar.count().bindings, 1, "the end of the old connection comes late");
}

#[test]
fn a_flow_that_closes_takes_its_binding_along_and_no_other() {
    let mut registrar = registrar();
    keep(&mut registrar, at(0), 1, tcp(1));
    keep(&mut registrar, at(0), 2, tcp(2));
    registrar.register(at(0), ALICE, &register("plain", 1, &["Contact: <sip:p@10.0.0.9>"]), tcp(1));
    registrar.remove_flow(at(1), tcp(1));
    assert_eq!(removals(&mut registrar), [RemovedWhy::Unreachable]);
    assert_eq!((flows(&registrar, at(1)), registrar.count().bindings), (vec![2], 2));
    assert_eq!(registrar.totals().unreachable, 1);
}

#[test]
fn a_proxy_may_close_its_connection_to_us() {
    let mut registrar = registrar();
    let via = "Via: SIP/2.0/TCP 10.0.0.5;branch=z9hG4bKphone";
    let lines = [via, &contact(1), "Path: <sip:token@edge.test;lr;ob>", "Supported: path, outbound"];
    registrar.register(at(0), ALICE, &register("c", 1, &lines), tcp(1));
    registrar.remove_flow(at(1), tcp(1));
    let binding = only(&registrar, at(1));
    assert_eq!((binding.flow, binding.is_stale()), (None, false));
}

#[test]
fn a_proxy_that_has_lost_the_flow_ends_the_binding() {
    let config = RegistrarConfig { options_ping: Duration::from_secs(30), ..RegistrarConfig::default() };
    let mut registrar = Registrar::new(config);
    keep(&mut registrar, at(0), 1, udp(5060));
    let ping = (0..=30).find_map(|second| registrar.poll_ping(at(second))).expect("a ping");
    registrar.pinged(at(31), ping.key, ping.sent_at, Pong::FlowLost);
    assert_eq!((removals(&mut registrar), registrar.count().bindings), (vec![RemovedWhy::Unreachable], 0));
}

#[test]
fn a_call_that_fails_tells_of_its_flow_only_where_one_was_promised() {
    let mut registrar = registrar();
    keep(&mut registrar, at(0), 1, tcp(1));
    keep(&mut registrar, at(0), 2, tcp(2));
    registrar.register(at(0), ALICE, &register("plain", 1, &["Contact: <sip:p@10.0.0.9>"]), udp(5060));
    let keys: Vec<u64> = registrar.bindings(at(0), ALICE).filter_map(|binding| registrar.key_of(binding)).collect();
    let [plain, second, first] = keys[..] else { panic!("{keys:?}") };
    registrar.flow_failed(at(1), plain, StaleWhy::FlowLost);
    assert_eq!(registrar.count().bindings, 3);
    registrar.flow_failed(at(1), second, StaleWhy::FlowLost);
    registrar.flow_failed(at(1), second, StaleWhy::FlowLost);
    registrar.flow_failed(at(1), first, StaleWhy::Silent);
    assert_eq!((removals(&mut registrar), registrar.count().bindings), (vec![RemovedWhy::Unreachable], 2));
    assert!(flows(&registrar, at(1)).is_empty(), "one is gone and one is stale");
}

#[test]
fn after_a_restart_a_phone_is_where_its_flow_still_is() {
    let mut first = registrar();
    keep(&mut first, at(0), 1, tcp(1));
    keep(&mut first, at(1), 2, udp(5062));
    let mut second = registrar();
    for binding in first.bindings(at(1), ALICE) {
        assert!(second.restore(binding.clone()));
    }
    assert_eq!((flows(&second, at(2)), second.count().bindings), (vec![2], 2));
    let called: Vec<_> = second.reachable(at(2), ALICE).filter_map(|binding| binding.reg_id).collect();
    assert_eq!(called, [2]);
    keep_again(&mut second, at(3), 1, tcp(9));
    assert_eq!(flows(&second, at(3)), [1, 2]);
}
