//! `CallAttendedTransfer`: connects one party of a call with one party of another. See
//! [`Transfer`].

use compact_str::CompactString;
use hookswitch_call::{Address, Command, Party};

use super::command::{CommandRow, Modes};
use super::event_name::EventName;
use super::params::{Kind, Param, Params};
use super::task::{Begun, Calls};
use super::transfer::{Asked, Transfer};

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
    optional: &[Param {
        name: "destination",
        kind: Kind::Uri,
        about: "where the second party is reached, if not at its address in the second call",
    }],
    open: false,
    events: &[
        EventName::Transferring,
        EventName::TransferStart,
        EventName::TransferPending,
        EventName::TransferSuccessful,
    ],
    frees: false,
    begin,
};

fn begin(params: Params, _cmd_id: &str) -> Begun {
    let destination = Some(params.get("destination")).filter(|destination| !destination.is_empty());
    let asked = Attended {
        first: params.get("callidA"),
        first_party: params.leg("legA"),
        second: params.get("callidB"),
        second_party: params.leg("legB"),
        to: destination.clone().map(Address),
    };
    Begun::Ask(Box::new(Transfer::new(asked, destination, false)))
}

#[derive(Debug)]
struct Attended {
    first: CompactString,
    first_party: Party,
    second: CompactString,
    second_party: Party,
    to: Option<Address>,
}

impl Asked for Attended {
    fn command(&self, calls: &dyn Calls) -> Command {
        Command::Join {
            call: calls.find(&self.first),
            party: self.first_party,
            other: calls.find(&self.second),
            other_party: self.second_party,
            to: self.to.clone(),
            by: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_the_switch() {
        let params = Params::of([("callidA", "x"), ("legA", "caller"), ("callidB", "y"), ("legB", "callee")]);
        assert!(matches!(begin(params, "x"), Begun::Ask(_)));
    }
}
