//! RTP and RTCP packets and RFC 4733 events.
