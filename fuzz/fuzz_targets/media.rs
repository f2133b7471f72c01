//! A whole engine: any text as a description, any bytes as packets to a call that is relayed, recoded, returned or mixed.
//! The first byte chooses which.
#![no_main]

#[path = "../../crates/core/media/tests/stage/mod.rs"]
#[allow(dead_code)]
mod stage;

use std::sync::LazyLock;

use hookswitch_call::{MediaOp, Part, Party, Room, Sdp, Source};
use hookswitch_codec::Tone;
use hookswitch_media::{EngineConfig, SocketIx};
use libfuzzer_sys::fuzz_target;
use stage::{ALICE, BOB, CALL, ROOM, Stage, at, phone};

/// With music that is rendered once and a short tone: else most of the time goes into these.
static CONFIG: LazyLock<EngineConfig> =
    LazyLock::new(|| EngineConfig { ringback: Tone::steady(425.0, 0.25), ..stage::with_g722() });

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind % 5 == 4 {
        describe(rest);
        return;
    }
    let mut stage = Stage::with(CONFIG.clone(), 8);
    match kind % 5 {
        0 => drop(stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "0 101"))),
        1 => drop(stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "9 101"))),
        which => {
            stage.open(Some(&phone(ALICE, "0 101")));
            let _ = stage.make_answer(Party::Caller);
            let source = if which == 2 { Source::Echo } else { Source::Room };
            if source == Source::Room {
                let room = Room::from("a@example.com");
                stage.perform(MediaOp::Join { call: CALL, party: Party::Caller, room, part: Part::default() });
            }
            stage.perform(MediaOp::Hear { call: CALL, seat: Party::Caller.into(), source });
        }
    }
    packets(&mut stage, rest);
});

/// Each piece is a length, a way, and so many bytes.
fn packets(stage: &mut Stage, mut rest: &[u8]) {
    while let [length, way, more @ ..] = rest {
        let (packet, left) = more.split_at(usize::from(*length).min(more.len()));
        rest = left;
        let is_callee = way & 1 == 1 && stage.our_port.contains_key(&Party::Callee);
        let (party, from) = if is_callee { (Party::Callee, BOB) } else { (Party::Caller, ALICE) };
        let socket = SocketIx(stage.socket_of(party).0 + u32::from(way >> 1 & 1));
        let mut buffer = [0; ROOM];
        buffer[..packet.len()].copy_from_slice(packet);
        let _ = stage.engine.handle_packet(stage.now, socket, at(from), &mut buffer, packet.len());
        stage.engine.send_ready(&mut |_, _, _| {});
        stage.run(u64::from(way >> 2));
        stage.reports();
    }
    stage.close();
    assert_eq!(stage.ports.free(), 16);
}

/// Both parties say whatever they like.
fn describe(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (offer, answer) = text.split_once('\0').unwrap_or((&text, &text));
    let mut stage = Stage::with(CONFIG.clone(), 8);
    stage.open(Some(offer));
    let _ = stage.make_offer(Party::Callee, stage::CALLEE_LEG);
    let _ = stage.accept(Party::Callee, stage::CALLEE_LEG, answer);
    let _ = stage.make_answer(Party::Caller);
    let (call, seat, sdp) = (CALL, Party::Callee.into(), Sdp::from(offer));
    stage.perform(MediaOp::Offered { call, seat, sdp });
    let _ = stage.make_answer(Party::Callee);
    stage.close();
    assert_eq!(stage.ports.free(), 16);
}
