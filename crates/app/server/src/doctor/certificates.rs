//! Certificates: readable, with their keys, for the right names, complete, in time, and with keys that nobody else can
//! read.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hookswitch_drive::{TlsFiles, check_identity};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::check::Check;
use crate::config::{Config, SipTransport};

const AREA: &str = "certificates";

/// A certificate that ends sooner is told: renewal by ACME happens thirty days before the end.
const SOON: Duration = Duration::from_secs(21 * 86_400);

const DAY: Duration = Duration::from_secs(86_400);

/// How a chain of certificates ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// At an authority that this system trusts.
    Trusted,
    /// At one that signs itself and that this system does not know.
    OwnAuthority(String),
    /// Somewhere between: this issuer is neither in the file nor known here.
    Missing(String),
    /// A certificate is followed by one that has not signed it.
    Disorder(String),
}

/// What is known of one certificate.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The key that names it.
    pub key: &'static str,
    pub certificate: PathBuf,
    pub secret: PathBuf,
    pub found: Result<Found, String>,
    /// The access rights of the secret's file, if they can be seen.
    pub mode: Option<u32>,
}

/// What is in it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Time since the UNIX epoch.
    pub from: Duration,
    pub until: Duration,
    pub end: End,
    /// Names that it is to be good for and is not.
    pub uncovered: Vec<String>,
    /// How many names it is to be good for.
    pub wanted: usize,
}

/// `now` is the time since the UNIX epoch.
pub fn judge(all: &[Facts], now: Duration) -> Vec<Check> {
    if all.is_empty() {
        return vec![Check::skipped(AREA, "TLS", "no certificate is configured")];
    }
    all.iter().flat_map(|facts| one(facts, now)).collect()
}

fn one(facts: &Facts, now: Duration) -> Vec<Check> {
    let subject = facts.certificate.display().to_string();
    let mut checks = match &facts.found {
        Err(why) => {
            let advice = format!("correct {}: a certificate in PEM form, the key that belongs to it", facts.key);
            vec![Check::error(AREA, subject, why, advice)]
        }
        Ok(found) => {
            let mut checks = vec![time(&subject, found, now), chain(&subject, &found.end)];
            checks.extend(names(&subject, found));
            checks
        }
    };
    checks.extend(facts.mode.map(|mode| rights(&facts.secret, mode)));
    checks
}

fn time(subject: &str, found: &Found, now: Duration) -> Check {
    let days = |time: Duration| time.as_secs() / DAY.as_secs();
    if now < found.from {
        let seen = format!("its time begins in {} days", days(found.from - now) + 1);
        return Check::error(AREA, subject, seen, "see whether the clock is right, or have it issued anew");
    }
    if found.until <= now {
        let seen = format!("expired {} days ago", days(now - found.until));
        return Check::error(AREA, subject, seen, "have it renewed: whoever looks does not connect");
    }
    let left = found.until - now;
    let seen = format!("expires in {} days", days(left));
    match left < SOON {
        true => Check::warning(AREA, subject, seen, "see why nobody has renewed it yet"),
        false => Check::ok(AREA, subject, seen),
    }
}

fn chain(certificate: &str, end: &End) -> Check {
    let subject = format!("{certificate}, chain");
    match end {
        End::Trusted => Check::ok(AREA, subject, "leads to an authority that this system trusts"),
        End::OwnAuthority(name) => {
            let seen = format!("leads to {name}, which this system does not trust");
            Check::ok(AREA, subject, format!("{seen}: give that certificate to the phones"))
        }
        End::Missing(name) => Check::warning(
            AREA,
            subject,
            format!("ends before an authority: {name} is neither in the file nor trusted by this system"),
            "append the certificates that came with it (fullchain.pem)",
        ),
        End::Disorder(name) => Check::error(
            AREA,
            subject,
            format!("{name} is followed by a certificate that has not signed it"),
            "put the certificate first, then each one's issuer",
        ),
    }
}

fn names(certificate: &str, found: &Found) -> Option<Check> {
    let subject = format!("{certificate}, names");
    if found.wanted == 0 {
        return None;
    }
    Some(match found.uncovered.is_empty() {
        true => Check::ok(AREA, subject, "good for every domain that is configured, with the others of sip.tls"),
        false => Check::warning(
            AREA,
            subject,
            format!("no certificate of sip.tls is good for {}", found.uncovered.join(", ")),
            "have one issued for them: phones that connect by this name and look do not go on",
        ),
    })
}

