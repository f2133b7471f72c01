//! A switch says what keeps it from starting, and leaves nothing behind when it ends.

mod harness;

use std::net::TcpListener;
use std::time::Duration;

use harness::{LOOPBACK, PATIENCE, config, http, sip_address, store, tcp, udp, web};
use hookswitch_drive::{Phase, Service, StartError, Switch, WebError};
use hookswitch_sip::Transport;
use hookswitch_store::StoreError;

#[test]
fn a_socket_in_use_is_named() {
    let taken = udp();
    let mut sip = config(32_600);
    sip.sip[0].address = taken.local_addr().unwrap();
    let error = Switch::start(sip).err().unwrap();
    assert!(matches!(&error, StartError::Sip(error) if error.is_in_use()), "{error:?}");
    let text = format!("SIP: udp:{} is in use by another program", taken.local_addr().unwrap());
    assert_eq!(error.to_string(), text);

    let taken = TcpListener::bind(LOOPBACK).unwrap();
    let mut call_api = config(32_600);
    let listen = web(&taken.local_addr().unwrap().to_string());
    call_api.application.as_mut().unwrap().listen = listen;
    let error = Switch::start(call_api).err().unwrap();
    assert!(matches!(&error, StartError::Web(WebError::InUse { service: Service::CallApi, .. })), "{error:?}");
    assert!(error.to_string().starts_with("call_api: tcp:127.0.0.1:"));
}

#[test]
fn two_switches_cannot_share_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = config(32_600);
    first.store = Some(store(folder.path()));
    let first = Switch::start(first).unwrap();
    let mut second = config(32_600);
    second.store = Some(store(folder.path()));
    let error = Switch::start(second).err().unwrap();
    assert!(matches!(&error, StartError::Store(StoreError::InUse { .. })), "{error:?}");
    drop(first);
}

#[test]
fn an_unknown_store_and_no_sockets_are_refused() {
    let mut unknown = config(32_600);
    unknown.store = Some(store(std::path::Path::new("/nowhere")));
    unknown.store.as_mut().unwrap().kind = "clay".to_owned();
    assert!(matches!(Switch::start(unknown), Err(StartError::NoSuchStore(kind)) if kind == "clay"));
    let mut deaf = config(32_600);
    deaf.sip.clear();
    deaf.http = None;
    assert!(matches!(Switch::start(deaf), Err(StartError::NoSipSocket)));
}

#[test]
fn everything_is_closed_when_a_switch_stops_and_another_may_follow_at_once() {
    let switch = Switch::start(config(32_600)).unwrap();
    let addresses = switch.addresses().clone();
    assert!(switch.stop());
    let mut again = config(32_600);
    again.sip = addresses.sip.clone();
    again.http.as_mut().unwrap().listen = web(&addresses.http[0].to_string());
    let switch = Switch::start(again).unwrap();
    assert_eq!(switch.addresses().sip, addresses.sip);
}

#[test]
fn twenty_lives_leave_no_descriptor_and_no_thread() {
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let one_life = || {
        let switch = Switch::start(config(32_600)).unwrap();
        let _phone = tcp(sip_address(&switch, Transport::Tcp));
        let mut stream = tcp(switch.addresses().http[0]);
        assert_eq!(http(&mut stream, "GET", "/health", "").status(), 200);
        assert!(switch.stop());
    };
    one_life();
    let before = (count("fd"), count("task"));
    for _ in 0..20 {
        one_life();
    }
    let after = (count("fd"), count("task"));
    // The other tests of this file hold some meanwhile.
    assert!(after.0 < before.0 + 60 && after.1 < before.1 + 20, "{before:?} {after:?}");
}

#[test]
fn draining_ends_at_once_without_calls_and_then_refuses_new_ones() {
    let switch = Switch::start(config(32_600)).unwrap();
    assert_eq!(switch.phase(), Phase::Running);
    switch.drain();
    assert_eq!(switch.wait(Phase::Drained, Some(PATIENCE)), Phase::Drained);
    let mut stream = tcp(switch.addresses().http[0]);
    let health = http(&mut stream, "GET", "/health", "");
    assert!(health.body.contains("draining"), "{}", health.body);
    assert_eq!(switch.wait(Phase::Stopped, Some(Duration::from_millis(10))), Phase::Drained);
}
