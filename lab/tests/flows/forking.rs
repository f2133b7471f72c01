//! Several places of one party: together, after each other, later.

use hookswitch_b2bua::route::{Destination, Route};
use hookswitch_lab::{millis, seconds};
use hookswitch_phone::AnswerPolicy;

use crate::page::Flow;

#[test]
fn groups_follow_each_other_and_places_join_in_later() {
    let page = [
        "fork-groups",
        "Groups, with waiting and ringing times",
        "A route has two groups. In the first Bob rings at once and Carol joins in after three seconds; both may ring \
         until eight seconds are over. Then it is the turn of the second group: Dave, who answers.",
    ];
    let place = |who: &str| Destination::new(&format!("sip:{who}@x.test"));
    let all = vec![
        Destination { ring_time: Some(seconds(8)), ..place("bob") },
        Destination { after: seconds(3), ring_time: Some(seconds(5)), ..place("carol") },
        Destination { group: 1, ..place("dave") },
    ];
    let mut flow = Flow::on(page, |switch| {
        switch.shard.b2bua.routes.push(Route::to_all("sip:sales@*", all).expect("a route"));
    });
    let [alice, bob, carol, dave] = flow.phones(["alice", "bob", "carol", "dave"], |user, config| {
        if ["bob", "carol"].contains(&user) {
            config.answer = AnswerPolicy::Ring;
        }
    });
    flow.lab.dial(alice, "sales");
    flow.lab.pass(seconds(2));
    assert!(flow.lab.rings(bob) && !flow.lab.in_call(carol));
    flow.lab.pass(seconds(5));
    assert!(flow.lab.rings(bob) && flow.lab.rings(carol) && !flow.lab.in_call(dave));
    flow.lab.pass(seconds(3));
    assert!(!flow.lab.in_call(bob) && !flow.lab.in_call(carol));
    flow.assert_talking(alice, dave);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn when_all_fail_the_caller_is_told_the_most_telling_reason() {
    let page = [
        "fork-all-refuse",
        "Everybody refuses",
        "Two phones of Bob ring together. One is out of service and one busy: Alice is told that Bob is busy.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let [alice, desk, pocket] = flow.phones(["alice", "bob", "bob"], |_, _| {});
    flow.lab.set_answer(desk, AnswerPolicy::Refuse { status: 480, after: millis(100) });
    flow.lab.set_answer(pocket, AnswerPolicy::Refuse { status: 486, after: millis(900) });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(2));
    assert_eq!(flow.lab.refusal_of(alice), Some(486));
    flow.finish();
}
