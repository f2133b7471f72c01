//! `mi.url` and `mi.transport`: the original's `host:port`, and addresses that name their transport.

use super::SettingsError;

/// Transports, with what begins an address of theirs.
const SCHEMES: [(&str, &str); 4] = [("udp", "udp:"), ("unix", "unix:"), ("http", "http://"), ("https", "https://")];

/// Path of `mi_http` unless told otherwise.
const HTTP_PATH: &str = "/mi";

/// Whether an address says how it is reached.
pub fn has_scheme(url: &str) -> bool {
    url.starts_with('/') || SCHEMES.iter().any(|(_, scheme)| url.starts_with(scheme))
}

/// The address in full: `udp:HOST:PORT`, `unix:/PATH`, `http://…` or `https://…`.
pub fn resolve(url: &str, transport: Option<&str>) -> Result<String, SettingsError> {
    let transport = transport.map(str::to_ascii_lowercase);
    let transport = transport.as_deref();
    if let Some(unknown) = transport.filter(|name| SCHEMES.iter().all(|(known, _)| known != name)) {
        return Err(SettingsError::value("mi.transport", format!("`{unknown}` is none of udp, unix, http, https")));
    }
    let written = match url {
        path if path.starts_with('/') => Some("unix"),
        _ => SCHEMES.iter().find(|(_, scheme)| url.starts_with(scheme)).map(|(name, _)| *name),
    };
    if let (Some(written), Some(told)) = (written, transport)
        && written != told
    {
        let why = format!("`{told}` does not fit mi.url, which is {written}");
        return Err(SettingsError::value("mi.transport", why));
    }
    let name = written.or(transport).unwrap_or("udp");
    let scheme = SCHEMES.iter().find(|(known, _)| *known == name).map_or("udp:", |(_, scheme)| scheme);
    let rest = url.strip_prefix(scheme).unwrap_or(url);
    match name {
        "unix" if rest.starts_with('/') => Ok(format!("unix:{rest}")),
        "unix" => Err(SettingsError::value("mi.url", format!("`{url}`: a UNIX socket is an absolute path"))),
        "udp" => host_and_port(rest).map(|()| format!("udp:{rest}")),
        _ => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            if host.is_empty() {
                return Err(SettingsError::value("mi.url", "a host is missing"));
            }
            let path = if matches!(path, "" | "/") { HTTP_PATH } else { path };
            Ok(format!("{scheme}{authority}{path}"))
        }
    }
}

/// The original said the same of an address that it could not use.
fn host_and_port(text: &str) -> Result<(), SettingsError> {
    // A password that was written in a wrong place must not reach a log.
    let shown = text.rsplit_once('@').map_or(text, |(_, place)| place);
    let bad = |why: &str| SettingsError::value("mi.url", format!("address {shown}: {why}"));
    let Some((host, port)) = text.rsplit_once(':') else { return Err(bad("missing port in address")) };
    if host.is_empty() || (host.contains(':') && !(host.starts_with('[') && host.ends_with(']'))) {
        return Err(bad("write HOST:PORT, an IPv6 address in brackets"));
    }
    port.parse::<u16>().map(drop).map_err(|_| bad("the port is no number up to 65535"))
}

/// The address without its password, for eyes.
pub fn shown(mi: &str) -> String {
    let Some((scheme, rest)) = mi.split_once("://") else { return mi.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some(_) => format!("{scheme}://…@{}", rest[..end].rsplit('@').next().unwrap_or_default()) + &rest[end..],
        None => mi.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_transport() {
        for (url, transport, expected) in [
            ("127.0.0.1:8080", None, "udp:127.0.0.1:8080"),
            ("proxy.example.test:8080", Some("UDP"), "udp:proxy.example.test:8080"),
            ("/run/opensips/mi.sock", None, "unix:/run/opensips/mi.sock"),
            ("unix:/run/mi", Some("unix"), "unix:/run/mi"),
            ("127.0.0.1:8888", Some("http"), "http://127.0.0.1:8888/mi"),
            ("https://user:pw@proxy.example.test/json", None, "https://user:pw@proxy.example.test/json"),
            ("http://[::1]:8888/", None, "http://[::1]:8888/mi"),
        ] {
            assert_eq!(resolve(url, transport).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn what_makes_no_sense_names_its_key() {
        for (url, transport, expected) in [
            ("127.0.0.1", None, "mi.url: address 127.0.0.1: missing port in address"),
            ("::1:8080", None, "mi.url: address ::1:8080: write HOST:PORT"),
            ("a:b", None, "mi.url: address a:b: the port"),
            ("joe:secret@a:1", None, "mi.url: address a:1: write HOST:PORT"),
            ("a:1", Some("fifo"), "mi.transport: `fifo` is none of"),
            ("udp:a:1", Some("http"), "mi.transport: `http` does not fit"),
            ("mi.sock", Some("unix"), "mi.url: `mi.sock`: a UNIX socket"),
            ("http://", None, "mi.url: a host is missing"),
        ] {
            let error = resolve(url, transport).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{url}: {error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("http://user:p@w@h:1/mi"), "http://…@h:1/mi");
        assert_eq!(shown("http://h:1/mi"), "http://h:1/mi");
        assert_eq!(shown("udp:h:1"), "udp:h:1");
    }
}
