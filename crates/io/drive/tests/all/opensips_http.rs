//! Requests over HTTP: passwords, certificates, servers that say something else or nothing, and many at once.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::opensips_kit::{
    Client, LOOPBACK, Mi, config, find, front, mi_of, opensips, uri, wait_until_down, wait_until_up,
};
use hookswitch_drive::opensips::simulator::Simulator;
use hookswitch_drive::opensips::{OpenSipsFront, OpenSipsFrontConfig};
use hookswitch_opensips::Link;
use serde_json::json;

/// Why requests do not work.
fn why(front: &OpenSipsFront) -> String {
    wait_until_down(front);
    match front.health().mi {
        Link::Down { why, .. } => why.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_opens_the_door_and_a_wrong_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut set_up = opensips(folder.path(), &[Mi::Http]);
    set_up.user = Some(("joe".to_owned(), "s@cret".to_owned()));
    let simulator = Simulator::start(set_up).unwrap();
    let address = simulator.addresses().http.unwrap();
    let right = front(&format!("http://joe:s%40cret@{address}/mi"), "udp");
    Client::of(&right).whole_call();
    for wrong in [format!("http://joe:secret@{address}/mi"), format!("http://{address}/mi")] {
        let front = OpenSipsFront::start(config(&wrong, "udp")).unwrap();
        let why = why(&front);
        assert!(why.contains("password"), "{why}");
        assert!(!why.contains("secret"), "{why}");
    }
}

#[test]
fn a_wrong_path_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Http])).unwrap();
    let elsewhere = mi_of(&simulator, Mi::Http).replace("/mi", "/elsewhere");
    let why = why(&OpenSipsFront::start(config(&elsewhere, "udp")).unwrap());
    assert!(why.contains("404"), "{why}");
}

#[test]
fn a_server_that_accepts_and_says_nothing_times_out() {
    let silent = TcpListener::bind(LOOPBACK).unwrap();
    let address = silent.local_addr().unwrap();
    thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = silent.accept() {
            let _ = stream.read(&mut [0; 4096]);
            held.push(stream);
        }
    });
    let front = OpenSipsFront::start(config(&format!("http://{address}/mi"), "udp")).unwrap();
    assert!(!why(&front).is_empty());
}

/// A certificate for this host, and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Identity {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        Self { certificate, key }
    }

    /// Ends TLS in front of a server that has none.
    fn guard(&self, server: SocketAddr, runtime: &tokio::runtime::Runtime) -> SocketAddr {
        let key = rustls::pki_types::PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(LOOPBACK)).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let mut inside = tokio::net::TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        address
    }
}

/// Handshakes take their time where nothing was optimized.
fn patient(mi: &str) -> OpenSipsFrontConfig {
    let mut config = config(mi, "udp");
    config.opensips.mi_timeout = Duration::from_secs(10);
    config
}

fn trusting(mi: &str, ca: &Path) -> OpenSipsFrontConfig {
    OpenSipsFrontConfig { mi_ca: Some(ca.to_owned()), ..patient(mi) }
}

#[test]
fn a_certificate_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(opensips(folder.path(), &[Mi::Http])).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (ours, other) = (Identity::new(), Identity::new());
    let address = ours.guard(simulator.addresses().http.unwrap(), &runtime);
    let mi = format!("https://{address}/mi");

    let unknown = OpenSipsFront::start(patient(&mi)).unwrap();
    assert!(why(&unknown).to_lowercase().contains("certificate"), "{}", why(&unknown));
    let file = folder.path().join("other.pem");
    std::fs::write(&file, other.certificate.pem()).unwrap();
    let unknown = OpenSipsFront::start(trusting(&mi, &file)).unwrap();
    assert!(why(&unknown).to_lowercase().contains("certificate"), "{}", why(&unknown));

    let file = folder.path().join("ours.pem");
    std::fs::write(&file, ours.certificate.pem()).unwrap();
    let known = OpenSipsFront::start(trusting(&mi, &file)).unwrap();
    wait_until_up(&known);
    Client::of(&known).whole_call();
    let wrong_name = mi.replace("127.0.0.1", "127.0.0.2");
    assert!(!why(&OpenSipsFront::start(trusting(&wrong_name, &file)).unwrap()).is_empty());
}

#[test]
fn a_hundred_ringing_calls_keep_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let mut set_up = opensips(folder.path(), &[Mi::Http]);
    set_up.sim.fr_inv_timeout = Duration::from_secs(5);
    let simulator = Simulator::start(set_up).unwrap();
    let front = front(&mi_of(&simulator, Mi::Http), "udp");
    let mut client = Client::of(&front);
    let start = |client: &mut Client, caller: &str| {
        client.start("CallStart", json!({ "caller": uri(caller), "callee": uri("bob") }))
    };
    let ringing: Vec<String> = (0..100).map(|_| start(&mut client, "ron")).collect();
    client.whole_call();
    assert!(ringing.iter().all(|command| !client.has_ended(command)));
    for command in ringing {
        let notices = client.end_of(&command);
        assert_eq!(crate::opensips_kit::error(&notices), "failed to establish initial call: 408 Request Timeout");
    }
    let answered: Vec<String> = (0..100).map(|_| start(&mut client, "alice")).collect();
    for command in answered {
        find(&client.end_of(&command), "CalleeAnswered");
    }
}
