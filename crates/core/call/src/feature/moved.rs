//! The audio of a call is carried by another engine from now on: its parties are told where to send.
//!
//! ```text
//!  Moved ──▶ moved: every leg ──▶ on the line, and nothing else is being changed ──▶ offered its session anew
//!                                 else as soon as that is so: after the answer, behind a change that is under way
//! ```
//!
//! Whoever refuses the offer keeps its session, which leads nowhere: that it is silent ends the call, as of any party.

use crate::cause::Cause;
use crate::machine::{At, Call, Leg, LegState, Scene, State};
use crate::words::LegId;

impl Leg {
    /// It can be told now. With another call its session leads elsewhere, until it comes back.
    const fn is_to_mend(&self) -> bool {
        self.moved && matches!(self.state, LegState::Up) && matches!(self.at, At::Home) && !self.is_changing()
    }
}

impl Call {
    pub(crate) fn audio_moved(&mut self, scene: &mut Scene<'_>, result: Result<(), Cause>) {
        if let Err(cause) = result {
            return self.end(scene, cause);
        }
        for leg in &mut self.legs {
            leg.moved = leg.service.is_none() && leg.live();
        }
    }

    /// Offers those their session anew who have not been since the audio moved, and can be now.
    pub(crate) fn mend(&mut self, scene: &mut Scene<'_>) {
        if self.state == State::AwaitEnds || !self.anchored {
            return;
        }
        for number in 0..self.legs.len() {
            // Legs are bounded far below u16::MAX.
            let id = LegId(u16::try_from(number).unwrap_or(u16::MAX));
            if let Some(leg) = self.leg_mut(id).filter(|leg| leg.is_to_mend()) {
                leg.moved = false;
                self.reoffer(scene, id);
            }
        }
    }
}
