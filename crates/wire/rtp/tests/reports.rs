//! RTCP compound packets.

use core::time::Duration;

use hookswitch_rtp::{
    Compound, CompoundWriter, MAX_CNAME_LEN, MAX_REPORT_BLOCKS, ReportBlock, RtcpError, RtcpPacket, RtcpWriteError,
    SdesItem, SenderInfo, ntp_time,
};

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0x1111_2222,
    fraction_lost: 64,
    cumulative_lost: -3,
    extended_highest: 0x0001_8000,
    jitter: 17,
    last_sr: 0x0102_0304,
    delay_since_last_sr: 65_536,
};

fn compound(write: impl FnOnce(&mut CompoundWriter<'_>)) -> Vec<u8> {
    let mut buffer = [0xaa; 2048];
    let mut writer = CompoundWriter::new(&mut buffer);
    write(&mut writer);
    let length = writer.len();
    buffer[..length].to_vec()
}

fn usual() -> Vec<u8> {
    compound(|writer| {
        let info = SenderInfo { ntp: 0x8000_0001_4000_0000, rtp_timestamp: 160, packet_count: 10, octet_count: 1600 };
        writer.sender_report(1, info, &[BLOCK]).expect("room");
        writer.cname(1, b"ab@c").expect("room").bye(1, b"teardown").expect("room");
    })
}

#[test]
fn written_and_read_again() {
    let bytes = usual();
    assert_eq!(bytes.len(), 52 + 16 + 20);
    let packets: Vec<_> = Compound::parse(&bytes).expect("good").packets().collect();
    let [RtcpPacket::SenderReport(report), RtcpPacket::SourceDescription(description), RtcpPacket::Goodbye(bye)] =
        packets[..]
    else {
        panic!("three packets, not {packets:?}");
    };
    assert_eq!((report.ssrc, report.rtp_timestamp), (1, 160));
    assert_eq!((report.packet_count, report.octet_count), (10, 1600));
    assert_eq!(report.compact_ntp(), 0x0001_4000);
    assert_eq!(report.blocks.iter().collect::<Vec<_>>(), [BLOCK]);
    let chunk = description.chunks().next().expect("a chunk");
    assert_eq!((chunk.ssrc, chunk.cname()), (1, Some(b"ab@c".as_slice())));
    assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [1]);
    assert_eq!(bye.reason, b"teardown");
}

