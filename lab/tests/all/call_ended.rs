//! An application that asked for it hears when its own call is over, whoever hung up.

use hookswitch_lab::{Lab, seconds};
use serde_json::json;

#[test]
fn the_command_lasts_as_long_as_its_call() {
    for party in ["caller", "callee", "application"] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        let app = lab.app();
        let uri = |user: &str| format!("sip:{user}@{}", hookswitch_lab::DOMAIN);
        let params = json!({"caller": uri("alice"), "callee": uri("bob"), "cmd_id": "c1", "notify_end": "true"});
        lab.say(app, json!({"jsonrpc": "2.0", "id": 1, "method": "CallStart", "params": params}).to_string());
        lab.pass(seconds(5));
        lab.assert_talking(alice, bob);
        let before = lab.heard_by(app).events("c1");
        assert_eq!(before.last(), Some(&"CalleeAnswered"), "{before:?}");
        let callid = lab.heard_by(app).data("c1", "CalleeAnswered").unwrap()["callid"].as_str().unwrap().to_owned();
        match party {
            "caller" => lab.hang_up(alice),
            "callee" => lab.hang_up(bob),
            _ => lab.end_call(app, "e1", "c1"),
        }
        lab.pass(seconds(1));
        assert!(!lab.in_call(alice) && !lab.in_call(bob), "{party}");
        let heard = lab.heard_by(app);
        let events = heard.events("c1");
        assert_eq!(events[events.len() - 2..], ["CallEnded", "Ended"], "{party}");
        let ended = heard.data("c1", "CallEnded").unwrap();
        assert_eq!((&ended["callid"], &ended["cause"]), (&json!(callid), &json!("200 OK")), "{party}");
        assert!(ended["talked"].as_u64().unwrap() > 3_000, "{ended}");
        lab.finish();
    }
}
