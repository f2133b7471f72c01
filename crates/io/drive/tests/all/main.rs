//! The switch on real sockets, one file for each behaviour, in one program: built once, and run on all processors. What counts the
//! process's threads or files, or keeps it busy, has a program of its own.

mod call_api_log;
mod call_api_sockets;
mod channels;
mod control_access;
mod control_events;
mod control_tls;
mod dns_names;
mod fetches_that_stall;
#[path = "../harness/mod.rs"]
mod harness;
mod http_requests;
mod media_relay;
mod media_rooms;
mod opensips_http;
#[path = "../opensips_kit/mod.rs"]
mod opensips_kit;
mod opensips_outages;
mod opensips_start_errors;
mod opensips_strangers;
mod opensips_transports;
mod opensips_two_fronts;
mod sip_sockets;
mod sip_tls;
mod trunk_tls;
mod users_over_http;
mod web_status;
mod web_tls;
