//! A phone does not get past its limits by having others call: who transfers or redirects pays.

use hookswitch_b2bua::route::Route;
use hookswitch_b2bua::toll::{TollClass, TollConfig};
use hookswitch_call::directory::TollLimits;
use hookswitch_lab::{AgentId, Audio, DOMAIN, Lab, sdp, seconds};
use hookswitch_phone::Event as PhoneEvent;
use hookswitch_sip::{Event, Header, Response};
use hookswitch_sip_msg::HeaderName;

/// Numbers with 0 lead out; nobody calls those with 00881, and every user one of the others at a time.
fn lab() -> Lab {
    let mut lab = Lab::with_switch(|switch| {
        switch.shard.limits.follow_redirects = true;
        // The first agent.
        switch.shard.b2bua.routes = vec![Route::new("sip:0*@*", "sip:10.200.0.1:5060").expect("a route")];
        let class = |name: &str, start: &str, users| TollClass {
            name: name.into(),
            numbers: vec![start.into()],
            users,
            ..TollClass::default()
        };
        let one = TollLimits { calls: Some(1), ..TollLimits::default() };
        let none = TollLimits { blocked: Some(true), ..TollLimits::default() };
        let classes = vec![class("abroad", "0", one), class("premium", "00881", none)];
        switch.shard.b2bua.toll = TollConfig { classes, ..TollConfig::default() };
    });
    lab.set_audio(Audio::Unchecked);
    lab
}

/// The numbers that were called outside.
fn called(lab: &Lab, outside: AgentId) -> Vec<String> {
    let events = lab.agent_events(outside).iter();
    let invites =
        events.filter_map(|(_, event)| if let Event::Invite { request, .. } = event { Some(request) } else { None });
    invites.filter_map(|invite| Some(invite.to().ok()?.uri().ok()?.user?.to_owned())).collect()
}

#[test]
fn a_blind_transfer_counts_against_whoever_asks_for_it() {
    let mut lab = lab();
    let outside = lab.agent("outside");
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    let refer = |lab: &mut Lab, to: &str| {
        let to = format!("sip:{to}@{DOMAIN}");
        lab.phone_acts(bob, |phone, now| phone.refer(now, &to)).expect("bob talks");
        lab.pass(seconds(2));
    };
    refer(&mut lab, "00881");
    let refused = |(_, event): &(_, PhoneEvent)| matches!(event, PhoneEvent::ReferAnswered { status: 403 });
    assert!(lab.handset(bob).events.iter().any(refused), "{:?}", lab.handset(bob).events);
    lab.assert_talking(alice, bob);
    refer(&mut lab, "0441");
    assert_eq!(called(&lab, outside), ["0441"]);
    let rtp = lab.agent_rtp(outside, 4000);
    lab.listen(rtp);
    lab.agent_responds(outside, 200, Some(sdp(rtp, "sendrecv")));
    lab.pass(seconds(4));
    assert!(!lab.in_call(bob) && lab.in_call(alice), "bob has gone");
    let (_, page) = lab.http("GET", "/limits", "");
    assert!(page.contains("user:bob@") && !page.contains("alice"), "{page}");
    lab.dial(bob, "0442");
    lab.pass(seconds(2));
    assert_eq!(lab.refusal_of(bob), Some(403), "it is bob's one call");
    lab.hang_up(alice);
    lab.pass(seconds(1));
    assert_eq!(lab.http("GET", "/limits", "").1.matches("\"calls\":0").count(), 1);
    lab.finish();
}

#[test]
fn a_phone_that_names_another_number_pays_for_it() {
    let mut lab = lab();
    let outside = lab.agent("outside");
    let [alice] = lab.registered(["alice"]);
    let dave = lab.registered_agent("dave");
    for (to, expected) in [("00881", 403), ("0441", 486)] {
        lab.dial(alice, "dave");
        lab.pass(seconds(1));
        let (dialog, _) = lab.agent_called(dave).expect("dave is called");
        let mut moved = Response::new(302);
        moved.headers = vec![Header::new(HeaderName::Contact, format!("<sip:{to}@{DOMAIN}>"))];
        lab.agent_acts(dave, |endpoint, now| endpoint.respond(now, dialog, moved));
        lab.pass(seconds(1));
        if expected == 486 {
            lab.agent_responds(outside, 486, None);
            lab.pass(seconds(1));
        }
        assert_eq!(lab.refusal_of(alice), Some(expected), "{to}");
    }
    assert_eq!(called(&lab, outside), ["0441"]);
    let (_, page) = lab.http("GET", "/limits", "");
    assert!(page.contains("user:dave@") && !page.contains("alice"), "{page}");
    lab.finish();
}
