//! What a call can do, one feature to a file. Each is a few methods of [`Call`](crate::machine::Call).

mod answer;
pub(crate) mod attend;
mod conference;
mod early;
mod end;
pub(crate) mod flow;
pub(crate) mod fork;
pub(crate) mod forward;
pub(crate) mod hold;
pub(crate) mod join;
mod moved;
pub(crate) mod operation;
pub(crate) mod order;
pub(crate) mod parcel;
pub(crate) mod refer;
mod relay;
mod reoffer;
pub(crate) mod replace;
mod ring;
mod session;
pub(crate) mod transfer;
