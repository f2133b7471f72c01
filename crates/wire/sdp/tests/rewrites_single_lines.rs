//! Building descriptions, and changing those of others.

use core::net::IpAddr;

use hookswitch_sdp::{Direction, Format, OwnOrigin, SessionDescription};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text).expect("a good description")
}

fn origin(address: &str) -> OwnOrigin<'static> {
    OwnOrigin { username: "-", session_id: 7, session_version: 2, address: ip(address) }
}

const OFFER: &str = "v=0\r\n\
    o=bob 1 1 IN IP4 192.0.2.9\r\n\
    s=bob's phone\r\n\
    c=IN IP4 192.0.2.9\r\n\
    b=AS:64\r\n\
    t=0 0\r\n\
    a=x-vendor:1\r\n\
    m=audio 4000/2 RTP/AVP 9 0 8 101\r\n\
    i=mouthpiece\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtcp-fb:9 nack\r\n\
    a=x-what: kept \r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=sendonly\r\n\
    m=video 4002 RTP/AVP 99\r\n\
    a=rtpmap:99 VP8/90000\r\n";

#[test]
fn a_description_of_our_own() {
    let mut sdp = SessionDescription::new(&origin("192.0.2.1"), "hookswitch");
    let formats = [Format::fixed(0).expect("PCMU"), Format::fixed(8).expect("PCMA"), Format::telephone_event(101)];
    let mut audio = sdp.push_media("audio", 10_000, "RTP/AVP", &formats).expect("room");
    audio.set_ptime(20).set_direction(Direction::SendRecv);
    let text = "v=0\r\n\
        o=- 7 2 IN IP4 192.0.2.1\r\n\
        s=hookswitch\r\n\
        c=IN IP4 192.0.2.1\r\n\
        t=0 0\r\n\
        m=audio 10000 RTP/AVP 0 8 101\r\n\
        a=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-16\r\n\
        a=ptime:20\r\n\
        a=sendrecv\r\n";
    assert_eq!(sdp.to_string(), text);
    assert_eq!(parse(text), sdp);
}

#[test]
fn ip_version_6() {
    let sdp = SessionDescription::new(&origin("2001:db8::1"), "");
    let text = sdp.to_string();
    assert!(text.contains("o=- 7 2 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\n"), "{text}");
}

#[test]
fn anchoring_changes_what_it_names_and_nothing_else() {
    let mut sdp = parse(OFFER);
    sdp.set_origin(&origin("198.51.100.1"));
    sdp.set_all_connections(ip("198.51.100.1"));
    let mut audio = sdp.media_mut(0).expect("audio");
    audio.set_port(20_000).set_direction(Direction::SendRecv);
    audio.retain_payload_types(|pt| pt != 9);
    let expected = OFFER
        .replace("o=bob 1 1 IN IP4 192.0.2.9", "o=- 7 2 IN IP4 198.51.100.1")
        .replace("c=IN IP4 192.0.2.9", "c=IN IP4 198.51.100.1")
        .replace("m=audio 4000/2 RTP/AVP 9 0 8 101", "m=audio 20000 RTP/AVP 0 8 101")
        .replace("a=rtpmap:9 G722/8000\r\n", "")
        .replace("a=rtcp-fb:9 nack\r\n", "")
        .replace("a=sendonly", "a=sendrecv");
    assert_eq!(sdp.to_string(), expected);
    assert_eq!(parse(&expected), sdp);
}

#[test]
fn an_answer_has_the_m_lines_of_the_offer() {
    let offer = parse(OFFER);
    let mut answer = SessionDescription::new(&origin("198.51.100.1"), "-");
    for media in offer.media() {
        if media.is_audio() {
            let chosen: Vec<_> = media.codecs().filter(|f| f.payload_type != 9).collect();
            let mut audio = answer.push_media("audio", 20_000, media.proto(), &chosen).expect("room");
            audio.set_direction(media.direction().answer(Direction::SendRecv));
        } else {
            answer.push_rejected(media).expect("room");
        }
    }
    assert_eq!(
        answer.to_string(),
        "v=0\r\n\
         o=- 7 2 IN IP4 198.51.100.1\r\n\
         s=-\r\n\
         c=IN IP4 198.51.100.1\r\n\
         t=0 0\r\n\
         m=audio 20000 RTP/AVP 0 8 101\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\n\
         a=recvonly\r\n\
         m=video 0 RTP/AVP 99\r\n"
    );
}

