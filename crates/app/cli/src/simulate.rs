//! `hookswitch simulate-opensips`: OpenSIPS's side of MI and EVI on real sockets, with phones from the command line.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};
use hookswitch_opensips_sim::{Answer, Behaviour, Make, Reaction, SimConfig, Version};

const BEHAVIOURS: &str = "\
A phone is NAME=WORD[,WORD…]; without any word it answers at once. Times are like 200ms or 5s.

  answer[:TIME]          rings, and answers after that time
  busy[:TIME]            refuses with 486
  refuse:STATUS[:TIME]   refuses with another status
  ring                   rings until OpenSIPS gives up
  silent                 says nothing at all
  unregistered           OpenSIPS does not know its contact
  no-refer[:STATUS]      refuses REFER (603)
  deaf-refer             does not answer REFER
  no-hold[:STATUS]       refuses re-INVITE (488)
  deaf-hold              does not answer re-INVITE
  hang-up:TIME           hangs up so long after a call to it was answered
  baresip                hangs up by itself when it is transferred, and stops sending NOTIFY

Prints one JSON object with what is bound, then runs until it is killed.";

/// A simulated OpenSIPS: takes requests over MI, sends events over EVI, and has phones.
#[derive(Debug, Clone, Args)]
#[command(after_help = BEHAVIOURS)]
pub struct SimulateArgs {
    /// Where to take requests: udp:IP:PORT, unix:/PATH or http:IP:PORT (at /mi); may be given several times
    /// [default: udp:127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    mi: Vec<MiPlace>,
    /// User and password that HTTP wants
    #[arg(long, value_name = "USER:PASSWORD")]
    http_user: Option<String>,
    /// A phone and what it does; may be given several times
    #[arg(long, value_name = "NAME=WORDS")]
    phone: Vec<Phone>,
    /// The release that is played
    #[arg(long, value_name = "VERSION", value_enum, default_value = "4.1")]
    release: Release,
    /// Host and port that it answers for
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5080")]
    domain: String,
    /// A party that does not react at all is given up after this time
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    fr_timeout: Duration,
    /// A party that rings is given up after this time
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    fr_inv_timeout: Duration,
    /// Replies and events come up to this much later, each by itself
    #[arg(long, value_name = "TIME", default_value = "2ms", value_parser = time)]
    spread: Duration,
    /// What happens by chance follows from this number
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Release {
    #[value(name = "3.1")]
    V3_1,
    #[value(name = "3.4")]
    V3_4,
    #[value(name = "4.1")]
    V4_1,
}

/// Where requests are taken.
#[derive(Debug, Clone)]
enum MiPlace {
    Udp(SocketAddr),
    Unix(PathBuf),
    Http(SocketAddr),
}

impl FromStr for MiPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = |at: &str| at.parse::<SocketAddr>().map_err(|error| error.to_string());
        match text.split_once(':') {
            Some(("udp", rest)) => at(rest).map(Self::Udp),
            Some(("http", rest)) => at(rest).map(Self::Http),
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            _ => Err("not udp:IP:PORT, unix:/PATH or http:IP:PORT".to_owned()),
        }
    }
}

/// One phone.
#[derive(Debug, Clone)]
struct Phone {
    name: String,
    behaviour: Behaviour,
}

impl FromStr for Phone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, words) = text.split_once('=').unwrap_or((text, ""));
        if name.is_empty() {
            return Err("a phone needs a name".to_owned());
        }
        let mut behaviour = Behaviour::scripted(name, "127.0.0.1:5062");
        for word in words.split(',').filter(|word| !word.is_empty()) {
            behave(name, &mut behaviour, word)?;
        }
        Ok(Self { name: name.to_owned(), behaviour })
    }
}

fn behave(name: &str, phone: &mut Behaviour, word: &str) -> Result<(), String> {
    let mut parts = word.split(':');
    let (verb, first, second) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let after = |text: Option<&str>| text.map_or(Ok(Duration::ZERO), time);
    let status = |text: Option<&str>, usual: u16| {
        let given = text.map_or(Ok(usual), str::parse).ok().filter(|status| (300..700).contains(status));
        given.ok_or_else(|| format!("{word}: a status is between 300 and 699"))
    };
    // How many parts behind the verb make sense.
    let most = match verb {
        "refuse" => 2,
        "answer" | "busy" | "no-refer" | "no-hold" | "hang-up" => 1,
        _ => 0,
    };
    if [first, second, parts.next()].iter().flatten().count() > most {
        return Err(format!("{word}: too many parts"));
    }
    match verb {
        "answer" => phone.answer = Answer::After(after(first)?),
        "busy" => phone.answer = Answer::Refuses(486, after(first)?),
        "refuse" => {
            let given = first.ok_or_else(|| format!("{word}: which status?"))?;
            phone.answer = Answer::Refuses(status(Some(given), 0)?, after(second)?);
        }
        "ring" => phone.answer = Answer::Rings,
        "silent" => phone.answer = Answer::Silent,
        "unregistered" => phone.registered = false,
        "no-refer" => phone.refer = Reaction::Refuses(status(first, 603)?),
        "deaf-refer" => phone.refer = Reaction::Ignores,
        "no-hold" => phone.reinvite = Reaction::Refuses(status(first, 488)?),
        "deaf-hold" => phone.reinvite = Reaction::Ignores,
        "hang-up" => {
            let given = first.ok_or_else(|| format!("{word}: after what time?"))?;
            phone.hangs_up_after = Some(time(given)?);
        }
        "baresip" => {
            phone.make = Make::Baresip;
            phone.contact = Behaviour::baresip(name, "127.0.0.1:5062").contact;
        }
        _ => return Err(format!("{word} is nothing that a phone can do")),
    }
    Ok(())
}

