//! Descriptions printed in RFCs, and what is read from them.

use core::net::{IpAddr, SocketAddr};

use hookswitch_sdp::{Address, CandidateKind, Direction, MediaKind, RtpMap, SessionDescription};

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text).expect("a good description")
}

fn socket(text: &str) -> Option<SocketAddr> {
    Some(text.parse().expect("an address"))
}

/// RFC 8866 section 5.
const CALL_TO_JOHN: &str = "v=0\r\n\
    o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n\
    s=Call to John Smith\r\n\
    i=SDP Offer #1\r\n\
    u=http://www.jdoe.example.com/home.html\r\n\
    e=Jane Doe <jane@jdoe.example.com>\r\n\
    p=+1 617 555-6011\r\n\
    c=IN IP4 198.51.100.1\r\n\
    t=0 0\r\n\
    m=audio 49170 RTP/AVP 0\r\n\
    m=audio 49180 RTP/AVP 0\r\n\
    m=video 51372 RTP/AVP 99\r\n\
    c=IN IP6 2001:db8::2\r\n\
    a=rtpmap:99 h263-1998/90000\r\n";

#[test]
fn rfc_8866_section_5() {
    let sdp = parse(CALL_TO_JOHN);
    let origin = sdp.origin().expect("an origin");
    assert_eq!(origin.username, "jdoe");
    assert_eq!(origin.session_id, "3724394400");
    assert_eq!(origin.version_number(), Some(3_724_394_405));
    assert_eq!(origin.address.ip(), "198.51.100.1".parse().ok());
    assert_eq!(sdp.session_name(), Some("Call to John Smith"));
    assert_eq!(sdp.media_count(), 3);

    let media: Vec<_> = sdp.media().collect();
    assert_eq!(media[0].rtp_address(), socket("198.51.100.1:49170"));
    assert_eq!(media[1].rtp_address(), socket("198.51.100.1:49180"));
    assert_eq!(media[2].kind(), MediaKind::Video);
    assert_eq!(media[2].rtp_address(), socket("[2001:db8::2]:51372"));
    let map = media[2].rtpmap(99).expect("a map");
    assert!(map.is_same_encoding("H263-1998", 90_000, 1));

    // No rtpmap is needed for static payload types.
    let pcmu = media[0].codecs().next().expect("a format");
    assert_eq!((pcmu.name, pcmu.clock_rate, pcmu.channels), ("PCMU", 8000, 1));
    assert_eq!(sdp.to_bytes(), CALL_TO_JOHN.as_bytes());
}

#[test]
fn rfc_3264_section_10_1() {
    let sdp = parse(
        "v=0\r\n\
         o=alice 2890844526 2890844526 IN IP4 host.anywhere.com\r\n\
         s=\r\n\
         c=IN IP4 host.anywhere.com\r\n\
         t=0 0\r\n\
         m=audio 49170 RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         m=video 51372 RTP/AVP 31\r\n\
         a=rtpmap:31 H261/90000\r\n\
         m=video 53000 RTP/AVP 32\r\n\
         a=rtpmap:32 MPV/90000\r\n",
    );
    let (index, audio) = sdp.first_audio().expect("audio");
    assert_eq!((index, audio.port()), (0, 49_170));
    let connection = audio.connection().expect("a connection");
    assert_eq!(connection.address, Address::Name("host.anywhere.com"));
    assert_eq!(audio.rtp_address(), None, "a host name is nothing media can be sent to");
    let names: Vec<_> = sdp.media().flat_map(|m| m.codecs()).map(|f| f.name).collect();
    assert_eq!(names, ["PCMU", "H261", "MPV"]);
}

#[test]
fn rfc_3264_section_10_2_telephone_events() {
    let sdp = parse(
        "v=0\r\n\
         o=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\n\
         s=\r\n\
         c=IN IP4 192.0.2.1\r\n\
         t=0 0\r\n\
         m=audio 49170 RTP/AVP 0 97\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:97 iLBC/8000\r\n\
         m=audio 49172 RTP/AVP 98\r\n\
         a=rtpmap:98 telephone-event/8000\r\n\
         a=sendonly\r\n",
    );
    let events = sdp.media_at(1).expect("a second m-line");
    assert_eq!(events.direction(), Direction::SendOnly);
    assert_eq!(events.direction().reversed(), Direction::RecvOnly);
    assert!(events.codecs().all(|format| format.is_telephone_event()));
    let ilbc = sdp.media_at(0).and_then(|audio| audio.rtpmap(97));
    assert_eq!(ilbc, Some(RtpMap { name: "iLBC", clock_rate: 8000, channels: 1 }));
}

