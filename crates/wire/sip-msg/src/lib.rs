//! SIP messages, URIs, headers and digest arithmetic: bytes to types and back.
