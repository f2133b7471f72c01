//! `CallBlindTransfer`: connects one party of a call with somebody else. Known, checked, and not yet carried out by this switch.

use super::command::{CommandRow, Modes};
use super::notice::Notice;
use super::params::{Kind, Param, Params};
use super::task::Begun;

pub(super) const ROW: CommandRow = CommandRow {
    name: "CallBlindTransfer",
    about: "connects one party of a call with somebody else, unannounced",
    modes: Modes::Both,
    params: &[
        Param { name: "callid", kind: Kind::CallId, about: "the call" },
        Param { name: "leg", kind: Kind::Leg, about: "the party that is transferred and stays" },
        Param { name: "destination", kind: Kind::Uri, about: "whom it is connected with" },
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
