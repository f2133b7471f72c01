//! Whatever arrives from OpenSIPS's side while a call is being started: no panic.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use hookswitch_call::{Address, Command};
use hookswitch_opensips::{Config, Input, OpenSips};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut backend = OpenSips::new(Config::default(), [0; 32]);
    let mut now = Duration::from_secs(1);
    backend.start(now);
    let (caller, callee) = (Address::from("sip:a@127.0.0.1"), Address::from("sip:b@127.0.0.1"));
    let _ = backend.submit(now, Command::Start { caller, callee, wire_id: Some("c".into()) });
    // Zero ends a piece; its first byte says where it arrives, and after what time.
    for piece in data.split(|byte| *byte == 0) {
        let Some((kind, bytes)) = piece.split_first() else { continue };
        let bytes = Bytes::copy_from_slice(bytes);
        let input = match kind % 3 {
            0 => Input::Reply(bytes),
            1 => Input::Event(bytes),
            _ => Input::EventBytes { connection: 1, bytes },
        };
        backend.handle(now, input);
        now += Duration::from_millis(u64::from(*kind));
        backend.handle_timeout(now);
        while backend.poll_output().is_some() {}
    }
});
