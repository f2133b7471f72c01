//! Reads the bodies that are pushed. No message here repeats what stood in a body: it may have
//! been a secret.

use std::collections::BTreeMap;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call::directory::{
    DirectoryError, Forwarding, FoundUser, Layer, MAX_NAME, Secret, UnnamedControl, UserLimits,
};
use hookswitch_call::{Address, Forwards, MAX_ADDRESS};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::failure::Failure;

/// The body of a domain, member by member as written.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct DomainBody<'a> {
    #[serde(borrow, deserialize_with = "written")]
    control: Option<&'a RawValue>,
    #[serde(borrow)]
    users: Option<&'a RawValue>,
}

/// A member that was written, also as null: none is one that was not.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> DomainBody<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Failure> {
        read(body)
    }

    /// Both members must be there: the domain is replaced.
    pub(super) fn require_all(&self) -> Result<(), Failure> {
        match (self.control, self.users) {
            (None, _) => Err(required("control")),
            (_, None) => Err(required("users")),
            _ => Ok(()),
        }
    }

    /// What becomes of the controller that there is, where this names none.
    pub(super) const fn unnamed(&self) -> UnnamedControl {
        if self.control.is_some() { UnnamedControl::Goes } else { UnnamedControl::Stays }
    }

    /// The layer that it means, and its users in the order of the list for [`place_of`].
    pub(super) fn layer(&self) -> Result<(Layer, Vec<Listed>), Failure> {
        let control = self.control.map(url).transpose()?.flatten();
        let listed = match self.users {
            Some(raw) => users(raw)?,
            None => Vec::new(),
        };
        let users: BTreeMap<_, _> = listed.iter().map(|user| (user.name.clone(), user.secret.clone())).collect();
        // Of a user who is listed twice the last entry counts, all of it.
        let named: BTreeMap<_, _> = listed.iter().map(|user| (user.name.clone(), user.forward.clone())).collect();
        let forwards = named.into_iter().filter(|(_, forward)| !forward.is_empty()).collect();
        let limits: BTreeMap<_, _> = listed.iter().map(|user| (user.name.clone(), user.limits.clone())).collect();
        let limits = limits.into_iter().filter(|(_, limits)| !limits.is_empty()).collect();
        let record: BTreeMap<_, _> = listed.iter().map(|user| (user.name.clone(), user.record)).collect();
        let record = record.into_iter().filter_map(|(name, record)| Some((name, record?))).collect();
        Ok((Layer { control, users, forwards, limits, record }, listed))
    }
}

/// A user of the list `users`.
pub(super) struct Listed {
    index: usize,
    name: CompactString,
    secret: Secret,
    forward: Forwarding,
    limits: UserLimits,
    record: Option<bool>,
}

/// Where in the body that stands which the directory does not take: in the list, or else `path`,
/// since the only other name is the domain's.
pub(super) fn place_of(error: &DirectoryError, listed: &[Listed]) -> String {
    let found = match error {
        // A long name is cut short in the error.
        DirectoryError::BadName(name) => listed
            .iter()
            .find(|user| user.name == *name)
            .or_else(|| listed.iter().find(|user| !name.is_empty() && user.name.starts_with(name.as_str())))
            .map(|user| format!("users[{}].username", user.index)),
        DirectoryError::SecretTooLong => listed
            .iter()
            .find(|user| user.secret.reveal().len() > hookswitch_call::directory::MAX_SECRET)
            .map(|user| format!("users[{}].secret", user.index)),
        DirectoryError::BadForward { user, member, .. } => listed
            .iter()
            .rfind(|listed| listed.name == *user)
            .map(|listed| format!("users[{}].forward.{member}", listed.index)),
        DirectoryError::BadClasses(user) => listed
            .iter()
            .rfind(|listed| listed.name == *user)
            .map(|listed| format!("users[{}].limits.classes", listed.index)),
        DirectoryError::NoSuchDomain(_)
        | DirectoryError::Configured(_)
        | DirectoryError::TooManyDomains
        | DirectoryError::TooManyUsers => None,
    };
    found.unwrap_or_else(|| "path".to_owned())
}

