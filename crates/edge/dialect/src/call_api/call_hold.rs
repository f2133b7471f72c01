//! `CallHold`: puts both parties of a call on hold, or one. See [`Hold`].

use super::command::{CommandRow, Modes};
use super::event_name::EventName;
use super::hold::Hold;
use super::params::{Kind, Param, Params};
use super::task::Begun;

pub(super) const ROW: CommandRow = CommandRow {
    name: "CallHold",
    about: "puts both parties of a call on hold, or one",
    modes: Modes::Both,
    params: &[Param { name: "callid", kind: Kind::CallId, about: "the call" }],
    optional: &[
        Param { name: "leg", kind: Kind::Leg, about: "the party; both unless given" },
        Param { name: "headers", kind: Kind::Headers, about: "header fields that the parties are sent with it" },
    ],
    open: false,
    events: &[EventName::CallHolding, EventName::CallHoldStart, EventName::CallHoldSuccessful],
    frees: false,
    begin,
};

fn begin(params: Params, _cmd_id: &str) -> Begun {
    Begun::Ask(Box::new(Hold::new(true, &params)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_the_switch() {
        assert!(matches!(begin(Params::default(), "x"), Begun::Ask(_)));
    }
}
