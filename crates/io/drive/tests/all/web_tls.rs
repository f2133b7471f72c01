//! The Call API in TLS: what is wrong with a certificate is said at the start, and a new one takes the place of the old
//! without harm to anybody.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{PATIENCE, config, tcp};
use futures_util::{SinkExt, StreamExt};
use hookswitch_drive::{MAX_MESSAGE, StartError, Switch, SwitchConfig, TlsError, TlsFiles, WebError};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":"1","method":"Echo","params":{"cmd_id":"c","word":"hello"}}"#;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// A certificate that signs itself, and its key, as PEM.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["switch.example.test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") }
}

/// Writes both and returns the certificate.
fn write(folder: &Path, (certificate, key): &(String, String)) -> String {
    let files = files(folder);
    fs::write(&files.key, key).unwrap();
    fs::write(&files.certificate, certificate).unwrap();
    certificate.clone()
}

fn with_tls(folder: &Path) -> SwitchConfig {
    let mut config = config(27_600);
    let application = config.application.as_mut().unwrap();
    application.tls = Some(files(folder));
    application.handshake_time = Duration::from_millis(500);
    config
}

/// Connects as somebody who trusts this certificate and no other.
async fn connect(address: SocketAddr, trusted: &str) -> Result<Socket, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let client = versions.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("switch.example.test")?;
    let stream = TcpStream::connect(address).await?;
    let tls = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
    Ok(client_async("wss://switch.example.test/call-api", tls).await?.0)
}

async fn next(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.expect("no answer in time").expect("ended").expect("failed")
}

async fn echo(socket: &mut Socket) {
    socket.send(Message::text(ECHO)).await.unwrap();
    for word in ["Started", "Reply", "Ended"] {
        let answer = next(socket).await.into_text().unwrap();
        assert!(answer.contains(word), "{answer}");
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

#[test]
fn commands_travel_in_tls_and_nothing_else_is_spoken_there() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = write(folder.path(), &identity());
    let switch = Switch::start(with_tls(folder.path())).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut socket = connect(address, &trusted).await.unwrap();
        echo(&mut socket).await;
        // Last words arrive here as well.
        socket.send(Message::text(" ".repeat(32 * MAX_MESSAGE))).await.unwrap();
        let Message::Close(Some(close)) = next(&mut socket).await else { panic!("no close frame") };
        assert_eq!(u16::from(close.code), 1009);
        // Somebody who does not trust the certificate does not talk.
        assert!(connect(address, &identity().0).await.is_err());
    });
    let mut plain = tcp(address);
    plain.write_all(b"GET /call-api HTTP/1.1\r\nHost: switch.example.test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // A handshake has its time, and then its place is free.
    let mut silent = tcp(address);
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
}

#[test]
fn a_new_certificate_takes_over_and_sessions_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (identity(), identity());
    let old_trusted = write(folder.path(), &old);
    let switch = Switch::start(with_tls(folder.path())).unwrap();
    let address = switch.addresses().call_api[0];
    run(async {
        let mut before = connect(address, &old_trusted).await.unwrap();
        echo(&mut before).await;
        let new_trusted = write(folder.path(), &new);
        // Nobody says that the files have changed; it is found out.
        let mut after = within_patience(|| connect(address, &new_trusted)).await;
        echo(&mut after).await;
        assert!(connect(address, &old_trusted).await.is_err());
        echo(&mut before).await;
        // Files that cannot be used change nothing, however often they are read.
        fs::write(files(folder.path()).certificate, &old.0).unwrap();
        switch.reload();
        fs::write(files(folder.path()).key, "nonsense").unwrap();
        switch.reload();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(connect(address, &new_trusted).await.is_ok());
        // And on request the next good ones are read at once.
        write(folder.path(), &old);
        switch.reload();
        echo(&mut within_patience(|| connect(address, &old_trusted)).await).await;
        echo(&mut before).await;
        echo(&mut after).await;
    });
}

async fn within_patience<T, E, F: Future<Output = Result<T, E>>>(again: impl Fn() -> F) -> T {
    let tried = async {
        loop {
            match again().await {
                Ok(done) => return done,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(PATIENCE, tried).await.expect("in vain")
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let why = |certificate: Option<&str>, key: Option<&str>| {
        for (file, text) in [(&files.certificate, certificate), (&files.key, key)] {
            let _ = fs::remove_file(file);
            text.inspect(|text| fs::write(file, text).unwrap());
        }
        match Switch::start(with_tls(folder.path())).err().unwrap() {
            StartError::Web(WebError::Tls { error, .. }) => error,
            other => panic!("{other:?}"),
        }
    };
    let (certificate, key) = identity();
    let (other, _) = identity();
    let missing = why(None, Some(&key));
    assert!(matches!(&missing, TlsError::Unreadable(file, _) if *file == files.certificate), "{missing:?}");
    assert!(missing.to_string().contains("certificate.pem: No such file"), "{missing}");
    let missing = why(Some(&certificate), None);
    assert!(matches!(&missing, TlsError::Unreadable(file, _) if *file == files.key), "{missing:?}");
    let empty = why(Some("# nothing\n"), Some(&key));
    assert!(matches!(&empty, TlsError::NoCertificate(file) if *file == files.certificate), "{empty:?}");
    let no_key = why(Some(&certificate), Some(&certificate));
    assert!(matches!(&no_key, TlsError::NoKey(file) if *file == files.key), "{no_key:?}");
    let mismatch = why(Some(&other), Some(&key));
    assert!(matches!(mismatch, TlsError::Mismatch { .. }), "{mismatch:?}");
    assert!(mismatch.to_string().contains("key.pem: is not the key of the certificate in"), "{mismatch}");
    let damaged = why(Some(&certificate), Some(&key.replace("PRIVATE KEY-----\n", "PRIVATE KEY-----\n%")));
    assert!(matches!(&damaged, TlsError::Bad(file, _) if *file == files.key), "{damaged:?}");
    assert!(!damaged.to_string().contains('%'), "the key is not quoted: {damaged}");
    let long = why(Some(&"x".repeat(2 * 1024 * 1024)), Some(&key));
    assert!(matches!(&long, TlsError::TooLong(file) if *file == files.certificate), "{long:?}");
}
