use hookswitch_dialect::webhook::Answer;

use crate::rig::*;

#[test]
fn a_test_is_posted_once_and_says_what_came_of_it() {
    let target = Target::start(|_| answer(201));
    let rig = Rig::start(vec![endpoint("crm", &target.url())]);
    let came = block_on(rig.handle().test("crm"));
    assert_eq!(came, Some(Answer::Status { code: 201, retry_after: None }));
    let posted = target.wait(1).remove(0);
    assert_eq!(posted.json()["type"], "webhook.test");
    assert_eq!(posted.headers["webhook-id"], posted.json()["id"].as_str().unwrap());
    assert_eq!(block_on(rig.handle().test("nobody")), None);
}

#[test]
fn what_there_is_to_know_of_an_endpoint_is_not_its_secrets() {
    let mut config = endpoint("crm", "https://h.test/x");
    config.secrets = vec!["whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=".parse().unwrap()];
    let rig = Rig::start(vec![config]);
    let about = rig.handle().about("crm").unwrap();
    assert_eq!((about.url.to_string().as_str(), about.signatures.as_slice()), ("https://h.test/x", ["v1a"].as_slice()));
    assert_eq!(about.public_keys, ["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="]);
    assert!(!format!("{about:?}").contains("6Xb"));
}
