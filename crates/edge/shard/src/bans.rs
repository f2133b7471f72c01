//! Bans over HTTP: who is not listened to, and who is to be from now on.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_sip::guard::{Ban, BanError, BanWhy, LONGEST_ORDER, Source};
use serde::{Deserialize, Serialize};

use crate::Shard;

/// Length of a ban by order that does not say for how long.
pub const ORDER_TIME: Duration = Duration::from_secs(86_400);

/// The path of all bans; each has its own below.
const PATH: &str = "/bans";

/// One ban as it is shown.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    source: Source,
    /// Seconds since the epoch.
    since: u64,
    /// The same.
    until: u64,
    /// Seconds that are left.
    left: u64,
    count: u8,
    why: &'a str,
    reason: Option<&'a str>,
    dropped: u64,
}

impl<'a> Shown<'a> {
    fn of(now: Time, ban: &'a Ban) -> Self {
        let (why, reason) = match &ban.why {
            BanWhy::Offence(offence) => (offence.name(), None),
            BanWhy::Order(reason) => ("order", Some(reason.as_str())),
        };
        let left = ban.until.saturating_sub(now).as_secs();
        let (since, until) = (ban.since.as_secs(), ban.until.as_secs());
        Self { source: ban.source, since, until, left, count: ban.count, why, reason, dropped: ban.dropped }
    }
}

/// What is asked for with a ban; an empty body asks for nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    seconds: Option<u64>,
    reason: CompactString,
}

/// An answer: status, content type, methods with 405, body.
pub(crate) type Page = (u16, &'static str, Option<&'static str>, String);

const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

pub(crate) fn text(status: u16, text: &str) -> Page {
    (status, TEXT, None, format!("{text}\n"))
}

impl Shard {
    /// The answer to a request for a page of this file; `None` for all others.
    pub(crate) fn bans_page(&mut self, now: Time, method: &str, path: &str, body: &[u8]) -> Option<Page> {
        let rest = path.strip_prefix(PATH)?;
        if rest.trim_end_matches('/').is_empty() {
            return Some(match method {
                "GET" | "HEAD" => self.list_bans(now),
                _ => (405, TEXT, Some("GET"), "only GET\n".to_owned()),
            });
        }
        let name =
            rest.strip_prefix('/')?.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/").replace("%2f", "/");
        let Ok(source) = name.parse::<Source>() else {
            return Some(text(400, "the address is neither one nor an IPv6 network of 64 bits"));
        };
        Some(match method {
            "GET" | "HEAD" => match self.b2bua.guard().bans(now).find(|ban| ban.source == source) {
                Some(ban) => json(&Shown::of(now, ban)),
                None => text(404, "not banned"),
            },
            "PUT" => self.order_ban(now, source, body),
            "DELETE" if self.b2bua.guard_mut().unban(now, source) => (204, TEXT, None, String::new()),
            "DELETE" => text(404, "not banned"),
            _ => (405, TEXT, Some("GET, PUT, DELETE"), "only GET, PUT and DELETE\n".to_owned()),
        })
    }

    /// Sources that may be kept out altogether, and until when: banned ones behind which nobody is known.
    pub fn kept_out(&self, now: Time) -> impl Iterator<Item = (Source, Time)> {
        self.b2bua.guard().complete_bans(now).map(|ban| (ban.source, ban.until))
    }

    fn list_bans(&self, now: Time) -> Page {
        let mut bans: Vec<&Ban> = self.b2bua.guard().bans(now).collect();
        bans.sort_by_key(|ban| (ban.until, ban.source));
        json(&bans.into_iter().map(|ban| Shown::of(now, ban)).collect::<Vec<_>>())
    }

    fn order_ban(&mut self, now: Time, source: Source, body: &[u8]) -> Page {
        let wanted = if body.is_empty() { Ok(Wanted::default()) } else { serde_json::from_slice(body) };
        let Wanted { seconds, reason } = match wanted {
            Ok(wanted) => wanted,
            Err(error) => return text(400, &error.to_string()),
        };
        let length = seconds.map_or(ORDER_TIME, Duration::from_secs);
        if length.is_zero() || length > LONGEST_ORDER {
            return text(400, &format!("seconds must be 1 to {}", LONGEST_ORDER.as_secs()));
        }
        match self.b2bua.guard_mut().ban(now, source, length, &reason) {
            Ok(()) => (204, TEXT, None, String::new()),
            Err(error @ (BanError::Allowed | BanError::Off)) => text(409, &error.to_string()),
            Err(error @ BanError::Full) => text(507, &error.to_string()),
        }
    }
}

pub(crate) fn json(value: &impl Serialize) -> Page {
    match serde_json::to_string(value) {
        Ok(body) => (200, JSON, None, body),
        // Numbers and text always can be written.
        Err(error) => text(500, &error.to_string()),
    }
}
