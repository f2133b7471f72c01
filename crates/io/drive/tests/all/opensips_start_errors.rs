//! What can be wrong at the start, said so that it can be put right.

use std::net::{TcpListener, UdpSocket};

use crate::opensips_kit::{LOOPBACK, config};
use hookswitch_drive::opensips::{OpenSipsFront, OpenSipsFrontConfig, StartError};
use hookswitch_drive::{ApplicationConfig, WebListen};
use hookswitch_net::NetError;

fn refused(config: OpenSipsFrontConfig) -> (StartError, String) {
    match OpenSipsFront::start(config) {
        Ok(_) => panic!("it started"),
        Err(error) => {
            let text = error.to_string();
            (error, text)
        }
    }
}

#[test]
fn a_name_that_leads_nowhere() {
    let (error, text) = refused(config("udp:opensips.invalid:8080", "udp"));
    assert!(matches!(error, StartError::Resolve { .. }), "{text}");
    assert!(text.contains("udp:opensips.invalid:8080"), "{text}");
}

#[test]
fn ports_that_others_have() {
    let udp = UdpSocket::bind(LOOPBACK).unwrap();
    let at = udp.local_addr().unwrap();
    let (error, text) = refused(config("udp:127.0.0.1:9", &format!("udp:{at}")));
    assert!(matches!(error, StartError::Events(NetError::AddressInUse { .. })), "{text}");
    assert_eq!(text, format!("EVI: udp:{at} is in use by another program"));

    let tcp = TcpListener::bind(LOOPBACK).unwrap();
    let at = tcp.local_addr().unwrap();
    let (error, text) = refused(config("udp:127.0.0.1:9", &format!("tcp:{at}")));
    assert!(matches!(error, StartError::Events(NetError::AddressInUse { .. })), "{text}");

    let mut web = config("udp:127.0.0.1:9", "udp");
    web.application = Some(ApplicationConfig::new(at.to_string().parse::<WebListen>().unwrap()));
    let (error, text) = refused(web);
    assert!(matches!(error, StartError::Web(_)), "{text}");
    assert_eq!(text, format!("call_api: tcp:{at} is in use by another program"));
}

#[test]
fn paths_that_others_have_or_that_are_no_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let events = format!("unix:{}", path.display());
    let listening = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let (error, text) = refused(config("udp:127.0.0.1:9", &events));
    assert!(matches!(error, StartError::Events(NetError::PathInUse { .. })), "{text}");
    // Nobody listens any more: the file is left over and is replaced.
    drop(listening);
    assert!(OpenSipsFront::start(config("udp:127.0.0.1:9", &events)).unwrap().stop());

    std::fs::write(&path, "precious").unwrap();
    let (error, text) = refused(config("udp:127.0.0.1:9", &events));
    assert!(matches!(error, StartError::Events(NetError::NotASocket { .. })), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");

    let mut reply = config("unix:/nowhere/mi", "udp");
    reply.mi_reply = Some(path);
    let (error, text) = refused(reply);
    assert!(matches!(error, StartError::Mi(NetError::NotASocket { .. })), "{text}");
}

#[test]
fn datagrams_have_no_ipv6() {
    let (error, text) = refused(config("udp:[::1]:8080", "udp"));
    // The address that events would leave from is looked for first.
    assert!(matches!(error, StartError::MiNeedsIpv4(_) | StartError::EventsNeedIpv4(_)), "{text}");
    let (error, text) = refused(config("udp:[::1]:8080", "tcp:[::1]:0"));
    assert!(matches!(error, StartError::MiNeedsIpv4(_)), "{text}");
    assert!(text.contains("IPv4 only"), "{text}");
    let (error, text) = refused(config("udp:127.0.0.1:8080", "udp:[::1]:0"));
    assert!(matches!(error, StartError::EventsNeedIpv4(_)), "{text}");
    let (error, text) = refused(config("http://[::1]:8080/mi", "udp"));
    assert!(matches!(error, StartError::EventsNeedIpv4(_)), "{text}");
    assert!(text.contains("IPv4 only"), "{text}");
    assert!(OpenSipsFront::start(config("http://[::1]:9/mi", "tcp")).unwrap().stop());
}

#[test]
fn what_cannot_be_advertised() {
    for (events, advertise) in [("udp", "tcp:127.0.0.1:1"), ("udp", "not a host"), ("tcp", "unix:/run/events")] {
        let mut config = config("udp:127.0.0.1:9", events);
        config.advertise = Some(advertise.into());
        let (error, text) = refused(config);
        assert!(matches!(error, StartError::Advertise { .. }), "{text}");
        assert!(text.contains(advertise), "{text}");
    }
    let mut advertised = config("udp:127.0.0.1:9", "udp:0.0.0.0:0");
    advertised.advertise = Some("events.example.test".into());
    let front = OpenSipsFront::start(advertised).unwrap();
    let told = front.addresses().event_socket.clone();
    assert!(told.starts_with("udp:events.example.test:") && !told.ends_with(":0"), "{told}");
}

#[test]
fn authorities_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for content in [None, Some("no certificate")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let mut config = config("https://127.0.0.1:9/mi", "udp");
        config.mi_ca = Some(file.clone());
        let (error, text) = refused(config);
        assert!(matches!(error, StartError::Authorities { .. }), "{text}");
        assert!(text.contains("ca.pem"), "{text}");
    }
}
