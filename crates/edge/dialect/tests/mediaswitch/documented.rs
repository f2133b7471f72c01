//! Runs the examples of the page: in a block marked `http`, `>` is a request with its body, `<`
//! the status and the body that answer it, `~` a phone that registers.

use std::time::Duration;

use hookswitch_call::directory::{MAX_DOMAINS, MAX_NAME, MAX_SECRET, MAX_USERS};
use hookswitch_dialect::mediaswitch::{MAX_BODY, MAX_PATH, Registration};

use crate::host::Host;

fn page() -> String {
    let path = format!("{}/../../../docs/dialects/mediaswitch-directory.md", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_example_is_true() {
    let page = page();
    let mut host = Host::configured();
    let mut seen = 0;
    for block in page.split("```http\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()) {
        let mut answer = None;
        for line in block.lines().filter(|line| !line.is_empty()) {
            let (mark, rest) = line.split_once(' ').unwrap();
            let mut words = rest.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_default();
            match mark {
                ">" => {
                    let response = host.ask(word(), word(), word());
                    answer = Some(format!("{} {}", response.status, response.body));
                }
                "<" => assert_eq!(answer.take().unwrap().trim_end(), rest, "{block}"),
                "~" => register(&mut host, word()),
                _ => panic!("not a line of an example: {line}"),
            }
            seen += 1;
        }
        assert_eq!(answer, None, "an answer is not shown");
    }
    assert!(seen >= 20);
}

fn register(host: &mut Host, user_and_domain: &str) {
    let (user, domain) = user_and_domain.split_once('@').unwrap();
    host.phones.0.insert(
        (domain.to_owned(), user.to_owned()),
        Registration {
            host: "192.0.2.7".into(),
            port: 5060,
            agent: Some("Phone 1.0".into()),
            outstanding_pings: 0,
            registered: Duration::from_secs(1_700_000_000),
            stale: None,
            phones: vec![("3f0c2a9b7d51e864".into(), Duration::from_millis(12_345))],
        },
    );
}

#[test]
fn the_limits_are_the_programs() {
    let page = page();
    for (what, number) in [
        ("bytes in a body", MAX_BODY),
        ("bytes in a path", MAX_PATH),
        ("domains", MAX_DOMAINS),
        ("users in a domain", MAX_USERS),
        ("bytes in a name", MAX_NAME),
        ("bytes in a secret", MAX_SECRET),
    ] {
        let line = format!("| {what} | {number} |");
        assert!(page.contains(&line), "the page lacks this row:\n{line}");
    }
}
