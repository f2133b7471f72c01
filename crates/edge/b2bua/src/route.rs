//! Routes of the configuration: where addresses go before the directory is asked.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::MAX_BRANCHES;
use hookswitch_sip::resolve::Chance;
use hookswitch_sip_msg::Uri;

use crate::trunk::{self, MAX_CHAIN};

/// Longest pattern or destination, in bytes.
pub const MAX_ROUTE: usize = 512;

/// Most destinations of one route: as many as a call has branches.
pub const MAX_DESTINATIONS: usize = MAX_BRANCHES;

/// One route: addresses that match go to the destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pattern: CompactString,
    to: Vec<Destination>,
    trusted: bool,
}

/// One destination of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// A SIP URI. If it has no user part, the dialled user is kept. One of our own users is called where it has
    /// registered. Or `trunk:NAME`, and `trunk:NAME,NAME` for trunks of which the next is called when one does not
    /// take the call.
    pub to: CompactString,
    /// Destinations of one group are called together, groups one after the other in ascending order. Default 0.
    pub group: u8,
    /// How long after its group began it is called. Default zero.
    pub after: Duration,
    /// How long it may ring; none means as long as its group.
    pub ring_time: Option<Duration>,
    /// Where one destination of a group has a weight, they are not called together but one after the other, in an
    /// order drawn for each call: the weight is the share of calls in which this one is first (RFC 2782). In such a
    /// group none means 1.
    pub weight: Option<u16>,
}

impl Destination {
    /// A destination that is called at once.
    #[must_use]
    pub fn new(to: &str) -> Self {
        Self { to: to.into(), group: 0, after: Duration::ZERO, ring_time: None, weight: None }
    }
}

/// One destination as it is called for one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub to: CompactString,
    pub group: u8,
    pub after: Duration,
    pub ring_time: Option<Duration>,
    pub trusted: bool,
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The destination is not a SIP URI.
    #[error("route destination {0:?} is not a SIP URI: {1}")]
    Destination(CompactString, String),
    /// The pattern has no scheme.
    #[error("route pattern {0:?} must begin with sip:, sips: or tel:")]
    Pattern(CompactString),
    /// Longer than [`MAX_ROUTE`].
    #[error("a route is longer than {MAX_ROUTE} bytes")]
    TooLong,
    /// No destination.
    #[error("a route needs a destination")]
    NoDestination,
    /// The names of trunks are missing, or too many.
    #[error("route destination {0:?} needs one to {MAX_CHAIN} names of trunks")]
    Trunks(CompactString),
    /// More than [`MAX_DESTINATIONS`].
    #[error("a route has more than {MAX_DESTINATIONS} destinations")]
    TooManyDestinations,
}

impl Route {
    /// A route from a pattern, in which `*` stands for any run of characters, to a SIP URI. If the
    /// URI has no user part, the dialled user is kept.
    ///
    /// # Errors
    /// See [`RouteError`].
    pub fn new(pattern: &str, to: &str) -> Result<Self, RouteError> {
        Self::to_all(pattern, vec![Destination::new(to)])
    }

    /// A route from a pattern to several destinations.
    ///
    /// # Errors
    /// See [`RouteError`].
    pub fn to_all(pattern: &str, to: Vec<Destination>) -> Result<Self, RouteError> {
        if pattern.len() > MAX_ROUTE || to.iter().any(|destination| destination.to.len() > MAX_ROUTE) {
            return Err(RouteError::TooLong);
        }
        if !["sip:", "sips:", "tel:"].iter().any(|scheme| pattern.starts_with(scheme)) {
            return Err(RouteError::Pattern(pattern.into()));
        }
        if to.is_empty() {
            return Err(RouteError::NoDestination);
        }
        if to.len() > MAX_DESTINATIONS {
            return Err(RouteError::TooManyDestinations);
        }
        for destination in &to {
            if destination.to.starts_with(trunk::SCHEME) {
                let names: Vec<&str> = trunk::names(&destination.to).collect();
                if names.len() > MAX_CHAIN || names.contains(&"") {
                    return Err(RouteError::Trunks(destination.to.clone()));
                }
                continue;
            }
            match Uri::parse(&destination.to) {
                Ok(uri) if uri.is_sip() => {}
                Ok(_) => {
                    return Err(RouteError::Destination(destination.to.clone(), String::from("another scheme")));
                }
                Err(error) => return Err(RouteError::Destination(destination.to.clone(), error.to_string())),
            }
        }
        Ok(Self { pattern: pattern.into(), to, trusted: false })
    }

