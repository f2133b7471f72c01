//! The ladder as a telephony engineer reads it.

use std::time::Duration;

use crate::line::{Line, address, config, millis, seconds};
use hookswitch_phone::ladder::Style;
use hookswitch_phone::{AnswerPolicy, Ladder, PhoneConfig};

const WHOLE_CALL: &str = "
                  alice                                       bob
              10.0.0.1:5060                              10.0.0.2:5060
    0.0 ms          │────── INVITE sip:bob@a.test (SDP) ──────▶│
    5.0 ms          │◀───────── 180 Ringing (INVITE) ──────────│
  505.0 ms          │◀───────── 200 OK (INVITE) (SDP) ─────────│
  510.0 ms          │─────── ACK sip:bob@10.0.0.2:5060 ───────▶│
 1000.0 ms          │─────── BYE sip:bob@10.0.0.2:5060 ───────▶│
 1005.0 ms          │◀───────────── 200 OK (BYE) ──────────────│
";

#[test]
fn a_whole_call() {
    let bob = PhoneConfig { answer: AnswerPolicy::Answer { after: millis(500) }, ..config("bob") };
    let mut line = Line::new(config("alice"), bob);
    line.dial().pass(seconds(1));
    line.alice.hang_up(line.now).unwrap();
    line.pass(seconds(1));
    assert_eq!(line.drawn, WHOLE_CALL[1..], "\n{}", line.drawn);
}

const INVITE: &[u8] = b"INVITE sip:echo@b.test SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCSeq: 1 INVITE\r\n\r\n";

#[test]
fn three_parties_a_repeat_and_a_remark() {
    let mut ladder = Ladder::new(Style::default());
    ladder.party("alice", address("10.0.0.1:5060")).party("switch", address("10.0.0.9:0"));
    let mut drawn = ladder.message(Duration::ZERO, address("10.0.0.1:5060"), address("10.0.0.9:5060"), INVITE);
    drawn += &ladder.message(millis(500), address("10.0.0.1:5060"), address("10.0.0.9:5060"), INVITE);
    drawn += &ladder.note(millis(501), "CallEnd asked for\n");
    drawn += &ladder.message(millis(502), address("10.0.0.9:5070"), address("10.0.0.2:5060"), INVITE);
    drawn += &ladder.message(millis(503), address("10.0.0.2:5060"), address("10.0.0.1:5060"), b"\r\n\r\n");
    drawn += &ladder.message(millis(504), address("10.0.0.2:5060"), address("10.0.0.9:5060"), b"\x1b[2Jhello");
    assert_eq!(drawn, THREE[1..], "\n{drawn}");
}

const THREE: &str = "
                  alice                                     switch
              10.0.0.1:5060                                10.0.0.9
    0.0 ms          │──────── INVITE sip:echo@b.test ─────────▶│
  500.0 ms          │───── again: INVITE sip:echo@b.test ─────▶│
  501.0 ms  CallEnd asked for
                  alice                                     switch
              10.0.0.1:5060                                10.0.0.9                                 10.0.0.2:5060
  502.0 ms          │                                          │──────── INVITE sip:echo@b.test ─────────▶│
  503.0 ms          │◀──────────────────────────────────── keep-alive ────────────────────────────────────│
  504.0 ms          │                                          │◀────────── not SIP: ·[2Jhello ───────────│
";

#[test]
fn colour_only_where_it_was_asked_for() {
    let (alice, bob) = (address("10.0.0.1:5060"), address("10.0.0.2:5060"));
    let plain = Ladder::new(Style { colour: false }).message(Duration::ZERO, alice, bob, INVITE);
    let coloured = Ladder::new(Style { colour: true }).message(Duration::ZERO, alice, bob, INVITE);
    assert!(!plain.contains('\x1b'));
    assert!(coloured.contains("\x1b[1mINVITE sip:echo@b.test\x1b[0m"));
    assert_eq!(coloured.replace("\x1b[1m", "").replace("\x1b[0m", ""), plain);
}

#[test]
fn long_lines_are_shortened_and_end_as_they_did() {
    let long = format!(
        "INVITE sip:{}@b.test SIP/2.0\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\nv=0",
        "x".repeat(90)
    );
    let (alice, bob) = (address("10.0.0.1:5060"), address("10.0.0.2:5060"));
    let drawn = Ladder::new(Style::default()).message(Duration::ZERO, alice, bob, long.as_bytes());
    assert!(drawn.contains("…") && drawn.contains(" (SDP) ──▶│"), "{drawn}");
    let widths: Vec<usize> = drawn.lines().skip(2).map(|line| line.chars().count()).collect();
    assert_eq!(widths, [10 + 10 + 1 + 42 + 1]);
}

#[test]
fn a_crowd_of_addresses_does_not_widen_it_for_ever() {
    let mut ladder = Ladder::new(Style::default());
    for port in 1..1000 {
        let from = address(&format!("10.0.0.1:{port}"));
        let drawn = ladder.message(Duration::ZERO, from, address("10.0.0.2:5060"), INVITE);
        assert!(drawn.lines().all(|line| line.chars().count() < 60 * hookswitch_phone::ladder::MAX_COLUMNS));
    }
}
