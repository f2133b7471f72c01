//! What the environment may say instead of the file: for containers, where there is no file.

use std::collections::BTreeMap;

use super::SettingsError;
use super::written::Written;

/// Every variable that is read.
pub const VARIABLES: [&str; 11] = [
    "CALL_API_HOST",
    "CALL_API_PORT",
    "CALL_API_PATH",
    "CALL_API_MI",
    "CALL_API_EVI",
    "CALL_API_EVI_ADVERTISE",
    "CALL_API_COMPAT",
    "CALL_API_HTTP",
    "CALL_API_LOG",
    "CALL_API_LOG_PII",
    "CALL_API_TOKEN",
];

/// The variables that are set; an empty one counts as not set.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of(VARIABLES.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?))))
    }

    /// One of these.
    pub fn of(variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self(variables.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Puts it over what a file says.
    ///
    /// # Errors
    /// A value cannot be used; names the variable.
    pub(super) fn overlay(&self, written: &mut Written) -> Result<(), SettingsError> {
        for (name, value) in &self.0 {
            let value = value.clone();
            let web = written.ws_server.get_or_insert_default();
            match *name {
                "CALL_API_HOST" => web.host = Some(value),
                "CALL_API_PORT" => {
                    let bad = |_| SettingsError::value("CALL_API_PORT", format!("`{value}` is no port"));
                    web.port = Some(value.parse().map_err(bad)?);
                }
                "CALL_API_PATH" => web.http_path = Some(value),
                "CALL_API_COMPAT" => web.compat = Some(value),
                "CALL_API_MI" => {
                    let mi = written.mi.get_or_insert_default();
                    // The transport belongs to the address that is replaced, unless the new one leaves it open.
                    if super::mi_address::has_scheme(&value) {
                        mi.transport = None;
                    }
                    mi.url = Some(value);
                }
                "CALL_API_EVI" => written.evi.get_or_insert_default().listen = Some(value),
                "CALL_API_EVI_ADVERTISE" => written.evi.get_or_insert_default().advertise = Some(value),
                "CALL_API_HTTP" => written.http.get_or_insert_default().listen = Some(value),
                "CALL_API_TOKEN" => written.client.get_or_insert_default().token = Some(value),
                "CALL_API_LOG" => written.log.get_or_insert_default().level = Some(value),
                "CALL_API_LOG_PII" => {
                    let bad = |_| SettingsError::value("CALL_API_LOG_PII", format!("`{value}` is not true or false"));
                    written.log.get_or_insert_default().pii = Some(value.parse().map_err(bad)?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_dialect::call_api::Mode;

    use super::super::meaning;
    use super::*;
    use crate::call_api::log::Level;
    use crate::call_api::settings::Settings;

    fn settings(variables: &[(&'static str, &str)]) -> Result<Settings, SettingsError> {
        let mut written: Written = serde_saphyr::from_str(
            "ws_server: { host: here, port: 1 }\nmi: { url: '127.0.0.1:1', transport: http }\nlog: { level: ERROR }\n",
        )
        .unwrap();
        Environment::of(variables.iter().map(|(name, value)| (*name, (*value).to_owned()))).overlay(&mut written)?;
        meaning::settings(written)
    }

    #[test]
    fn every_variable_is_stronger_than_the_file_and_empty_ones_are_none() {
        let set = settings(&[
            ("CALL_API_HOST", "0.0.0.0"),
            ("CALL_API_PORT", "6000"),
            ("CALL_API_PATH", "/x"),
            ("CALL_API_MI", "udp:192.0.2.1:8080"),
            ("CALL_API_EVI", "tcp:127.0.0.1:0"),
            ("CALL_API_EVI_ADVERTISE", "tcp:192.0.2.9:5071"),
            ("CALL_API_COMPAT", "strict"),
            ("CALL_API_HTTP", "127.0.0.1:9001"),
            ("CALL_API_LOG", "debug"),
            ("CALL_API_LOG_PII", "true"),
            ("CALL_API_TOKEN", "s3cret"),
        ]);
        let set = set.unwrap();
        assert_eq!((set.web.host.as_str(), set.web.port, set.web.path.as_str()), ("0.0.0.0", 6_000, "/x"));
        assert_eq!((set.mi.as_str(), set.web.mode), ("udp:192.0.2.1:8080", Mode::Strict));
        assert_eq!(set.events.as_deref(), Some("tcp:127.0.0.1:0"));
        assert_eq!(set.advertise.as_deref(), Some("tcp:192.0.2.9:5071"));
        assert_eq!((set.http.as_deref(), set.client.token.as_deref()), (Some("127.0.0.1:9001"), Some("s3cret")));
        assert_eq!((set.log.level, set.log.pii), (Level::Debug, true));
        let set = settings(&[("CALL_API_MI", "udp:192.0.2.1:8080"), ("CALL_API_LOG", "debug")]).unwrap();
        assert_eq!((set.mi.as_str(), set.web.host.as_str()), ("udp:192.0.2.1:8080", "here"));
        let set = settings(&[("CALL_API_HOST", ""), ("CALL_API_MI", "[::1]:7"), ("CALL_API_TOKEN", "s3cret")]).unwrap();
        assert_eq!((set.mi.as_str(), set.web.host.as_str()), ("http://[::1]:7/mi", "here"));
        assert_eq!(set.client.token.as_deref(), Some("s3cret"));
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        for (name, value) in [("CALL_API_PORT", "many"), ("CALL_API_LOG_PII", "maybe")] {
            assert!(settings(&[(name, value)]).unwrap_err().to_string().starts_with(name));
        }
    }
}
