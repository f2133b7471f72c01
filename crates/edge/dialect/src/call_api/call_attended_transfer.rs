//! `CallAttendedTransfer`: connects one party of a call with one party of another. Known, checked, and not yet carried out by this switch.

use super::command::{CommandRow, Modes};
use super::notice::Notice;
use super::params::{Kind, Param, Params};
use super::task::Begun;

pub(super) const ROW: CommandRow = CommandRow {
    name: "CallAttendedTransfer",
    about: "connects one party of a call with one party of another",
    modes: Modes::Both,
    params: &[
        Param { name: "callidA", kind: Kind::CallId, about: "the first call" },
        Param { name: "legA", kind: Kind::Leg, about: "the party of the first call that stays" },
        Param { name: "callidB", kind: Kind::CallId, about: "the second call" },
        Param { name: "legB", kind: Kind::Leg, about: "the party of the second call that stays" },
    ],
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
