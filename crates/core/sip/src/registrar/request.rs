//! What a REGISTER asks for, read and checked before anything is changed (RFC 3261 section 10.3, steps 1 and 6).

use hookswitch_sip_msg::{HeaderName, Message, NameAddr, Uri};
use smallvec::SmallVec;

use super::outcome::Refusal;
use super::{
    MAX_CALL_ID_BYTES, MAX_CONTACT_BYTES, MAX_CONTACTS_PER_REQUEST, MAX_INSTANCE_BYTES, MAX_PATH_BYTES, MAX_PATHS,
    MAX_USER_AGENT_BYTES, RegistrarConfig,
};
use crate::Time;

/// Below this a request may never be called too brief, whatever the configuration says (RFC 3261 section 10.3, step 7).
const NEVER_TOO_BRIEF: Time = Time::from_secs(3_600);

/// A REGISTER, understood.
pub(super) struct Ask<'a> {
    pub call_id: &'a str,
    pub cseq: u32,
    pub what: What<'a>,
    /// Path values, fit to be sent back.
    pub path: SmallVec<[String; 2]>,
    pub user_agent: Option<String>,
    /// The phone keeps the flow of this registration, and whoever stands between us knows of it (RFC 5626 section 6).
    pub outbound: bool,
    /// The phone wants addresses of its own (RFC 5627).
    pub gruu: bool,
    /// Most bindings that the user may have.
    pub most: usize,
}

/// What shall happen to the bindings.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one call and is never moved")]
pub(super) enum What<'a> {
    /// No Contact: only the list is wanted.
    Fetch,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// Contacts to bind or to remove, none of them twice.
    Bind(SmallVec<[Wanted<'a>; 2]>),
}

/// One Contact.
pub(super) struct Wanted<'a> {
    pub uri: Uri<'a>,
    pub instance: Option<&'a str>,
    pub reg_id: Option<u32>,
    pub q: u16,
    /// Zero removes the binding.
    pub lifetime: Time,
}

impl<'a> Wanted<'a> {
    /// Whether this Contact means the binding that has these properties. Where both sides number their registrations it
    /// is the same number of the same instance (RFC 5626 section 6), else an equivalent URI.
    pub(super) fn means(&self, instance: Option<&str>, reg_id: Option<u32>, contact: &str) -> bool {
        if self.reg_id.is_some() && reg_id.is_some() {
            return self.reg_id == reg_id && self.instance == instance;
        }
        self.uri.as_str() == contact || Uri::parse(contact).is_ok_and(|known| known.equivalent(&self.uri))
    }
}

/// Reads a REGISTER.
pub(super) fn read<'a>(request: &'a Message, config: &RegistrarConfig) -> Result<Ask<'a>, Refusal> {
    let call_id = request.call_id().map_err(|_| Refusal::Malformed("Call-ID"))?;
    if call_id.len() > MAX_CALL_ID_BYTES {
        return Err(Refusal::TooLong("Call-ID"));
    }
    let cseq = request.cseq().map_err(|_| Refusal::Malformed("CSeq"))?.number;
    let mut what = contacts(request, config)?;
    let path = path(request)?;
    if config.path_must_be_understood && !path.is_empty() && !request.has_token(HeaderName::Supported, "path") {
        return Err(Refusal::PathNotUnderstood);
    }
    let outbound = outbound(request, &path, &mut what)?;
    let gruu = request.has_token(HeaderName::Supported, "gruu");
    Ok(Ask {
        call_id,
        cseq,
        what,
        path,
        user_agent: user_agent(request),
        outbound,
        gruu,
        most: config.max_bindings_per_aor,
    })
}

/// Whether the phone keeps its flow. Where a proxy stands between us that does not know what that means, the phone is
/// told so, and one that would not understand is registered as if it had not numbered its flow (RFC 5626 section 6).
fn outbound(request: &Message, path: &[String], what: &mut What<'_>) -> Result<bool, Refusal> {
    let What::Bind(wanted) = what else { return Ok(false) };
    let numbered = wanted.iter().any(|contact| contact.reg_id.is_some() && !contact.lifetime.is_zero());
    let understands = request.has_token(HeaderName::Supported, "outbound");
    // The phone's own Via is the last one. Its first hop is the proxy that has recorded itself first, at the bottom.
    let direct = request.values(HeaderName::Via).nth(1).is_none();
    let first_hop = || NameAddr::parse(path.last()?.as_bytes()).ok()?.uri().ok()?.param("ob").map(|_| ());
    if direct || first_hop().is_some() {
        return Ok(numbered && understands);
    }
    if numbered && understands {
        return Err(Refusal::FirstHopLacksOutbound);
    }
    for contact in wanted {
        contact.reg_id = None;
    }
    Ok(false)
}

