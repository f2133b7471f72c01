//! What a shard does, one file for each behaviour, in one program: built once, and run on all processors.

mod addresses;
mod addresses_of_phones;
mod audio_elsewhere;
mod busy_lamps;
mod call_api_on_two_backends;
mod call_records;
mod call_through;
mod caller_identity;
mod crossing;
mod drained;
mod event_packages;
mod guard;
mod hops;
mod led_calls;
mod limits_of_users;
mod mediaswitch_inbound;
mod mediaswitch_outbound;
mod mediaswitch_registrations;
mod mediaswitch_switchboard;
mod outbound_phones;
mod pings;
mod reaching_phones;
mod reasons;
mod record;
mod recorded_calls;
mod reloaded;
mod rest_audio;
mod rest_calls;
mod rest_resources;
mod rest_webhooks;
mod secure_transports;
mod started_by_application;
mod toll;
mod transfers;
mod trunks;
mod users_looked_up;
mod who_calls;

#[path = "../support/mod.rs"]
mod support;
