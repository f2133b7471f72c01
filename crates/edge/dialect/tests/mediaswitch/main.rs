//! The pushed directory over HTTP: what each verb does, what is refused and how, who is
//! registered, and the page about it.

mod directory;
mod documented;
mod host;
mod limits;
mod refusals;
mod registrations;
