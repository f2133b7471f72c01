//! `hookswitch route`: where a call would go, without a running switch.

use std::process::ExitCode;

use clap::Args;

use crate::config::Config;
use crate::{ServeArgs, compose};

/// Which call is explained.
#[derive(Args, Clone, Debug)]
pub struct RouteArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Who calls whom: SIP or tel URIs, or numbers and names of the default domain
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], required = true)]
    explain: Vec<String>,
    /// The call comes from this trunk
    #[arg(long, value_name = "NAME")]
    trunk: Option<String>,
}

/// Prints what would become of a call.
pub fn run(args: &RouteArgs) -> anyhow::Result<ExitCode> {
    let found = args.serve.find()?;
    print!("{}", explain(&found.config, &args.explain, args.trunk.as_deref())?);
    Ok(ExitCode::SUCCESS)
}

fn explain(config: &Config, addresses: &[String], trunk: Option<&str>) -> anyhow::Result<String> {
    let mut b2bua = compose::b2bua(config)?;
    let first = || config.domains.keys().next().cloned();
    let domain = config.default_domain.clone().or_else(first).unwrap_or_else(|| "localhost".to_owned());
    let full = |text: &String| match text.contains(':') {
        true => text.clone(),
        false if text.contains('@') => format!("sip:{text}"),
        false => format!("sip:{text}@{domain}"),
    };
    let [from, to] = addresses else { anyhow::bail!("--explain wants FROM and TO") };
    b2bua.explain(&full(from), &full(to), trunk).map_err(|error| anyhow::anyhow!(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_default_domain() {
        let config = Config::parse("t", "domains: { x.test: { users: { bob: { secret: s } } } }").unwrap();
        let ask = |from: &str, to: &str| explain(&config, &[from.into(), to.into()], None);
        assert!(ask("21", "bob").unwrap().contains("to   sip:bob@x.test\n  user bob of x.test"));
        assert!(ask("21", "carol@x.test").unwrap().contains("x.test has no user carol: 404"));
        assert!(ask("21", "sip:b ob@x").is_err());
    }

    #[test]
    fn what_a_call_costs_whom_is_said() {
        let text = r#"
domains: { x.test: { users: { bob: { secret: s, limits: { classes: { abroad: { per_day: 5 } } } } } } }
trunks: { c: { hosts: [ { uri: "sip:192.0.2.1" } ], inbound: { from: [ 192.0.2.2/32 ] } } }
routes: [ { match: "sip:0*@*", to: "trunk:c" } ]
toll:
  emergency: [ "112" ]
  called: [ { match: "00*", to: "+*" } ]
  classes:
    abroad: { numbers: [ "+" ], users: { calls: 1, hours: "08:00-18:00" }, trunks: { blocked: true } }
"#;
        let config = Config::parse("t", text).unwrap();
        let ask = |to: &str, trunk| explain(&config, &["bob".into(), to.into()], trunk).unwrap();
        let said = ask("0044-1", None);
        assert!(said.contains("where it leaves the switch, +441 is of class abroad (+)\n"), "{said}");
        let limits = "user:bob@x.test: from 08:00 to 18:00, at most 1 calls at a time, at most 5 in a day; 403 else";
        assert!(said.contains(limits) && said.contains("source:its address: no limit"), "{said}");
        assert!(ask("0044", Some("c")).contains("trunk:c: 403 Calls Of This Class Are Not Allowed"));
        assert!(ask("112", None).contains("an emergency number"));
        assert!(!ask("030", None).contains("class"));
    }
}
