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
}
