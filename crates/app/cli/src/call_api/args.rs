//! The flags of the three tools, each in one structure: help, completions and man pages are made from them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::error::ErrorKind;
use clap::{Args, Parser};
use hookswitch_dialect::call_api::{COMMANDS, Mode};

use super::front;
use super::go_flags;
use super::log::Level;
use super::settings::{Settings, SettingsError};
use super::span;

/// What the man pages say about how flags are written.
const FLAGS: &str = "Flags come first and take one dash or two: -config FILE, --config FILE, -config=FILE.";

/// Where files are looked for and what the environment may say.
const FILES: &str = "\
Configuration: -config FILE, else the first of $HOME/.TOOL.yml, config/TOOL.yml, /etc/TOOL.yml and
/etc/call-api/TOOL.yml, else the defaults. These variables are stronger than the file: CALL_API_HOST,
CALL_API_PORT, CALL_API_PATH, CALL_API_MI, CALL_API_EVI, CALL_API_EVI_ADVERTISE, CALL_API_COMPAT,
CALL_API_HTTP, CALL_API_LOG, CALL_API_LOG_PII and, for the client, CALL_API_TOKEN.";

/// The flags that all three have.
#[derive(Args, Clone, Debug, Default)]
pub struct CommonArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the version and exit
    #[arg(short = 'v', long)]
    pub version: bool,
    /// Read the configuration, print what would be used, and exit
    #[arg(long)]
    pub check_config: bool,
}

/// The flags of the two tools that run one command.
#[derive(Args, Clone, Debug, Default)]
pub struct OnceArgs {
    /// Print every message as one JSON object per line on standard output
    #[arg(long)]
    pub json: bool,
    /// Give up after this long: seconds, or with a unit (1500ms, 30s, 5m); 0 waits for ever
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    pub timeout: Option<Duration>,
}

/// Call API daemon: commands over WebSocket, carried out by OpenSIPS
///
/// Listens for JSON-RPC 2.0 on ws://localhost:5059/call-api and drives OpenSIPS over its Management Interface (MI) and
/// Event Interface (EVI). SIGTERM or SIGINT drains it: no new commands, those that run go on until they end or
/// timeouts.drain is over; a second one stops it at once. SIGHUP reads the certificate anew and reopens the log file.
#[derive(Parser, Clone, Debug, Default)]
#[command(
    name = "call-api",
    disable_version_flag = true,
    after_help = "\
Examples:
  call-api -config /etc/call-api/call-api.yml
  CALL_API_HOST=0.0.0.0 CALL_API_MI=udp:192.0.2.5:8080 call-api
  call-api -check-config

Then, elsewhere:
  call-api-client -method Echo -params '{\"hello\": \"world\"}'"
)]
pub struct ApiArgs {
    #[expect(missing_docs)]
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Run one command of the Call API without a daemon
///
/// Speaks with OpenSIPS itself, prints how the command goes on, and ends with it: exit status 0 only when the command
/// succeeded, 1 when it failed, 3 after -timeout. SIGINT ends a CallStart that runs.
#[derive(Parser, Clone, Debug, Default)]
#[command(
    name = "call-cmd",
    disable_version_flag = true,
    after_help = "\
Examples:
  call-cmd CallStart caller=sip:alice@example.test callee=sip:bob@example.test
  call-cmd CallHold callid=b8179f1e-b4e4-4ac7-9990-4bf64f084178
  call-cmd CallBlindTransfer callid=CALLID leg=callee destination=sip:carol@example.test
  call-cmd CallEnd callid=CALLID
  call-cmd -json -timeout 90s CallStart caller=sip:alice@example.test callee=sip:bob@example.test | jq .params.event

Commands: CallStart, CallEnd, CallHold, CallUnhold, CallBlindTransfer, CallAttendedTransfer, Echo.
What they take and say: docs/dialects/call-api.md."
)]
pub struct CmdArgs {
    #[expect(missing_docs)]
    #[command(flatten)]
    pub common: CommonArgs,
    #[expect(missing_docs)]
    #[command(flatten)]
    pub once: OnceArgs,
    /// What to do
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
    /// Its parameters
    #[arg(value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
}

/// Send one command to a Call API daemon and follow it
///
/// Connects over WebSocket, sends one JSON-RPC request, prints what comes, and ends with the command: exit status 0
/// only when it succeeded, 1 when it failed or was refused, 3 after -timeout. SIGINT ends a CallStart that runs.
#[derive(Parser, Clone, Debug, Default)]
#[command(
    name = "call-api-client",
    disable_version_flag = true,
    after_help = "\
Examples:
  call-api-client -method CallStart -params '{\"caller\": \"sip:alice@example.test\", \"callee\": \"sip:bob@example.test\"}'
  call-api-client -method CallEnd -params '{\"callid\": \"CALLID\"}'
  call-api-client -wshost switch.example.test -wsport 5059 -method Echo
  CALL_API_TOKEN=SECRET call-api-client -url wss://switch.example.test/call-api -method Echo
  call-api-client -json -timeout 90s -method CallHold -params '{\"callid\": \"CALLID\"}' | jq .params.event

