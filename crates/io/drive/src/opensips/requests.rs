//! Requests of applications as log lines, for operators who are used to them.

use serde_json::Value;

/// Logs one request: all of it if people may be named, else its method and id.
pub(super) fn log(text: &str, people_too: bool) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    if people_too {
        return tracing::info!("recv: {text}");
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(request)) => {
            let of = |name| request.get(name).unwrap_or(&Value::Null);
            tracing::info!("recv: {{\"id\":{},\"method\":{}}}", of("id"), of("method"));
        }
        _ => tracing::info!("recv: {} bytes that are no request", text.len()),
    }
}
