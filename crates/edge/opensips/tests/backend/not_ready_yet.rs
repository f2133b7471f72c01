//! A call that has just been answered: OpenSIPS calls its dialog ready when it has seen the ACK.

use serde_json::json;

use crate::rig::{Rig, millis};

#[test]
fn a_hold_is_asked_again_when_the_dialog_is_confirmed() {
    let mut rig = Rig::up();
    rig.hold("a");
    let hold = rig.take("call_hold");
    rig.error(&hold, 410, "Dialog not ready");
    assert!(rig.methods().is_empty());
    rig.dialog_event("a", 4);
    rig.accept("call_hold", json!("OK"));
    rig.hold_event("a", "caller", "hold", "ok");
    rig.hold_event("a", "callee", "hold", "ok");
    assert_eq!(rig.read().pop().unwrap(), "ok");
}

#[test]
fn a_confirmation_that_has_overtaken_the_refusal_counts() {
    let mut rig = Rig::up();
    rig.hold("a");
    let hold = rig.take("call_hold");
    rig.dialog_event("a", 4);
    rig.error(&hold, 410, "Dialog not ready");
    rig.pass(millis(0));
    rig.take("call_hold");
}

#[test]
fn a_transfer_is_asked_again_too() {
    let mut rig = Rig::up();
    rig.transfer("a");
    let transfer = rig.take("call_transfer");
    rig.error(&transfer, 410, "Dialog not ready");
    rig.dialog_event("a", 4);
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("a", "new", "ok", "200 OK");
    assert_eq!(rig.read().pop().unwrap(), "ok");
}

#[test]
fn one_that_never_gets_ready_is_refused_in_opensips_words() {
    let mut rig = Rig::up();
    rig.hold("a");
    rig.transfer("b");
    for _ in 0..3 {
        for method in ["call_hold", "call_transfer"] {
            let request = rig.take(method);
            rig.error(&request, 410, "Dialog not ready");
        }
        rig.pass(millis(500));
    }
    assert!(rig.methods().is_empty());
    for outcome in &rig.outcomes {
        assert_eq!(outcome.result.clone().unwrap_err().upstream.unwrap().code, 410);
    }
    assert_eq!(rig.outcomes.len(), 2);
}
