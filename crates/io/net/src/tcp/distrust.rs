//! Why one side of a TLS connection does not believe the certificate of the other.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error};

/// Why a certificate is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Distrust {
    /// None was shown where one is required.
    Missing,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// No authority that we believe has signed it; a self-signed one is of this kind.
    UnknownAuthority,
    /// It is for other names than the one that is to be proved.
    OtherName,
    /// It is broken, withdrawn, or made for another purpose.
    Unfit,
    /// The other side does not believe ours, or wants one and got none.
    Ours,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it shows no certificate",
            Self::Expired => "its certificate has expired",
            Self::NotYet => "its certificate is not valid yet",
            Self::UnknownAuthority => "no authority that is believed here has signed its certificate",
            Self::OtherName => "its certificate is for other names",
            Self::Unfit => "its certificate is not fit for this",
            Self::Ours => "it does not take our certificate",
        })
    }
}

impl Distrust {
    /// What an error of TLS says of certificates, if it does.
    pub(super) fn of(error: &Error) -> Option<Self> {
        match error {
            Error::NoCertificatesPresented => Some(Self::Missing),
            Error::InvalidCertificate(error) => Some(match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYet,
                // Another authority of the same name has another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
                _ => Self::Unfit,
            }),
            Error::AlertReceived(
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::CertificateRequired
                | AlertDescription::DecryptError,
            ) => Some(Self::Ours),
            _ => None,
        }
    }
}

/// Longest that is kept of what TLS says, in characters: the names in a certificate are part of it.
const MAX_WHY: usize = 300;

/// What TLS says, fit for a log: names in a certificate may hold anything and be of any number.
pub(super) fn words(error: &Error) -> String {
    let text = error.to_string();
    let mut words = String::new();
    for char in text.chars().take(MAX_WHY) {
        words.extend(char.escape_debug());
    }
    if text.chars().nth(MAX_WHY).is_some() {
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_strangers_cannot_write_lines_of_their_own() {
        let presented = vec!["a\r\nERROR all is lost\u{1b}[2J".to_owned(); 100];
        let expected = "sip.example".try_into().unwrap();
        let error = Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented });
        let words = words(&error);
        assert!(!words.chars().any(char::is_control), "{words}");
        assert!(words.ends_with('…') && words.chars().count() < 3 * MAX_WHY, "{words}");
        assert_eq!(Distrust::of(&error), Some(Distrust::OtherName));
    }
}
