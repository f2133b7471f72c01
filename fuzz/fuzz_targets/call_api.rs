//! Any text as a message of a client, in both manners: no panic, and whatever becomes a command ends.
#![no_main]

use std::time::Duration;

use hookswitch_call::Refused;
use hookswitch_dialect::call_api::{Admission, Config, Hub, HubOutput, Mode, SessionId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = Duration::from_secs(1);
    let mut hub = Hub::new(Config::default(), [0; 32]);
    for (session, mode) in [(SessionId(1), Mode::Original), (SessionId(2), Mode::Strict)] {
        if hub.open(session, Admission::open(mode)).is_err() {
            return;
        }
        hub.binary(now, session, data);
        hub.text(now, session, &String::from_utf8_lossy(data));
        while let Some(output) = hub.poll_output() {
            if let HubOutput::Submit { tag, .. } = output {
                hub.submitted(tag, Err(Refused::Draining));
            }
        }
        hub.closed(session);
    }
    while hub.poll_output().is_some() {}
});
