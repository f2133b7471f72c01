//! `call-api-client`: sends one request to a daemon and follows its command.

use std::net::IpAddr;
use std::process::ExitCode;

use hookswitch_dialect::call_api::STRICT_SUBPROTOCOL;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::args::{ClientArgs, Tool};
use super::follow::{Deadline, End, Request, Show, follow, print};
use super::log::Log;
use super::settings::Settings;
use super::socket::{Socket, Target};
use super::startup::{self, Started};

/// What `-params` is when it is not there.
const NO_PARAMS: &str = "{}";

/// Runs the tool; standard output gets the lines of `-json`.
#[must_use]
pub fn run(args: &ClientArgs) -> ExitCode {
    let Started { settings, log } = match startup::start(args) {
        Ok(started) => started,
        Err(over) => return over,
    };
    let Some(method) = args.method.as_deref().filter(|method| !method.is_empty()) else {
        log.error("no method specified!");
        log.fatal(&format!("Usage: {} jsonrpc_method [jsonrpc_arguments]", ClientArgs::NAME));
        return End::Failed.into();
    };
    if let Some(unread) = args.rest.first() {
        log.warn(&format!("{unread:?} and what follows is not read: flags come first, parameters in -params"));
    }
    let params = args.params.as_deref().map(str::trim).filter(|params| !params.is_empty()).unwrap_or(NO_PARAMS);
    let params = match serde_json::from_str::<Box<RawValue>>(params) {
        Ok(params) => params,
        Err(error) => {
            log.fatal(&format!("failed to parse JSON args: {error}"));
            return End::Failed.into();
        }
    };
    let request = Request {
        method,
        params: params.get(),
        id: Value::from(args.id.as_str()),
        deadline: Deadline::after(args.once.timeout.unwrap_or(settings.client.timeout)),
        json: args.once.json,
        show: Show::Messages,
    };
    let (runtime, mut interrupts) = match startup::runtime() {
        Ok(both) => both,
        Err(error) => {
            log.fatal(&format!("cannot start: {error}"));
            return End::Failed.into();
        }
    };
    runtime.block_on(converse(args, &settings, &request, &log, &mut interrupts)).into()
}

async fn converse(
    args: &ClientArgs,
    settings: &Settings,
    request: &Request<'_>,
    log: &Log,
    interrupts: &mut mpsc::Receiver<()>,
) -> End {
    let target = Target {
        url: url(args, settings),
        token: args.token.clone().or_else(|| settings.client.token.clone()),
        subprotocol: args.strict.then_some(STRICT_SUBPROTOCOL),
    };
    let ca = args.ca.as_deref().or(settings.client.ca.as_deref());
    log.info(&format!("connecting to {}", target.url));
    let dialled = tokio::select! {
        dialled = Socket::dial(&target, ca) => dialled,
        () = request.deadline.passed() => {
            log.fatal(&format!("dial:no answer within {:?}", request.deadline.patience()));
            return End::TimedOut;
        }
        _ = interrupts.recv() => return End::Interrupted,
    };
    let mut socket = match dialled {
        Ok(socket) => socket,
        Err(error) => {
            log.fatal(&format!("dial:{error}"));
            return End::Failed;
        }
    };
    let end = follow(request, &mut socket, log, interrupts, &mut print).await;
    log.info("gracefully closing connection...");
    socket.close().await;
    end
}

/// Where the daemon is: `-url`, or host, port and path, of which flags are stronger than the configuration.
fn url(args: &ClientArgs, settings: &Settings) -> String {
    if let Some(url) = &args.url {
        return url.clone();
    }
    let web = &settings.web;
    let host = args.wshost.as_deref().filter(|host| !host.is_empty()).unwrap_or(&web.host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = match host.parse::<IpAddr>() {
        // Where a daemon listens on every address, a client on the same host finds it here.
        Ok(address) if address.is_unspecified() => "localhost".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    let port = args.wsport.filter(|port| *port != 0).unwrap_or(web.port);
    let scheme = if web.tls.is_some() { "wss" } else { "ws" };
    format!("{scheme}://{host}:{port}{}", web.path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::call_api::settings::{Environment, Places, load};

    fn url_of(file: &str, args: ClientArgs) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call-api.yml");
        std::fs::write(&path, file).unwrap();
        let places = Places { names: &[], explicit: Some(&path), home: None, here: Path::new("") };
        url(&args, &load(places, &Environment::default()).unwrap().settings)
    }

    #[test]
    fn the_daemon_is_where_flags_file_and_defaults_say() {
        let none = ClientArgs::default;
        let host = |host: &str, port| ClientArgs { wshost: Some(host.into()), wsport: port, ..none() };
        assert_eq!(url_of("", none()), "ws://localhost:5059/call-api", "built in, where the original dialled ws://:0");
        let file = "ws_server: { host: 0.0.0.0, port: 6000, http_path: /x, tls: { certificate: a, key: b } }";
        assert_eq!(url_of(file, none()), "wss://localhost:6000/x");
        assert_eq!(url_of("ws_server: { host: '::' }", none()), "ws://localhost:5059/call-api");
        assert_eq!(url_of(file, host("a.test", Some(7))), "wss://a.test:7/x");
        assert_eq!(url_of("", host("::1", None)), "ws://[::1]:5059/call-api");
        assert_eq!(url_of("", host("[::1]", Some(0))), "ws://[::1]:5059/call-api");
        assert_eq!(url_of(file, ClientArgs { url: Some("ws://b/y".into()), ..none() }), "ws://b/y");
    }
}
