//! Rules about the headers of an INVITE to a trunk.

use std::fmt;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip::Header;
use hookswitch_sip_msg::HeaderName;

use crate::notes::{MAX_FIELD_BYTES, MAX_FIELDS, may_be_sent};

/// Beside what a controller may send along: what says who calls, which carriers want said in their own ways.
const IDENTITY: [HeaderName; 6] = [
    HeaderName::Diversion,
    HeaderName::HistoryInfo,
    HeaderName::PAssertedIdentity,
    HeaderName::PPreferredIdentity,
    HeaderName::Privacy,
    HeaderName::RemotePartyId,
];

/// One rule. Names are compared as those of headers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderRule {
    /// The header has this value and no other.
    Set(CompactString, CompactString),
    /// Another line of the header.
    Add(CompactString, CompactString),
    /// The header is left out.
    Remove(CompactString),
}

/// What is wrong with rules about headers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRuleError {
    /// The header belongs to the protocol, or its value has a line end.
    #[error("header {0:?} cannot be changed, or not to that")]
    NotAllowed(CompactString),
    /// Too many, or too much text.
    #[error("more than {MAX_FIELDS} rules about headers, or more than {MAX_FIELD_BYTES} bytes in them")]
    TooMany,
}

impl HeaderRule {
    fn parts(&self) -> (&str, &str) {
        match self {
            Self::Set(name, value) | Self::Add(name, value) => (name, value),
            Self::Remove(name) => (name, ""),
        }
    }
}

impl fmt::Display for HeaderRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(name, value) => write!(f, "{name}: {value}"),
            Self::Add(name, value) => write!(f, "another {name}: {value}"),
            Self::Remove(name) => write!(f, "no {name}"),
        }
    }
}

pub(super) fn check_rules(rules: &[HeaderRule]) -> Result<(), HeaderRuleError> {
    let bytes: usize = rules.iter().map(|rule| rule.parts().0.len() + rule.parts().1.len()).sum();
    if rules.len() > MAX_FIELDS || bytes > MAX_FIELD_BYTES {
        return Err(HeaderRuleError::TooMany);
    }
    for (name, value) in rules.iter().map(HeaderRule::parts) {
        let one_line = !value.chars().any(|char| char.is_control() && char != '\t');
        let identity = IDENTITY.contains(&HeaderName::from_bytes(name.as_bytes())) && one_line;
        if !identity && !may_be_sent(name, value) {
            return Err(HeaderRuleError::NotAllowed(name.into()));
        }
    }
    Ok(())
}

/// Changes the headers that go with an INVITE.
pub(super) fn change(headers: &mut Vec<Header>, rules: &[HeaderRule]) {
    for rule in rules {
        let (name, value) = rule.parts();
        let header = Header::raw(name, Bytes::copy_from_slice(value.as_bytes()));
        if !matches!(rule, HeaderRule::Add(..)) {
            headers.retain(|other| !other.name().eq_ignore_ascii_case(header.name()));
        }
        if !matches!(rule, HeaderRule::Remove(_)) {
            headers.push(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> HeaderRule {
        HeaderRule::Set(name.into(), value.into())
    }

    #[test]
    fn headers_are_set_added_and_left_out() {
        let mut headers = vec![
            Header::new(HeaderName::Diversion, "<sip:a@h>"),
            Header::new(HeaderName::PAssertedIdentity, "<sip:b@h>"),
            Header::new(HeaderName::Diversion, "<sip:c@h>"),
        ];
        let rules = [
            HeaderRule::Remove("diversion".into()),
            set("p-asserted-identity", "<sip:main@h>"),
            HeaderRule::Add("X-Tenant".into(), "1".into()),
            HeaderRule::Add("x-tenant".into(), "2".into()),
        ];
        check_rules(&rules).unwrap();
        change(&mut headers, &rules);
        let text = |header: &Header| format!("{}: {}", header.name(), String::from_utf8_lossy(header.value()));
        let lines: Vec<String> = headers.iter().map(text).collect();
        assert_eq!(lines, ["P-Asserted-Identity: <sip:main@h>", "X-Tenant: 1", "x-tenant: 2"]);
    }

    #[test]
    fn what_belongs_to_the_protocol_and_line_ends_are_refused() {
        for (name, value) in [
            ("Via", "x"),
            ("From", "<sip:a@h>"),
            ("Contact", "x"),
            ("Route", "x"),
            ("Authorization", "x"),
            ("Content-Type", "x"),
            ("X A", "x"),
            ("", "x"),
            ("X-A", "b\r\nVia: c"),
            ("P-Asserted-Identity", "<sip:a@h>\r\nVia: c"),
        ] {
            assert_eq!(check_rules(&[set(name, value)]), Err(HeaderRuleError::NotAllowed(name.into())), "{name}");
        }
        assert!(check_rules(&[HeaderRule::Remove("Via".into())]).is_err());
    }

    #[test]
    fn there_are_not_too_many() {
        assert!(check_rules(&vec![set("X-A", "b"); MAX_FIELDS]).is_ok());
        assert_eq!(check_rules(&vec![set("X-A", "b"); MAX_FIELDS + 1]), Err(HeaderRuleError::TooMany));
        assert_eq!(check_rules(&[set("X-A", &"b".repeat(MAX_FIELD_BYTES))]), Err(HeaderRuleError::TooMany));
    }
}
