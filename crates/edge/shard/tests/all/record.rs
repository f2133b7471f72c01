//! The record of a call can be written down and read back at every moment of its life.

use crate::support::*;

use hookswitch_shard::CallRecord;
use hookswitch_sip::{Endpoint, Input as SipInput};

/// Writes down the record of the only call, reads it and compares.
#[track_caller]
fn read_back(world: &World) -> CallRecord<'static> {
    let call = world.shard.calls().next().expect("one call");
    let text = serde_json::to_string(&world.shard.record(call).expect("its record")).expect("plain data");
    let back: CallRecord<'static> = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&back).expect("plain data"), text);
    let parts = world.shard.record(call).expect("its record");
    assert_eq!(parts.legs, back.legs);
    back
}

#[test]
fn a_record_is_whole_in_every_state() {
    let mut world = World::trusting();
    world.register(1);
    world.register(2);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    assert_eq!(read_back(&world).legs.len(), 3);
    world.respond(1, 183, Some("early"));
    read_back(&world);
    world.respond(2, 200, Some("b"));
    let unconfirmed = read_back(&world);
    let written = serde_json::to_value(&unconfirmed.call).expect("plain data");
    assert_eq!(written["origin"]["identity"]["display"], serde_json::json!(b"The Caller"), "what a transfer shows");
    world.ack(0, call, None);
    assert_eq!(read_back(&world).legs.len(), 2, "the branch that lost is gone");
    world.mute = Some(at("10.0.0.4:5060"));
    world.bye(0, call);
    assert_eq!(read_back(&world).legs.len(), 1, "bob has not answered the BYE yet");
}

#[test]
fn the_dialogs_of_a_record_can_be_taken_over() {
    let mut world = World::trusting();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    let record = read_back(&world);

    let mut heir = Endpoint::new(endpoint_config(SWITCH), [77; 32]);
    for (_, dialog) in &record.legs {
        let dialog = dialog.clone().expect("both legs are up").into_owned();
        let id = heir.adopt(dialog).expect("it is established");
        heir.bye(world.now, id, Vec::new());
    }
    let mut sent = Vec::new();
    while let Some(output) = heir.poll_output() {
        if let hookswitch_sip::Output::Send { flow, bytes } = output {
            sent.push((flow, bytes));
        }
    }
    assert_eq!(sent.len(), 2);
    for (flow, bytes) in sent {
        let agent = world.agents.iter_mut().find(|agent| agent.address == flow.remote).expect("one of the phones");
        let flow = hookswitch_sip::Flow::udp(flow.remote, flow.local);
        agent.endpoint.handle_input(world.now, SipInput::Datagram { flow, bytes });
    }
    world.run();
    for agent in [0, 1] {
        assert!(world.has(agent, |event| matches!(event, hookswitch_sip::Event::Ended { .. })), "{agent}");
    }
}
