//! SIP messages, URIs, headers and digest arithmetic: bytes to types and back.
//!
//! [`Message::parse`] makes one pass over a datagram and keeps spans into the shared bytes; it allocates nothing for an
//! ordinary message. Everything typed ([`Via`], [`NameAddr`], [`Uri`], [`CSeq`]...) is read on demand from those spans,
//! and what nobody asks for travels on byte for byte. Messages are built by [`Writer`], answers by [`response_to`], and
//! byte streams are cut into messages by [`StreamFramer`].
//!
//! Three layers of strictness, so that a bad message still gets its answer:
//!
//! 1. [`Message::parse`] finds lines, header names and the body. Its error knows the status it deserves and, whenever
//!    header lines were found, [salvages](ParseError::salvage) the message so that the refusal can be sent.
//! 2. [`Message::validate`] is what a server checks before it processes anything (RFC 3261 8.1.1, 8.2, 16.3).
//! 3. Typed accessors check one header each, when it is used.
#![forbid(unsafe_code)]

mod addr;
mod auth;
pub mod digest;
mod error;
mod framer;
mod limits;
mod message;
mod method;
mod name;
mod params;
mod parse;
mod refer;
mod respond;
mod scan;
mod status;
mod typed;
mod uri;
mod uri_eq;
mod validate;
mod via;
mod writer;

pub use addr::NameAddr;
pub use auth::AuthParams;
pub use error::{ErrorKind, HeaderError, HeaderProblem, ParseError, UriError};
pub use framer::{Frame, FramingError, FramingProblem, KeepAlive, StreamFramer};
pub use limits::*;
pub use message::Message;
pub use method::Method;
pub use name::HeaderName;
pub use params::{Param, Params};
pub use refer::{EventName, ReferTo, Replaces, StatusFragment, SubscriptionState};
pub use respond::{Answer, response_to};
pub use scan::{ListMembers, list_members};
pub use status::reason_phrase;
pub use typed::CSeq;
pub use uri::{Host, Scheme, Uri, UriParams};
pub use via::Via;
pub use writer::Writer;
