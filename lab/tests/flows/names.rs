//! Names that lead to several places (RFC 3263).

use hookswitch_b2bua::route::Route;
use hookswitch_lab::seconds;

use crate::page::{Flow, Page};

/// A switch that sends `9…` to the hosts of a service.
fn stage(page: Page) -> Flow {
    Flow::on(page, |switch| {
        switch.shard.b2bua.routes.push(Route::new("sip:9*", "sip:pbx.test;transport=udp").expect("a route"));
    })
}

#[test]
fn a_host_that_is_out_of_order_gives_way_to_the_next() {
    let page = [
        "dns-fail-over",
        "A host that answers 503 gives way to the next (RFC 3263)",
        "The name of the route leads to two hosts. The first one is out of order, and the same call goes to the \
         second one. The next call begins there.",
    ];
    let mut flow = stage(page);
    let [one, two] = ["host1", "host2"].map(|host| flow.lab.agent(host));
    let addresses = [one, two].map(|agent| flow.lab.agent_rtp(agent, 5060).ip());
    flow.lab.zone().service("_sip._udp.pbx.test", &[(1, 0, 5060, "host1.test"), (2, 0, 5060, "host2.test")]);
    flow.lab.zone().host("host1.test", &addresses[..1]);
    flow.lab.zone().host("host2.test", &addresses[1..]);
    let [alice] = flow.phones(["alice"], |_, _| {});
    flow.lab.dial(alice, "99");
    flow.lab.until("the first host is called", |lab| lab.agent_called(one).is_some());
    flow.lab.agent_responds(one, 503, None);
    flow.lab.until("the second host is called", |lab| lab.agent_called(two).is_some());
    flow.lab.agent_responds(two, 486, None);
    flow.lab.pass(seconds(1));
    assert_eq!(flow.lab.refusal_of(alice), Some(486));
    flow.lab.dial(alice, "99");
    flow.lab.pass(seconds(1));
    flow.lab.agent_responds(two, 486, None);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_host_that_is_silent_gives_way_to_the_next() {
    let page = [
        "rfc3665-3.4-proxy-failure",
        "A proxy that is not there (RFC 3665, 3.4)",
        "The first host of the route says nothing at all. After 32 seconds the call goes to the second one.",
    ];
    let mut flow = stage(page);
    let [one, two] = ["host1", "host2"].map(|host| flow.lab.agent(host));
    let addresses = [one, two].map(|agent| flow.lab.agent_rtp(agent, 5060).ip());
    flow.lab.zone().service("_sip._udp.pbx.test", &[(1, 0, 5060, "host1.test"), (2, 0, 5060, "host2.test")]);
    flow.lab.zone().host("host1.test", &addresses[..1]);
    flow.lab.zone().host("host2.test", &addresses[1..]);
    let [alice] = flow.phones(["alice"], |_, _| {});
    flow.lab.vanish(one);
    flow.lab.dial(alice, "99");
    flow.lab.pass(seconds(34));
    let rtp = flow.lab.agent_rtp(two, 4000);
    flow.lab.agent_responds(two, 200, Some(hookswitch_lab::sdp(rtp, "sendrecv")));
    flow.lab.pass(seconds(1));
    assert!(flow.lab.talks(alice));
    flow.hang_up(&[alice]);
    flow.finish();
}