#[test]
fn bytes_as_section_6_draws_them() {
    let bytes = compound(|writer| {
        writer.receiver_report(0x0102_0304, &[]).expect("room");
        writer.cname(5, b"x").expect("room").bye(6, b"").expect("room");
    });
    let expected: [u8; 28] = [
        0x80, 201, 0, 1, 1, 2, 3, 4, // RR without blocks
        0x81, 202, 0, 2, 0, 0, 0, 5, 1, 1, b'x', 0, // SDES, ended by one zero
        0x81, 203, 0, 1, 0, 0, 0, 6, // BYE without a reason
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn an_item_list_that_ends_on_a_word_has_four_zeros_behind_it() {
    let bytes = compound(|writer| {
        writer.receiver_report(1, &[]).expect("room").cname(1, b"ab").expect("room");
    });
    assert_eq!(bytes[8..], [0x81, 202, 0, 3, 0, 0, 0, 1, 1, 2, b'a', b'b', 0, 0, 0, 0]);
    assert!(Compound::parse(&bytes).is_ok());
}

#[test]
fn several_chunks_and_items() {
    let bytes: [u8; 32] = [
        0x80, 201, 0, 1, 0, 0, 0, 1, // RR
        0x82, 202, 0, 5, // SDES with two chunks
        0, 0, 0, 1, 1, 1, b'a', 6, 1, b't', 0, 0, // CNAME and TOOL
        0, 0, 0, 2, 0, 0, 0, 0, // none
    ];
    let compound = Compound::parse(&bytes).expect("good");
    let Some(RtcpPacket::SourceDescription(description)) = compound.packets().nth(1) else {
        panic!("no description");
    };
    let chunks: Vec<_> = description.chunks().collect();
    assert_eq!(chunks.len(), 2);
    let items: Vec<_> = chunks[0].items().collect();
    assert_eq!(items, [SdesItem { kind: 1, text: b"a" }, SdesItem { kind: 6, text: b"t" }]);
    assert_eq!((chunks[1].ssrc, chunks[1].cname()), (2, None));
}

#[test]
fn checks_of_appendix_a_2() {
    let good = usual();
    for length in 0..good.len() {
        let whole = length == 52 || length == 68;
        assert_eq!(Compound::parse(&good[..length]).is_ok(), whole, "{length}");
    }
    let change = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Compound::parse(&bytes).err()
    };
    assert_eq!(change(0, 0x41), Some(RtcpError::Version(1)));
    assert_eq!(change(1, 202), Some(RtcpError::NotAReport(202)));
    assert_eq!(change(0, 0xa1), Some(RtcpError::Padding), "padding before the last packet");
    assert_eq!(change(52, 0x01), Some(RtcpError::Version(0)));
    assert_eq!(change(0, 0x82), Some(RtcpError::Truncated { at: 0 }), "a block that is not there");
    // A lone BYE is no compound packet, but some phones send it.
    assert_eq!(Compound::parse(&good[68..]), Err(RtcpError::NotAReport(203)));
    assert!(Compound::parse_reduced(&good[68..]).is_ok());
}

#[test]
fn padding_at_the_end_and_packets_we_do_not_know() {
    let bytes: [u8; 24] = [
        0x80, 201, 0, 1, 0, 0, 0, 1, // RR
        0xa1, 206, 0, 3, 0, 0, 0, 1, 9, 9, 9, 9, 0, 0, 0, 4, // feedback, padded
    ];
    let compound = Compound::parse(&bytes).expect("good");
    let other = RtcpPacket::Other { packet_type: 206, count: 1, body: &[0, 0, 0, 1, 9, 9, 9, 9] };
    assert_eq!(compound.packets().nth(1), Some(other));
    for padding in [0, 13] {
        let mut bytes = bytes;
        bytes[23] = padding;
        assert_eq!(Compound::parse(&bytes), Err(RtcpError::Padding));
    }
}

#[test]
fn loss_has_24_bits_and_a_sign() {
    for lost in [0, 1, -1, 0x7f_ffff, -0x80_0000] {
        let block = ReportBlock { cumulative_lost: lost, ..BLOCK };
        let bytes = compound(|writer| {
            writer.receiver_report(1, &[block]).expect("room");
        });
        let packet = Compound::parse(&bytes).expect("good").packets().next();
        let Some(RtcpPacket::ReceiverReport(report)) = packet else { panic!("{packet:?}") };
        assert_eq!((report.blocks.len(), report.blocks.iter().next()), (1, Some(block)));
    }
}

#[test]
fn limits_of_the_writer() {
    let mut buffer = [0u8; 40];
    let mut writer = CompoundWriter::new(&mut buffer);
    assert!(writer.is_empty());
    let blocks = [BLOCK; MAX_REPORT_BLOCKS + 1];
    assert_eq!(writer.receiver_report(1, &blocks).err(), Some(RtcpWriteError::TooMany));
    let need = 8 + 24 * MAX_REPORT_BLOCKS;
    let refused = writer.receiver_report(1, &blocks[1..]).err();
    assert_eq!(refused, Some(RtcpWriteError::BufferTooSmall { need }));
    let name = [b'x'; MAX_CNAME_LEN + 1];
    assert_eq!(writer.cname(1, &name).err(), Some(RtcpWriteError::TextTooLong));
    assert_eq!(writer.bye(1, &name).err(), Some(RtcpWriteError::TextTooLong));
    assert_eq!(writer.len(), 0);
    assert_eq!(writer.receiver_report(1, &[BLOCK]).map(|writer| writer.len()), Ok(32));
    let bytes = compound(|writer| {
        writer.receiver_report(1, &blocks[1..]).expect("room");
        writer.cname(1, &name[1..]).expect("room").bye(1, &name[1..]).expect("room");
    });
    assert_eq!(Compound::parse(&bytes).expect("good").packets().count(), 3);
}

#[test]
fn round_trip_of_figure_2() {
    // RFC 3550 section 6.4.1: A = 0xb710:8000, LSR = 0xb705:2000, DLSR = 5.25 s; the way back and
    // forth took 6.125 s.
    let block = ReportBlock { last_sr: 0xb705_2000, delay_since_last_sr: 0x0005_4000, ..BLOCK };
    assert_eq!(block.round_trip(0xb710_8000), Some(0x0006_2000));
    assert_eq!(block.round_trip(0xb705_2000), None);
    assert_eq!(ReportBlock { last_sr: 0, ..block }.round_trip(0xb710_8000), None);
}

#[test]
fn ntp_time_of_the_unix_epoch() {
    assert_eq!(ntp_time(Duration::ZERO), 0x83aa_7e80_0000_0000);
    assert_eq!(ntp_time(Duration::from_millis(500)), 0x83aa_7e80_8000_0000);
}
