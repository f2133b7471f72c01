//! What a call can do, one feature to a file. Each is a few methods of [`Call`](crate::machine::Call).

mod answer;
mod early;
mod end;
pub(crate) mod fork;
pub(crate) mod forward;
pub(crate) mod hold;
pub(crate) mod operation;
mod parcel;
mod refer;
mod reoffer;
mod ring;
mod session;
