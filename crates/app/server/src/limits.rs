//! `hookswitch limits`: who has called how much of which class of cost, asked of the running switch.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::ServeArgs;
use crate::bans::{Running, ask, listener};

/// What is done about limits.
#[derive(Args, Clone, Debug)]
pub struct LimitsArgs {
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
    /// Show who has called how much in the last day, and who may call no more (this is also what happens without a
    /// command)
    List,
    /// Forget what somebody has called: calls are allowed again
    Reset {
        /// As it is listed: user:NAME@DOMAIN, trunk:NAME or source:ADDRESS
        account: String,
    },
}

/// Does what was asked for.
pub fn run(args: &LimitsArgs) -> anyhow::Result<ExitCode> {
    let running = listener(args.http.as_deref(), &args.serve)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shown = runtime.block_on(perform(&running, args.what.as_ref().unwrap_or(&What::List)))?;
    print!("{shown}");
    Ok(ExitCode::SUCCESS)
}

async fn perform(running: &Running, what: &What) -> anyhow::Result<String> {
    match what {
        What::List => {
            let (_, body) = ask(running, Method::GET, "/limits", None).await?;
            let accounts: Vec<Value> = serde_json::from_str(&body).context("the switch does not list limits")?;
            Ok(table(&accounts))
        }
        What::Reset { account } => {
            let path = format!("/limits/{}", account.replace('%', "%25").replace('?', "%3F").replace('#', "%23"));
            ask(running, Method::DELETE, &path, None).await?;
            Ok(format!("{account} begins anew\n"))
        }
    }
}

/// The accounts as lines for people.
fn table(accounts: &[Value]) -> String {
    if accounts.is_empty() {
        return "nobody with a limit has called in the last day\n".to_owned();
    }
    let mut lines = format!(
        "{:<32} {:<12} {:>5} {:>6} {:>5} {:>5} {:>7}  {}\n",
        "account", "class", "calls", "minute", "hour", "day", "minutes", "reached"
    );
    for entry in accounts {
        let text = |key: &str| entry[key].as_str().unwrap_or("-").escape_debug().to_string();
        let number = |key: &str| entry[key].as_u64().unwrap_or_default();
        let (account, class, reached) = (text("account"), text("class"), text("reached"));
        let [calls, minute, hour, day] = ["calls", "in_minute", "in_hour", "in_day"].map(number);
        let minutes = number("minutes");
        let line =
            format!("{account:<32} {class:<12} {calls:>5} {minute:>6} {hour:>5} {day:>5} {minutes:>7}  {reached}\n");
        lines.push_str(&line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn accounts_are_lines_for_people() {
        assert!(table(&[]).starts_with("nobody"));
        let accounts = [
            json!({ "account": "user:alice@x.test", "class": "abroad", "calls": 1, "in_minute": 2, "in_hour": 3, "in_day": 4,
                    "minutes": 5, "reached": "per_minute" }),
            json!({ "account": "trunk:c", "class": "all", "calls": 0, "reached": null }),
        ];
        let lines = table(&accounts);
        let words: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["user:alice@x.test", "abroad", "1", "2", "3", "4", "5", "per_minute"]);
        assert_eq!(words[2], ["trunk:c", "all", "0", "0", "0", "0", "0", "-"]);
    }
}
