//! `CallHold`: puts both parties of a call on hold. Known, checked, and not yet carried out by this switch.

use super::command::{CommandRow, Modes};
use super::notice::Notice;
use super::params::{Kind, Param, Params};
use super::task::Begun;

pub(super) const ROW: CommandRow = CommandRow {
    name: "CallHold",
    about: "puts both parties of a call on hold",
    modes: Modes::Both,
    params: &[Param { name: "callid", kind: Kind::CallId, about: "the call" }],
    open: false,
    events: &[],
    frees: false,
    begin,
};

fn begin(_params: Params, _cmd_id: &str) -> Begun {
    Begun::Say(Notice::unsupported(ROW.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_api::event_name::EventName;

    #[test]
    fn it_says_that_it_cannot() {
        let Begun::Say(notice) = begin(Params::default(), "x") else { panic!("there is nobody to ask") };
        assert_eq!(notice.event, EventName::Error);
    }
}
