//! SIP over TLS and WebSockets on real sockets: certificates by name, read again, asked for, and believed.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::secure::{Authority, secure};
use crate::harness::{PATIENCE, options, receive, sip_address, tcp, udp};
use hookswitch_drive::{ClientCertificates, SipTls, StartError, Switch, TlsError, TlsFiles};
use hookswitch_sip::Transport;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn client(roots: RootCertStore, own: Option<&TlsFiles>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = versions.with_root_certificates(roots);
    Arc::new(match own {
        None => config.with_no_client_auth(),
        Some(files) => {
            let chain = vec![CertificateDer::from_pem_file(&files.certificate).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&files.key).unwrap()).unwrap()
        }
    })
}

fn connect(to: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Tls {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), tcp(to))
}

/// Asks how the switch is, and says what it answers.
fn ask(stream: &mut Tls, branch: &str) -> Result<String, std::io::Error> {
    stream.write_all(options("TLS", stream.sock.local_addr()?, branch).as_bytes())?;
    let mut buffer = [0; 4_096];
    let len = stream.read(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

#[test]
fn a_request_over_tls_is_answered_over_tls_with_the_certificate_of_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let names = ["one.example.test", "two.example.test"];
    let identities = names.map(|name| authority.issue(folder.path(), name)).to_vec();
    let switch = Switch::start(secure(27_800, SipTls { identities, ..SipTls::default() })).unwrap();
    let to = sip_address(&switch, Transport::Tls);
    let config = client(authority.roots(), None);
    for name in names {
        let answer = ask(&mut connect(to, name, &config), name).unwrap();
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        assert!(answer.contains("Via: SIP/2.0/TLS "), "{answer}");
    }
    assert!(ask(&mut connect(to, "three.example.test", &config), "three").is_err(), "it gets the first, and objects");
    assert!(ask(&mut connect(to, names[0], &client(Authority::new().roots(), None)), "stranger").is_err());
}

fn websocket<S: Read + Write>(uri: &str, stream: S) -> WebSocket<S> {
    let mut request = uri.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
    let Ok((socket, _)) = tungstenite::client(request, stream) else { panic!("no WebSocket") };
    socket
}

#[test]
fn a_browser_is_answered_over_both_kinds_of_websocket() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let identities = vec![authority.issue(folder.path(), "one.example.test")];
    let switch = Switch::start(secure(27_800, SipTls { identities, ..SipTls::default() })).unwrap();
    let request = |transport| options(transport, "127.0.0.1:9".parse().unwrap(), transport);
    let mut plain = websocket("ws://switch/", tcp(sip_address(&switch, Transport::Ws)));
    plain.send(Message::text(request("WS"))).unwrap();
    let answer = plain.read().unwrap().into_text().unwrap();
    assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains("Via: SIP/2.0/WS "), "{answer}");
    let config = client(authority.roots(), None);
    let tls = connect(sip_address(&switch, Transport::Wss), "one.example.test", &config);
    let mut secret = websocket("wss://one.example.test/", tls);
    secret.send(Message::text(request("WSS"))).unwrap();
    let answer = secret.read().unwrap().into_text().unwrap();
    assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains("Via: SIP/2.0/WSS "), "{answer}");
}

#[test]
fn a_phone_without_the_certificate_that_is_asked_for_does_not_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let identities = vec![authority.issue(folder.path(), "one.example.test")];
    let phone = authority.issue(folder.path(), "phone.example.test");
    let other = stranger.issue(folder.path(), "other.example.test");
    for (clients, without) in [(ClientCertificates::Required, false), (ClientCertificates::Asked, true)] {
        let client_ca = Some(authority.file(folder.path()));
        let tls = SipTls { identities: identities.clone(), clients, client_ca, ..SipTls::default() };
        let switch = Switch::start(secure(27_800, tls)).unwrap();
        let to = sip_address(&switch, Transport::Tls);
        for (own, lets_in) in [(Some(&phone), true), (Some(&other), false), (None, without)] {
            let answer = ask(&mut connect(to, "one.example.test", &client(authority.roots(), own)), "x");
            let answered = answer.is_ok_and(|answer| answer.starts_with("SIP/2.0 200 "));
            assert_eq!(answered, lets_in, "{clients:?} {own:?}");
        }
    }
}

