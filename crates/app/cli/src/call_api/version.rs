//! What `-v` says.

/// `v0.1.0`, with the commit and the time of the build if whoever built it said so in `HOOKSWITCH_COMMIT` and
/// `HOOKSWITCH_BUILD_TIME`: `v0.1.0-98b62861af3d@20260101000000`.
#[must_use]
pub fn version() -> String {
    written(env!("CARGO_PKG_VERSION"), option_env!("HOOKSWITCH_COMMIT"), option_env!("HOOKSWITCH_BUILD_TIME"))
}

fn written(version: &str, commit: Option<&str>, built: Option<&str>) -> String {
    let commit = commit.filter(|commit| !commit.is_empty()).map(|commit| commit.get(..12).unwrap_or(commit));
    let built = built.filter(|built| !built.is_empty());
    let part = |mark: char, text: Option<&str>| text.map(|text| format!("{mark}{text}")).unwrap_or_default();
    format!("v{version}{}{}", part('-', commit), part('@', built))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_as_is_known() {
        assert_eq!(written("0.1.0", None, Some("")), "v0.1.0");
        assert_eq!(
            written("0.1.0", Some("98b62861af3d11112222"), Some("20260101000000")),
            "v0.1.0-98b62861af3d@20260101000000"
        );
        assert!(version().starts_with("v0."));
    }
}
