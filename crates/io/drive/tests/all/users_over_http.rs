//! Users who are asked for by HTTP: phones on real sockets, and a server that is slow for one of them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::harness::{LOOPBACK, PATIENCE, config, http, receive, sip_address, tcp, udp};
use hookswitch_call::directory::{Directory, LookupConfig};
use hookswitch_drive::{Login, MAX_DOCUMENT, StartError, Switch, UserServiceConfig};
use hookswitch_sip::Transport;
use hookswitch_sip::auth::{Credentials, authorize};
use hookswitch_sip_msg::{Message, Method};

/// A server of users. Who is called `slow…` waits for [`Users::release`].
struct Users {
    address: SocketAddr,
    /// Connection and head of each request.
    requests: Arc<Mutex<Vec<(usize, String)>>>,
    release: Sender<()>,
}

impl Users {
    fn start() -> Self {
        let listener = TcpListener::bind(LOOPBACK).unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let (release, held) = channel();
        let (held, log) = (Arc::new(Mutex::new(held)), Arc::clone(&requests));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (log, held) = (Arc::clone(&log), Arc::clone(&held));
                let stream = stream.unwrap();
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some(head) = head(&mut reader) {
                        log.lock().unwrap().push((number, head.clone()));
                        if reader.get_mut().write_all(reply(&head, &held).as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, requests, release }
    }

    fn heads(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|(_, head)| head.clone()).collect()
    }

    fn connections(&self) -> usize {
        self.requests.lock().unwrap().iter().map(|(number, _)| number + 1).max().unwrap_or(0)
    }
}

