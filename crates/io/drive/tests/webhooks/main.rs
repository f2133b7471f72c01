//! Webhooks on real sockets, from a real log of events, to targets that behave and to some that do not.

mod asked_for;
mod calls_of_their_own;
mod delivered;
mod hostile_targets;
mod private_addresses;
mod restart;
mod rig;