#[test]
fn a_new_certificate_takes_over_and_connections_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let name = "one.example.test";
    let identities = vec![old.issue(folder.path(), name)];
    let switch = Switch::start(secure(27_800, SipTls { identities: identities.clone(), ..SipTls::default() })).unwrap();
    let to = sip_address(&switch, Transport::Tls);
    let mut before = connect(to, name, &client(old.roots(), None));
    assert!(ask(&mut before, "1").is_ok());
    new.issue(folder.path(), name);
    // Nobody says that the files have changed; it is found out.
    let end = Instant::now() + PATIENCE;
    while ask(&mut connect(to, name, &client(new.roots(), None)), "2").is_err() {
        assert!(Instant::now() < end, "the new certificate is not used");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(ask(&mut before, "3").unwrap().starts_with("SIP/2.0 200 "));
    // Files that cannot be used change nothing; and on request the next good ones are read at once.
    fs::write(&identities[0].key, "nonsense").unwrap();
    switch.reload();
    std::thread::sleep(Duration::from_millis(200));
    assert!(ask(&mut connect(to, name, &client(new.roots(), None)), "4").is_ok());
    old.issue(folder.path(), name);
    switch.reload();
    let end = Instant::now() + PATIENCE;
    while ask(&mut connect(to, name, &client(old.roots(), None)), "5").is_err() {
        assert!(Instant::now() < end, "the old certificate is not back");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(ask(&mut before, "6").unwrap().starts_with("SIP/2.0 200 "));
}

#[test]
fn what_is_wrong_with_certificates_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let good = authority.issue(folder.path(), "one.example.test");
    let start = |tls| Switch::start(secure(27_800, tls)).err().map(|error| error.to_string());
    let bare = start(SipTls::default()).unwrap();
    assert!(bare.starts_with("SIP: tls:127.0.0.1:0 needs a certificate"), "{bare}");
    let missing = TlsFiles { certificate: folder.path().join("none"), key: good.key.clone() };
    let error = start(SipTls { identities: vec![missing], ..SipTls::default() }).unwrap();
    assert!(error.contains("none: No such file"), "{error}");
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let tls = SipTls { identities: vec![good.clone()], ca: Some(empty), ..SipTls::default() };
    assert!(matches!(Switch::start(secure(27_800, tls)), Err(StartError::Tls(TlsError::NoCertificate(_)))));
    let over = authority.issue_with(folder.path(), "over.example.test", |params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let tls = SipTls { identities: vec![good, over], ..SipTls::default() };
    let error = tls.check().unwrap_err().to_string();
    assert!(error.ends_with("the certificate is valid from 2019-01-01T00:00:00Z to 2020-01-01T00:00:00Z"), "{error}");
    assert!(start(tls).is_none(), "phones that do not look are served all the same");
}

#[test]
fn whom_we_connect_to_has_to_prove_the_name_of_the_uri() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let own = authority.issue(folder.path(), "one.example.test");
    let there = authority.issue(folder.path(), "localhost");
    let ca = Some(authority.file(folder.path()));
    let far = Switch::start(secure(27_800, SipTls { identities: vec![there], ..SipTls::default() })).unwrap();
    let tls = SipTls { identities: vec![own], ca, ..SipTls::default() };
    let mut config = secure(28_000, tls);
    let port = sip_address(&far, Transport::Tls).port();
    let route = |host: &str| format!("sip:echo@{host}:{port};transport=tls");
    config.shard.b2bua.routes = vec![
        hookswitch_b2bua::route::Route::new("sip:good@*", &route("localhost")).unwrap(),
        hookswitch_b2bua::route::Route::new("sip:bad@*", &route("127.0.0.1")).unwrap(),
    ];
    let near = Switch::start(config).unwrap();
    let phone = udp();
    for (user, expected) in [("good", "SIP/2.0 404 "), ("bad", "SIP/2.0 480 ")] {
        let sdp =
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
        let from = phone.local_addr().unwrap();
        let invite = options("UDP", from, user)
            .replace("OPTIONS sip:localhost", &format!("INVITE sip:{user}@elsewhere.test"))
            .replace("1 OPTIONS\r\nContent-Length: 0\r\n\r\n", &format!(
                "1 INVITE\r\nContact: <sip:tester@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            ));
        phone.send_to(invite.as_bytes(), sip_address(&near, Transport::Udp)).unwrap();
        let last = loop {
            let answer = receive(&phone);
            // Without an ACK the first call's answer may come again.
            if answer.contains(&format!("Call-ID: {user}@")) && !answer.starts_with("SIP/2.0 1") {
                break answer;
            }
        };
        // The far one is heard, though it does not know whom we want; of the other one, nothing is ever heard.
        assert!(last.starts_with(expected), "{user}: {last}");
    }
}
