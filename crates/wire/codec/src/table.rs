//! The table itself.

use crate::codecs::{Codec, Coder, Framing, Kind};
use crate::coder::{Decoder, Encoder};
use crate::noise::COMFORT_NOISE;
use crate::{g711, g722};

/// All formats, the most widely understood first.
pub const CODECS: &[Codec] = &[
    Codec {
        name: "PCMU",
        label: "PCMU",
        static_payload_type: Some(0),
        kind: sixty_four(ULAW, g711::ULAW_SILENCE),
        ..EVEN
    },
    Codec {
        name: "PCMA",
        label: "PCMA",
        static_payload_type: Some(8),
        kind: sixty_four(ALAW, g711::ALAW_SILENCE),
        ..EVEN
    },
    Codec {
        name: "G722",
        label: "G722",
        static_payload_type: Some(9),
        // The clock is a mistake of RFC 1890 that has stayed (RFC 3551 section 4.5.2).
        sample_rate: g722::SAMPLE_RATE,
        kind: sixty_four(G722, g722::SILENCE),
        ..EVEN
    },
    Codec { name: "L16", label: "L16/8000", kind: linear(8_000), ..EVEN },
    Codec { name: "L16", label: "L16/16000", clock_rate: 16_000, sample_rate: 16_000, kind: linear(16_000), ..EVEN },
    Codec {
        name: "opus",
        label: "opus",
        // Both as every description has to write them (RFC 7587 section 7).
        clock_rate: 48_000,
        channels: 2,
        sample_rate: 48_000,
        fmtp: Some("minptime=10;useinbandfec=1"),
        // 96 kbit/s: three times what it takes at most on average, as room for single loud packets.
        kind: Kind::Audio { coder: OPUS, byte_rate: 12_000, silence: None, framing: Framing::Opus },
        ..EVEN
    },
    Codec { name: "iLBC", label: "iLBC", kind: passed_on(1_900), ..EVEN },
    Codec { name: "G729", label: "G729", static_payload_type: Some(18), kind: passed_on(1_000), ..EVEN },
    Codec { name: "AMR", label: "AMR", compare: AMR_LAYOUT, kind: passed_on(1_650), ..EVEN },
    Codec {
        name: "AMR-WB",
        label: "AMR-WB",
        clock_rate: 16_000,
        sample_rate: 16_000,
        compare: AMR_LAYOUT,
        kind: passed_on(3_150),
        ..EVEN
    },
    TELEPHONE_EVENT,
    Codec { label: "telephone-event/16000", clock_rate: 16_000, sample_rate: 16_000, ..TELEPHONE_EVENT },
    Codec { label: "telephone-event/48000", clock_rate: 48_000, sample_rate: 48_000, ..TELEPHONE_EVENT },
    Codec { name: "CN", label: "CN", static_payload_type: Some(COMFORT_NOISE), kind: Kind::Noise, ..EVEN },
];

/// Where the rows are that others name; a test compares them.
pub(crate) const PCMU: usize = 0;
pub(crate) const PCMA: usize = 1;
pub(crate) const EVENTS: usize = 10;
pub(crate) const NOISE: usize = 13;

/// What configurations of other switches call some of them.
pub(crate) const ALIASES: &[(&str, &str)] = &[("2833", "telephone-event"), ("722", "G722"), ("729", "G729")];

/// What most rows have in common.
const EVEN: Codec = Codec {
    name: "",
    label: "",
    static_payload_type: None,
    clock_rate: 8_000,
    sample_rate: 8_000,
    channels: 1,
    fmtp: None,
    compare: &[],
    kind: Kind::Event,
};

const TELEPHONE_EVENT: Codec =
    Codec { name: "telephone-event", label: "telephone-event", fmtp: Some("0-16"), kind: Kind::Event, ..EVEN };

/// What changes where the bits of a packet are (RFC 4867 section 8.1).
const AMR_LAYOUT: &[&str] = &["octet-align", "crc", "robust-sorting", "interleaving", "channels"];

const ULAW: Coder =
    Coder { encoder: |_, _| Some(Encoder::ulaw()), decoder: |_| Some(Decoder::ulaw()), other_rates: &[] };
const ALAW: Coder =
    Coder { encoder: |_, _| Some(Encoder::alaw()), decoder: |_| Some(Decoder::alaw()), other_rates: &[] };
const G722: Coder = Coder {
    encoder: |rate, _| Some(Encoder::g722(rate)),
    decoder: |rate| Some(Decoder::g722(rate)),
    other_rates: &[g722::NARROW_RATE],
};
const L16: Coder = Coder { encoder: |_, _| Some(Encoder::L16), decoder: |_| Some(Decoder::L16), other_rates: &[] };

#[cfg(feature = "opus")]
const OPUS: Option<Coder> = Some(Coder {
    encoder: |rate, fmtp| crate::opus::Encoder::new(rate, fmtp).map(Encoder::Opus),
    decoder: |rate| crate::opus::Decoder::new(rate).map(Decoder::Opus),
    other_rates: &[8_000, 16_000, 24_000],
});

/// Built without it: passed on from one party to the other, as what follows in the table.
#[cfg(not(feature = "opus"))]
const OPUS: Option<Coder> = None;

/// 64 kbit/s, a byte of which is silent.
const fn sixty_four(coder: Coder, silence: u8) -> Kind {
    Kind::Audio { coder: Some(coder), byte_rate: 8_000, silence: Some(silence), framing: Framing::Even }
}

const fn linear(rate: u32) -> Kind {
    Kind::Audio { coder: Some(L16), byte_rate: 2 * rate, silence: Some(0), framing: Framing::Even }
}

/// Nothing here reads or makes it.
const fn passed_on(byte_rate: u32) -> Kind {
    Kind::Audio { coder: None, byte_rate, silence: None, framing: Framing::Unread }
}