fn rights(secret: &Path, mode: u32) -> Check {
    let subject = secret.display().to_string();
    match mode & 0o007 {
        0 => Check::ok(AREA, subject, format!("mode {:04o}: not for everybody", mode & 0o7777)),
        _ => Check::warning(
            AREA,
            &subject,
            format!("mode {:04o}: every user of this host may read or change the private key", mode & 0o7777),
            format!("chmod 640 {subject}, with the group of the service"),
        ),
    }
}

/// Reads all certificates that are configured.
pub fn collect(config: &Config) -> Vec<Facts> {
    let roots = trusted_subjects();
    let wanted = wanted_names(config);
    let identities: Vec<_> =
        config.sip.tls.certificates.iter().map(|tls| (tls.certificate.clone(), tls.key.clone())).collect();
    let chains: Vec<_> = identities.iter().map(|(certificate, _)| read_chain(certificate)).collect();
    let good = |name: &String| chains.iter().flatten().any(|chain| chain.first().is_some_and(|own| is_for(own, name)));
    let uncovered: Vec<String> = wanted.iter().filter(|name| !good(name)).cloned().collect();
    let mut all = Vec::new();
    for (index, (certificate, secret)) in identities.iter().enumerate() {
        // What is missing is missing in all of them together: it is told once.
        let (uncovered, wanted) = if index == 0 { (uncovered.clone(), wanted.len()) } else { (Vec::new(), 0) };
        all.push(read("sip.tls.certificates", certificate, secret, &roots, uncovered, wanted));
    }
    if let Some(tls) = &config.call_api.tls {
        all.push(read("call_api.tls", &tls.certificate, &tls.key, &roots, Vec::new(), 0));
    }
    if let Some(tls) = config.control.tls.as_ref().filter(|_| config.control.enabled) {
        all.push(read("control.tls", &tls.certificate, &tls.key, &roots, Vec::new(), 0));
    }
    all
}