    /// The same route to parties that are trusted: they are told who calls even if the caller wishes to stay unknown
    /// (RFC 3325), and the history of the call.
    #[must_use]
    pub fn trusted(mut self, trusted: bool) -> Self {
        self.trusted = trusted;
        self
    }

    /// Whether an address, written `scheme:user@host`, goes this way.
    #[must_use]
    pub fn matches(&self, address: &str) -> bool {
        glob(self.pattern.as_bytes(), address.as_bytes())
    }

    /// The pattern.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The trunks that the destinations name.
    pub fn trunks(&self) -> impl Iterator<Item = &str> {
        self.to.iter().flat_map(|destination| trunk::names(&destination.to))
    }

    /// The destinations for one call to a dialled user, numbered in the groups in which they are called.
    pub(crate) fn choices(&self, user: Option<&str>, chance: &mut Chance) -> Vec<Choice> {
        let mut sorted: Vec<&Destination> = self.to.iter().collect();
        sorted.sort_by_key(|destination| destination.group);
        let mut choices = Vec::with_capacity(sorted.len());
        let mut number = 0;
        for group in sorted.chunk_by(|a, b| a.group == b.group) {
            let weighted = group.iter().any(|destination| destination.weight.is_some());
            let weight = |destination: &&Destination| usize::from(destination.weight.unwrap_or(1));
            let order = if weighted { draw(group.to_vec(), weight, chance) } else { group.to_vec() };
            let last = order.len() - 1;
            for (index, destination) in order.into_iter().enumerate() {
                let Destination { after, ring_time, .. } = *destination;
                let to = destination_for(&destination.to, user);
                choices.push(Choice { to, group: number, after, ring_time, trusted: self.trusted });
                number += u8::from(weighted && index < last);
            }
            number += 1;
        }
        choices
    }
}

/// What is left, in an order drawn by weight.
pub(crate) fn draw<T>(mut left: Vec<T>, weight: impl Fn(&T) -> usize, chance: &mut Chance) -> Vec<T> {
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let sum: usize = left.iter().map(&weight).sum();
        let mark = chance.below(sum);
        let mut running = 0;
        let first = left.iter().position(|one| {
            running += weight(one);
            running > mark
        });
        // Only where nobody has a weight is none chosen: then they come in their order.
        order.push(left.remove(first.unwrap_or(0)));
    }
    order
}

/// The request URI for a dialled user.
pub(crate) fn destination_for(to: &CompactString, user: Option<&str>) -> CompactString {
    match (to.split_once(':'), user) {
        (Some((scheme, rest)), Some(user)) if !rest.contains('@') && !to.starts_with(trunk::SCHEME) => {
            let mut uri = CompactString::with_capacity(to.len() + user.len() + 1);
            for part in [scheme, ":", user, "@", rest] {
                uri.push_str(part);
            }
            uri
        }
        _ => to.clone(),
    }
}

