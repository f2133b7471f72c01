use crate::rig::*;

#[test]
fn a_target_on_this_host_is_refused_by_address_and_by_name_unless_it_is_allowed() {
    let target = Target::start(|_| answer(200));
    let port = target.address.port();
    for url in
        [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/"), format!("http://2130706433:{port}/")]
    {
        let mut config = endpoint("crm", &url);
        config.allow_private.clear();
        let rig = Rig::start(vec![config]);
        rig.tell(1, 0);
        until(|| rig.ask("crm", |it| it.summary().failures_in_row) >= 2);
        let why = rig.ask("crm", |it| it.deliveries(None, None, 1)).remove(0).failure.unwrap();
        assert!(why.contains("no public address"), "{url}: {why}");
    }
    assert!(target.posted().is_empty());
    // By name it is looked up, and the address that is allowed is used.
    let rig = Rig::start(vec![endpoint("crm", &format!("http://localhost:{port}/"))]);
    rig.tell(1, 0);
    target.wait(1);
}
