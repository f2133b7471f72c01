//! Old, used and foreign nonces.

use crate::auth_conversation::*;
use hookswitch_sip::Time;
use hookswitch_sip::auth::{Credentials, Gate, GateConfig, RejectedWhy, Session, Verdict};

#[test]
fn one_nonce_serves_many_requests() {
    let mut gate = gate();
    let mut phone = Phone::challenged_by(&mut gate, at(0));
    for second in 0..100 {
        assert_accepted(phone.register(&mut gate, at(second)));
    }
    assert_eq!(gate.tracked_nonces(), 1);
}

#[test]
fn a_replayed_count_is_challenged_again() {
    let mut gate = gate();
    let captured = Phone::challenged_by(&mut gate, at(0)).answer();
    assert_accepted(send(&mut gate, at(1), captured.clone()));
    assert_challenge(&send(&mut gate, at(2), captured.clone()), true);
    assert_challenge(&send(&mut gate, at(3), captured), true);
}

#[test]
fn requests_that_overtake_each_other_all_pass() {
    let mut gate = gate();
    let mut phone = Phone::challenged_by(&mut gate, at(0));
    let mut requests: Vec<String> = (0..10).map(|_| phone.answer()).collect();
    requests.reverse();
    for request in requests {
        assert_accepted(send(&mut gate, at(1), request));
    }
}

#[test]
fn an_expired_nonce_is_stale_and_its_successor_works() {
    let mut gate = gate();
    let mut phone = Phone::challenged_by(&mut gate, at(0));
    assert_accepted(phone.register(&mut gate, at(300)));
    let verdict = phone.register(&mut gate, at(301));
    assert_challenge(&verdict, true);

    let Verdict::Challenge { status, headers, .. } = verdict else { panic!("expected a challenge") };
    phone.session = Session::new(&response(status, &headers), &phone.credentials).expect("a challenge to answer");
    assert!(phone.session.is_stale());
    assert_accepted(phone.register(&mut gate, at(301)));
}

#[test]
fn the_lifetime_is_configurable() {
    let mut gate = gate_with(GateConfig { nonce_lifetime: Time::from_secs(5), ..GateConfig::default() });
    let mut phone = Phone::challenged_by(&mut gate, at(0));
    assert_accepted(phone.register(&mut gate, at(5)));
    assert_challenge(&phone.register(&mut gate, at(6)), true);
}

#[test]
fn an_expired_nonce_with_a_wrong_password_is_not_called_stale() {
    let mut gate = gate();
    let mut phone = Phone::with(Credentials::new("alice", "looking-glass"), &mut gate, at(0));
    assert_challenge(&phone.register(&mut gate, at(301)), false);
}

#[test]
fn a_restart_makes_nonces_stale() {
    let mut phone = Phone::challenged_by(&mut gate(), at(0));
    let mut restarted = Gate::new(GateConfig::default(), [43; 32]);
    assert_challenge(&phone.register(&mut restarted, at(1)), true);
    assert_eq!(restarted.tracked_nonces(), 0);
}

#[test]
fn an_invented_nonce_is_never_accepted() {
    let mut gate = gate();
    let phone = Phone::challenged_by(&mut gate, at(0));
    let challenge =
        r#"Digest realm="example.test", nonce="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", qop="auth""#;
    let forged = response(401, &[(hookswitch_sip_msg::HeaderName::WwwAuthenticate, challenge.to_owned())]);
    let session = Session::new(&forged, &phone.credentials).expect("a challenge to answer");
    let mut forger = Phone { session, ..phone };
    assert_challenge(&forger.register(&mut gate, at(1)), true);
    assert_eq!(gate.tracked_nonces(), 0);
}

#[test]
fn an_altered_opaque_makes_the_nonce_stale() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    let altered = answer.replace("opaque=\"", "opaque=\"x");
    assert_ne!(altered, answer);
    assert_challenge(&send(&mut gate, at(1), altered), true);
}

#[test]
fn a_phone_that_forgets_the_opaque_is_put_up_with() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    let without = answer.split(", opaque=").next().expect("text before the opaque").to_owned();
    assert_ne!(without, answer);
    assert_accepted(send(&mut gate, at(1), without));
}

#[test]
fn requests_without_a_right_password_cost_no_memory() {
    let mut gate = gate();
    for second in 0..1_000 {
        let mut phone = Phone::with(Credentials::new("alice", "guess"), &mut gate, at(second));
        assert_rejected(&phone.register(&mut gate, at(second)), (403, RejectedWhy::BadCredentials));
    }
    assert_eq!(gate.tracked_nonces(), 0);
}

#[test]
fn the_memory_of_used_nonces_is_bounded_and_never_lets_a_replay_through() {
    let mut gate = gate_with(GateConfig { max_tracked_nonces: 10, ..GateConfig::default() });
    let captured: Vec<String> = (0..100)
        .map(|_| {
            let answer = Phone::challenged_by(&mut gate, at(0)).answer();
            assert_accepted(send(&mut gate, at(0), answer.clone()));
            answer
        })
        .collect();
    assert_eq!(gate.tracked_nonces(), 10);
    for answer in captured {
        assert_challenge(&send(&mut gate, at(1), answer), true);
    }
}

#[test]
fn used_nonces_are_forgotten_once_they_have_expired() {
    let mut gate = gate();
    for second in 0..2_000 {
        assert_accepted(Phone::challenged_by(&mut gate, at(second)).register(&mut gate, at(second)));
    }
    assert!(gate.tracked_nonces() <= 302, "{} nonces", gate.tracked_nonces());
}