fn contacts<'a>(request: &'a Message, config: &RegistrarConfig) -> Result<What<'a>, Refusal> {
    let expires = request.expires();
    let mut wanted: SmallVec<[Wanted<'a>; 2]> = SmallVec::new();
    let mut seen = 0_usize;
    let mut wildcard = false;
    for value in request.values(HeaderName::Contact) {
        seen += 1;
        if seen > MAX_CONTACTS_PER_REQUEST {
            return Err(Refusal::TooManyContacts);
        }
        if value == b"*" {
            wildcard = true;
            continue;
        }
        let contact = contact(value, expires, config)?;
        // The last word about a contact counts.
        wanted.retain(|earlier| !contact.means(earlier.instance, earlier.reg_id, earlier.uri.as_str()));
        wanted.push(contact);
    }
    match (seen, wildcard) {
        (0, _) => Ok(What::Fetch),
        (1, true) if expires == Some(0) => Ok(What::RemoveAll),
        (_, true) => Err(Refusal::Wildcard),
        (_, false) => Ok(What::Bind(wanted)),
    }
}

fn contact<'a>(value: &'a [u8], expires: Option<u32>, config: &RegistrarConfig) -> Result<Wanted<'a>, Refusal> {
    let address = NameAddr::parse(value).map_err(|_| Refusal::Malformed("Contact"))?;
    if address.raw_uri.len() > MAX_CONTACT_BYTES {
        return Err(Refusal::TooLong("Contact"));
    }
    let uri = address.uri().map_err(|_| Refusal::Malformed("Contact"))?;
    if !uri.is_sip() {
        return Err(Refusal::ContactScheme);
    }
    let instance = address.instance().filter(|instance| !instance.is_empty());
    if let Some(instance) = instance {
        if instance.len() > MAX_INSTANCE_BYTES {
            return Err(Refusal::TooLong("+sip.instance"));
        }
        // It is sent back inside quotes.
        if !instance.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            return Err(Refusal::Malformed("+sip.instance"));
        }
    }
    let requested = match address.params.find("expires") {
        // RFC 3261 section 10.2.1.1: a malformed value counts as the default.
        Some(_) => address.expires(),
        None => expires,
    };
    Ok(Wanted {
        uri,
        instance,
        reg_id: address.reg_id().filter(|_| instance.is_some()),
        q: address.q().unwrap_or(1_000),
        lifetime: lifetime(requested, config)?,
    })
}

fn lifetime(requested: Option<u32>, config: &RegistrarConfig) -> Result<Time, Refusal> {
    let Some(requested) = requested else { return Ok(config.default_expires.min(config.max_expires)) };
    let requested = Time::from_secs(requested.into());
    if !requested.is_zero() && requested < config.min_expires && requested < NEVER_TOO_BRIEF {
        return Err(Refusal::TooBrief { min: config.min_expires });
    }
    Ok(requested.min(config.max_expires))
}

fn path(request: &Message) -> Result<SmallVec<[String; 2]>, Refusal> {
    let mut path = SmallVec::new();
    let mut bytes = 0;
    for value in request.values(HeaderName::Path) {
        let hop = NameAddr::parse(value).map_err(|_| Refusal::Malformed("Path"))?;
        if !hop.bracketed || !hop.uri().is_ok_and(|uri| uri.is_sip()) {
            return Err(Refusal::Malformed("Path"));
        }
        bytes += value.len();
        if path.len() == MAX_PATHS || bytes > MAX_PATH_BYTES {
            return Err(Refusal::TooLong("Path"));
        }
        path.push(one_line(value).ok_or(Refusal::Malformed("Path"))?);
    }
    Ok(path)
}

fn user_agent(request: &Message) -> Option<String> {
    let mut text = one_line(request.header(HeaderName::UserAgent)?)?;
    let cut = (0..=MAX_USER_AGENT_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at))?;
    text.truncate(cut);
    Some(text)
}

/// A header value as one line of text: folds and control characters become spaces.
fn one_line(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    Some(text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect())
}
