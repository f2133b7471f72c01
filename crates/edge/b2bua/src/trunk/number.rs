//! Rules that make one number of another.

use std::fmt;

use compact_str::CompactString;

/// Longest number, in bytes. A rule that would make a longer one does not apply.
pub const MAX_NUMBER: usize = 128;

/// Longest pattern or replacement, in bytes.
pub const MAX_PATTERN: usize = 128;

/// One rule: a number that matches the pattern becomes the replacement. One `*` in the pattern stands for any run of
/// characters, and one in the replacement for what that was; `\*` is the key of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRule {
    from: Mask,
    to: Mask,
    text: CompactString,
}

/// Text with a gap, or without.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mask {
    head: CompactString,
    /// What follows the gap, if there is one.
    tail: Option<CompactString>,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberRuleError {
    /// Two stars.
    #[error("{0:?} has more than one `*`; the key of that name is `\\*`")]
    TwoStars(CompactString),
    /// A replacement with a star for a pattern without.
    #[error("{0:?} has a `*` and its pattern has none")]
    NoStar(CompactString),
    /// Longer than [`MAX_PATTERN`].
    #[error("longer than {MAX_PATTERN} bytes")]
    TooLong,
    /// A character that no number has.
    #[error("{0:?} has a space or a control character")]
    Character(CompactString),
}

impl NumberRule {
    /// A rule from a pattern to a replacement.
    ///
    /// # Errors
    /// See [`NumberRuleError`].
    pub fn new(pattern: &str, to: &str) -> Result<Self, NumberRuleError> {
        let text = [pattern, " -> ", to].concat().into();
        let (from, into) = (Mask::new(pattern)?, Mask::new(to)?);
        if into.tail.is_some() && from.tail.is_none() {
            return Err(NumberRuleError::NoStar(to.into()));
        }
        Ok(Self { from, to: into, text })
    }

    /// What the number becomes, if the rule applies.
    #[must_use]
    pub fn apply(&self, number: &str) -> Option<CompactString> {
        let rest = number.strip_prefix(self.from.head.as_str())?;
        let run = match &self.from.tail {
            Some(tail) => rest.strip_suffix(tail.as_str())?,
            None if rest.is_empty() => "",
            None => return None,
        };
        let mut made = self.to.head.clone();
        if let Some(tail) = &self.to.tail {
            made.push_str(run);
            made.push_str(tail);
        }
        (made.len() <= MAX_NUMBER).then_some(made)
    }
}

impl fmt::Display for NumberRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Mask {
    fn new(text: &str) -> Result<Self, NumberRuleError> {
        if text.len() > MAX_PATTERN {
            return Err(NumberRuleError::TooLong);
        }
        if text.chars().any(|char| char.is_whitespace() || char.is_control()) {
            return Err(NumberRuleError::Character(text.into()));
        }
        let (mut head, mut tail) = (CompactString::default(), None);
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let literal = match char {
                '\\' if chars.peek() == Some(&'*') => chars.next(),
                '*' if tail.is_some() => return Err(NumberRuleError::TwoStars(text.into())),
                '*' => {
                    tail = Some(CompactString::default());
                    None
                }
                other => Some(other),
            };
            tail.as_mut().unwrap_or(&mut head).extend(literal);
        }
        Ok(Self { head, tail })
    }
}

/// What a number becomes by the first rule that applies, and which rule that is.
pub(crate) fn rewrite<'r>(rules: &'r [NumberRule], number: &str) -> (CompactString, Option<&'r NumberRule>) {
    let made = rules.iter().find_map(|rule| Some((rule.apply(number)?, Some(rule))));
    made.unwrap_or_else(|| (number.into(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(pattern: &str, to: &str, number: &str) -> Option<String> {
        NumberRule::new(pattern, to).unwrap().apply(number).map(Into::into)
    }

    #[test]
    fn a_star_keeps_what_it_stands_for() {
        for (pattern, to, number, expected) in [
            ("00*", "+*", "0049301234", Some("+49301234")),
            ("0*", "+49*", "0301234", Some("+49301234")),
            ("0*", "+49*", "1234", None),
            ("*", "9*", "", Some("9")),
            ("*#", "*", "12#", Some("12")),
            ("1*9", "<*>", "1009", Some("<00>")),
            ("11*11", "*", "111", None),
            ("112", "+49112", "112", Some("+49112")),
            ("112", "+49112", "1123", None),
            ("9*", "operator", "91", Some("operator")),
            (r"\*31#*", "*", "*31#5", Some("5")),
            (r"5*", r"\*5*", "51", Some("*51")),
        ] {
            assert_eq!(made(pattern, to, number).as_deref(), expected, "{pattern} {to} {number}");
        }
    }

    #[test]
    fn the_first_rule_that_applies_counts() {
        let rules = [("00*", "+*"), ("0*", "+49*"), ("*", "+4930*")].map(|(a, b)| NumberRule::new(a, b).unwrap());
        for (number, expected) in [("0044", "+44"), ("089", "+4989"), ("55", "+493055")] {
            assert_eq!(rewrite(&rules, number).0, expected);
        }
        assert_eq!(rewrite(&rules[..2], "55"), ("55".into(), None));
        assert_eq!(rules[1].to_string(), "0* -> +49*");
    }

    #[test]
    fn a_rule_that_says_nothing_clear_is_refused() {
        assert!(matches!(NumberRule::new("1*2*", "*"), Err(NumberRuleError::TwoStars(_))));
        assert!(matches!(NumberRule::new("1*", "**"), Err(NumberRuleError::TwoStars(_))));
        assert!(matches!(NumberRule::new("12", "*"), Err(NumberRuleError::NoStar(_))));
        assert!(matches!(NumberRule::new("1 2", "3"), Err(NumberRuleError::Character(_))));
        assert!(matches!(NumberRule::new("1", "3\r\nX: y"), Err(NumberRuleError::Character(_))));
        assert!(NumberRule::new(&"1".repeat(MAX_PATTERN), "3").is_ok());
        assert_eq!(NumberRule::new(&"1".repeat(MAX_PATTERN + 1), "3"), Err(NumberRuleError::TooLong));
    }

    #[test]
    fn a_number_does_not_grow_without_end() {
        assert!(made("*", "+*", &"1".repeat(MAX_NUMBER - 1)).is_some());
        assert_eq!(made("*", "+*", &"1".repeat(MAX_NUMBER)), None);
    }
}
