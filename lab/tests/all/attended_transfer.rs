//! Attended transfers whose last answer nobody can use: everybody is where they were before.

use hookswitch_call::{CallId, Event};
use hookswitch_lab::{AgentId, Audio, Lab, sdp, seconds};
use hookswitch_phone::{Event as PhoneEvent, Hold, Line};
use hookswitch_sip::{DialogId, Event as SipEvent};
use serde_json::json;

const AGENT_HZ: f32 = 2_100.0;

/// Dave's hand-made phone talks to somebody, and is heard.
struct Dave {
    agent: AgentId,
    dialog: DialogId,
    rtp: std::net::SocketAddr,
}

impl Dave {
    fn answers(lab: &mut Lab, agent: AgentId) -> Dave {
        lab.until("dave is called", |lab| lab.agent_called(agent).is_some());
        let (dialog, invite) = lab.agent_called(agent).unwrap();
        let rtp = lab.agent_rtp(agent, 4000);
        lab.listen(rtp);
        lab.agent_responds(agent, 200, Some(sdp(rtp, "sendrecv")));
        lab.speak(rtp, lab.media_of(invite.body_bytes()), AGENT_HZ);
        lab.pass(seconds(2));
        Dave { agent, dialog, rtp }
    }

    /// The changes of its session that it was asked for.
    fn offers(&self, lab: &Lab) -> Vec<String> {
        let events = lab.agent_events(self.agent).iter();
        let bodies = events.filter_map(|(_, event)| match event {
            SipEvent::Reinvite { request, .. } => Some(String::from_utf8_lossy(request.body_bytes()).into_owned()),
            _ => None,
        });
        bodies.collect()
    }

    /// Accepts a change with a codec that was not offered, and the next one properly.
    fn answers_badly_once(&self, lab: &mut Lab) {
        lab.until("dave's session is to change", |lab| self.offers(lab).len() == 1);
        let bad =
            sdp(self.rtp, "sendrecv").replace("RTP/AVP 0 101", "RTP/AVP 96").replace("rtpmap:0 PCMU", "rtpmap:96 opus");
        lab.agent_responds(self.agent, 200, Some(bad));
        lab.until("dave is offered his own session again", |lab| self.offers(lab).len() == 2);
        lab.agent_responds(self.agent, 200, Some(sdp(self.rtp, "sendrecv")));
        lab.pass(seconds(2));
    }
}

fn count(lab: &Lab, wanted: impl Fn(&Event) -> bool) -> usize {
    lab.told().iter().filter(|told| wanted(&told.event)).count()
}

fn has_moved(event: &Event) -> bool {
    matches!(event, Event::Replaced { .. } | Event::Transferred | Event::LegEnded { .. } | Event::Ended { .. })
}

/// Dave is heard and hears in the session that he was offered last: his own.
fn assert_hears_as_before(lab: &mut Lab, dave: &Dave) {
    let offers = dave.offers(lab);
    let (_, invite) = lab.agent_called(dave.agent).unwrap();
    let own = lab.media_of(invite.body_bytes());
    assert_ne!(lab.media_of(offers[0].as_bytes()), own, "the session with alice");
    assert_eq!(lab.media_of(offers[1].as_bytes()), own);
    assert!(lab.ear(dave.rtp).packets_since(lab.now() - seconds(1)) > 40);
}

#[test]
fn by_an_application_it_fails_once_and_both_calls_go_on() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [alice, bob, carol] = lab.registered(["alice", "bob", "carol"]);
    let agent = lab.registered_agent("dave");
    lab.dial(alice, "bob");
    lab.dial(carol, "dave");
    let dave = Dave::answers(&mut lab, agent);
    lab.assert_talking(alice, bob);
    let app = lab.app();
    let [one, other] = [alice, carol].map(|phone| lab.call_id_of(phone));
    let params = json!({ "callidA": one, "legA": "caller", "callidB": other, "legB": "callee" });
    lab.ask(app, "join", "CallAttendedTransfer", params);
    dave.answers_badly_once(&mut lab);
    let heard = lab.heard_by(app);
    let errors = heard.events("join").into_iter().filter(|event| *event == "Error").count();
    assert_eq!(errors, 1, "{:?}", heard.notices());
    let told = heard.data("join", "Error").cloned().unwrap_or_default().to_string();
    assert!(told.contains("488"), "{told}");
    assert!(heard.running().is_empty());
    assert_eq!(count(&lab, |event| matches!(event, Event::Transferring { .. })), 1);
    assert_eq!(count(&lab, |event| matches!(event, Event::TransferStarted { .. })), 1);
    assert_eq!(count(&lab, has_moved), 0);
    lab.assert_talking(alice, bob);
    assert_hears_as_before(&mut lab, &dave);
    lab.assert_hears_tone(carol, AGENT_HZ);
    lab.hang_up(alice);
    lab.hang_up(carol);
    lab.finish();
}

#[test]
fn by_a_phone_it_is_told_why_and_has_both_calls_as_before() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [alice, bob] = lab.registered_with(["alice", "bob"], |phone| phone.lines = 2);
    let agent = lab.registered_agent("dave");
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.hold(bob, Hold::On);
    lab.pass(seconds(1));
    lab.dial(bob, "dave");
    let dave = Dave::answers(&mut lab, agent);
    let asked =
        lab.phone_acts(bob, |phone, now| phone.choose(Line(0)).and_then(|()| phone.refer_to_line(now, Line(1))));
    asked.expect("both calls stand");
    dave.answers_badly_once(&mut lab);
    let events = &lab.handset(bob).events;
    let lasts = events.iter().filter_map(|(_, event)| match event {
        PhoneEvent::ReferProgress { status, is_last: true } => Some(*status),
        _ => None,
    });
    assert_eq!(lasts.collect::<Vec<_>>(), [488], "{events:?}");
    let failed = count(&lab, |event| matches!(event, Event::TransferFailed { cause } if cause.code == 488));
    assert_eq!((failed, count(&lab, has_moved)), (1, 0));
    let holds: Vec<(CallId, bool)> = lab
        .told()
        .iter()
        .filter_map(|told| if let Event::HeldBy { hold, .. } = told.event { Some((told.call, hold)) } else { None })
        .collect();
    assert_eq!(holds.len(), 1, "alice is kept waiting all the time: {holds:?}");
    lab.phone_acts(bob, |phone, _| phone.choose(Line(1))).expect("dave's call");
    lab.pass(seconds(2));
    assert_hears_as_before(&mut lab, &dave);
    // Alice is where she was, and is taken back.
    let dialog = dave.dialog;
    lab.agent_acts(agent, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    lab.pass(seconds(1));
    lab.phone_acts(bob, |phone, _| phone.choose(Line(0))).expect("alice's call");
    lab.hold(bob, Hold::Off);
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}