/// A time as `200ms` or `5s`.
fn time(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no time: write it like 200ms or 5s");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').ok_or_else(bad)?, 1.0),
    };
    let seconds = number.parse::<f64>().map_err(|_| bad())? * unit;
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

impl SimulateArgs {
    fn config(&self) -> anyhow::Result<SimulatorConfig> {
        let mut config = SimulatorConfig {
            sim: SimConfig {
                version: match self.release {
                    Release::V3_1 => Version::V3_1,
                    Release::V3_4 => Version::V3_4,
                    Release::V4_1 => Version::V4_1,
                },
                domain: self.domain.as_str().into(),
                fr_timeout: self.fr_timeout,
                fr_inv_timeout: self.fr_inv_timeout,
                spread: self.spread,
                ..SimConfig::default()
            },
            phones: self.phone.iter().map(|phone| (phone.name.clone(), phone.behaviour.clone())).collect(),
            ..SimulatorConfig::default()
        };
        config.seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        for place in &self.mi {
            let again = match place {
                MiPlace::Udp(at) => config.udp.replace(*at).is_some(),
                MiPlace::Http(at) => config.http.replace(*at).is_some(),
                MiPlace::Unix(path) => config.unix.replace(path.clone()).is_some(),
            };
            anyhow::ensure!(!again, "one socket of each kind is enough");
        }
        if self.mi.is_empty() {
            config.udp = Some(([127, 0, 0, 1], 8080).into());
        }
        if let Some(user) = &self.http_user {
            let (user, password) =
                user.split_once(':').ok_or_else(|| anyhow::anyhow!("--http-user wants USER:PASSWORD"))?;
            config.user = Some((user.to_owned(), password.to_owned()));
        }
        Ok(config)
    }
}

/// Runs until the process is killed.
#[must_use]
pub fn run(args: &SimulateArgs) -> ExitCode {
    let started = args.config().and_then(|config| Ok(Simulator::start(config)?));
    let simulator = match started {
        Ok(simulator) => simulator,
        Err(error) => {
            eprintln!("hookswitch simulate-opensips: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let bound = simulator.addresses();
    let bound = serde_json::json!({ "udp": bound.udp, "unix": bound.unix, "http": bound.http });
    println!("{bound}");
    // Whoever waits for the line reads it through a pipe.
    let _ = std::io::stdout().flush();
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(text: &str) -> Behaviour {
        text.parse::<Phone>().unwrap().behaviour
    }

    #[test]
    fn phones_do_what_they_are_told() {
        assert_eq!(phone("alice").answer, Answer::After(Duration::ZERO));
        assert_eq!(phone("alice=answer:200ms").answer, Answer::After(Duration::from_millis(200)));
        assert_eq!(phone("bob=busy").answer, Answer::Refuses(486, Duration::ZERO));
        assert_eq!(phone("bob=refuse:603:1.5s").answer, Answer::Refuses(603, Duration::from_millis(1_500)));
        let cindy = phone("cindy=ring,no-refer,no-hold:491,unregistered,baresip,hang-up:2s");
        assert_eq!((cindy.answer, cindy.registered, cindy.make), (Answer::Rings, false, Make::Baresip));
        assert_eq!((cindy.refer, cindy.reinvite), (Reaction::Refuses(603), Reaction::Refuses(491)));
        assert_eq!(cindy.hangs_up_after, Some(Duration::from_secs(2)));
        let dave = phone("dave=silent,deaf-refer,deaf-hold");
        assert_eq!((dave.answer, dave.refer, dave.reinvite), (Answer::Silent, Reaction::Ignores, Reaction::Ignores));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "=busy",
            "a=dance",
            "a=answer:soon",
            "a=answer:-1s",
            "a=refuse",
            "a=refuse:200",
            "a=hang-up",
            "a=ring:5s",
            "a=busy:1s:2s",
            "a=refuse:486:1s:2s",
        ] {
            assert!(bad.parse::<Phone>().is_err(), "{bad}");
        }
        for bad in ["", "udp:", "udp:8080", "unix:mi", "tcp:127.0.0.1:1", "http:localhost:1"] {
            assert!(bad.parse::<MiPlace>().is_err(), "{bad}");
        }
    }
}
