//! Every limit, just below and just beyond.

use hookswitch_sdp::{Format, MAX_LINES, MAX_MEDIA, MAX_SDP_BYTES, Malformed, SessionDescription};

fn fault(text: &str) -> Option<Malformed> {
    SessionDescription::parse(text).err().map(|error| error.what)
}

#[test]
fn bytes() {
    let with = |length: usize| format!("v=0\r\ns={}", "x".repeat(length - 7));
    assert_eq!(with(MAX_SDP_BYTES).len(), MAX_SDP_BYTES);
    assert_eq!(fault(&with(MAX_SDP_BYTES)), None);
    assert_eq!(fault(&with(MAX_SDP_BYTES + 1)), Some(Malformed::TooLong));
}

#[test]
fn lines() {
    let with = |count: usize| format!("v=0\n{}", "a=x\n".repeat(count - 1));
    assert_eq!(fault(&with(MAX_LINES)), None);
    assert_eq!(fault(&with(MAX_LINES + 1)), Some(Malformed::TooManyLines));
    // Blank lines count as well.
    assert_eq!(fault(&"\n".repeat(MAX_LINES + 1)), Some(Malformed::TooManyLines));
}

#[test]
fn media() {
    let with = |count: usize| format!("v=0\n{}", "m=audio 1 RTP/AVP 0\n".repeat(count));
    assert_eq!(fault(&with(MAX_MEDIA)), None);
    assert_eq!(fault(&with(MAX_MEDIA + 1)), Some(Malformed::TooManyMedia));

    let mut full = SessionDescription::parse(with(MAX_MEDIA)).expect("full");
    let before = full.clone();
    let refused = full.push_media("audio", 1, "RTP/AVP", &[]).err().map(|error| error.what);
    assert_eq!(refused, Some(Malformed::TooManyMedia));
    let offered = before.media_at(0).expect("one");
    let refused = full.push_rejected(offered).err().map(|error| error.what);
    assert_eq!(refused, Some(Malformed::TooManyMedia));
    assert_eq!(full, before);
    assert!(Format::fixed(0).is_some());
}
