//! Secrets that the configuration names and does not hold.

/// The secret that `env:NAME` or `file:PATH` leads to, without the white space around it; none where the text is
/// neither.
///
/// # Errors
/// There is no such variable or file, or no text in it. Nothing that stands in there is in the error.
pub(super) fn named(text: &str) -> Result<Option<String>, String> {
    let secret = match text.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).map_err(|_| format!("there is no variable `{name}`, or no text in it"))?
        }
        Some(("file", path)) => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
        _ => return Ok(None),
    };
    Ok(Some(secret.trim().to_owned()))
}
