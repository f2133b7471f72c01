//! RTP packets as RFC 3550 section 5.1 draws them.

use hookswitch_rtp::{BufferTooSmall, DatagramKind, Extension, Header, Packet, PacketMut, RtpError, classify, is_rtcp};

/// Marker, payload type 101, two CSRCs, a one-word extension, three bytes of media, one of padding.
const FULL: [u8; 32] = [
    0xb2, 0xe5, 0x12, 0x34, 0x00, 0x01, 0x02, 0x03, 0xde, 0xad, 0xbe, 0xef, // fixed header
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, // contributing sources
    0xbe, 0xde, 0x00, 0x01, 0x10, 0x7f, 0x00, 0x00, // extension
    0x0a, 0x0b, 0x0c, 0x01, // media and padding
];

#[test]
fn every_field() {
    let packet = Packet::parse(&FULL).expect("a good packet");
    assert!(packet.marker());
    assert_eq!(packet.payload_type(), 101);
    assert_eq!(packet.sequence(), 0x1234);
    assert_eq!(packet.timestamp(), 0x0001_0203);
    assert_eq!(packet.ssrc(), 0xdead_beef);
    assert_eq!(packet.csrcs().collect::<Vec<_>>(), [1, 2]);
    let extension = Extension { profile: 0xbede, data: &[0x10, 0x7f, 0, 0] };
    assert_eq!(packet.extension(), Some(extension));
    assert_eq!(packet.payload(), [0x0a, 0x0b, 0x0c]);
    assert_eq!(packet.header_len(), 28);
    assert_eq!(packet.as_bytes(), FULL);
}

#[test]
fn cut_anywhere_it_is_refused_or_shorter() {
    // The last byte counts the padding, so take a packet without.
    let mut bytes = FULL;
    bytes[0] &= !0x20;
    for length in 0..28 {
        let refused = Packet::parse(&bytes[..length]).expect_err("cut off");
        assert!(matches!(refused, RtpError::Truncated { have, need } if have == length && need > have));
    }
    assert_eq!(Packet::parse(&bytes[..28]).expect("empty").payload(), b"");
    assert_eq!(Packet::parse(&bytes).expect("whole").payload(), [0x0a, 0x0b, 0x0c, 0x01]);
}

#[test]
fn other_versions_and_bad_padding() {
    for version in [0u8, 1, 3] {
        let mut bytes = FULL;
        bytes[0] = (bytes[0] & 0x3f) | (version << 6);
        assert_eq!(Packet::parse(&bytes), Err(RtpError::Version(version)));
    }
    for padding in [0, 5, 255] {
        let mut bytes = FULL;
        bytes[31] = padding;
        assert_eq!(Packet::parse(&bytes), Err(RtpError::Padding(padding)));
    }
    let mut bytes = FULL;
    bytes[31] = 4;
    assert_eq!(Packet::parse(&bytes).expect("only padding").payload(), b"");
}

#[test]
fn written_and_read_again() {
    let header = Header { marker: true, payload_type: 8, sequence: 65_535, timestamp: u32::MAX, ssrc: 7 };
    let mut buffer = [0u8; 20];
    assert_eq!(header.write_packet(&[1, 2, 3], &mut buffer), Ok(15));
    let packet = Packet::parse(&buffer[..15]).expect("a good packet");
    assert_eq!(packet.header(), header);
    assert_eq!(packet.payload(), [1, 2, 3]);
    assert_eq!(packet.extension(), None);
    assert_eq!(header.write_packet(&[0; 9], &mut buffer), Err(BufferTooSmall { need: 21 }));
    assert_eq!(header.write(&mut buffer[..11]).err(), Some(BufferTooSmall { need: 12 }));
}

#[test]
fn rewriting_leaves_the_rest_alone() {
    let mut bytes = FULL;
    let mut packet = PacketMut::parse(&mut bytes).expect("a good packet");
    packet.set_payload_type(0xff);
    packet.set_marker(false);
    packet.set_sequence(1);
    packet.set_timestamp(2);
    packet.set_ssrc(3);
    assert_eq!(packet.as_bytes().len(), 32);
    let after = Packet::parse(&bytes).expect("still good");
    let header = Header { marker: false, payload_type: 127, sequence: 1, timestamp: 2, ssrc: 3 };
    assert_eq!(after.header(), header);
    assert_eq!(bytes[12..], FULL[12..]);
    assert_eq!(bytes[0], FULL[0]);
    assert!(PacketMut::parse(&mut [0x80; 11]).is_err());
}

#[test]
fn datagrams_on_one_port() {
    assert_eq!(classify(&FULL), DatagramKind::Rtp);
    assert_eq!(classify(&[0x80, 0x00]), DatagramKind::Rtp);
    assert_eq!(classify(&[0x80, 0x80]), DatagramKind::Rtp);
    for packet_type in 192..=223 {
        assert!(is_rtcp(&[0x80, packet_type]), "{packet_type}");
    }
    assert!(!is_rtcp(&[0x80, 191]) && !is_rtcp(&[0x80, 224]));
    assert_eq!(classify(&[0x00, 0x01]), DatagramKind::Stun);
    assert_eq!(classify(&[22, 254]), DatagramKind::Dtls);
    assert_eq!(classify(b"INVITE"), DatagramKind::Unknown);
    assert_eq!(classify(&[0x80]), DatagramKind::Unknown);
    assert_eq!(classify(&[]), DatagramKind::Unknown);
}
