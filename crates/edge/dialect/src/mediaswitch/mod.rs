//! The pushed directory over HTTP.