#[test]
fn format_parameters_and_packet_times() {
    let sdp = parse(
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n\
         m=audio 4000 RTP/AVP 18 111 101 120\n\
         c=IN IP4 192.0.2.1\n\
         a=fmtp:18 annexb=no\n\
         a=rtpmap:111 opus/48000/2\n\
         a=fmtp:111 minptime=10;useinbandfec=1\n\
         a=rtpmap:101 telephone-event/8000\n\
         a=fmtp:101 0-15\n\
         a=ptime:20\n\
         a=maxptime:150.0\n",
    );
    let audio = sdp.media_at(0).expect("audio");
    assert_eq!(audio.ptime(), Some(20));
    assert_eq!(audio.maxptime(), Some(150));
    assert_eq!(audio.fmtp(18), Some("annexb=no"));
    let formats: Vec<_> = audio.codecs().collect();
    let named: Vec<_> = formats.iter().map(|f| (f.payload_type, f.name, f.channels)).collect();
    // 120 has no rtpmap and no fixed meaning.
    assert_eq!(named, [(18, "G729", 1), (111, "opus", 2), (101, "telephone-event", 1)]);
    assert_eq!(formats[1].fmtp, Some("minptime=10;useinbandfec=1"));
    assert!(formats[1].is_encoding("OPUS", 48_000, 2));
    assert_eq!(audio.payload_types().collect::<Vec<_>>(), [18, 111, 101, 120]);
}

#[test]
fn a_written_map_overrides_the_static_one() {
    let sdp = parse("v=0\nm=audio 4000 RTP/AVP 8\na=rtpmap:8 L16/16000\n");
    let map = sdp.media_at(0).and_then(|audio| audio.rtpmap(8)).expect("a map");
    assert_eq!((map.name, map.clock_rate), ("L16", 16_000));
}

#[test]
fn rtcp_goes_to_the_next_port_or_where_it_says() {
    let head = "v=0\no=- 1 1 IN IP4 126.16.64.4\ns=-\nc=IN IP4 126.16.64.4\nt=0 0\n";
    let plain = parse(&format!("{head}m=audio 49170 RTP/AVP 0\n"));
    assert_eq!(plain.media_at(0).and_then(|m| m.rtcp_address()), socket("126.16.64.4:49171"));
    // RFC 3605 section 2.1.
    for (attribute, address) in [
        ("53020", "126.16.64.4:53020"),
        ("53020 IN IP4 126.16.64.5", "126.16.64.5:53020"),
        ("53020 IN IP6 2001:2345:6789:ABCD:EF01:2345:6789:ABCD", "[2001:2345:6789:abcd:ef01:2345:6789:abcd]:53020"),
    ] {
        let sdp = parse(&format!("{head}m=audio 49170 RTP/AVP 0\na=rtcp:{attribute}\na=rtcp-mux\n"));
        let audio = sdp.media_at(0).expect("audio");
        assert_eq!(audio.rtcp_address(), socket(address));
        assert!(audio.rtcp_mux());
    }
    let top = parse(&format!("{head}m=audio 65535 RTP/AVP 0\n"));
    assert_eq!(top.media_at(0).and_then(|m| m.rtcp_address()), None);
}

