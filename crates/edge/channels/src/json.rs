//! Members of a body, one by one, with errors that say where they are wrong.

use serde_json::{Map, Value};

/// A request that cannot be done as asked. Nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) what: String,
    /// A path into the body such as `files[3].start`, or `path`, `method`, `body`.
    pub(crate) place: String,
}

impl Failure {
    pub(crate) fn new(status: u16, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { status, what: what.into(), place: place.into() }
    }

    pub(crate) fn value(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(400, place, what)
    }

    /// The same one level further out.
    pub(crate) fn within(self, outer: &str) -> Self {
        Self { place: format!("{outer}.{}", self.place), ..self }
    }
}

/// An object of a body.
pub(crate) struct Members<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Members<'a> {
    pub(crate) fn of(value: &'a Value) -> Result<Self, Failure> {
        value.as_object().map(Members).ok_or_else(|| Failure::value("body", "expected an object"))
    }

    /// The first of these names that is there, since originals differ in how they spell.
    pub(crate) fn get(&self, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        let found = names.iter().find_map(|name| Some((*name, self.0.get(*name)?)));
        found.filter(|(_, value)| !value.is_null())
    }

    pub(crate) fn text(&self, names: &[&'static str]) -> Result<Option<&'a str>, Failure> {
        let Some((name, value)) = self.get(names) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| Failure::value(name, "expected a text"))
    }

    pub(crate) fn flag(&self, names: &[&'static str], default: bool) -> Result<bool, Failure> {
        let Some((name, value)) = self.get(names) else { return Ok(default) };
        value.as_bool().ok_or_else(|| Failure::value(name, "expected true or false"))
    }

    /// A whole number up to `most`, as such or as text.
    pub(crate) fn number(&self, names: &[&'static str], most: u64) -> Result<Option<u64>, Failure> {
        let Some((name, value)) = self.get(names) else { return Ok(None) };
        let whole = |number: f64| (number.fract() == 0.0 && (0.0..=1e15).contains(&number)).then_some(number as u64);
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        let number = number.or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        let number = number.filter(|number| *number <= most);
        number.map(Some).ok_or_else(|| Failure::value(name, format!("expected a whole number from 0 to {most}")))
    }
}

/// The object that a body is; an empty one is one without members.
pub(crate) fn object(body: &[u8]) -> Result<Value, Failure> {
    if body.trim_ascii().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| Failure::value("body", error.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(Failure::value("body", "expected an object")) }
}