Methods and their parameters: docs/dialects/call-api.md."
)]
pub struct ClientArgs {
    #[expect(missing_docs)]
    #[command(flatten)]
    pub common: CommonArgs,
    #[expect(missing_docs)]
    #[command(flatten)]
    pub once: OnceArgs,
    /// JSON-RPC method
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// JSON-RPC parameters; {} without this flag
    #[arg(long, value_name = "JSON")]
    pub params: Option<String>,
    /// JSON-RPC id
    #[arg(long, value_name = "ID", default_value = "")]
    pub id: String,
    /// Host of the daemon, instead of ws_server.host
    #[arg(long, value_name = "HOST")]
    pub wshost: Option<String>,
    /// Port of the daemon, instead of ws_server.port
    #[arg(long, value_name = "PORT")]
    pub wsport: Option<u16>,
    /// Whole address of the daemon, ws://… or wss://…, instead of host, port and path
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Bearer token. Better in CALL_API_TOKEN or client.token: a command line can be read by others
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Certificates to trust with wss beside those of the system, in PEM
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Ask for strict JSON-RPC 2.0 (subprotocol call-api.strict)
    #[arg(long)]
    pub strict: bool,
    /// What stands behind the flags, which is nothing that is read
    #[arg(hide = true)]
    pub rest: Vec<String>,
}

/// What one of the tools is told on its command line.
pub trait Tool: Parser {
    /// Its name, after which its configuration file is called.
    const NAME: &'static str;
    /// What its configuration may be called, without `.yml`; the best first.
    const FILES: &'static [&'static str];
    /// At which level it logs what its parts say at info.
    const PARTS: Level;
    /// The flags that all have.
    fn common(&self) -> &CommonArgs;
    /// Whether it could work with these settings, as far as that can be told without a socket.
    ///
    /// # Errors
    /// A value cannot be used.
    fn check(settings: &Settings) -> Result<(), SettingsError>;
}

impl Tool for ApiArgs {
    const NAME: &'static str = "call-api";
    const FILES: &'static [&'static str] = &["call-api"];
    const PARTS: Level = Level::Info;
    fn common(&self) -> &CommonArgs {
        &self.common
    }
    fn check(settings: &Settings) -> Result<(), SettingsError> {
        front::serving(settings).map(drop)
    }
}

impl Tool for CmdArgs {
    const NAME: &'static str = "call-cmd";
    const FILES: &'static [&'static str] = &["call-cmd"];
    // At info it shows the events of its command and nothing else.
    const PARTS: Level = Level::Debug;
    fn common(&self) -> &CommonArgs {
        &self.common
    }
    fn check(settings: &Settings) -> Result<(), SettingsError> {
        front::config(settings).map(drop)
    }
}

impl Tool for ClientArgs {
    const NAME: &'static str = "call-api-client";
    // The original read the daemon's file and documented one of the client's own: both are right.
    const FILES: &'static [&'static str] = &["call-api-client", "call-api"];
    const PARTS: Level = Level::Debug;
    fn common(&self) -> &CommonArgs {
        &self.common
    }
    fn check(_: &Settings) -> Result<(), SettingsError> {
        Ok(())
    }
}

/// The same for pages and completions, which know the names of the commands where `argument` takes one; the tools
/// themselves have their own words for a name that is none.
#[must_use]
pub fn command_with_names<T: Tool>(argument: &str) -> clap::Command {
    let rows = COMMANDS.iter().filter(|row| row.modes.has(Mode::Original) && row.name != "Test");
    let names: Vec<PossibleValue> = rows.map(|row| PossibleValue::new(row.name).help(row.about)).collect();
    command::<T>().mut_args(|each| if each.get_id() == argument { each.value_parser(names.clone()) } else { each })
}

/// The command of a tool as clap knows it, with everything that its help and its man page say.
#[must_use]
pub fn command<T: Tool>() -> clap::Command {
    let command = T::command();
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut files = FILES.replace("TOOL", T::NAME);
    for other in &T::FILES[1..] {
        files = files
            .replace(", else the defaults", &format!(", then\nof {other}.yml in the same places, else the defaults"));
    }
    let notes = format!("{examples}\n\n{FLAGS}\n\n{files}");
    // Of a flag that is given twice the later one counts, in Go too.
    command.version(env!("CARGO_PKG_VERSION")).after_help(notes).args_override_self(true)
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// The program is over: help was asked for (status 0), or the line makes no sense (status 2). Both are said already.
pub fn read<T: Tool>(arguments: impl IntoIterator<Item = OsString>) -> Result<T, ExitCode> {
    let command = command::<T>();
    let line = go_flags::rewrite(&command, arguments).map_err(|error| {
        eprintln!("{error}\nUsage of {name}: see {name} -h", name = T::NAME);
        ExitCode::from(2)
    })?;
    let line = std::iter::once(OsString::from(T::NAME)).chain(line);
    command.try_get_matches_from(line).and_then(|matches| T::from_arg_matches(&matches)).map_err(|error| {
        // A closed pipe is all that can go wrong here.
        let _ = error.print();
        if matches!(error.kind(), ErrorKind::DisplayHelp) { ExitCode::SUCCESS } else { ExitCode::from(2) }
    })
}