/// Matches with one mark to come back to: linear in practice, quadratic at worst, never deeper.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut mark: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                mark = Some((p, t));
                p += 1;
            }
            Some(c) if c.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match mark {
                Some((star, from)) => {
                    mark = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        let route = Route::new("sip:bench-*@*", "sip:127.0.0.2:5070").unwrap();
        assert!(route.matches("sip:bench-17@example.test"));
        assert!(route.matches("sip:bench-@x"));
        assert!(!route.matches("sip:alice@example.test"));
        let all = Route::new("sip:*", "sip:gw@127.0.0.2").unwrap();
        assert!(all.matches("sip:anything"));
        assert!(!all.matches("tel:+1"));
    }

    #[test]
    fn the_dialled_user_is_kept_unless_the_destination_names_one() {
        let to =
            |to: &str| Route::new("sip:*", to).unwrap().choices(Some("bob"), &mut Chance::new(1, ""))[0].to.clone();
        assert_eq!(to("sip:127.0.0.2:5070;transport=tcp"), "sip:bob@127.0.0.2:5070;transport=tcp");
        assert_eq!(to("sip:desk@127.0.0.2"), "sip:desk@127.0.0.2");
        assert_eq!(to("trunk:a"), "trunk:a");
    }

    #[test]
    fn a_route_that_cannot_work_is_refused_with_the_reason() {
        assert!(matches!(Route::new("bench-*", "sip:h"), Err(RouteError::Pattern(_))));
        assert!(matches!(Route::new("sip:*", "127.0.0.1"), Err(RouteError::Destination(..))));
        assert_eq!(Route::new(&"sip:*".repeat(200), "sip:h"), Err(RouteError::TooLong));
        assert_eq!(Route::to_all("sip:*", Vec::new()), Err(RouteError::NoDestination));
        assert!(Route::new("sip:*", "trunk:a, b").is_ok());
        for to in ["trunk:", "trunk:a,,b", "trunk:a,b,c,d,e,f,g,h"] {
            assert_eq!(Route::new("sip:*", to), Err(RouteError::Trunks(to.into())));
        }
        let many = |n| vec![Destination::new("sip:h"); n];
        assert!(Route::to_all("sip:*", many(MAX_DESTINATIONS)).is_ok());
        assert_eq!(Route::to_all("sip:*", many(MAX_DESTINATIONS + 1)), Err(RouteError::TooManyDestinations));
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let route = Route::new(&format!("sip:{}b", "*a".repeat(100)), "sip:h").unwrap();
        assert!(!route.matches(&format!("sip:{}", "a".repeat(2_000))));
    }

    fn destination(to: &str, group: u8, weight: Option<u16>) -> Destination {
        Destination { group, weight, ..Destination::new(to) }
    }

    #[test]
    fn groups_follow_each_other_whatever_their_numbers() {
        let all =
            vec![destination("sip:c@h", 7, None), destination("sip:a@h", 2, None), destination("sip:b@h", 2, None)];
        let route = Route::to_all("sip:*", all).unwrap().trusted(true);
        let choices = route.choices(Some("x"), &mut Chance::new(1, ""));
        let named: Vec<(&str, u8)> = choices.iter().map(|choice| (&*choice.to, choice.group)).collect();
        assert_eq!(named, [("sip:a@h", 0), ("sip:b@h", 0), ("sip:c@h", 1)]);
        assert!(choices.iter().all(|choice| choice.trusted));
    }

    #[test]
    fn times_stay_with_their_destination() {
        let late = Destination {
            after: Duration::from_secs(5),
            ring_time: Some(Duration::from_secs(9)),
            ..Destination::new("sip:b@h")
        };
        let route = Route::to_all("sip:*", vec![Destination::new("sip:a@h"), late]).unwrap();
        let choices = route.choices(None, &mut Chance::new(1, ""));
        assert_eq!((choices[0].after, choices[0].ring_time), (Duration::ZERO, None));
        assert_eq!((choices[1].after, choices[1].ring_time), (Duration::from_secs(5), Some(Duration::from_secs(9))));
    }

    #[test]
    fn weights_draw_who_is_first_and_the_others_follow_one_by_one() {
        let all = vec![
            destination("sip:last@h", 1, None),
            destination("sip:a@h", 0, Some(6)),
            destination("sip:b@h", 0, Some(3)),
            destination("sip:c@h", 0, None),
        ];
        let route = Route::to_all("sip:*", all).unwrap();
        let mut chance = Chance::new(5, "");
        let mut first = [0; 3];
        for _ in 0..10_000 {
            let choices = route.choices(None, &mut chance);
            let groups: Vec<u8> = choices.iter().map(|choice| choice.group).collect();
            assert_eq!(groups, [0, 1, 2, 3]);
            assert_eq!(choices[3].to, "sip:last@h");
            let which = ["sip:a@h", "sip:b@h", "sip:c@h"].iter().position(|to| choices[0].to == *to);
            first[which.expect("one of them")] += 1;
        }
        for (count, share) in first.into_iter().zip([6_000, 3_000, 1_000]) {
            assert!((share - 200..share + 200).contains(&count), "{first:?}");
        }
    }

    #[test]
    fn a_weight_of_zero_is_first_only_where_nobody_else_is_left() {
        let route =
            Route::to_all("sip:*", vec![destination("sip:a@h", 0, Some(0)), destination("sip:b@h", 0, Some(1))]);
        let (route, mut chance) = (route.unwrap(), Chance::new(5, ""));
        assert!((0..1_000).all(|_| route.choices(None, &mut chance)[0].to == "sip:b@h"));
    }
}
