//! Webhooks, one endpoint at a time, against targets that are scripts, on a virtual clock.

mod any_failures;
mod calls_of_their_own;
mod dead_letters;
mod deliveries_are_visible;
mod fallback_url;
mod gone_and_retry_after;
mod order_per_call;
mod restart;
mod retries;
mod rig;
