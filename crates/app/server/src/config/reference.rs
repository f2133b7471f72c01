//! The reference page of the configuration, made from the doc comments of its fields.

use std::fmt::Write as _;

use schemars::schema_for;
use serde_json::Value;

use super::Config;
use super::reload::{Takes, takes};

/// The page as Markdown.
#[must_use]
pub fn reference() -> String {
    let schema = schema_for!(Config).to_value();
    // A configuration is plain data: it always has a JSON form.
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut page = String::from(
        "# Configuration\n\nOne YAML file; every key is optional. It is `--config FILE`, or the first that exists of\n\
         `$HOME/.hookswitch.yml`, `config/hookswitch.yml`, `/etc/hookswitch.yml` and `/etc/hookswitch/hookswitch.yml`.\n\
         An unknown key is an error. `hookswitch check-config` prints the effective configuration;\n\
         [config/hookswitch.example.yml](../config/hookswitch.example.yml) is an example.\n\n\
         This page is made by `hookswitch config-reference`.\n\nThe third column says when a new value takes effect: when the\n\
         file is read again by a running switch ([reload.md](reload.md)), or at the next start.\n\n\
         | key | default | takes | meaning |\n|---|---|---|---|\n",
    );
    rows(&mut page, &schema, &schema, &defaults, "");
    page
}

fn rows(page: &mut String, root: &Value, schema: &Value, defaults: &Value, path: &str) {
    let Some(fields) = schema["properties"].as_object() else { return };
    for (name, field) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let target = resolve(root, field);
        let default = &defaults[name];
        let about = field["description"].as_str().or(target["description"].as_str()).unwrap_or_default();
        let about = about.replace('\n', " ").replace('|', "\\|");
        let is_section = target["properties"].is_object();
        let shown = if is_section || default.is_null() { String::new() } else { format!("`{default}`") };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{path}` | {shown} | {} | {about} |", taken(&path));
        if is_section && default.is_null() {
            // Nothing by default; and when it is there, these.
            rows(page, root, target, &inner_defaults(target), &path);
        } else if is_section {
            rows(page, root, target, default, &path);
        }
        let inner = [(&target["additionalProperties"], "NAME"), (&target["items"], "[]")];
        for (inner, label) in inner {
            let inner = resolve(root, inner);
            if inner["properties"].is_object() {
                rows(page, root, inner, &inner_defaults(inner), &format!("{path}.{label}"));
            }
        }
    }
}

const fn word(takes: Takes) -> &'static str {
    match takes {
        Takes::Reload => "reload",
        Takes::Restart => "restart",
    }
}

/// When the key takes effect; nothing for a section with keys of both kinds.
fn taken(path: &str) -> &'static str {
    takes(path).map_or("", word)
}

fn inner_defaults(schema: &Value) -> Value {
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields.map(|(name, field)| (name.clone(), field["default"].clone())).collect()
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().or_else(|| schema["anyOf"][0]["$ref"].as_str());
    match reference.and_then(|r| r.strip_prefix("#/$defs/")) {
        Some(name) => &root["$defs"][name],
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_key_has_words_and_the_page_is_current() {
        let page = super::reference();
        for row in page.lines().filter(|line| line.starts_with("| `")) {
            assert!(!row.ends_with("|  |"), "no words: {row}");
        }
        assert!(page.contains("`domains.NAME.users.NAME.secret`"), "{page}");
        assert!(page.contains("`routes.[].match`"), "{page}");
        let written = include_str!("../../../../../docs/configuration.md");
        assert_eq!(written, page, "run: hookswitch config-reference > docs/configuration.md");
    }
}
