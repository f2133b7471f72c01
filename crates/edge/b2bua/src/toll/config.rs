//! What classes of cost there are, and what may be called.

use ahash::{AHashMap, AHashSet};
use compact_str::CompactString;
use hookswitch_call::directory::TollLimits;

use crate::trunk::{MAX_NUMBER, NumberRule, rewrite};

/// Most classes of cost.
pub const MAX_TOLL_CLASSES: usize = 100;
/// Most beginnings of numbers, over all classes.
pub const MAX_TOLL_NUMBERS: usize = 20_000;

/// Limits of calls that leave the switch, by what they cost. None by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TollConfig {
    /// Numbers that anybody may call at any time, as they are dialled.
    pub emergency: Vec<CompactString>,
    /// What becomes of a dialled number before it is compared with those of classes: the first rule that matches.
    pub called: Vec<NumberRule>,
    /// The classes.
    pub classes: Vec<TollClass>,
    /// How far the clock by which hours are meant is ahead of UTC, in minutes.
    pub utc_offset: i16,
}

/// A class of cost, and how much of it everybody may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TollClass {
    /// Its name.
    pub name: CompactString,
    /// How its numbers begin; the longest of all classes wins. The empty one is for every other number.
    pub numbers: Vec<CompactString>,
    /// For each user who has no limits of its own.
    pub users: TollLimits,
    /// For each trunk that calls from outside and calls out again.
    pub trunks: TollLimits,
    /// For each address that users or trusted networks call from.
    pub sources: TollLimits,
}

/// What cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TollError {
    /// More than [`MAX_TOLL_CLASSES`].
    #[error("more than {MAX_TOLL_CLASSES} classes")]
    Classes,
    /// More than [`MAX_TOLL_NUMBERS`].
    #[error("more than {MAX_TOLL_NUMBERS} numbers in all classes")]
    Numbers,
    /// The same beginning stands in two classes.
    #[error("{0:?} belongs to another class already")]
    Twice(CompactString),
    /// It is never the beginning of a number, or too long for one.
    #[error("{0:?} is not the beginning of a number: digits, `+`, `*` and `#`")]
    Number(CompactString),
}

/// Which class a number belongs to.
#[derive(Default)]
pub(crate) struct Classes {
    by_start: AHashMap<CompactString, u8>,
    emergency: AHashSet<CompactString>,
    longest: usize,
}

impl Classes {
    pub fn new(config: &TollConfig) -> Self {
        let mut classes =
            Self { emergency: config.emergency.iter().map(|number| plain(number)).collect(), ..Self::default() };
        for (class, index) in config.classes.iter().zip(0..) {
            for number in &class.numbers {
                classes.longest = classes.longest.max(number.len());
                classes.by_start.insert(number.clone(), index);
            }
        }
        classes
    }

    pub fn is_emergency(&self, number: &str) -> bool {
        self.emergency.contains(number)
    }

    /// The class of the longest beginning that the number has, and that beginning.
    pub fn of(&self, number: &str) -> Option<(u8, &str)> {
        let longest = self.longest.min(number.len());
        let starts = (0..=longest).rev().filter_map(|len| number.get(..len));
        starts.into_iter().find_map(|start| {
            let (start, class) = self.by_start.get_key_value(start)?;
            Some((*class, start.as_str()))
        })
    }
}

/// Looks over the classes before they are used.
///
/// # Errors
/// The place of the class and what is wrong with it: [`TollError`].
pub fn check_toll(config: &TollConfig) -> Result<(), (usize, TollError)> {
    if config.classes.len() > MAX_TOLL_CLASSES {
        return Err((MAX_TOLL_CLASSES, TollError::Classes));
    }
    let mut seen: AHashSet<&str> = AHashSet::new();
    for (place, class) in config.classes.iter().enumerate() {
        for number in &class.numbers {
            if number.len() > MAX_NUMBER || !number.bytes().all(is_dialled) {
                return Err((place, TollError::Number(number.clone())));
            }
            if !seen.insert(number) {
                return Err((place, TollError::Twice(number.clone())));
            }
        }
        if seen.len() > MAX_TOLL_NUMBERS {
            return Err((place, TollError::Numbers));
        }
    }
    Ok(())
}

fn is_dialled(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+*#".contains(&byte)
}

/// The number that is dialled: what only separates (RFC 3966 section 5.1.1), or follows it as a parameter, is no part of
/// it, or whoever writes `+8-81` would call another class.
pub(crate) fn plain(number: &str) -> CompactString {
    let number = number.split(';').next().unwrap_or_default();
    number.chars().filter(|char| !char.is_whitespace() && !matches!(char, '-' | '.' | '(' | ')' | '/')).collect()
}

/// The number as the classes know it.
pub(crate) fn comparable(rules: &[NumberRule], number: &str) -> CompactString {
    rewrite(rules, &plain(number)).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, numbers: &[&str]) -> TollClass {
        TollClass { name: name.into(), numbers: numbers.iter().map(|n| (*n).into()).collect(), ..TollClass::default() }
    }

    #[test]
    fn the_longest_beginning_of_all_classes_wins() {
        let config = TollConfig {
            classes: vec![class("abroad", &["+"]), class("home", &["+49"]), class("premium", &["+49900", "+881"])],
            ..TollConfig::default()
        };
        let classes = Classes::new(&config);
        for (number, expected) in [
            ("+4930123", Some((1, "+49"))),
            ("+49900123", Some((2, "+49900"))),
            ("+88", Some((0, "+"))),
            ("+881", Some((2, "+881"))),
            ("030", None),
            ("", None),
            ("+4ü", Some((0, "+"))),
        ] {
            assert_eq!(classes.of(number), expected, "{number}");
        }
        let other = TollConfig { classes: vec![class("home", &["0"]), class("other", &[""])], ..TollConfig::default() };
        let classes = Classes::new(&other);
        assert_eq!((classes.of("012"), classes.of("7")), (Some((0, "0")), Some((1, ""))));
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        let rules = [NumberRule::new("00*", "+*").unwrap(), NumberRule::new("0*", "+49*").unwrap()];
        for (dialled, expected) in [
            ("0088 1-234", "+881234"),
            ("+8(8)1.234;phone-context=x", "+881234"),
            ("030/123", "+4930123"),
            ("112", "112"),
        ] {
            assert_eq!(comparable(&rules, dialled), expected);
        }
    }

    #[test]
    fn what_cannot_be_a_class_is_told() {
        let check = |classes: Vec<TollClass>| check_toll(&TollConfig { classes, ..TollConfig::default() });
        assert_eq!(check(vec![class("a", &["+49", ""]), class("b", &["0900"])]), Ok(()));
        assert_eq!(check(vec![class("a", &["1"]), class("b", &["1"])]), Err((1, TollError::Twice("1".into()))));
        assert_eq!(check(vec![class("a", &["+49-1"])]), Err((0, TollError::Number("+49-1".into()))));
        let many: Vec<CompactString> = (0..=MAX_TOLL_NUMBERS).map(|n| compact_str::format_compact!("{n}")).collect();
        let many = TollClass { numbers: many, ..TollClass::default() };
        assert_eq!(check(vec![many]), Err((0, TollError::Numbers)));
        assert_eq!(
            check(vec![TollClass::default(); MAX_TOLL_CLASSES + 1]),
            Err((MAX_TOLL_CLASSES, TollError::Classes))
        );
    }
}
