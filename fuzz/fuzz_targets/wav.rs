//! Any bytes as a WAV file: what its header says is within the file, and every encoding is read.
#![no_main]

use hookswitch_codec::wav::WavHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(header) = WavHeader::parse(data) else { return };
    let samples = header.data(data);
    assert!(samples.len() <= data.len());
    let _ = header.duration_ms(samples.len());
    let mut out = [0; 256];
    let count = header.format.decode_mono(samples, &mut out);
    assert!(count <= out.len());
});
