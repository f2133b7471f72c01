//! `Test`: the original's undocumented method, kept for who tries it. Touches nothing.

use super::command::{CommandRow, Modes};
use super::event_name::EventName;
use super::notice::{Data, Notice};
use super::params::Params;
use super::task::Begun;

pub(super) const ROW: CommandRow = CommandRow {
    name: "Test",
    about: "answers with its own parameters, under the event name of the original",
    modes: Modes::Original,
    params: &[],
    optional: &[],
    open: true,
    events: &[EventName::Tried],
    frees: false,
    begin,
};

fn begin(params: Params, _cmd_id: &str) -> Begun {
    Begun::Say(Notice::with(EventName::Tried, Data::Params(params)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_come_back_under_another_name() {
        let Begun::Say(notice) = begin(Params::default(), "x") else { panic!("Test asks nobody") };
        assert_eq!(notice.event, EventName::Tried);
    }
}
