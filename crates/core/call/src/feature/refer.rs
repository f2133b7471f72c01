//! REFER: a phone asks for a transfer, or is asked to make one.

use compact_str::CompactString;

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, Scene};
use crate::words::{Address, LegId, Op, ReferTo};

impl Call {
    pub(crate) fn refer_asked(&mut self, scene: &mut Scene<'_>, leg: LegId, _to: ReferTo, _by: Option<Address>) {
        let result = Err(Cause::new(Kind::Unsupported, Fault::Server));
        scene.out.op(Op::AnswerRefer { call: self.id, leg, result });
    }

    pub(crate) fn refer_answered(&mut self, _scene: &mut Scene<'_>, _leg: LegId, _result: Result<(), Cause>) {}

    pub(crate) fn refer_progress(&mut self, _scene: &mut Scene<'_>, _leg: LegId, _status: u16, _text: CompactString) {}
}