fn head(reader: &mut BufReader<std::net::TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn reply(head: &str, held: &Mutex<Receiver<()>>) -> String {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let user = path.rsplit('/').next().unwrap_or_default();
    if user.starts_with("slow") {
        let _ = held.lock().unwrap().recv_timeout(PATIENCE);
    }
    let answer = |status: &str, more: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    match user {
        "nobody" => answer("404 Not Found", "", "no such user"),
        "moved" => answer("302 Found", "Location: /users/x.test/erin\r\n", ""),
        "broken" => answer("500 Internal Server Error", "", ""),
        "forbidden" => answer("403 Forbidden", "", ""),
        "long" => answer("200 OK", "", &"x".repeat(MAX_DOCUMENT + 1)),
        "odd" => answer("200 OK", "", r#"{"password":"pw"}"#),
        _ => answer("200 OK", "Cache-Control: max-age=60\r\n", r#"{"secret":"pw"}"#),
    }
}

fn switch_with(media: u16, url: &str, change: impl FnOnce(&mut UserServiceConfig)) -> Result<Switch, StartError> {
    let mut config = config(media);
    config.shard.b2bua.trusted.clear();
    let lookup = LookupConfig { domains: vec!["x.test".into()], timeout: PATIENCE, ..LookupConfig::default() };
    let mut directory = Directory::new();
    directory.look_up(lookup).unwrap();
    config.shard.directory = directory;
    let mut users = UserServiceConfig { url: url.parse().unwrap(), login: None, authorities: None, timeout: PATIENCE };
    change(&mut users);
    config.users = Some(users);
    Switch::start(config)
}

fn switch(media: u16, users: &Users) -> Switch {
    switch_with(media, &format!("http://{}/users/{{domain}}/{{user}}", users.address), |_| {}).unwrap()
}

fn register(from: SocketAddr, user: &str, cseq: u32, authorization: &str) -> String {
    let port = from.port();
    format!(
        "REGISTER sip:x.test SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bK-{port}-{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@x.test>;tag=r\r\nTo: <sip:{user}@x.test>\r\nCall-ID: {user}-{port}\r\nCSeq: {cseq} REGISTER\r\n\
         Contact: <sip:{user}@{from}>\r\n{authorization}Content-Length: 0\r\n\r\n"
    )
}

/// A phone that has sent its REGISTER with credentials; the answer is still to come.
fn begin(switch: &Switch, user: &str) -> UdpSocket {
    let (socket, at) = (udp(), sip_address(switch, Transport::Udp));
    let from = socket.local_addr().unwrap();
    socket.send_to(register(from, user, 1, "").as_bytes(), at).unwrap();
    let challenge = Message::parse(receive(&socket).into_bytes().into()).unwrap();
    assert_eq!(challenge.status(), Some(401));
    let credentials = Credentials::new(user, "pw");
    let (name, value) = authorize(&challenge, &Method::Register, "sip:x.test", b"", &credentials, "c", 1).unwrap();
    let line = format!("{}: {value}\r\n", name.as_str());
    socket.send_to(register(from, user, 2, &line).as_bytes(), at).unwrap();
    socket
}

/// The first line of what comes.
fn answer(socket: &UdpSocket) -> String {
    receive(socket).lines().next().unwrap_or_default().to_owned()
}

fn outcome(switch: &Switch, user: &str) -> String {
    answer(&begin(switch, user))
}

#[test]
fn a_slow_answer_for_one_user_keeps_nobody_else_waiting() {
    let users = Users::start();
    let switch = switch(28_400, &users);
    let slow = begin(&switch, "slow");
    for user in ["erin", "frank"] {
        assert_eq!(outcome(&switch, user), "SIP/2.0 200 OK");
    }
    assert_eq!(switch.counts().unwrap().bindings, 2, "and the slow one still waits");
    users.release.send(()).unwrap();
    assert_eq!(answer(&slow), "SIP/2.0 200 OK");
    let erin = users.heads().into_iter().find(|head| head.starts_with("GET /users/x.test/erin HTTP/1.1\r\n")).unwrap();
    assert!(erin.contains("accept: application/json\r\n") && !erin.to_lowercase().contains("authorization"), "{erin}");
    assert!(switch.stop());
}

#[test]
fn connections_are_used_again_and_answers_remembered() {
    let users = Users::start();
    let switch = switch(28_400, &users);
    for user in ["u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"] {
        assert_eq!(outcome(&switch, user), "SIP/2.0 200 OK");
    }
    assert_eq!(outcome(&switch, "u1"), "SIP/2.0 200 OK");
    let (asked, connections) = (users.heads().len(), users.connections());
    assert!(asked == 8 && connections < asked, "{asked} questions over {connections} connections");
    let figures = http(&mut tcp(switch.addresses().http[0]), "GET", "/metrics", "").body;
    for (name, label) in [("user_lookups_total", "result=\"found\""), ("users_remembered", "")] {
        let is = |line: &str| {
            line.starts_with(&format!("hookswitch_{name}{{")) && line.contains(label) && line.ends_with(" 8")
        };
        assert!(figures.lines().any(is), "{name}: {figures}");
    }
}

#[test]
fn whatever_else_a_server_says_is_an_outage_and_only_404_is_nobody() {
    let users = Users::start();
    let switch = switch(28_400, &users);
    assert_eq!(outcome(&switch, "nobody"), "SIP/2.0 403 Forbidden");
    for user in ["moved", "broken", "forbidden", "long", "odd"] {
        assert_eq!(outcome(&switch, user), "SIP/2.0 503 User Look-up Does Not Answer", "{user}");
    }
    assert!(!users.heads().iter().any(|head| head.contains("/erin")), "nobody was sent elsewhere");
    // Nobody is there at all.
    let nowhere = TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap();
    let switch = switch_with(28_400, &format!("http://{nowhere}/{{user}}"), |_| {}).unwrap();
    assert_eq!(outcome(&switch, "erin"), "SIP/2.0 503 User Look-up Does Not Answer");
}

#[test]
fn an_answer_that_does_not_come_is_waited_for_so_long_and_no_longer() {
    let users = Users::start();
    let url = format!("http://{}/{{user}}", users.address);
    let switch = switch_with(28_400, &url, |users| users.timeout = Duration::from_millis(200)).unwrap();
    assert_eq!(outcome(&switch, "slow"), "SIP/2.0 503 User Look-up Does Not Answer");
}

#[test]
fn the_server_is_told_who_asks() {
    let users = Users::start();
    let url = format!("http://{}/{{user}}", users.address);
    for (media, login, expected) in [
        (28_400, Login::Basic("joe".into(), "s3cret".into()), "authorization: Basic am9lOnMzY3JldA==\r\n"),
        (28_400, Login::Bearer("t0ken".into()), "authorization: Bearer t0ken\r\n"),
    ] {
        let switch = switch_with(media, &url, |users| users.login = Some(login)).unwrap();
        assert_eq!(outcome(&switch, "erin"), "SIP/2.0 200 OK");
        assert!(users.heads().last().unwrap().contains(expected));
    }
}

/// Ends TLS in front of the server of users, with a certificate that is written to `file`.
fn guard(users: &Users, file: &Path, runtime: &tokio::runtime::Runtime) -> SocketAddr {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = ["127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    std::fs::write(file, certificate.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = runtime.block_on(tokio::net::TcpListener::bind(LOOPBACK)).unwrap();
    let (address, server) = (listener.local_addr().unwrap(), users.address);
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

#[test]
fn a_certificate_is_checked() {
    let users = Users::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ours.pem");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = format!("https://{}/{{user}}", guard(&users, &file, &runtime));
    let stranger = switch_with(28_400, &url, |_| {}).unwrap();
    assert_eq!(outcome(&stranger, "erin"), "SIP/2.0 503 User Look-up Does Not Answer");
    assert!(users.heads().is_empty(), "nothing was said before");
    let known = switch_with(28_400, &url, |users| users.authorities = Some(file.clone())).unwrap();
    assert_eq!(outcome(&known, "erin"), "SIP/2.0 200 OK");
    std::fs::write(&file, "no certificate").unwrap();
    let error = switch_with(28_400, &url, |users| users.authorities = Some(file.clone())).err().unwrap();
    assert!(error.to_string().starts_with("look-up of users: authorities "), "{error}");
}
