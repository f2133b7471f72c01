//! What the switch does for the registrar beyond answering REGISTER.

mod flows;
mod limits;
mod lookup;
mod new_line;
mod pings;

pub(crate) use flows::{Flows, failure, one_for_each_phone};
pub(crate) use limits::Users;
pub use lookup::drained;
pub(crate) use lookup::{Lookups, UserName, later, out_of_order};
pub(crate) use pings::Pings;
