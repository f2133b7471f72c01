//! Text goes out as it came in, and text from the wild is read.

use hookswitch_sdp::{Malformed, SessionDescription};

fn round_trip(text: &[u8]) {
    let sdp = SessionDescription::parse(text).expect("a good description");
    assert_eq!(sdp.to_bytes(), text);
    assert_eq!(sdp.byte_len(), text.len());
    assert_eq!(SessionDescription::parse(sdp.to_bytes()).as_ref(), Ok(&sdp));
}

#[test]
fn unknown_lines_duplicates_and_spacing() {
    round_trip(
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns= \r\nq=unknown type\r\nt=0 0\r\n\
        m=audio  4000  RTP/AVP  0  8 \r\nX=upper\r\na=candidate:1 1 UDP 1 192.0.2.1 1 typ host\r\n\
        a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\r\na=x-ours: spaced \r\n",
    );
}

#[test]
fn bare_line_feeds_mixed_endings_and_none_at_all() {
    round_trip(b"v=0\ns=-\nm=audio 4000 RTP/AVP 0\n");
    round_trip(b"v=0\r\ns=-\nm=audio 4000 RTP/AVP 0\r\n");
    round_trip(b"v=0\r\ns=-\r\nm=audio 4000 RTP/AVP 0");
    round_trip(b"v=0");
}

#[test]
fn blank_lines() {
    round_trip(b"v=0\r\n\r\nm=audio 4000 RTP/AVP 0\r\n\r\n\r\n");
    round_trip(b"\r\nv=0\r\n");
}

#[test]
fn text_that_is_not_utf_8() {
    round_trip(
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=caf\xe9\r\nm=audio 4000 RTP/AVP 0\r\na=title:\xff\r\na=ptime:30\r\n",
    );
    let sdp = SessionDescription::parse(b"v=0\ns=caf\xe9\nm=audio 1 RTP/AVP 0\na=x:\xff\na=ptime:30\n");
    let sdp = sdp.expect("a good description");
    assert_eq!(sdp.session_name(), None);
    assert_eq!(sdp.media_at(0).and_then(|media| media.ptime()), Some(30));
}

#[test]
fn half_a_line_end_belongs_to_no_line() {
    round_trip(b"v=0\r\ns=-\r");
    let sdp = SessionDescription::parse("v=0\r\ns=-\r").expect("a good description");
    assert_eq!(sdp.session_name(), Some("-"));
    assert_eq!(sdp.lines().len(), 2);
}

#[test]
fn missing_mandatory_lines_are_forgiven() {
    let sdp = SessionDescription::parse("v=0\r\nm=audio 4000 RTP/AVP 0\r\n").expect("tolerated");
    assert_eq!(sdp.origin(), None);
    assert_eq!(sdp.session_name(), None);
    assert_eq!(sdp.connection(), None);
}

#[test]
fn an_incomplete_origin_is_no_origin() {
    let sdp = SessionDescription::parse("v=0\no=root 1 1 IN IP4\ns=-\n").expect("tolerated");
    assert_eq!(sdp.origin(), None);
    let huge = "v=0\no=- 99999999999999999999999 18446744073709551615 IN IP4 192.0.2.1\n";
    let sdp = SessionDescription::parse(huge).expect("tolerated");
    let origin = sdp.origin().expect("an origin");
    assert_eq!(origin.session_id, "99999999999999999999999");
    assert_eq!(origin.version_number(), Some(u64::MAX));
}

#[test]
fn errors_name_the_line_and_the_fault() {
    let fault = |text: &str| {
        let error = SessionDescription::parse(text).expect_err("a bad description");
        (error.line, error.what)
    };
    assert_eq!(fault(""), (0, Malformed::Empty));
    assert_eq!(fault("\r\n\r\n"), (0, Malformed::Empty));
    assert_eq!(fault("s=-\r\nv=0\r\n"), (1, Malformed::Version));
    assert_eq!(fault("v=1\r\n"), (1, Malformed::Version));
    assert_eq!(fault("v=0\r\nhello\r\n"), (2, Malformed::NotALine));
    assert_eq!(fault("v=0\r\n=0\r\n"), (2, Malformed::NotALine));
    assert_eq!(fault("v=0\r\n a=x\r\n"), (2, Malformed::NotALine));
    assert_eq!(fault("v=0\r\na=x\0y\r\n"), (2, Malformed::ControlCharacter));
    assert_eq!(fault("v=0\r\na=x\ry\r\n"), (2, Malformed::ControlCharacter));
    assert_eq!(fault("v=0\r\ns=-\r\nc=IN IP4\r\n"), (3, Malformed::Connection));
    assert_eq!(fault("v=0\r\nm=audio RTP/AVP 0\r\n"), (2, Malformed::Media));
    assert_eq!(fault("v=0\r\nm=audio 65536 RTP/AVP 0\r\n"), (2, Malformed::Media));
    assert_eq!(fault("v=0\r\nm=audio -1 RTP/AVP 0\r\n"), (2, Malformed::Media));
    assert_eq!(fault("v=0\r\nm=audio 4000/x RTP/AVP 0\r\n"), (2, Malformed::Media));
    assert_eq!(fault("v=0\r\nm=audio 4000\r\n"), (2, Malformed::Media));
    let error = SessionDescription::parse("v=0\r\nm=audio\r\n").expect_err("a bad description");
    assert_eq!(error.to_string(), "session description, line 2: malformed media line");
}
