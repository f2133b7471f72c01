//! Who a client is by its certificate. Whether that is to be believed has been found out before.

use compact_str::CompactString;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Most names that are taken from one certificate; what follows is left out.
const MAX_NAMES: usize = 32;

/// Longest name, in bytes; longer ones are left out.
const MAX_NAME: usize = 253;

/// The names in a certificate: DNS names, URIs and addresses of mail among its alternative names (RFC 5280 section
/// 4.2.1.6), and the common name of its subject where it has no alternative names. DNS names and addresses of mail in
/// lower case; no names for what is no certificate.
pub(super) fn names_of(certificate: &[u8]) -> Vec<CompactString> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let mut names: Vec<CompactString> = match parsed.subject_alternative_name() {
        Ok(Some(alternatives)) => alternatives.value.general_names.iter().filter_map(alternative).collect(),
        Ok(None) => parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(Into::into).collect(),
        // Two of them, or one that cannot be read: it is nobody's.
        Err(_) => Vec::new(),
    };
    names.retain(|name| (1..=MAX_NAME).contains(&name.len()));
    names.truncate(MAX_NAMES);
    names
}

fn alternative(name: &GeneralName<'_>) -> Option<CompactString> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) => Some(name.to_ascii_lowercase().into()),
        GeneralName::URI(uri) => Some((*uri).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn made(common: &str, alternatives: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = alternatives;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn alternative_names_go_before_the_common_name() {
        let dns = SanType::DnsName("Desk.Example.test".try_into().unwrap());
        let uri = SanType::URI("spiffe://example.test/Desk".try_into().unwrap());
        let mail = SanType::Rfc822Name("Desk@example.test".try_into().unwrap());
        let names = names_of(&made("front desk", vec![dns, uri, mail]));
        assert_eq!(names, ["desk.example.test", "spiffe://example.test/Desk", "desk@example.test"]);
        assert_eq!(names_of(&made("front desk", Vec::new())), ["front desk"]);
        // An address of a host names nobody, and the common name does not count beside it.
        assert!(names_of(&made("front desk", vec![SanType::IpAddress([127, 0, 0, 1].into())])).is_empty());
    }

    #[test]
    fn there_are_so_many_names_of_such_a_length() {
        let many = (0..40).map(|n| SanType::DnsName(format!("n{n}.test").try_into().unwrap())).collect();
        assert_eq!(names_of(&made("x", many)).len(), MAX_NAMES);
        assert!(names_of(&made(&"x".repeat(300), Vec::new())).is_empty());
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        let whole = made("front desk", Vec::new());
        for cut in 0..whole.len() {
            assert!(names_of(&whole[..cut]).is_empty());
        }
    }
}
