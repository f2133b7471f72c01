//! A call is answered a moment before OpenSIPS calls its dialog ready: between the 200 and the ACK a hold or a transfer
//! is refused with 410. Nothing has been done then, so it is asked again.

use hookswitch_call::Time;
use serde::{Deserialize, Serialize};

use crate::READY_AFTER;

/// How often it is asked again.
const MAX_AGAIN: u8 = 2;

/// What OpenSIPS answers of a dialog without an ACK.
pub(crate) const NOT_READY: i32 = 410;

/// Whether a dialog is ready, and when it is asked again if it was not.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    is_confirmed: bool,
    again: u8,
    pub(crate) again_at: Option<Time>,
}

impl Ready {
    pub(crate) const fn new() -> Self {
        Self { is_confirmed: false, again: 0, again_at: None }
    }

    /// It was not ready. Whether it is asked again, and if so not before [`Ready::again_at`].
    pub(crate) fn was_not(&mut self, now: Time) -> bool {
        if self.again >= MAX_AGAIN {
            return false;
        }
        self.again += 1;
        // The confirmation may have overtaken the refusal.
        self.again_at = Some(if self.is_confirmed { now } else { now + READY_AFTER });
        true
    }

    /// It is confirmed; whether it is to be asked again now.
    pub(crate) fn confirmed(&mut self) -> bool {
        self.is_confirmed = true;
        self.again_at.take().is_some()
    }

    /// Whether it is time to ask again.
    pub(crate) fn is_due(&mut self, now: Time) -> bool {
        self.again_at.take_if(|at| *at <= now).is_some()
    }
}
