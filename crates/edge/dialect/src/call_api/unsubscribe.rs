//! `Unsubscribe`: ends a `Subscribe` of the same connection, by its `cmd_id`.

use hookswitch_call::Fault;

use super::command::{CommandRow, Modes};
use super::notice::{Notice, Reason, Stage};
use super::params::{Kind, Param, Params};
use super::task::Begun;

pub(super) const ROW: CommandRow = CommandRow {
    name: "Unsubscribe",
    about: "ends a Subscribe",
    modes: Modes::Strict,
    params: &[Param { name: "cmd_id", kind: Kind::CommandId, about: "the Subscribe" }],
    optional: &[],
    open: false,
    events: &[],
    frees: true,
    begin,
};

fn begin(params: Params, _cmd_id: &str) -> Begun {
    Begun::Unfollow(params.get("cmd_id"))
}

/// There is nothing of that name to end.
pub(super) fn not_found() -> Notice {
    let text = "no Subscribe with this cmd_id is running";
    let reason = Reason::new(Stage::Request, 404, Fault::Controller, text);
    Notice::error(format_args!("404 {text}"), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_cmd_id_is_not_its_own() {
        assert!(ROW.names_another());
    }
}
