//! What the switch does for the registrar beyond answering REGISTER.

mod pings;

pub(crate) use pings::Pings;
