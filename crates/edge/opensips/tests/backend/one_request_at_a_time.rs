//! Over HTTP OpenSIPS answers nothing while a caller's phone rings: its one process waits with the INVITE.

use hookswitch_call::{Cause, Command};
use hookswitch_opensips::{Config, Link, MiKind};
use serde_json::json;

use crate::rig::{Rig, VERSION, answered, config, seconds, wire};

fn over_http() -> Rig {
    Rig::with(Config { mi: MiKind::Http, ..config() }, VERSION)
}

#[test]
fn silence_while_it_rings_is_no_loss() {
    let mut rig = over_http();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.is_answering = false;
    rig.pass(seconds(39));
    assert!(rig.methods().is_empty(), "nobody asks who cannot answer");
    rig.hold("a");
    assert_eq!(rig.take("call_hold").patience, config().ring_timeout + config().mi_timeout);
    rig.pass(seconds(60));
    assert_eq!(rig.core.health().mi, Link::Up);
    assert!(rig.outcomes.is_empty());
    rig.is_answering = true;
    rig.result(&invite, answered());
    assert!(rig.read().contains(&"answered caller".to_owned()));
}

#[test]
fn silence_that_began_before_it_rang_is_no_loss_either() {
    let mut rig = over_http();
    rig.is_answering = false;
    rig.pass(seconds(10));
    rig.take("version");
    rig.call_start("one");
    rig.pass(seconds(3));
    assert_eq!(rig.core.health().mi, Link::Up);
}

#[test]
fn a_cancelled_caller_is_waited_for() {
    let mut rig = over_http();
    rig.call_start("one");
    let invite = rig.take("t_uac_dlg");
    rig.submit(Command::End { call: wire("one"), cause: Cause::hangup() }).unwrap();
    rig.take("t_uac_cancel");
    rig.pass(seconds(60));
    assert!(rig.outcomes.is_empty(), "the phone rings, and nobody may be told otherwise");
    rig.result(&invite, answered());
    assert_eq!(rig.outcomes.len(), 2);
    assert_eq!(rig.take("dlg_end_dlg").params, json!({"dialog_id": "one"}));
}

#[test]
fn when_nobody_is_called_silence_is_a_loss_as_ever() {
    let mut rig = over_http();
    rig.is_answering = false;
    rig.pass(seconds(13));
    assert!(rig.core.health().mi.is_down());
}
