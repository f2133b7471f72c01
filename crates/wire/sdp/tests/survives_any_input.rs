//! Any bytes: no panic, and what was accepted comes out as it went in.

use core::net::{IpAddr, Ipv4Addr};

use hookswitch_sdp::{Direction, Format, OwnOrigin, SessionDescription};
use proptest::prelude::*;

/// Reads everything there is to read.
fn read_all(sdp: &SessionDescription) {
    let _ = (sdp.origin(), sdp.connection(), sdp.session_name(), sdp.direction(), sdp.first_audio());
    let _ = (sdp.to_string(), sdp.attributes().count());
    for media in sdp.media() {
        let _ = (media.kind(), media.port_count(), media.is_rejected(), media.is_held());
        let _ = (media.rtp_address(), media.rtcp_address(), media.rtcp_mux(), media.ptime(), media.maxptime());
        let _ = (media.codecs().count(), media.crypto().count(), media.candidates().count());
        let _ = (media.fmtp(0), media.attribute_or_session("setup"), media.formats().count());
    }
}

/// Changes everything there is to change.
fn change_all(sdp: &mut SessionDescription) {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    sdp.set_origin(&OwnOrigin { username: "-", session_id: 1, session_version: 1, address });
    sdp.set_session_name("x");
    sdp.set_all_connections(address);
    for index in 0..sdp.media_count() {
        let mut media = sdp.media_mut(index).expect("counted");
        media.set_port(4000).set_direction(Direction::RecvOnly).set_ptime(20).set_connection(address);
        media.retain_payload_types(|pt| pt % 2 == 0).set_codecs(&[Format::telephone_event(101)]);
        media.add_attribute("x", "y").set_attribute("x", "z").remove_attribute("sendrecv");
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("c=IN IP4 192.0.2.1".to_owned()),
        Just("c=IN IP6 ::".to_owned()),
        Just("a=sendonly".to_owned()),
        Just("s=\u{e9}".to_owned()),
        (0u16.., 0u8..=130).prop_map(|(port, pt)| format!("m=audio {port} RTP/AVP {pt} 0 101")),
        (0u8..=130, "[a-z0-9/ ]{0,12}").prop_map(|(pt, text)| format!("a=rtpmap:{pt} {text}")),
        "a=(rtpmap|fmtp|crypto|candidate|rtcp|ptime):[ -~]{0,40}",
        "[a-z]=[ -~]{0,20}",
        Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(sdp) = SessionDescription::parse(&bytes) {
            read_all(&sdp);
        }
    }

    #[test]
    fn any_bytes_after_a_good_beginning(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = [b"v=0\r\nm=audio 4000 RTP/AVP 0\r\na=".as_slice(), &bytes].concat();
        if let Ok(sdp) = SessionDescription::parse(&text) {
            read_all(&sdp);
            prop_assert_eq!(sdp.to_bytes(), text);
        }
    }

    #[test]
    fn plausible_lines(lines in proptest::collection::vec(line(), 0..40), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let text = format!("v=0{end}{}", lines.join(end));
        if let Ok(mut sdp) = SessionDescription::parse(&text) {
            read_all(&sdp);
            prop_assert_eq!(sdp.to_string(), text);
            change_all(&mut sdp);
            read_all(&sdp);
            prop_assert_eq!(SessionDescription::parse(sdp.to_bytes()), Ok(sdp));
        }
    }
}
