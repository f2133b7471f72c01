use hookswitch_dialect::journal::EventId;
use hookswitch_dialect::webhook::State;

use crate::rig::*;

const SYMMETRIC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ASYMMETRIC: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";

#[test]
fn an_event_is_posted_as_it_stands_in_the_log_with_id_time_and_signatures() {
    let target = Target::start(|_| answer(204));
    let mut config = endpoint("crm", &target.url());
    config.secrets = vec![SYMMETRIC.parse().unwrap(), ASYMMETRIC.parse().unwrap()];
    let rig = Rig::start(vec![config]);
    rig.tell(1, 0);
    let posted = target.wait(1).remove(0);
    assert_eq!(posted.line, "POST /hook HTTP/1.1");
    assert_eq!(posted.headers["content-type"], "application/json");
    assert!(posted.headers["user-agent"].starts_with("Hookswitch/"));
    assert_eq!(posted.headers["webhook-id"], format!("evt_{}", posted.event()));
    let timestamp: u64 = posted.headers["webhook-timestamp"].parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now - timestamp < 30);
    let signatures: Vec<&str> = posted.headers["webhook-signature"].split(' ').collect();
    assert!(signatures[0].starts_with("v1,") && signatures[1].starts_with("v1a,"), "{signatures:?}");
    assert_eq!(posted.json()["type"], "call.bridged");
    let event = EventId(posted.event());
    until(|| rig.ask("crm", move |it| it.delivery(event)).is_some_and(|one| one.state == State::Delivered));
}

#[test]
fn many_calls_share_few_connections_and_each_has_its_order() {
    let target = Target::start(|_| answer(200));
    let mut config = endpoint("crm", &target.url());
    config.terms.parallel = 8;
    let rig = Rig::start(vec![config]);
    for seq in 0..20 {
        (1..=25).for_each(|call| rig.tell(call, seq));
    }
    let posted = target.wait(500);
    assert_eq!(posted.len(), 500);
    assert_ordered(&posted);
    let connections = posted.iter().map(|one| one.connection).max().unwrap() + 1;
    assert!(connections <= 8, "{connections} connections");
}

#[test]
fn what_the_filter_does_not_want_is_not_posted() {
    let target = Target::start(|_| answer(200));
    let mut config = endpoint("crm", &target.url());
    config.filter.kinds = vec!["call.held".into(), "registration.*".into()];
    let rig = Rig::start(vec![config]);
    rig.tell(1, 0);
    let newest = || rig.journal.handle().newest();
    until(|| rig.ask("crm", |it| it.summary().cursor) == Some(newest()));
    assert!(target.posted().is_empty());
}
