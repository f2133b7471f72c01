//! OpenSIPS 3.1, 3.4 and 4.1, with and without their modules, and all of their oddities at once.

use hookswitch_lab::opensips::{LabConfig, OpenSipsLab};
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::{millis, seconds};
use hookswitch_opensips::MiKind;
use hookswitch_opensips_sim::{Answer, Modules, Oddities, SimConfig, Version};
use hookswitch_shard::{Mode, SessionId};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_4, Version::V4_1];

fn lab(sim: SimConfig) -> (OpenSipsLab, SessionId) {
    let mut lab = OpenSipsLab::new(LabConfig { sim, ..LabConfig::default() });
    let now = lab.now();
    lab.sim().call(now, "call-1", "dave", "erin");
    lab.sim().call(now, "call-2", "frank", "grace");
    lab.sim().call(now, "call-3", "heidi", "erin");
    lab.pass(seconds(1));
    let session = lab.open(Mode::Original);
    (lab, session)
}

/// Every command in turn; gives back the errors.
fn all_commands(lab: &mut OpenSipsLab, session: SessionId) -> Vec<String> {
    let commands: [(&str, &[(&str, &str)]); 6] = [
        ("CallStart", &[("caller", "sip:heidi@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")]),
        ("CallHold", &[("callid", "call-1")]),
        ("CallUnhold", &[("callid", "call-1")]),
        (
            "CallAttendedTransfer",
            &[("callidA", "call-1"), ("legA", "caller"), ("callidB", "call-2"), ("legB", "callee")],
        ),
        ("CallBlindTransfer", &[("callid", "call-3"), ("leg", "caller"), ("destination", "sip:erin@127.0.0.1:5080")]),
        ("CallEnd", &[("callid", "call-2")]),
    ];
    let mut errors = Vec::new();
    for (command, params) in commands {
        lab.ask(session, command, command, params);
        lab.settle(seconds(60));
        lab.pass(seconds(1));
        errors.push(lab.client(session).error(command).to_owned());
    }
    errors
}

#[test]
fn every_command_works_with_every_version() {
    for version in VERSIONS {
        let (mut lab, session) = lab(SimConfig { version, ..SimConfig::default() });
        let mut errors = all_commands(&mut lab, session);
        // The attended transfer has already released it.
        assert_eq!(errors.pop().unwrap(), "404 Requested Dialog not found");
        assert!(errors.iter().all(String::is_empty), "{version:?}: {errors:?}");
        let known = lab.front().health().version.unwrap();
        assert!(version.server().contains(known.as_str()), "{known}");
        // Calls of others are seen, and one's own are not forgotten twice.
        assert_eq!(lab.front().counts().events_bad, 0);
    }
}

#[test]
fn every_command_works_where_requests_go_over_http() {
    let mut config = LabConfig::default();
    config.front.opensips.mi = MiKind::Http;
    let mut lab = OpenSipsLab::new(config);
    let now = lab.now();
    for (callid, caller, callee) in
        [("call-1", "dave", "erin"), ("call-2", "frank", "grace"), ("call-3", "heidi", "erin")]
    {
        lab.sim().call(now, callid, caller, callee);
    }
    lab.pass(seconds(1));
    let session = lab.open(Mode::Original);
    let mut errors = all_commands(&mut lab, session);
    assert_eq!(errors.pop().unwrap(), "404 Requested Dialog not found");
    assert!(errors.iter().all(String::is_empty), "{errors:?}");
    lab.sim().phone("dave", scripted("dave").answering(Answer::After(seconds(15))));
    let parties = [("caller", "sip:dave@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")];
    lab.ask(session, "CallStart", "late", &parties);
    lab.settle(seconds(60));
    assert_eq!(lab.client(session).error("late"), "");
    assert_eq!(lab.front().counts().losses, 0, "a party that rings is no OpenSIPS that is lost");
}

#[test]
fn one_party_is_put_on_hold_where_opensips_can() {
    for version in VERSIONS {
        let (mut lab, session) = lab(SimConfig { version, ..SimConfig::default() });
        lab.ask(session, "CallHold", "x", &[("callid", "call-1"), ("leg", "caller")]);
        lab.settle(seconds(60));
        let error = lab.client(session).error("x");
        if version.has_modules() {
            assert_eq!(error, "");
            assert_eq!(lab.sim().held("call-1"), Some((true, true)));
        } else {
            assert!(error.contains("not supported"), "{version:?}: {error}");
            assert_eq!(lab.sim().held("call-1"), Some((false, false)));
        }
    }
}

#[test]
fn a_missing_module_is_named_by_its_error() {
    let modules = Modules { callops: false, ..Modules::default() };
    let (mut lab, session) = lab(SimConfig { modules, ..SimConfig::default() });
    let errors = all_commands(&mut lab, session);
    for error in &errors[..5] {
        assert_eq!(error, "-32601 Method not found");
    }
    lab.pass(seconds(5));
    assert_eq!(lab.sim().calls().collect::<Vec<_>>(), ["call-1", "call-3"], "the first leg of the start is hung up");
}

#[test]
fn oddities_change_no_outcome() {
    let all = Oddities { early_notify: 100, null_leg: 100, unknown_names: 50, ..Oddities::default() };
    for early_notify in [0, 100] {
        for seed in hookswitch_lab::seeds(0..10) {
            let sim =
                SimConfig { oddities: Oddities { early_notify, ..all }, spread: millis(8), ..SimConfig::default() };
            let mut lab = OpenSipsLab::new(LabConfig { sim, seed, ..LabConfig::default() });
            let now = lab.now();
            for (callid, caller, callee) in
                [("call-1", "dave", "erin"), ("call-2", "frank", "grace"), ("call-3", "heidi", "erin")]
            {
                lab.sim().call(now, callid, caller, callee);
            }
            lab.pass(seconds(1));
            let session = lab.open(Mode::Original);
            let mut errors = all_commands(&mut lab, session);
            errors.pop();
            assert!(errors.iter().all(String::is_empty), "seed {seed}: {errors:?}");
        }
    }
}

#[test]
fn a_second_leg_that_cannot_be_asked_fails_the_hold() {
    let oddities = Oddities { unsendable_hold: 100, ..Oddities::default() };
    let (mut lab, session) = lab(SimConfig { oddities, ..SimConfig::default() });
    lab.ask(session, "CallHold", "x", &[("callid", "call-1")]);
    lab.settle(seconds(60));
    assert_eq!(lab.client(session).error("x"), "-32000 Server error");
}

#[test]
fn a_caller_that_answers_late_is_waited_for_until_opensips_gives_up() {
    let (mut lab, session) = lab(SimConfig::default());
    lab.sim().phone("dave", scripted("dave").answering(Answer::After(seconds(19))));
    let parties = [("caller", "sip:dave@127.0.0.1:5080"), ("callee", "sip:erin@127.0.0.1:5080")];
    lab.ask(session, "CallStart", "x", &parties);
    lab.settle(seconds(60));
    assert_eq!(lab.client(session).error("x"), "");
}
