//! Calls whose audio is on other nodes: whatever is asked of it is asked there.

use std::sync::Arc;

use hookswitch_dialect::access::Grant;
use hookswitch_dialect::rest;
use hookswitch_nodes::Answer;
use hookswitch_shard::{HttpId, Input, NodesConfig, Output, Shard};

use crate::support::*;

#[test]
fn nothing_is_asked_of_audio_here_that_is_elsewhere() {
    let mut config = shard_config();
    config.limits.anchor = true;
    config.nodes =
        NodesConfig { media: vec!["http://m:9002".into()], control: "http://c:9001".into(), ..NodesConfig::default() };
    let mut shard = Shard::new(config, [7; 32]);
    // The node says how it is.
    shard.handle_timeout(sec(1));
    let beat = std::iter::from_fn(|| shard.poll_output()).find_map(|output| match output {
        Output::Node(request) => Some(request.id),
        _ => None,
    });
    let load = r#"{"channels":{"active":0,"available":100,"instance":"i"}}"#;
    shard.handle(sec(1), Input::Node(Answer { id: beat.expect("it is asked"), result: Some((200, load.into())) }));
    let asked = |method: &str, path: &str, query: Option<&str>, body: &str| Input::Rest {
        id: HttpId(1),
        request: Box::new(rest::Request {
            method: method.into(),
            path: path.into(),
            query: query.map(Into::into),
            headers: rest::Headers { content_type: Some("application/json".into()), ..rest::Headers::default() },
            grant: Arc::new(Grant::everything()),
            webhook: None,
            body: body.to_owned().into(),
        }),
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
