//! Session descriptions (RFC 8866, and RFC 4566 before it), lossless, with a typed view.
//!
//! A [`SessionDescription`] keeps the text it was parsed from: lines of unknown type, unknown
//! attributes, their order and their line endings all come out as they went in. Typed views
//! ([`Media`], [`Origin`], [`Connection`], [`Format`] …) read single lines when asked, and
//! [`MediaMut`] rewrites single lines and leaves the others alone. That is what a back-to-back user
//! agent that anchors media needs: it changes addresses, ports and formats, and passes on the rest.
//!
//! Which formats to choose is decided elsewhere; this crate has the parts an answer is made of:
//! [`Media::codecs`] resolves payload types (static ones through [`STATIC_PAYLOAD_TYPES`]), and
//! [`SessionDescription::push_media`] and [`SessionDescription::push_rejected`] write the m-lines of
//! an answer in the order of the offer (RFC 3264 section 6).

#![forbid(unsafe_code)]

mod address;
mod attribute;
mod description;
mod error;
mod media;
mod media_mut;
mod payload_type;
mod security;

pub use address::{Address, Connection, Origin, OwnOrigin};
pub use attribute::{Attribute, Direction, Format, RtpMap};
pub use description::{Line, SessionDescription};
pub use error::{MAX_LINES, MAX_MEDIA, MAX_SDP_BYTES, Malformed, SdpError};
pub use media::{Media, MediaKind};
pub use media_mut::MediaMut;
pub use payload_type::{STATIC_PAYLOAD_TYPES, StaticPayloadType, static_payload_type};
pub use security::{Candidate, CandidateKind, Crypto};
