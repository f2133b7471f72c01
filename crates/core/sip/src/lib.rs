//! SIP transactions, dialogs, registrar and authentication, sans-IO.
//!
//! [`Endpoint`] is one SIP element: bytes and the time go in through [`Endpoint::handle_input`] and
//! [`Endpoint::handle_timeout`], orders through its other functions, and after each of these calls everything that must
//! be sent or told is taken out with [`Endpoint::poll_output`] until it is empty. It owns no socket, reads no clock and
//! draws no random numbers of its own.
//!
//! [`auth`] checks digest credentials, [`registrar`] keeps bindings, [`subscription`] those who want to be told,
//! [`publication`] what users tell of themselves, and [`resolve`] finds where URIs lead; they are separate machines, which
//! the user of the endpoint consults about the requests it gets and sends.
#![forbid(unsafe_code)]

mod addresses;
pub mod auth;
mod config;
mod dialog;
mod endpoint;
mod error;
mod event;
pub mod guard;
mod ids;
mod keyed;
mod outgoing;
pub mod publication;
pub mod registrar;
pub mod registration;
pub mod resolve;
pub mod stun;
pub mod subscription;
mod timers;
mod transaction;
mod transport;
mod wheel;

pub use addresses::{Addresses, View, is_public};
pub use config::*;
pub use dialog::{Dialog, DialogState, Role};
pub use endpoint::{Counts, Dropped, Endpoint};
pub use error::SipError;
pub use event::{DialogId, Ender, Event, FailCause, RequestId, TxnId};
pub use outgoing::{Body, Header, Invite, MAX_FORWARDS, Rel100, RequestOut, Response};
pub use timers::{PROVISIONAL_REFRESH, T1, T2, T4, Timers};
pub use transport::{
    ConnId, Flow, Input, MAX_PROVED, MAX_PROVED_NAME, NoWay, Output, PeerId, Transport, UnknownTransport,
};

/// Time since the UNIX epoch on a clock that never goes backwards.
pub type Time = core::time::Duration;
