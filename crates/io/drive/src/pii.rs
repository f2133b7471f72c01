//! Addresses and numbers of people in logs: shown or hidden by one switch.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Process-wide, because logging is.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Shows or hides what is wrapped in [`Pii`] from now on. Hidden at the start.
pub fn show_pii(shown: bool) {
    SHOWN.store(shown, Ordering::Relaxed);
}

/// Whether such things are shown.
pub(crate) fn is_pii_shown() -> bool {
    SHOWN.load(Ordering::Relaxed)
}

/// Something that tells who somebody is: a SIP address, a phone number, an IP address of a phone. Formats as what it
/// holds or as `[hidden]`.
#[derive(Clone, Copy)]
pub struct Pii<T>(pub T);

impl<T: fmt::Display> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if SHOWN.load(Ordering::Relaxed) { self.0.fmt(f) } else { f.write_str("[hidden]") }
    }
}

impl<T: fmt::Display> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_switch_shows_and_hides() {
        let address = Pii("sip:alice@example.test");
        assert_eq!(address.to_string(), "[hidden]");
        show_pii(true);
        assert_eq!(address.to_string(), "sip:alice@example.test");
        show_pii(false);
        assert_eq!(format!("{address:?}"), "[hidden]");
    }
}
