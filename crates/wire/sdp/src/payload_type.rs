//! Payload types with a fixed meaning (RFC 3551, tables 4 and 5).

/// A payload type that needs no `a=rtpmap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticPayloadType {
    /// 0 to 34.
    pub payload_type: u8,
    /// Encoding name as registered.
    pub name: &'static str,
    /// RTP clock in Hz. G.722 says 8000 although it samples at 16 kHz.
    pub clock_rate: u32,
    /// Audio channels; 1 for video.
    pub channels: u8,
}

/// All static assignments of RFC 3551.
pub const STATIC_PAYLOAD_TYPES: &[StaticPayloadType] = &[
    row(0, "PCMU", 8000, 1),
    row(3, "GSM", 8000, 1),
    row(4, "G723", 8000, 1),
    row(5, "DVI4", 8000, 1),
    row(6, "DVI4", 16000, 1),
    row(7, "LPC", 8000, 1),
    row(8, "PCMA", 8000, 1),
    row(9, "G722", 8000, 1),
    row(10, "L16", 44100, 2),
    row(11, "L16", 44100, 1),
    row(12, "QCELP", 8000, 1),
    row(13, "CN", 8000, 1),
    row(14, "MPA", 90000, 1),
    row(15, "G728", 8000, 1),
    row(16, "DVI4", 11025, 1),
    row(17, "DVI4", 22050, 1),
    row(18, "G729", 8000, 1),
    row(25, "CelB", 90000, 1),
    row(26, "JPEG", 90000, 1),
    row(28, "nv", 90000, 1),
    row(31, "H261", 90000, 1),
    row(32, "MPV", 90000, 1),
    row(33, "MP2T", 90000, 1),
    row(34, "H263", 90000, 1),
];

const fn row(payload_type: u8, name: &'static str, clock_rate: u32, channels: u8) -> StaticPayloadType {
    StaticPayloadType { payload_type, name, clock_rate, channels }
}

/// The fixed meaning of a payload type, if it has one.
#[must_use]
pub fn static_payload_type(payload_type: u8) -> Option<&'static StaticPayloadType> {
    STATIC_PAYLOAD_TYPES.iter().find(|row| row.payload_type == payload_type)
}
