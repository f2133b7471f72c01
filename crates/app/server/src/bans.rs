//! `hookswitch bans`: who is banned by the running switch, asked over its HTTP listener.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use hookswitch_sip::guard::Source;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::ServeArgs;
use crate::compose::nodes_secret;

/// How long the switch may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is done about bans.
#[derive(Args, Clone, Debug)]
pub struct BansArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// The switch's HTTP listener, instead of `http.listen` of the configuration
    #[arg(long, value_name = "HOST:PORT", global = true)]
    http: Option<String>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand, Clone, Debug)]
enum What {
    /// Show who is banned, until when and why (this is also what happens without a command)
    List,
    /// Ban an address, or an IPv6 network of 64 bits
    Add {
        /// Whom
        address: Source,
        /// For how many seconds; a day without it
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
        seconds: Option<u64>,
        /// Why, to be shown by `list`
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Lift a ban
    Remove {
        /// Whose
        address: Source,
    },
}

/// Does what was asked for.
pub fn run(args: &BansArgs) -> anyhow::Result<ExitCode> {
    let running = listener(args.http.as_deref(), &args.serve)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shown = runtime.block_on(perform(&running, args.what.as_ref().unwrap_or(&What::List)))?;
    print!("{shown}");
    Ok(ExitCode::SUCCESS)
}

async fn perform(running: &Running, what: &What) -> anyhow::Result<String> {
    match what {
        What::List => {
            let (_, body) = ask(running, Method::GET, "/bans", None).await?;
            let bans: Vec<Value> = serde_json::from_str(&body).context("the switch does not list bans")?;
            Ok(table(&bans))
        }
        What::Add { address, seconds, reason } => {
            let wanted = json!({ "seconds": seconds, "reason": reason });
            ask(running, Method::PUT, &format!("/bans/{address}"), Some(wanted)).await?;
            Ok(format!("{address} is banned\n"))
        }
        What::Remove { address } => {
            ask(running, Method::DELETE, &format!("/bans/{address}"), None).await?;
            Ok(format!("{address} is no longer banned\n"))
        }
    }
}

/// Where a running switch answers, and what it wants to see.
pub(crate) struct Running {
    listen: String,
    secret: Option<String>,
}

/// The HTTP listener of the running switch.
pub(crate) fn listener(http: Option<&str>, serve: &ServeArgs) -> anyhow::Result<Running> {
    let found = serve.find();
    let Some(listen) = http else {
        let config = found?.config;
        return Ok(Running { secret: nodes_secret(&config)?, listen: config.http.listen });
    };
    // It may be another switch than that of the file, which then says nothing.
    let secret = found.ok().and_then(|found| nodes_secret(&found.config).ok()).flatten();
    Ok(Running { listen: listen.to_owned(), secret })
}

/// Asks the running switch for a page.
pub(crate) async fn ask(
    Running { listen, secret }: &Running,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> anyhow::Result<(StatusCode, String)> {
    let client = Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let mut request = client.request(method, format!("http://{listen}{path}"));
    if let Some(secret) = secret {
        request = request.bearer_auth(secret);
    }
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.with_context(|| format!("no switch answers at {listen}"))?;
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("{}", text.trim());
    }
    Ok((status, text))
}

/// The bans as lines for people.
fn table(bans: &[Value]) -> String {
    if bans.is_empty() {
        return "nobody is banned\n".to_owned();
    }
    let mut lines = format!("{:<24} {:>9} {:>6} {:>10}  {}\n", "source", "left", "count", "dropped", "why");
    for ban in bans {
        let text = |key: &str| ban[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| ban[key].as_u64().unwrap_or_default();
        let why = match text("reason") {
            reason if reason.is_empty() => text("why"),
            reason => format!("{}: {}", text("why"), reason.escape_debug()),
        };
        let (source, left) = (text("source"), format!("{} s", number("left")));
        let line = format!("{source:<24} {left:>9} {:>6} {:>10}  {why}\n", number("count"), number("dropped"));
        lines.push_str(&line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_are_lines_for_people() {
        assert_eq!(table(&[]), "nobody is banned\n");
        let bans = [
            json!({ "source": "192.0.2.1", "left": 599, "count": 1, "dropped": 7, "why": "wrong_password", "reason": null }),
            json!({ "source": "2001:db8::/64", "left": 60, "count": 2, "dropped": 0, "why": "order", "reason": "night\n" }),
        ];
        let lines = table(&bans);
        let words: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["192.0.2.1", "599", "s", "1", "7", "wrong_password"]);
        assert_eq!(words[2], ["2001:db8::/64", "60", "s", "2", "0", "order:", "night\\n"]);
    }
}