/// The same for the body of one user.
pub(super) fn place_of_one(error: &DirectoryError) -> String {
    match error {
        DirectoryError::SecretTooLong => "secret".to_owned(),
        DirectoryError::BadForward { member, .. } => format!("forward.{member}"),
        DirectoryError::BadClasses(_) => "limits.classes".to_owned(),
        DirectoryError::BadName(_)
        | DirectoryError::NoSuchDomain(_)
        | DirectoryError::Configured(_)
        | DirectoryError::TooManyDomains
        | DirectoryError::TooManyUsers => "path".to_owned(),
    }
}

/// What the body of one user means.
pub(super) fn user(body: &[u8], name: &str) -> Result<Layer, Failure> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct UserBody<'a> {
        #[serde(borrow)]
        secret: Option<&'a RawValue>,
        #[serde(borrow)]
        forward: Option<&'a RawValue>,
        #[serde(borrow)]
        limits: Option<&'a RawValue>,
        #[serde(borrow)]
        record: Option<&'a RawValue>,
    }
    let body = read::<UserBody<'_>>(body)?;
    let secret = Secret::new(&text(body.secret.ok_or_else(|| required("secret"))?, "secret")?);
    let forward = forwarding(body.forward, "forward")?;
    let forwards = if forward.is_empty() { BTreeMap::new() } else { [(name.into(), forward)].into() };
    let limits = limits(body.limits, "limits")?;
    let limits = if limits.is_empty() { BTreeMap::new() } else { [(name.into(), limits)].into() };
    let record = record(body.record, "record")?.map(|record| (name.into(), record)).into_iter().collect();
    Ok(Layer { control: None, users: [(name.into(), secret)].into(), forwards, limits, record })
}

/// A user who was asked for: its document is what would be pushed for it.
///
/// # Errors
/// [`DocumentError`]: what is wrong with the document and where.
pub fn found_user(document: &[u8]) -> Result<FoundUser, DocumentError> {
    let name = "user";
    let Layer { mut users, mut forwards, mut limits, mut record, .. } =
        user(document, name).map_err(Failure::into_error)?;
    let secret = users.remove(name).unwrap_or_else(|| Secret::new(""));
    let found = FoundUser {
        secret,
        forward: forwards.remove(name).unwrap_or_default(),
        limits: limits.remove(name).unwrap_or_default(),
        record: record.remove(name),
    };
    match found.problem() {
        None => Ok(found),
        Some(error) => Err(DocumentError { what: error.to_string(), place: place_of_one(&error) }),
    }
}

/// What is wrong with a document. It repeats nothing that stands in there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} ({place})")]
pub struct DocumentError {
    /// What is wrong.
    pub what: String,
    /// Where: a path into the document such as `forward.busy`, or `body, line 1 column 7`.
    pub place: String,
}

/// The limits of a user; nothing and `null` set none.
fn limits(raw: Option<&RawValue>, place: &str) -> Result<UserLimits, Failure> {
    let Some(raw) = raw else { return Ok(UserLimits::default()) };
    serde_json::from_str(raw.get())
        .map_err(|_| wrong(place, "an object of numbers `contacts` and `calls`, and limits by name in `classes`"))
}

/// Whether a user is recorded; nothing and `null` leave it to the rules.
fn record(raw: Option<&RawValue>, place: &str) -> Result<Option<bool>, Failure> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
    match serde_json::from_str::<&str>(raw.get()) {
        Ok("always") => Ok(Some(true)),
        Ok("never") => Ok(Some(false)),
        Ok(_) | Err(_) => Err(wrong(place, "`always` or `never`")),
    }
}

/// Whom to call instead of a user; nothing and `null` name nobody.
fn forwarding(raw: Option<&RawValue>, place: &str) -> Result<Forwarding, Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Forward {
        always: Option<CompactString>,
        busy: Option<CompactString>,
        no_answer: Option<CompactString>,
        no_answer_after: Option<u32>,
        unreachable: Option<CompactString>,
    }
    let Some(raw) = raw else { return Ok(Forwarding::default()) };
    let shape = "an object of texts `always`, `busy`, `no_answer`, `unreachable` and a number `no_answer_after`";
    let forward: Forward = serde_json::from_str(raw.get()).map_err(|_| wrong(place, shape))?;
    let otherwise = Forwards {
        busy: forward.busy.map(Address),
        no_answer: forward.no_answer.map(Address),
        no_answer_after: forward.no_answer_after.map(|secs| Duration::from_secs(secs.into())),
        unreachable: forward.unreachable.map(Address),
    };
    Ok(Forwarding { always: forward.always.map(Address), otherwise })
}

