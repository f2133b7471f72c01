//! Any bytes as packets of any codec, lost ones in between. The first byte chooses the codec.
#![no_main]

use hookswitch_codec::{CODECS, MAX_FRAME_SAMPLES};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((which, mut rest)) = data.split_first() else { return };
    let codec = &CODECS[usize::from(*which) % CODECS.len()];
    let Some(mut decoder) = codec.decoder() else { return };
    let mut out = [0; MAX_FRAME_SAMPLES];
    while let Some((length, more)) = rest.split_first() {
        let (packet, left) = more.split_at(usize::from(*length).min(more.len()));
        rest = left;
        let _ = codec.ticks_of(packet);
        let samples = match length % 7 {
            5 => decoder.conceal(&mut out),
            6 => decoder.recover(packet, &mut out),
            _ => decoder.decode(packet, &mut out),
        };
        assert!(samples <= out.len());
    }
});
