//! What `/metrics` says: numbers by name, in the text format of OpenMetrics.

use std::collections::BTreeMap;

/// Numbers of one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Reads the text. What is no number is left out: a newer switch may say more than is known here.
    pub(super) fn parse(text: &str) -> Self {
        let mut figures = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Some(name) = name.strip_prefix("hookswitch_") else { continue };
            if let Ok(value) = value.parse() {
                figures.insert(name.to_owned(), value);
            }
        }
        Self(figures)
    }

    /// All of one name together, whatever labels they have. None where there is none.
    pub(super) fn sum(&self, name: &str) -> Option<f64> {
        let of = |(key, value): (&String, &f64)| (key.split('{').next() == Some(name)).then_some(*value);
        self.0.iter().filter_map(of).reduce(|all, one| all + one)
    }

    /// All of one name with this label.
    pub(super) fn labelled(&self, name: &str, label: &str, value: &str) -> Option<f64> {
        let wanted = format!("{label}=\"{value}\"");
        let has = |key: &str| {
            let (own, labels) = key.split_once('{')?;
            let mut labels = labels.strip_suffix('}')?.split(',');
            (own == name && labels.any(|label| label == wanted)).then_some(())
        };
        let of = |(key, value): (&String, &f64)| has(key).map(|()| *value);
        self.0.iter().filter_map(of).reduce(|all, one| all + one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_name_are_added_whatever_their_labels() {
        let text = "# TYPE hookswitch_calls gauge\nhookswitch_calls{carrier=\"sip\"} 2\nhookswitch_calls{carrier=\"opensips\"} 3\n\
                    hookswitch_calls_ended_total{carrier=\"sip\"} 7\nhookswitch_odd nothing\nother 4\n# EOF\n";
        let figures = Figures::parse(text);
        assert_eq!(figures.sum("calls"), Some(5.0));
        assert_eq!(figures.labelled("calls", "carrier", "opensips"), Some(3.0));
        assert_eq!(figures.labelled("calls", "carrier", "other"), None);
        assert_eq!(figures.sum("calls_ended_total"), Some(7.0));
        assert_eq!((figures.sum("odd"), figures.sum("other")), (None, None));
    }
}
