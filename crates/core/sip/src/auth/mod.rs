//! Digest authentication both ways (RFC 3261 section 22, RFC 7616, RFC 8760).
//!
//! [`Gate`] is the server's side: it challenges, checks answers and refuses replays. [`authorize`] and [`Session`] are
//! the client's side. [`identity_allows`] ties the user who proved a password to the address the request speaks for.

mod client;
mod gate;
mod identity;
mod nonce;
mod replay;

pub use self::client::{AuthError, Credentials, Session, authorize};
pub use self::gate::{Gate, GateConfig, Peek, RejectedWhy, Secret, Verdict, Which};
pub use self::identity::{Identity, identity_allows};
