//! The texts of records in write-ahead files: numbers and strings of bytes one after the other, little endian.

pub(crate) fn put_u32(into: &mut Vec<u8>, number: usize) {
    // A record has no more than a database file may, and is cut into halves of megabytes long before.
    into.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

pub(crate) fn put_u64(into: &mut Vec<u8>, number: u64) {
    into.extend(number.to_le_bytes());
}

/// Bytes behind their length.
pub(crate) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(into, bytes.len());
    into.extend_from_slice(bytes);
}

/// The same if there is something, else a sign that there is not.
pub(crate) fn put_option(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    into.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_bytes(into, bytes);
    }
}

/// What is still to be read. Every answer is none once something is missing.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u32(&mut self) -> Option<usize> {
        self.take(4)?.try_into().ok().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length)
    }

    pub(crate) fn option(&mut self) -> Option<Option<&'a [u8]>> {
        match self.take(1)? {
            [0] => Some(None),
            [1] => self.bytes().map(Some),
            _ => None,
        }
    }
}
