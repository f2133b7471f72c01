//! What parties send each other within a call: keys, signals of applications, text.

use crate::machine::{Call, Scene};
use crate::words::{Digit, LegId, Op, Parcel, Party};

impl Call {
    pub(crate) fn brought(&mut self, scene: &mut Scene<'_>, leg: LegId, receipt: u64, _parcel: Parcel) {
        scene.out.op(Op::Receipt { call: self.id, leg, receipt, status: 501 });
    }

    pub(crate) fn delivered(&mut self, _scene: &mut Scene<'_>, _leg: LegId, _receipt: u64, _status: u16) {}

    pub(crate) fn digit_told(&mut self, _scene: &mut Scene<'_>, _leg: LegId, _digit: Digit) {}

    pub(crate) fn digit_heard(&mut self, _scene: &mut Scene<'_>, _party: Party, _digit: Digit) {}
}