fn users(raw: &RawValue) -> Result<Vec<Listed>, Failure> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Entry<'a> {
        #[serde(borrow)]
        username: Option<&'a RawValue>,
        #[serde(borrow)]
        secret: Option<&'a RawValue>,
        #[serde(borrow)]
        forward: Option<&'a RawValue>,
        #[serde(borrow)]
        limits: Option<&'a RawValue>,
        #[serde(borrow)]
        record: Option<&'a RawValue>,
    }
    let entries: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong("users", "a list"))?;
    let mut listed = Vec::with_capacity(entries.len());
    for (index, raw) in entries.into_iter().enumerate() {
        if !raw.get().starts_with('{') {
            return Err(wrong(&format!("users[{index}]"), "an object"));
        }
        let entry: Entry<'_> =
            serde_json::from_str(raw.get()).map_err(|_| wrong(&format!("users[{index}]"), "an object"))?;
        // An entry that lacks either is passed over, as it has always been.
        if let (Some(name), Some(secret)) = (entry.username, entry.secret) {
            let name = text(name, &format!("users[{index}].username"))?;
            let secret = Secret::new(&text(secret, &format!("users[{index}].secret"))?);
            let forward = forwarding(entry.forward, &format!("users[{index}].forward"))?;
            let limits = limits(entry.limits, &format!("users[{index}].limits"))?;
            let record = record(entry.record, &format!("users[{index}].record"))?;
            listed.push(Listed { index, name, secret, forward, limits, record });
        }
    }
    Ok(listed)
}

/// A base URL, or the `{host, port}` of the original's readme; the empty text and null mean that there is none.
fn url(raw: &RawValue) -> Result<Option<CompactString>, Failure> {
    let url = match raw.get() {
        "null" => return Ok(None),
        written if written.starts_with('{') => host_and_port(raw)?,
        _ => text(raw, "control")?,
    };
    let is_url = ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    if url.is_empty() {
        Ok(None)
    } else if is_url && url.len() <= MAX_ADDRESS && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Some(url))
    } else {
        Err(wrong("control", "an http or https URL"))
    }
}

/// Where a control server is, said as a host and the port of its HTTP; 80 unless it is said.
fn host_and_port(raw: &RawValue) -> Result<CompactString, Failure> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Place<'a> {
        #[serde(borrow)]
        host: Option<&'a RawValue>,
        #[serde(borrow)]
        port: Option<&'a RawValue>,
    }
    let place: Place<'_> =
        serde_json::from_str(raw.get()).map_err(|_| wrong("control", "a URL, or an object of `host` and `port`"))?;
    let host = text(place.host.ok_or_else(|| required("control.host"))?, "control.host")?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if !(1..=MAX_NAME).contains(&host.len()) || !host.bytes().all(fits) {
        return Err(wrong("control.host", "a host"));
    }
    match place.port.map(port).transpose()? {
        Some(port) => Ok(format_compact!("http://{host}:{port}")),
        None => Ok(format_compact!("http://{host}")),
    }
}

/// A number, or a text of digits.
fn port(raw: &RawValue) -> Result<u16, Failure> {
    let written = raw.get();
    let digits = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(written);
    digits.parse().map_err(|_| wrong("control.port", "a number from 0 to 65535"))
}

fn text(raw: &RawValue, place: &str) -> Result<CompactString, Failure> {
    serde_json::from_str(raw.get()).map_err(|_| wrong(place, "a string"))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    let body = std::str::from_utf8(body).map_err(|error| {
        let place = format!("body, byte {}", error.valid_up_to());
        Failure::new(400, "the body is not UTF-8".to_owned(), &place)
    })?;
    if !body.trim_start().starts_with(['{']) {
        return Err(wrong("body", "a JSON object"));
    }
    serde_json::from_str(body).map_err(|error| {
        let place = format!("body, line {} column {}", error.line(), error.column());
        let what = if error.is_data() { "a member occurs twice" } else { "the body is not valid JSON" };
        Failure::new(400, what.to_owned(), &place)
    })
}

fn required(place: &str) -> Failure {
    Failure::new(400, format!("{place} is required"), place)
}

fn wrong(place: &str, expected: &str) -> Failure {
    Failure::new(400, format!("{place} must be {expected}"), place)
}
