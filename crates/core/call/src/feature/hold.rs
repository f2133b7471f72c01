//! Hold: one party is kept waiting, by a command or by the other party's phone.

use crate::cause::Cause;
use crate::machine::{Call, Scene};
use crate::words::{LegId, Party, Sdp};

impl Call {
    pub(crate) fn reaccepted(&mut self, _scene: &mut Scene<'_>, _leg: LegId, _sdp: Result<Option<Sdp>, Cause>) {}

    pub(crate) fn direction_changed(&mut self, _scene: &mut Scene<'_>, _party: Party, _sends: bool, _listens: bool) {}
}
