//! Calls whose audio is on other nodes: whatever is asked of it is asked there.

use std::sync::Arc;

use hookswitch_dialect::access::Grant;
use hookswitch_dialect::rest;
use hookswitch_nodes::{Answer, AskId};
use hookswitch_shard::{HttpId, Input, NodesConfig, Output, Shard};
use serde_json::{Value, json};

use crate::support::*;

fn asked(method: &str, path: &str, query: Option<&str>, body: &str, grant: Grant) -> Input {
    let headers = rest::Headers { content_type: Some("application/json".into()), ..rest::Headers::default() };
    let (query, body) = (query.map(Into::into), body.to_owned().into());
    let request = rest::Request {
        method: method.into(),
        path: path.into(),
        query,
        headers,
        grant: Arc::new(grant),
        webhook: None,
        work: rest::Work::Here,
        body,
    };
    Input::Rest { id: HttpId(1), request: Box::new(request) }
}

/// A switch whose audio is on one other node, which has been asked how it is.
fn beside(url: &str) -> (Shard, AskId) {
    let mut config = shard_config();
    config.limits.anchor = true;
    config.nodes = NodesConfig { media: vec![url.into()], control: "http://c:9001".into(), ..NodesConfig::default() };
    let mut shard = Shard::new(config, [7; 32]);
    shard.handle_timeout(sec(1));
    let beat = std::iter::from_fn(|| shard.poll_output()).find_map(|output| match output {
        Output::Node(request) => Some(request.id),
        _ => None,
    });
    (shard, beat.expect("it is asked"))
}

/// The node says how it is.
fn load() -> Option<(u16, bytes::Bytes)> {
    Some((200, r#"{"channels":{"active":0,"available":100,"instance":"i"}}"#.into()))
}

#[test]
fn it_is_told_how_the_nodes_stand() {
    let (mut shard, beat) = beside("http://m:9002");
    let listed = |shard: &mut Shard, grant: Grant| {
        shard.handle(sec(2), asked("GET", "/v1/nodes", None, "", grant));
        let answer = std::iter::from_fn(|| shard.poll_output()).find_map(|output| match output {
            Output::Rest { response, .. } => Some(response),
            _ => None,
        });
        let document: Value = serde_json::from_str(&answer.expect("an answer").body).expect("JSON");
        document["nodes"].clone()
    };
    let node = |state: &str, since: Value| json!([{ "kind": "media", "url": "http://m:9002", "state": state, "since": since, "calls": 0 }]);
    assert_eq!(listed(&mut shard, Grant::everything()), node("starting", Value::Null));
    shard.handle(sec(1), Input::Node(Answer { id: beat, result: load() }));
    let mut up = node("up", "1970-01-01T00:00:01.000Z".into());
    up[0]["channels"] = 0.into();
    up[0]["channels_free"] = 100.into();
    up[0]["processor_percent"] = 0.0.into();
    up[0]["late_ticks"] = 0.into();
    assert_eq!(listed(&mut shard, Grant::everything()), up);
    let of_a_domain = Grant { domains: vec!["x.test".into()], ..Grant::everything() };
    assert_eq!(listed(&mut shard, of_a_domain), json!([]), "nodes are of no domain");
}

#[test]
fn nothing_is_asked_of_audio_here_that_is_elsewhere() {
    let (mut shard, beat) = beside("http://m:9002");
    shard.handle(sec(1), Input::Node(Answer { id: beat, result: load() }));
    let asked = |method: &str, path: &str, query: Option<&str>, body: &str| {
        asked(method, path, query, body, Grant::everything())
    };
    let start = r#"{"from":"sip:bench-1@x.test","to":"sip:bench-2@x.test"}"#;
    shard.handle(sec(1), asked("POST", "/v1/calls", None, start));
    let call = shard.calls().next().expect("a call");
    shard.handle(sec(1), asked("GET", &format!("/v1/calls/call_{call}"), Some("audio=true"), ""));
    let page = Input::Http { id: HttpId(2), method: "GET".into(), path: format!("/calls/{call}"), body: "".into() };
    shard.handle(sec(1), page);
    shard.handle(sec(1), Input::EndAll);
    let outputs: Vec<Output> = std::iter::from_fn(|| shard.poll_output()).collect();
    assert!(outputs.iter().any(|output| matches!(output, Output::Node(_))), "{outputs:?}");
    assert!(!outputs.iter().any(|output| matches!(output, Output::Media(_))), "{outputs:?}");
}
