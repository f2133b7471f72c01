//! `Echo`: answers with its own parameters. Shows that the connection works.

use super::command::{CommandRow, Modes};
use super::event_name::EventName;
use super::notice::{Data, Notice};
use super::params::Params;
use super::task::Begun;

pub(super) const ROW: CommandRow = CommandRow {
    name: "Echo",
    about: "answers with its own parameters",
    modes: Modes::Both,
    params: &[],
    optional: &[],
    open: true,
    events: &[EventName::Reply],
    frees: false,
    begin,
};

fn begin(params: Params, _cmd_id: &str) -> Begun {
    Begun::Say(Notice::with(EventName::Reply, Data::Params(params)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_come_back() {
        let Begun::Say(notice) = begin(Params::default(), "x") else { panic!("Echo asks nobody") };
        assert_eq!(notice.event, EventName::Reply);
        assert_eq!(notice.data, Some(Data::Params(Params::default())));
    }
}
