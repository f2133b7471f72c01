//! A scripted SIP phone, sans-IO.
