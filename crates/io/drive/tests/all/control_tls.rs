//! The control listener in TLS: clients known by their certificates, which are read again when their authority changes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::secure::Authority;
use crate::harness::{PATIENCE, config, web};
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_drive::{ControlConfig, Switch, TlsFiles, Token};
use rcgen::{DnType, ExtendedKeyUsagePurpose};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const SECRET: &str = "5FtzB7xM2qLr-9wK";
const NAME: &str = "switch.example.test";

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn client(authority: &Authority, folder: &Path, name: &str) -> TlsFiles {
    authority.issue_with(folder, name, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(DnType::CommonName, "not looked at beside another name");
    })
}

/// Asks as the owner of that certificate, if any; the status, or why there is none.
async fn ask(
    at: SocketAddr,
    roots: RootCertStore,
    own: Option<&TlsFiles>,
    request: &str,
) -> Result<u16, std::io::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = versions.with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&files.key).unwrap()).unwrap()
        }
    };
    let name = ServerName::try_from(NAME).unwrap();
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(at).await?).await?;
    tls.write_all(request.as_bytes()).await?;
    let mut answer = [0; 12];
    timeout(PATIENCE, tls.read_exact(&mut answer)).await.expect("no answer in time")?;
    Ok(String::from_utf8_lossy(&answer[9..]).parse().unwrap())
}

const LOOK: &str = "GET /metrics HTTP/1.1\r\nHost: switch.example.test\r\n\r\n";

#[test]
fn a_certificate_is_as_good_as_a_token_if_its_authority_and_its_name_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut config = config(30_800);
    let mut control = ControlConfig::new(web("127.0.0.1:0"));
    let named = |name: &str, scopes: &[Scope]| {
        Arc::new(Grant { name: name.into(), scopes: scopes.to_vec(), ..Grant::everything() })
    };
    control.tls = Some(authority.issue(folder.path(), NAME));
    control.client_ca = Some(authority.file(folder.path()));
    control.certificates = vec![
        ("desk.example.test".into(), named("desk", &[Scope::Read])),
        ("not looked at beside another name".into(), named("other", &[Scope::Read])),
    ];
    control.tokens = vec![Token::of_secret(SECRET, named("kiosk", &[Scope::Control])).unwrap()];
    config.control = Some(control);
    let switch = Switch::start(config).unwrap();
    let at = switch.addresses().control[0];
    let desk = client(&authority, folder.path(), "desk.example.test");
    let unknown = client(&authority, folder.path(), "unknown.example.test");
    let forged = tempfile::tempdir().unwrap();
    let forged = client(&stranger, forged.path(), "desk.example.test");
    run(async {
        let roots = || authority.roots();
        assert_eq!(ask(at, roots(), Some(&desk), LOOK).await.unwrap(), 200);
        // Of the right authority, and nobody that is known; and nobody at all.
        assert_eq!(ask(at, roots(), Some(&unknown), LOOK).await.unwrap(), 401);
        assert_eq!(ask(at, roots(), None, LOOK).await.unwrap(), 401);
        // Signed by somebody else.
        assert!(ask(at, roots(), Some(&forged), LOOK).await.is_err());
        // A token decides, also beside a certificate: this one may not look.
        let both =
            format!("{}Authorization: Bearer {SECRET}\r\n\r\n", LOOK.trim_end_matches("\r\n").to_owned() + "\r\n");
        assert_eq!(ask(at, roots(), Some(&desk), &both).await.unwrap(), 403);
        // Another authority takes the place of the first one.
        let other = tempfile::tempdir().unwrap();
        fs::copy(stranger.file(other.path()), folder.path().join("authority.pem")).unwrap();
        switch.reload();
        let start = std::time::Instant::now();
        while ask(at, roots(), Some(&forged), LOOK).await.ok() != Some(200) {
            assert!(start.elapsed() < PATIENCE, "the new authority is not believed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(ask(at, roots(), Some(&desk), LOOK).await.is_err());
    });
}
