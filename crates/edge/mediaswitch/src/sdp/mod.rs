//! Session descriptions as JSON, the way project-mediaswitch writes them: members are called after the letters of the
//! lines.
//!
//! | member | what |
//! |---|---|
//! | `v` | 0 |
//! | `o` | `{username, sessionid, sessionversion, nettype, ipver, address}` |
//! | `s` `i` `u` `e` `p` `z` | text |
//! | `c` | list of `{nettype, ipver, address}` |
//! | `b` | `{bwtype, bandwidth}` |
//! | `t` | `{start, stop}` |
//! | `r` | `{interval, duration, offsets}`, in seconds |
//! | `k` | `{method, key}` |
//! | `a` | attributes of the session by name |
//! | `m` | list of `{media, port, numports, proto, payloads, rtpmap, fmtp, direction, ptime, …}`, see [`media`] |
//!
//! What the original loses is kept here. Whatever comes more than once (`b`, `t`, `e`, an attribute) is a list. A line
//! that does not fit its shape is its text in the place of the object. An attribute that cannot stand under its name stands
//! as written in the list `a` of its `m`, or in `a[""]` of the session. What text becomes in JSON becomes the same lines
//! again; only the order of attributes with different names is not kept.
//!
//! Numbers may be written as texts wherever a number is read, and are written as numbers.

mod line;
mod media;
mod read;
mod write;

use std::fmt;

use hookswitch_sdp::{Direction, SdpError, SessionDescription};
pub use read::to_text;
pub use write::to_json;

/// Why JSON is no session description.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct BadSdp {
    /// Where: a path such as `sdp.m[0].port`.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl BadSdp {
    fn at(place: impl Into<String>, what: impl fmt::Display) -> Self {
        Self { place: place.into(), what: what.to_string() }
    }

    fn unreadable(place: &str, error: &SdpError) -> Self {
        Self::at(place, error)
    }
}

/// Whether whoever wrote this wants no audio for now: a stream that is `inactive` or `sendonly`, or leads to the
/// unspecified address. What cannot be read is no wish.
#[must_use]
pub fn is_hold(text: &str) -> bool {
    let Ok(sdp) = SessionDescription::parse(text) else { return false };
    let nowhere = |media: &hookswitch_sdp::Media<'_>| {
        media.connection().is_some_and(|connection| connection.address.is_unspecified())
    };
    let quiet =
        |media: &hookswitch_sdp::Media<'_>| matches!(media.direction(), Direction::Inactive | Direction::SendOnly);
    let by_origin = sdp.origin().is_some_and(|origin| origin.address.is_unspecified());
    by_origin || sdp.media().any(|media| !media.is_rejected() && (quiet(&media) || nowhere(&media)))
}
