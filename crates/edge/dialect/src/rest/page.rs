//! Lists, a page at a time: a cursor says behind which entry the page begins.

use serde_json::{Value, json};

use super::problem::{Code, Problem};
use super::shape::{Field, Kind, Values};

/// Entries of a page unless the query says otherwise.
pub(super) const PAGE: usize = 100;

/// Most entries of one page.
pub(super) const MAX_PAGE: i64 = 1_000;

/// Longest cursor, in characters: the longest name, in hexadecimal.
const MAX_CURSOR: usize = 2_048;

/// `limit`, which each list takes that comes in pages.
pub(super) const LIMIT: Field =
    Field::may("limit", Kind::Whole(1, MAX_PAGE), "most entries of the page; 100 if not said");

/// `after`, which each list takes that comes in pages.
pub(super) const AFTER: Field =
    Field::may("after", Kind::Text(0, MAX_CURSOR), "the `next` of the page before; its page begins behind that");

/// Where a page begins and how long it is.
pub(super) struct Page {
    limit: usize,
    /// The entry behind which it begins, by its place in the order of the list.
    pub(super) after: Option<String>,
}

impl Page {
    /// As a query asks for.
    ///
    /// # Errors
    /// [`Code::InvalidCursor`].
    pub(super) fn of(query: &Values) -> Result<Self, Problem> {
        let limit = query.whole("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
        let after = match query.text("after") {
            None => None,
            Some(cursor) => Some(place(cursor).ok_or_else(bad_cursor)?),
        };
        Ok(Self { limit, after })
    }

    /// The document of a page. `entries` are all behind [`Page::after`], in order, each with its place; only as many as
    /// the page is long are asked for, and one more.
    pub(super) fn document(&self, name: &str, entries: impl Iterator<Item = (String, Value)>) -> Value {
        let mut entries: Vec<(String, Value)> = entries.take(self.limit + 1).collect();
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        let next = entries.last().filter(|_| more).map(|(place, _)| cursor(place));
        let list: Vec<Value> = entries.into_iter().map(|(_, entry)| entry).collect();
        json!({ name: list, "next": next })
    }

    /// So many entries say whether another page follows.
    pub(super) const fn most(&self) -> usize {
        self.limit + 1
    }

    /// Whether an entry of this place comes behind where the page begins, in a list that goes up.
    pub(super) fn is_behind(&self, place: &str) -> bool {
        self.after.as_deref().is_none_or(|after| place > after)
    }
}

pub(super) fn bad_cursor() -> Problem {
    let problem = Problem::new(Code::InvalidCursor, "this is no cursor that a page of this list has given");
    problem.at("?after").expected("the `next` of a page of this list")
}

fn cursor(place: &str) -> String {
    place.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn place(cursor: &str) -> Option<String> {
    let digits = cursor.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !cursor.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let bytes = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// The schema of a page of these entries.
pub(super) fn schema(name: &str, entry: &str) -> Value {
    json!({
        "type": "object", "required": [name, "next"], "additionalProperties": false,
        "properties": {
            name: { "type": "array", "items": { "$ref": format!("#/components/schemas/{entry}") } },
            "next": { "type": ["string", "null"], "description": "what to give as `after` for the next page; null at the end" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let all = ["a", "b", "c", "d", "e"];
        let mut query = json!({ "limit": 2 });
        let mut seen = Vec::new();
        loop {
            let page = Page::of(&Values::of(query.as_object().unwrap().clone())).unwrap();
            let entries = all.iter().filter(|entry| page.is_behind(entry)).map(|entry| ((*entry).into(), json!(entry)));
            let document = page.document("all", entries);
            seen.push(document["all"].clone());
            match document["next"].as_str() {
                Some(next) => query["after"] = next.into(),
                None => break,
            }
        }
        assert_eq!(seen, [json!(["a", "b"]), json!(["c", "d"]), json!(["e"])]);
        for bad in ["", "6", "zz", "c3"] {
            let query = json!({ "after": bad });
            let problem = Page::of(&Values::of(query.as_object().unwrap().clone())).err().expect(bad);
            assert_eq!(problem.code, Code::InvalidCursor);
        }
    }
}
