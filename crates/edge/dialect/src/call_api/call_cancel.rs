//! `CallCancel`: stops a `CallStart` of the same connection, by its `cmd_id`.

use super::call_end::{CallEnd, Target};
use super::command::{CommandRow, Modes};
use super::params::{Kind, Param, Params};
use super::task::Begun;

pub(super) const ROW: CommandRow = CommandRow {
    name: "CallCancel",
    about: "stops a CallStart that is running",
    modes: Modes::Strict,
    params: &[Param { name: "cmd_id", kind: Kind::CommandId, about: "the CallStart" }],
    optional: &[],
    open: false,
    events: &[],
    frees: true,
    begin,
};

fn begin(params: Params, _cmd_id: &str) -> Begun {
    Begun::Ask(Box::new(CallEnd::new(Target::StartedBy(params.get("cmd_id")))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_cmd_id_is_not_its_own() {
        assert!(ROW.names_another());
        assert!(matches!(begin(Params::default(), "x"), Begun::Ask(_)));
    }
}
