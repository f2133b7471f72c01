//! What a call can do, one feature to a file. Each is a few methods of [`Call`](crate::machine::Call).

mod answer;
mod early;
mod end;
pub(crate) mod fork;
pub(crate) mod forward;
mod hold;
mod parcel;
mod refer;
mod ring;
mod session;
