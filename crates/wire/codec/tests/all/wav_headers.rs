//! WAV headers, ours and others'.

use hookswitch_codec::wav::{Encoding, MAX_CHUNKS, MAX_HEADER_LEN, WavError, WavFormat, WavHeader, encode_pcm};

fn header(format: WavFormat, data_len: u32) -> Vec<u8> {
    let mut buffer = [0; MAX_HEADER_LEN];
    let length = format.write_header(data_len, &mut buffer).expect("room");
    buffer[..length].to_vec()
}

#[test]
fn the_canonical_header() {
    let expected =
        b"RIFF\x44\x01\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x20\x01\0\0";
    assert_eq!(header(WavFormat::mono_pcm(8000), 288), expected);
}

#[test]
fn written_and_read_again() {
    for encoding in [Encoding::Pcm8, Encoding::Pcm16, Encoding::Alaw, Encoding::Ulaw] {
        for channels in [1, 2] {
            let format = WavFormat { encoding, channels, sample_rate: 16_000 };
            let mut file = header(format, 8);
            let parsed = WavHeader::parse(&file).expect("a good header");
            let expected = WavHeader { format, data_offset: file.len(), data_len: Some(8) };
            assert_eq!(parsed, expected);
            assert_eq!(file.len(), format.header_len());
            // Samples, and something behind them.
            file.extend_from_slice(&[1; 8]);
            file.extend_from_slice(b"LIST\x02\0\0\0ab");
            assert_eq!(parsed.data(&file), [1; 8]);
            assert_eq!(parsed.duration_ms(32_000), 1000 / format.frame_len() as u64 * 2);
        }
    }
}

#[test]
fn a_recording_that_was_never_finished_goes_to_the_end() {
    for length in [0, u32::MAX] {
        let mut file = header(WavFormat::mono_pcm(8000), 0);
        file[40..44].copy_from_slice(&length.to_le_bytes());
        let parsed = WavHeader::parse(&file).expect("a good header");
        assert_eq!(parsed.data_len, None);
        file.extend_from_slice(&[1, 2, 3, 4]);
        assert_eq!(parsed.data(&file), [1, 2, 3, 4]);
    }
    // And one that says more than there is.
    let mut file = header(WavFormat::mono_pcm(8000), 100);
    file.extend_from_slice(&[1, 2]);
    assert_eq!(WavHeader::parse(&file).expect("good").data(&file), [1, 2]);
}

#[test]
fn chunks_we_do_not_know_are_passed_over() {
    let plain = header(WavFormat::mono_pcm(8000), 2);
    let mut file = plain[..12].to_vec();
    file.extend_from_slice(b"JUNK\x03\0\0\0abc\0");
    file.extend_from_slice(&plain[12..36]);
    file.extend_from_slice(b"LIST\0\0\0\0");
    file.extend_from_slice(&plain[36..]);
    let parsed = WavHeader::parse(&file).expect("a good header");
    assert_eq!((parsed.data_offset, parsed.data_len), (file.len(), Some(2)));
}

#[test]
fn the_extensible_format() {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x28\0\0\0\xfe\xff\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0".to_vec();
    file.extend_from_slice(b"\x16\0\x10\0\x03\0\0\0\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    file.extend_from_slice(b"data\x04\0\0\0");
    let parsed = WavHeader::parse(&file).expect("a good header");
    assert_eq!((parsed.format.encoding, parsed.format.channels), (Encoding::Pcm16, 2));
}

#[test]
fn errors() {
    let good = header(WavFormat::mono_pcm(8000), 4);
    let change = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        WavHeader::parse(&bytes)
    };
    for length in 0..good.len() {
        assert!(WavHeader::parse(&good[..length]).is_err(), "{length} bytes");
    }
    assert_eq!(change(0, b'X'), Err(WavError::NotWav));
    assert_eq!(change(8, b'X'), Err(WavError::NotWav));
    assert_eq!(change(12, b'X'), Err(WavError::NoFormat));
    assert_eq!(change(16, 15), Err(WavError::NoFormat));
    assert_eq!(change(20, 3), Err(WavError::Encoding { tag: 3, bits: 16 }));
    assert_eq!(change(34, 24), Err(WavError::Encoding { tag: 1, bits: 24 }));
    assert_eq!(change(22, 3), Err(WavError::Channels(3)));
    assert_eq!(change(22, 0), Err(WavError::Channels(0)));
    let mut silent = good.clone();
    silent[24..28].fill(0);
    assert_eq!(WavHeader::parse(&silent), Err(WavError::SampleRate));
    assert_eq!(change(36, b'X'), Err(WavError::Truncated));
    let endless = [b"RIFF\0\0\0\0WAVE".to_vec(), b"JUNK\0\0\0\0".repeat(MAX_CHUNKS + 1)].concat();
    assert_eq!(WavHeader::parse(&endless), Err(WavError::TooManyChunks));
    let huge = [b"RIFF\0\0\0\0WAVE".as_slice(), b"JUNK\xff\xff\xff\xff"].concat();
    assert_eq!(WavHeader::parse(&huge), Err(WavError::Truncated));
    let refused = WavFormat::mono_pcm(8000).write_header(0, &mut [0; 43]);
    assert_eq!(refused, Err(WavError::BufferTooSmall { need: 44 }));
}

#[test]
fn samples_of_every_encoding() {
    let mut out = [0i16; 4];
    let pcm = WavFormat::mono_pcm(8000);
    let mut bytes = [0u8; 5];
    assert_eq!(encode_pcm(&[1, -2, 3], &mut bytes), 4);
    assert_eq!(pcm.decode_mono(&bytes, &mut out), 2);
    assert_eq!(out[..2], [1, -2]);
    let stereo = WavFormat { channels: 2, ..pcm };
    assert_eq!(stereo.decode_mono(&[100, 0, 44, 1], &mut out), 1);
    assert_eq!(out[0], 200);
    let coarse = WavFormat { encoding: Encoding::Pcm8, ..pcm };
    assert_eq!(coarse.decode_mono(&[0, 128, 255], &mut out), 3);
    assert_eq!(out[..3], [-32_768, 0, 32_512]);
    let ulaw = WavFormat { encoding: Encoding::Ulaw, ..pcm };
    assert_eq!(ulaw.decode_mono(&[0x00, 0x80, 0xff], &mut out), 3);
    assert_eq!(out[..3], [-32_124, 32_124, 0]);
    let alaw = WavFormat { encoding: Encoding::Alaw, channels: 2, ..pcm };
    assert_eq!(alaw.decode_mono(&[0xaa, 0x2a, 0xd5, 0xd5], &mut out), 2);
    assert_eq!(out[..2], [0, 8]);
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let head = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0";
            let data = b"\x80\x3e\0\0\x02\0\x10\0data";
            for file in [bytes.clone(), [head, &bytes[..]].concat(), [head, &data[..], &bytes].concat()] {
                if let Ok(header) = WavHeader::parse(&file) {
                    let mut out = [0; 50];
                    header.format.decode_mono(header.data(&file), &mut out);
                    let _ = header.duration_ms(usize::MAX);
                }
            }
        }
    }
}
