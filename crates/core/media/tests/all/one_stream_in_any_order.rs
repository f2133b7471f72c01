//! Whatever a party is made to hear and in whatever order packets come, it is sent one stream.

use std::collections::HashMap;
use std::time::Duration;

use crate::stage::{self, ALICE, BOB, CALL, Stage, at, is_sent, parse, phone, rtp};
use hookswitch_call::{LegId, MediaOp, Party, Sdp, Source};
use hookswitch_media::FRAME;
use hookswitch_rtp::{TelephoneEvent, is_rtcp};
use proptest::prelude::*;

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const CAROL: &str = "203.0.113.3:7000";

/// How far a source's packets are out of order at most.
const REORDERING: u16 = 8;

#[derive(Debug, Clone)]
enum Step {
    CallerHears(Source),
    CalleeHears(Source),
    /// The callee is now Bob, or Carol.
    Answered(bool),
    Packet {
        from: usize,
        late: u16,
        skipped: u16,
        event: bool,
    },
    Run(u64),
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        1 => Just(Source::Silence),
        3 => Just(Source::Peer),
        1 => Just(Source::Echo),
        1 => Just(Source::Ringback),
        1 => Just(Source::Reference)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let packet =
        (0usize..5, 0..=REORDERING, prop_oneof![9 => Just(0u16), 1 => 0u16..500], proptest::bool::weighted(0.2));
    prop_oneof![
        1 => source().prop_map(Step::CallerHears),
        1 => source().prop_map(Step::CalleeHears),
        1 => any::<bool>().prop_map(Step::Answered),
        20 => packet.prop_map(|(from, late, skipped, event)| Step::Packet { from, late, skipped, event }),
        4 => (0u64..200).prop_map(Step::Run),
    ]
}

/// Whose packet it is: who sent it, which of its sources, or our own.
type Tag = usize;
const OURS: Tag = 99;

/// A source with its counters.
struct Speaker {
    party: Party,
    from: &'static str,
    ssrc: u32,
    next: u16,
    /// The timestamps of its last packets, by the last bits of their numbers.
    said: [u32; 16],
}

impl Speaker {
    fn new(now: Duration, party: Party, from: &'static str, ssrc: u32, next: u16) -> Self {
        let mut speaker = Self { party, from, ssrc, next, said: [0; 16] };
        for back in 0..16 {
            let earlier = now - FRAME * u32::from(back);
            speaker.said[usize::from(next.wrapping_sub(back) & 15)] = speaker.clock(earlier);
        }
        speaker
    }

    /// Each has a clock of its own, but they all run.
    fn clock(&self, now: Duration) -> u32 {
        (now.as_millis() as u32).wrapping_mul(8).wrapping_add(self.ssrc << 29)
    }

    /// The number and the timestamp of a packet that is new, or late by so many.
    fn packet(&mut self, now: Duration, late: u16, skipped: u16) -> (u16, u32) {
        if late == 0 {
            self.next = self.next.wrapping_add(1 + skipped);
            let clock = self.clock(now);
            let said = if skipped == 0 { 1 } else { self.said.len() as u16 };
            for back in 0..said {
                // Those that were skipped may still come, and were sent in between.
                self.said[usize::from(self.next.wrapping_sub(back) & 15)] = clock.wrapping_sub(u32::from(back));
            }
        }
        let number = self.next.wrapping_sub(late);
        (number, self.said[usize::from(number & 15)])
    }
}

/// What one party has been sent.
#[derive(Default)]
struct Listener {
    ssrc: Option<u32>,
    newest: Option<(u16, Tag)>,
    /// The newest audio packet's timestamp, and whose it was.
    audio: Option<(u32, Tag)>,
    /// Whose packet and which of them had a sequence number, of the last so many.
    given: HashMap<u16, (Tag, u16)>,
}