#[test]
fn hold_in_all_its_forms() {
    let held = |lines: &str| {
        let sdp = parse(&format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\n{lines}"));
        sdp.media_at(0).expect("audio").is_held()
    };
    assert!(held("c=IN IP4 0.0.0.0\nt=0 0\nm=audio 4000 RTP/AVP 0\n"));
    assert!(held("c=IN IP6 ::\nt=0 0\nm=audio 4000 RTP/AVP 0\n"));
    assert!(held("c=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n"));
    assert!(held("c=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\na=sendonly\n"));
    assert!(held("c=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\na=inactive\n"));
    assert!(held("c=IN IP4 192.0.2.1\nt=0 0\na=inactive\nm=audio 4000 RTP/AVP 0\n"));
    assert!(!held("c=IN IP4 192.0.2.1\nt=0 0\na=inactive\nm=audio 4000 RTP/AVP 0\na=sendrecv\n"));
    assert!(!held("c=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\na=recvonly\n"));
    assert!(!held("c=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n"));
}

#[test]
fn directions_of_answers() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    // RFC 3264 section 6.1, one line per offer; the answerer wants both ways.
    assert_eq!(SendRecv.answer(SendRecv), SendRecv);
    assert_eq!(SendOnly.answer(SendRecv), RecvOnly);
    assert_eq!(RecvOnly.answer(SendRecv), SendOnly);
    assert_eq!(Inactive.answer(SendRecv), Inactive);
    // An answerer that is on hold itself.
    assert_eq!(SendRecv.answer(SendOnly), SendOnly);
    assert_eq!(SendOnly.answer(SendOnly), Inactive);
    assert_eq!(RecvOnly.answer(RecvOnly), Inactive);
}

#[test]
fn keys_of_rfc_4568() {
    let sdp = parse(
        "v=0\nm=video 51372 RTP/SAVP 31\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32\n\
         a=crypto:2 F8_128_HMAC_SHA1_80 inline:MTIz|1:4 FEC_ORDER=FEC_SRTP UNENCRYPTED_SRTCP\n\
         a=crypto:x broken inline:none\n",
    );
    let keys: Vec<_> = sdp.media_at(0).expect("video").crypto().collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].suite, "AES_CM_128_HMAC_SHA1_80");
    assert!(keys[0].key.starts_with("inline:d0Rm") && keys[0].session.is_empty());
    assert_eq!((keys[1].tag, keys[1].session), (2, "FEC_ORDER=FEC_SRTP UNENCRYPTED_SRTCP"));
}

#[test]
fn candidates_of_rfc_8839() {
    let sdp = parse(
        "v=0\na=ice-ufrag:8hhY\na=fingerprint:sha-256 AB:CD\n\
         m=audio 45664 RTP/AVP 0\n\
         a=ice-pwd:asd88fgpdd777uzjYhagZg\n\
         a=candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host\n\
         a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998\n\
         a=candidate:3 1 udp 1 5d8e1b1c-host.local 9 typ host generation 0\n\
         a=candidate:4 1 tcp 1 192.0.2.3 9 typ unheard-of\n",
    );
    let audio = sdp.media_at(0).expect("audio");
    let candidates: Vec<_> = audio.candidates().collect();
    assert_eq!(candidates.len(), 3);
    assert_eq!(candidates[0].kind, CandidateKind::Host);
    let raddr: IpAddr = "203.0.113.141".parse().expect("an address");
    assert_eq!(candidates[1].related, Some((raddr, 8998)));
    assert_eq!(candidates[2].address, Address::Name("5d8e1b1c-host.local"));
    assert_eq!(audio.attribute("ice-ufrag"), None);
    assert_eq!(audio.attribute_or_session("ice-ufrag"), Some("8hhY"));
    assert_eq!(audio.attribute_or_session("ice-pwd"), Some("asd88fgpdd777uzjYhagZg"));
}

#[test]
fn rejected_media_and_port_counts() {
    let sdp = parse(
        "v=0\nm=audio 0 RTP/AVP 0\nm=audio 49170/2 RTP/AVP 0\nm=audio 0 RTP/AVP 0\na=bundle-only\nm=image 4002 udptl t38\n",
    );
    let media: Vec<_> = sdp.media().collect();
    assert!(media[0].is_rejected());
    assert_eq!((media[1].port(), media[1].port_count()), (49_170, Some(2)));
    assert!(!media[2].is_rejected());
    assert_eq!(media[3].kind(), MediaKind::Image);
    assert_eq!(media[3].formats().collect::<Vec<_>>(), ["t38"]);
    assert_eq!(media[3].payload_types().count(), 0);
    assert_eq!(sdp.first_audio().map(|(index, _)| index), Some(1));
}