#[test]
fn a_medium_gets_a_connection_of_its_own_behind_its_title() {
    let mut sdp = parse(OFFER);
    sdp.media_mut(0).expect("audio").set_connection(ip("2001:db8::5"));
    assert!(sdp.to_string().contains("i=mouthpiece\r\nc=IN IP6 2001:db8::5\r\na=rtpmap:9"));
    assert_eq!(sdp.media_at(0).and_then(|m| m.ip()), Some(ip("2001:db8::5")));
    assert_eq!(sdp.media_at(1).and_then(|m| m.ip()), Some(ip("192.0.2.9")));
    sdp.media_mut(0).expect("audio").set_connection(ip("192.0.2.5"));
    assert_eq!(sdp.media_at(0).and_then(|m| m.ip()), Some(ip("192.0.2.5")));
    sdp.media_mut(0).expect("audio").remove_connection();
    assert_eq!(sdp.to_string(), OFFER);
}

#[test]
fn replacing_formats_keeps_other_attributes() {
    let mut sdp = parse(OFFER);
    let pcma = Format::fixed(8).expect("PCMA");
    let events = Format::telephone_event(96);
    sdp.media_mut(0).expect("audio").set_codecs(&[pcma, events]);
    let text = sdp.to_string();
    let expected = "m=audio 4000/2 RTP/AVP 8 96\r\n\
        i=mouthpiece\r\n\
        a=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:96 telephone-event/8000\r\n\
        a=fmtp:96 0-16\r\n\
        a=x-what: kept \r\n\
        a=sendonly\r\n\
        m=video 4002 RTP/AVP 99\r\n\
        a=rtpmap:99 VP8/90000\r\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn keeping_no_format_declines() {
    let mut sdp = parse(OFFER);
    sdp.media_mut(1).expect("video").retain_payload_types(|_| false);
    assert!(sdp.to_string().contains("m=video 0 RTP/AVP 99\r\na=rtpmap:99 VP8/90000\r\n"));
}

#[test]
fn attributes_are_set_added_and_removed() {
    let mut sdp = parse("v=0\r\nm=audio 4000 RTP/AVP 0\r\na=ptime:20\r\na=ptime:30\r\na=x\r\nm=audio 1 RTP/AVP 0\r\n");
    let mut audio = sdp.media_mut(0).expect("audio");
    audio.set_ptime(40).add_attribute("x", "2").set_attribute("rtcp-mux", "").remove_attribute("nothing");
    assert_eq!(
        sdp.to_string(),
        "v=0\r\nm=audio 4000 RTP/AVP 0\r\na=ptime:40\r\na=x\r\na=x:2\r\na=rtcp-mux\r\nm=audio 1 RTP/AVP 0\r\n"
    );
    sdp.media_mut(0).expect("audio").remove_attribute("x").set_proto("RTP/SAVP");
    assert_eq!(
        sdp.to_string(),
        "v=0\r\nm=audio 4000 RTP/SAVP 0\r\na=ptime:40\r\na=rtcp-mux\r\nm=audio 1 RTP/AVP 0\r\n"
    );
}

#[test]
fn session_lines_are_put_where_they_belong() {
    let mut sdp = parse("v=0\nt=0 0\nm=audio 4000 RTP/AVP 0\n");
    sdp.set_connection(ip("192.0.2.1"));
    sdp.set_session_name("call");
    sdp.set_origin(&origin("192.0.2.1"));
    assert_eq!(
        sdp.to_string(),
        "v=0\no=- 7 2 IN IP4 192.0.2.1\ns=call\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n"
    );
}

#[test]
fn a_missing_line_end_is_supplied_when_a_line_follows() {
    let mut sdp = parse("v=0\r\nm=audio 4000 RTP/AVP 0");
    sdp.media_mut(0).expect("audio").set_direction(Direction::Inactive);
    assert_eq!(sdp.to_string(), "v=0\r\nm=audio 4000 RTP/AVP 0\r\na=inactive\r\n");
}

#[test]
fn no_value_starts_a_line_of_its_own() {
    let spaced = OwnOrigin { username: "a b\r\nc=IN", ..origin("192.0.2.1") };
    let mut sdp = SessionDescription::new(&spaced, "x\r\nm=audio 1 RTP/AVP 0");
    let mut audio = sdp.push_media("audio", 1, "RTP/AVP", &[Format::telephone_event(96)]).expect("room");
    audio.add_attribute("x", "1\r\na=crypto:2\0");
    let again = SessionDescription::parse(sdp.to_bytes()).expect("still good");
    assert_eq!(again.media_count(), 1);
    assert_eq!(again, sdp);
    assert_eq!(again.origin().map(|o| o.username.to_owned()), Some("a-b--c=IN".to_owned()));
}