impl Listener {
    fn receive(&mut self, bytes: &[u8], tag: Tag, number: u16) -> Result<(), TestCaseError> {
        let header = parse(bytes).header();
        prop_assert_eq!(*self.ssrc.get_or_insert(header.ssrc), header.ssrc, "one SSRC");
        let is_event = header.payload_type == 101;
        let (newest, last_tag) = self.newest.unwrap_or((header.sequence.wrapping_sub(1), tag));
        let ahead = header.sequence.wrapping_sub(newest).cast_signed();
        prop_assert!(ahead >= -REORDERING.cast_signed(), "{} behind", -ahead);
        if ahead > 0 {
            for between in 1..=ahead.cast_unsigned() {
                self.given.remove(&newest.wrapping_add(between));
            }
            if tag != last_tag {
                prop_assert_eq!(ahead, 1, "no gap between two sources");
            }
            self.newest = Some((header.sequence, tag));
            if !is_event {
                let (before, whose) = self.audio.unwrap_or((header.timestamp.wrapping_sub(1), tag));
                let forward = header.timestamp.wrapping_sub(before).cast_signed();
                // An event may bring a source back whose clock is behind that of the other, by a second at most.
                let by_event = tag == last_tag && tag != whose;
                let least = if by_event { -8_000 } else { 1 };
                prop_assert!(forward >= least, "{} in time", forward);
                self.audio = Some((header.timestamp, tag));
            }
        }
        let whose = *self.given.entry(header.sequence).or_insert((tag, number));
        prop_assert_eq!(whose, (tag, number), "one packet under one number");
        Ok(())
    }
}

fn event(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = rtp(101, sequence, ssrc);
    packet.truncate(16);
    let payload = TelephoneEvent { event: 1, end: false, volume: 10, duration: 160 }.to_bytes();
    packet[12..].copy_from_slice(&payload);
    packet
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_party_is_sent_one_stream(
        begin in any::<u16>(),
        steps in proptest::collection::vec(step(), 0..200)
    ) {
        let mut stage = Stage::talking();
        let speaker = |party, from, ssrc, apart: u16| Speaker::new(stage.now, party, from, ssrc, begin.wrapping_add(apart));
        let mut speakers = [
            speaker(CALLEE, BOB, 1, 0),
            speaker(CALLEE, BOB, 2, 9_000),
            // Of the same make as Bob's.
            speaker(CALLEE, CAROL, 1, 20_000),
            speaker(CALLER, ALICE, 1, 40_000),
            speaker(CALLER, ALICE, 3, 30),
        ];
        let mut listeners = [Listener::default(), Listener::default()];
        let listener_of = |party| usize::from(party == CALLEE);
        let to_alice = at(ALICE);
        let mut made = 0u16;
        for step in steps {
            match step {
                Step::CallerHears(source) => { stage.hear(CALLER, source); }
                Step::CalleeHears(source) => { stage.hear(CALLEE, source); }
                Step::Answered(bob) => {
                    let sdp = Sdp::from(phone(if bob { BOB } else { CAROL }, "0 8 101").as_str());
                    stage.perform(MediaOp::Accept { call: CALL, seat: CALLEE.into(), leg: LegId(1), sdp });
                }
                Step::Packet { from, late, skipped, event: is_event } => {
                    stage.wait(20);
                    let speaker = &mut speakers[from];
                    let (number, timestamp) = speaker.packet(stage.now, late, skipped);
                    let (party, tag) = (speaker.party, from);
                    let mut packet = if is_event { event(number, speaker.ssrc) } else { rtp(0, number, speaker.ssrc) };
                    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
                    let forward = stage.send(party, speaker.from, &mut packet);
                    if is_sent(&forward) {
                        let to = if stage::sent_to(forward) == to_alice { CALLER } else { CALLEE };
                        listeners[listener_of(to)].receive(&packet, tag, number)?;
                    }
                }
                Step::Run(ms) => {
                    for sent in stage.run(ms) {
                        if !is_rtcp(&sent.bytes) {
                            made = made.wrapping_add(1);
                            let to = if sent.to == to_alice { CALLER } else { CALLEE };
                            listeners[listener_of(to)].receive(&sent.bytes, OURS, made)?;
                        }
                    }
                }
            }
        }
    }
}
