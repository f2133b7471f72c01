//! A value as it means, whatever white space it is written with.

/// Without line ends, and with one space where there was white space.
pub fn collapsed(value: &[u8]) -> Vec<u8> {
    value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(&b' ')
}
