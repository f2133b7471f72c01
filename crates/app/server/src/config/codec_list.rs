//! Codecs by name: as a list, or in one text as other switches write them, `pcmu pcma 2833`.

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    List(Vec<String>),
    Text(String),
}

/// The names, in their order. Those of a text are separated by spaces or commas.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Written::deserialize(deserializer)? {
        Written::List(names) => names,
        Written::Text(text) => {
            let names = text.split([' ', ',', '\t']).filter(|name| !name.is_empty());
            names.map(String::from).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_text_is_as_good_as_a_list() {
        let media = |text: &str| Config::parse("t", &format!("media: {{ codecs: {text} }}")).unwrap().media.codecs;
        let wanted = ["pcmu", "pcma", "2833"];
        assert_eq!(media("[pcmu, pcma, '2833']"), wanted);
        assert_eq!(media("pcmu pcma 2833"), wanted);
        assert_eq!(media("'pcmu, pcma,2833 '"), wanted);
        let domain = Config::parse("t", "domains: { a: { codecs: g722 2833 } }").unwrap();
        assert_eq!(domain.domains["a"].codecs, ["g722", "2833"]);
        assert!(Config::parse("t", "media: { codecs: { a: b } }").is_err());
    }
}
