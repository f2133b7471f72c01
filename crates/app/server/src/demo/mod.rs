//! `hookswitch demo`: a switch, two phones, an application, and a call between them that is heard.
//!
//! Nothing here is special to the demonstration: the switch is the one that `serve` runs, the phones are those of
//! `hookswitch phone`, and the application speaks the Call API over a real WebSocket.

mod application;
mod parties;
mod picture;
mod sockets;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use hookswitch_cli::ladder::Style;
use hookswitch_drive::Switch;
use serde_json::Value;

use crate::config::{Config, Domain, Log, User};
use application::Application;
use parties::{Party, PartySpec};
use picture::Picture;

/// What to show.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Exit after the call, with status 0 only if audio was proven both ways
    #[arg(long)]
    once: bool,
}

/// The domain of the demonstration: what a client that knows nothing would write.
const DOMAIN: &str = "localhost";
/// How long any one step may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What alice sends and bob must hear, in Hz.
const ALICE_HZ: f32 = 440.0;
/// What bob sends and alice must hear, in Hz.
const BOB_HZ: f32 = 700.0;

/// Shows the call; then stays up unless told otherwise.
pub fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    crate::logging::start(&Log { level: "warn".into(), ..Log::default() })?;
    let password = format!("{:016x}", rand::random::<u64>());
    let config = config(&password);
    let picture = Arc::new(Picture::new(Style { colour: std::io::IsTerminal::is_terminal(&std::io::stdout()) }));
    let opened = sockets::open(config, &picture)?;
    let (switch, sip) = (opened.switch, opened.sip);
    let application = switch.addresses().call_api.first().copied().context("the Call API has no address")?;
    picture.switch_at(sip);

    let spec = |user, hz, hears| PartySpec { user, password: password.clone(), server: sip, hz, hears };
    let alice = Party::start(spec("alice", ALICE_HZ, BOB_HZ))?;
    let bob = Party::start(spec("bob", BOB_HZ, ALICE_HZ))?;
    for party in [&alice, &bob] {
        party.wait_registered(PATIENCE)?;
        picture.say(&format!("{} is registered from {}", party.name(), party.address()));
    }
    picture.show_calls([("alice", alice.address()), ("hookswitch", sip), ("bob", bob.address())]);

    let url = format!("ws://{application}/call-api");
    let mut application = Application::connect(&url, Arc::clone(&picture))?;
    let proof = call(&mut application, &alice, &bob, &picture);
    picture.quiet();
    match &proof {
        Ok(()) => println!("\nAudio is proven both ways."),
        Err(error) => println!("\nThe demonstration failed: {error:#}"),
    }
    if args.once || proof.is_err() {
        drop((alice, bob));
        let stopped = switch.stop();
        return Ok(if proof.is_ok() && stopped { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    println!("{}", what_next(&switch, &url, &password));
    stay(&switch)
}

/// Starts the call as any client would, listens, and ends it.
fn call(application: &mut Application, alice: &Party, bob: &Party, picture: &Picture) -> anyhow::Result<()> {
    let address = |user| format!("sip:{user}@{DOMAIN}");
    let start = serde_json::json!({
        "jsonrpc": "2.0", "id": "1", "method": "CallStart",
        "params": { "caller": address("alice"), "callee": address("bob") },
    });
    application.send(&start)?;
    let mut callid = None;
    loop {
        let message = application.next(PATIENCE)?;
        let params = &message["params"];
        match params["event"].as_str().or_else(|| message["result"]["event"].as_str()) {
            Some("TransferStart") => callid = params["data"]["callid"].as_str().map(str::to_owned),
            Some("Error") => bail!("CallStart failed: {}", params["data"]),
            Some("Ended") => break,
            Some(_) => {}
            None => bail!("not an answer to CallStart: {message}"),
        }
    }
    let callid = callid.context("no TransferStart with a callid")?;
    let until = Instant::now() + PATIENCE;
    for party in [alice, bob] {
        let heard = party.wait_heard(until)?;
        picture.say(&format!(
            "{} hears {:.0} Hz at {:.1} dBFS",
            party.name(),
            heard.frequency.unwrap_or_default(),
            heard.level_dbfs
        ));
    }
    let end = serde_json::json!({
        "jsonrpc": "2.0", "id": "2", "method": "CallEnd", "params": { "callid": callid },
    });
    application.send(&end)?;
    loop {
        let message: Value = application.next(PATIENCE)?;
        match message["params"]["event"].as_str() {
            Some("Ended") => break,
            Some("Error") => bail!("CallEnd failed: {}", message["params"]["data"]),
            _ => {}
        }
    }
    for party in [alice, bob] {
        party.wait_hung_up(PATIENCE)?;
    }
    Ok(())
}

fn config(password: &str) -> Config {
    let user =
        |name: &str| (name.to_owned(), User { secret: password.to_owned(), forward: None, limits: None, record: None });
    let mut config = Config::default();
    let users = ["alice", "bob", "carol"].map(user).into();
    config.domains.insert(DOMAIN.to_owned(), Domain { users, ..Domain::default() });
    // So that `hookswitch phone sip:echo@127.0.0.1` needs no password.
    config.sip.trusted = ["127.0.0.0/8", "::1/128"].iter().filter_map(|net| net.parse().ok()).collect();
    config
}

fn what_next(switch: &Switch, url: &str, password: &str) -> String {
    let addresses = switch.addresses();
    let port = addresses.sip.first().map_or(5060, |socket| socket.address.port());
    let http = addresses.http.first().map(ToString::to_string).unwrap_or_default();
    let control = addresses.control.first().map(ToString::to_string).unwrap_or_default();
    let lan = hookswitch_net::interfaces().unwrap_or_default();
    let host = lan
        .iter()
        .find(|interface| interface.default)
        .map_or_else(|| "127.0.0.1".to_owned(), |i| i.address.to_string());
    format!(
        "
The switch stays up; Ctrl-C ends it. Try next:

  Hear yourself, with the SIP ladder as it happens:
    hookswitch phone sip:echo@127.0.0.1:{port} --ladder

  A phone of your own: put this line into ~/.baresip/accounts, start baresip, dial sip:bob@{host}:{port} or sip:echo@{host}:{port}
    <sip:carol@{host}:{port}>;auth_user=carol;auth_pass={password};answermode=auto

  Start a call between any two of alice, bob and carol: connect a WebSocket client to {url} and send
    {{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"CallStart\",\"params\":{{\"caller\":\"sip:alice@{DOMAIN}\",\"callee\":\"sip:bob@{DOMAIN}\"}}}}
  and end it with the callid of its TransferStart:
    {{\"jsonrpc\":\"2.0\",\"id\":\"2\",\"method\":\"CallEnd\",\"params\":{{\"callid\":\"…\"}}}}

  Everything over REST, with a page to try it: http://{control}/v1/docs

  See who is registered, and add a user:
    curl http://{http}/reg/{DOMAIN}
    curl -X PUT -d '{{\"secret\":\"s3cret\"}}' http://{http}/dir/{DOMAIN}/dave
"
    )
}

/// Until somebody ends it.
fn stay(switch: &Switch) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(crate::serve::until_signal(switch))?;
    Ok(ExitCode::SUCCESS)
}