/// The time since the UNIX epoch by this system's calendar.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Names by which phones connect.
fn wanted_names(config: &Config) -> Vec<String> {
    let needs = |transport| matches!(transport, SipTransport::Tls | SipTransport::Wss);
    if !config.sip.listen.iter().any(|listen| needs(listen.transport)) {
        return Vec::new();
    }
    let domains = config.domains.iter().flat_map(|(name, domain)| std::iter::once(name).chain(&domain.aliases));
    let mut names: Vec<String> = domains.filter(|name| ServerName::try_from(name.as_str()).is_ok()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn read(
    key: &'static str,
    certificate: &Path,
    secret: &Path,
    roots: &[Vec<u8>],
    uncovered: Vec<String>,
    wanted: usize,
) -> Facts {
    let files = TlsFiles { certificate: certificate.to_owned(), key: secret.to_owned() };
    let found = check_identity(&files).map_err(|error| error.to_string()).and_then(|()| {
        let chain = read_chain(certificate).ok_or("cannot be read")?;
        let parsed = chain.iter().map(|one| X509Certificate::from_der(one).map(|(_, parsed)| parsed));
        let parsed: Vec<_> = parsed.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let validity = parsed.first().ok_or("holds no certificate")?.validity();
        let since = |time: i64| Duration::from_secs(u64::try_from(time).unwrap_or(0));
        let (from, until) = (since(validity.not_before.timestamp()), since(validity.not_after.timestamp()));
        Ok(Found { from, until, end: end(&parsed, roots), uncovered, wanted })
    });
    let mode = fs::metadata(secret).ok().map(|facts| facts.permissions().mode());
    Facts { key, certificate: certificate.to_owned(), secret: secret.to_owned(), found, mode }
}

fn read_chain(file: &Path) -> Option<Vec<CertificateDer<'static>>> {
    // As the switch reads it, a file that is far too long is none.
    let facts = fs::metadata(file).ok().filter(|facts| facts.size() <= MAX_FILE)?;
    let text = facts.is_file().then(|| fs::read(file).ok())??;
    CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().ok()
}

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

fn is_for(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let parsed = ParsedCertificate::try_from(certificate);
    let name = ServerName::try_from(name);
    matches!((parsed, name), (Ok(parsed), Ok(name)) if verify_server_name(&parsed, &name).is_ok())
}

/// How a chain ends, by the names in it: whether signatures are right is for whoever is shown them.
fn end(chain: &[X509Certificate<'_>], roots: &[Vec<u8>]) -> End {
    for pair in chain.windows(2) {
        if pair[0].issuer().as_raw() != pair[1].subject().as_raw() {
            return End::Disorder(pair[0].subject().to_string());
        }
    }
    let Some(last) = chain.last() else { return End::Missing("its issuer".to_owned()) };
    let issuer = last.issuer();
    if roots.iter().any(|root| root == issuer.as_raw()) {
        End::Trusted
    } else if issuer.as_raw() == last.subject().as_raw() {
        End::OwnAuthority(issuer.to_string())
    } else {
        End::Missing(issuer.to_string())
    }
}

/// The names of the authorities that this system trusts, as they are encoded.
fn trusted_subjects() -> Vec<Vec<u8>> {
    let roots = rustls_native_certs::load_native_certs().certs;
    let subject = |root: &CertificateDer<'_>| {
        X509Certificate::from_der(root).ok().map(|(_, parsed)| parsed.subject().as_raw().to_vec())
    };
    roots.iter().filter_map(subject).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::super::check::State;
    use super::*;

    fn facts(end: End) -> Facts {
        let found = Found { from: 10 * DAY, until: 100 * DAY, end, uncovered: Vec::new(), wanted: 1 };
        Facts {
            key: "sip.tls.certificates",
            certificate: "c.pem".into(),
            secret: "c.key".into(),
            found: Ok(found),
            mode: Some(0o100_640),
        }
    }

    #[test]
    fn the_time_of_a_certificate_is_judged() {
        let at = |days: u32| {
            let check = one(&facts(End::Trusted), DAY * days).remove(0);
            (check.state, check.seen)
        };
        assert_eq!(at(50), (State::Ok, "expires in 50 days".into()));
        assert_eq!(at(80), (State::Warning, "expires in 20 days".into()));
        assert_eq!(at(103), (State::Error, "expired 3 days ago".into()));
        assert_eq!(at(8), (State::Error, "its time begins in 3 days".into()));
    }

    #[test]
    fn every_end_of_a_chain_has_its_words() {
        for (end, state, words) in [
            (End::Trusted, State::Ok, "this system trusts"),
            (End::OwnAuthority("CN=Us".into()), State::Ok, "leads to CN=Us"),
            (End::Missing("CN=R3".into()), State::Warning, "CN=R3 is neither"),
            (End::Disorder("CN=pbx".into()), State::Error, "CN=pbx is followed by"),
        ] {
            let check = one(&facts(end), 50 * DAY).remove(1);
            assert!(check.state == state && check.seen.contains(words), "{check}");
        }
    }

    #[test]
    fn names_access_rights_and_files_are_judged() {
        let good = one(&facts(End::Trusted), 50 * DAY);
        assert!(good.iter().all(|check| check.state == State::Ok), "{good:?}");
        let mut bad = facts(End::Trusted);
        bad.mode = Some(0o100_644);
        bad.found.as_mut().unwrap().uncovered = vec!["a.test".into(), "b.test".into()];
        let checks = one(&bad, 50 * DAY);
        assert!(checks[2].state == State::Warning && checks[2].seen.ends_with("a.test, b.test"), "{}", checks[2]);
        assert!(checks[3].state == State::Warning && checks[3].seen.starts_with("mode 0644"), "{}", checks[3]);
        bad.found = Err("c.key: is not the key of the certificate in c.pem".into());
        assert_eq!(one(&bad, DAY)[0].state, State::Error);
        assert_eq!(judge(&[], DAY)[0].state, State::Skipped);
    }

    #[test]
    fn what_is_in_the_files_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
            path
        };
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "Authority");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let secret = write("own.key", &key.serialize_pem());
        let read = |text: &str| read("k", &write("own.pem", text), &secret, &[], Vec::new(), 0).found;
        let (leaf, root) = (own.pem(), authority.pem());
        assert_eq!(read(&leaf).unwrap().end, End::Missing("CN=Authority".into()));
        assert_eq!(read(&format!("{leaf}{root}")).unwrap().end, End::OwnAuthority("CN=Authority".into()));
        let disorder = read(&format!("{leaf}{leaf}{root}")).unwrap().end;
        assert!(matches!(disorder, End::Disorder(_)), "{disorder:?}");
        let strange = read(&root).unwrap_err();
        assert!(strange.contains("is not the key of the certificate"), "{strange}");
        assert!(read("nothing").is_err());
        let chain = read_chain(&write("own.pem", &leaf)).unwrap();
        assert!(is_for(&chain[0], "a.test") && !is_for(&chain[0], "b.test"));
        let subject = X509Certificate::from_der(&chain[0]).unwrap().1.issuer().as_raw().to_vec();
        let (_, parsed) = X509Certificate::from_der(&chain[0]).unwrap();
        assert_eq!(end(&[parsed], &[subject]), End::Trusted);
    }
}
