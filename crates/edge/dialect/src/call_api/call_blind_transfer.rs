//! `CallBlindTransfer`: connects one party of a call with somebody else. See
//! [`Transfer`].

use compact_str::CompactString;
use hookswitch_call::{Address, Command, Party};

use super::command::{CommandRow, Modes};
use super::event_name::EventName;
use super::params::{Kind, Param, Params};
use super::task::{Begun, Calls};
use super::transfer::{Asked, Transfer};

pub(super) const ROW: CommandRow = CommandRow {
    name: "CallBlindTransfer",
    about: "connects one party of a call with somebody else, unannounced",
    modes: Modes::Both,
    params: &[
        Param { name: "callid", kind: Kind::CallId, about: "the call" },
        Param { name: "leg", kind: Kind::Leg, about: "the party that is transferred and stays" },
        Param { name: "destination", kind: Kind::Uri, about: "whom it is connected with" },
    ],
    optional: &[],
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
    let destination = params.get("destination");
    let asked = Blind { callid: params.get("callid"), party: params.leg("leg"), to: destination.clone() };
    Begun::Ask(Box::new(Transfer::new(asked, Some(destination), true)))
}

#[derive(Debug)]
struct Blind {
    callid: CompactString,
    party: Party,
    to: CompactString,
}

impl Asked for Blind {
    fn command(&self, calls: &dyn Calls) -> Command {
        Command::Transfer { call: calls.find(&self.callid), party: self.party, to: Address(self.to.clone()), by: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_the_switch() {
        let params = Params::of([("callid", "x"), ("leg", "caller"), ("destination", "sip:a@b")]);
        assert!(matches!(begin(params, "x"), Begun::Ask(_)));
    }
}
