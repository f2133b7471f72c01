//! `hookswitch check-config --probe`: whether the OpenSIPS that is configured has all that the Call API needs.
//!
//! Nothing is changed there but for a subscription to its events, which ends with the probe.

use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hookswitch_drive::opensips::{MiAddress, OpenSipsFront, OpenSipsFrontConfig};
use hookswitch_opensips::Link;
use serde_json::{Value, json};

/// The commands of OpenSIPS that the Call API uses, and the module that has each.
const COMMANDS: &[(&str, &str)] = &[
    ("t_uac_dlg", "tm"),
    ("t_uac_cancel", "tm"),
    ("call_transfer", "callops"),
    ("call_hold", "callops"),
    ("call_unhold", "callops"),
    ("dlg_end_dlg", "dialog"),
    ("dlg_list", "dialog"),
    ("event_subscribe", "the core"),
    ("subscribers_list", "the core"),
];

/// The events that it uses, and the module that has each.
const EVENTS: &[(&str, &str)] =
    &[("E_CALL_TRANSFER", "callops"), ("E_CALL_HOLD", "callops"), ("E_DLG_STATE_CHANGED", "dialog")];

/// A datagram may be lost: it is sent so often.
const ATTEMPTS: u32 = 3;

/// Longest reply, in bytes.
const MAX_REPLY: usize = 65_536;

/// How long the subscriptions may take.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(8);

/// What was found out about one thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// It is there.
    Good(String),
    /// It is not, or not so that it can be used.
    Missing(String),
    /// Nobody can tell from here.
    Unknown(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(what) => write!(f, "ok       {what}"),
            Self::Missing(what) => write!(f, "MISSING  {what}"),
            Self::Unknown(what) => write!(f, "unknown  {what}"),
        }
    }
}

/// Asks the OpenSIPS of this configuration. `mi` is the address as it was written, with the password.
///
/// # Errors
/// We cannot ask at all, for a reason on this side.
pub fn probe(config: OpenSipsFrontConfig, mi: &str) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut line = Line::open(&config, mi)?;
    let timeout = config.opensips.mi_timeout;
    match line.ask(timeout, "version", json!({})) {
        Ok(reply) => findings.push(Finding::Good(format!("{}: {}", config.mi, version(&reply)))),
        Err(error) => {
            findings.push(Finding::Missing(format!("{}: {error:#}", config.mi)));
            return Ok(findings);
        }
    }
    for (command, module) in COMMANDS {
        let known = line.ask(timeout, "help", json!({ "mi_cmd": command }))?;
        findings.push(command_finding(command, module, &known));
    }
    let events = line.ask(timeout, "events_list", json!({}))?;
    let wanted = EVENTS.iter().filter(|(name, _)| config.opensips.dialog_events || *name != "E_DLG_STATE_CHANGED");
    findings.extend(wanted.map(|(name, module)| event_finding(name, module, &events)));
    // The front takes the same socket for replies.
    drop(line);
    let ring = config.opensips.ring_timeout.as_secs();
    findings.push(Finding::Unknown(format!(
        "fr_inv_timeout of the module tm, which MI does not show: it has to be less than opensips.ring_timeout, {ring} s"
    )));
    findings.extend(subscriptions(config, mi)?);
    Ok(findings)
}

fn version(reply: &Value) -> &str {
    reply["result"]["Server"].as_str().or(reply["result"].as_str()).unwrap_or("an OpenSIPS that does not say which")
}

fn command_finding(command: &str, module: &str, reply: &Value) -> Finding {
    match (reply.get("result"), reply["error"]["code"].as_i64()) {
        (Some(_), _) => Finding::Good(format!("command {command}")),
        // An OpenSIPS that does not know `help` says the same of it as of the command, and cannot be told apart.
        (None, Some(-32_601 | 404)) => Finding::Missing(format!("command {command}: load the module {module}")),
        (None, _) => Finding::Unknown(format!("command {command}: {}", reply["error"])),
    }
}

fn event_finding(name: &str, module: &str, reply: &Value) -> Finding {
    let Some(events) = reply["result"]["Events"].as_array() else {
        return Finding::Unknown(format!("event {name}: events_list says {reply}"));
    };
    if events.iter().any(|event| event["name"] == name) {
        Finding::Good(format!("event {name}"))
    } else {
        Finding::Missing(format!("event {name}: load the module {module}"))
    }
}

/// Subscribes as the server would, and sees whether that stands.
fn subscriptions(mut config: OpenSipsFrontConfig, mi: &str) -> anyhow::Result<Vec<Finding>> {
    config.application = None;
    let front = OpenSipsFront::start(config.clone()).context("the front of OpenSIPS does not start")?;
    let socket = front.addresses().event_socket.clone();
    let start = Instant::now();
    let mut health = front.health();
    while health.events == Link::Unknown && start.elapsed() < SUBSCRIBE_PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
        health = front.health();
    }
    let mut findings = vec![match health.events {
        Link::Up => Finding::Good(format!("subscriptions for {socket} are taken")),
        Link::Down { why, .. } => Finding::Missing(format!("subscriptions for {socket}: {why}")),
        Link::Unknown => Finding::Missing(format!("subscriptions for {socket}: no answer in time")),
    }];
    // Where there is one path for replies, the front has it now.
    let is_free = !matches!((&config.mi, &config.mi_reply), (MiAddress::Unix(_), Some(_)));
    if is_free && matches!(findings[0], Finding::Good(_)) {
        let mut line = Line::open(&config, mi)?;
        let list = line.ask(config.opensips.mi_timeout, "subscribers_list", json!({ "event": EVENTS[0].0 }))?;
        findings.push(listed(&socket, &list));
    }
    // Whether it could say goodbye does not matter: subscriptions end by themselves.
    let _ = front.stop();
    Ok(findings)
}

fn listed(socket: &str, list: &Value) -> Finding {
    let subscribers = list["result"]["Event"]["Subscribers"].as_array();
    match subscribers.map(|all| all.iter().any(|one| one["socket"] == socket)) {
        Some(true) => Finding::Good(format!("subscription for {socket} is listed")),
        Some(false) => Finding::Missing(format!("subscription for {socket} is not listed, although it was taken")),
        None => Finding::Unknown(format!("subscription for {socket}: subscribers_list says {list}")),
    }
}

/// A way to ask one thing after the other.
enum Line {
    Udp(UdpSocket),
    Unix { socket: UnixDatagram, theirs: PathBuf, ours: PathBuf, folder: Option<PathBuf> },
    Http { client: reqwest::Client, runtime: tokio::runtime::Runtime, url: String },
}

impl Line {
    fn open(config: &OpenSipsFrontConfig, mi: &str) -> anyhow::Result<Self> {
        match &config.mi {
            MiAddress::Udp { host, port } => {
                let socket = UdpSocket::bind("0.0.0.0:0")?;
                socket.connect((host.as_str(), *port)).with_context(|| format!("{} cannot be reached", config.mi))?;
                Ok(Self::Udp(socket))
            }
            MiAddress::Unix(path) => Self::open_unix(path, config.mi_reply.as_deref()),
            MiAddress::Http(_) => {
                let mut builder = reqwest::Client::builder().http1_only().no_proxy();
                if let Some(file) = &config.mi_ca {
                    let pem = std::fs::read(file).with_context(|| file.display().to_string())?;
                    builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem)?);
                }
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                Ok(Self::Http { client: builder.build()?, runtime, url: mi.to_owned() })
            }
        }
    }

    fn open_unix(path: &Path, reply: Option<&Path>) -> anyhow::Result<Self> {
        let (ours, folder) = match reply {
            Some(ours) => (ours.to_owned(), None),
            None => {
                let folder = std::env::temp_dir().join(format!("hookswitch-probe-{:016x}", rand::random::<u64>()));
                std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
                (folder.join("mi"), Some(folder))
            }
        };
        // Not connected: OpenSIPS answers from another socket than the one that it takes requests on.
        let socket = UnixDatagram::bind(&ours).with_context(|| ours.display().to_string())?;
        Ok(Self::Unix { socket, theirs: path.to_owned(), ours, folder })
    }

    /// Asks once more when no answer comes, which hurts nobody: nothing is asked here that changes anything.
    fn ask(&mut self, timeout: Duration, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = format!("probe-{:016x}", rand::random::<u64>());
        let mut request = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        // An empty list of parameters is one too many for some.
        if params.as_object().is_some_and(|params| !params.is_empty()) {
            request["params"] = params;
        }
        let request = request.to_string();
        let mut last = anyhow::anyhow!("no answer");
        for _ in 0..ATTEMPTS {
            match self.exchange(timeout, request.as_bytes(), &id) {
                Ok(reply) => return Ok(reply),
                Err(error) => last = error,
            }
        }
        Err(last.context(format!("OpenSIPS does not answer `{method}`")))
    }

    fn exchange(&mut self, timeout: Duration, request: &[u8], id: &str) -> anyhow::Result<Value> {
        match self {
            Self::Http { client, runtime, url } => runtime.block_on(async {
                let post = client.post(url.as_str()).header("Content-Type", "application/json").timeout(timeout);
                let response = post.body(request.to_vec()).send().await.map_err(reqwest::Error::without_url)?;
                if !response.status().is_success() {
                    bail!("HTTP status {}", response.status());
                }
                Ok(serde_json::from_slice(&response.bytes().await.map_err(reqwest::Error::without_url)?)?)
            }),
            Self::Udp(socket) => {
                socket.send(request)?;
                await_reply(timeout, id, |left, buffer| {
                    socket.set_read_timeout(Some(left))?;
                    socket.recv(buffer)
                })
            }
            Self::Unix { socket, theirs, .. } => {
                socket.send_to(request, &*theirs)?;
                await_reply(timeout, id, |left, buffer| {
                    socket.set_read_timeout(Some(left))?;
                    socket.recv(buffer)
                })
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Self::Unix { ours, folder, .. } = self {
            let _ = std::fs::remove_file(ours);
            if let Some(folder) = folder {
                let _ = std::fs::remove_dir(folder);
            }
        }
    }
}

/// Reads datagrams until the reply with this id has come; others are those of earlier attempts.
fn await_reply(
    timeout: Duration,
    id: &str,
    mut receive: impl FnMut(Duration, &mut [u8]) -> io::Result<usize>,
) -> anyhow::Result<Value> {
    let start = Instant::now();
    let mut buffer = vec![0; MAX_REPLY];
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            bail!("no answer within {} s", timeout.as_secs());
        }
        let len = match receive(left, &mut buffer) {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(error) => return Err(error.into()),
        };
        match serde_json::from_slice::<Value>(&buffer[..len]) {
            Ok(reply) if reply["id"] == id => return Ok(reply),
            Ok(_) => {}
            Err(_) => bail!("an answer that is not JSON: {}", String::from_utf8_lossy(&buffer[..len.min(80)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};

    use super::*;
    use crate::compose;
    use crate::config::Config;

    fn simulated(change: impl FnOnce(&mut SimulatorConfig)) -> Simulator {
        let mut config = SimulatorConfig::default();
        change(&mut config);
        Simulator::start(config).unwrap()
    }

    fn ask(mi: &str) -> Vec<Finding> {
        let text = format!("opensips: {{ mi: \"{mi}\", mi_timeout: 1 }}");
        let config = Config::parse("t", &text).unwrap();
        probe(compose::front_config(&config).unwrap().unwrap(), mi).unwrap()
    }

    fn missing(findings: &[Finding]) -> Vec<&str> {
        let lines = findings.iter().filter_map(|finding| match finding {
            Finding::Missing(what) => Some(what.as_str()),
            Finding::Good(_) | Finding::Unknown(_) => None,
        });
        lines.collect()
    }

    #[test]
    fn an_opensips_that_has_everything_lacks_nothing_over_any_way() {
        let folder = tempfile::tempdir().unwrap();
        let simulator = simulated(|config| {
            config.udp = Some((Ipv4Addr::LOCALHOST, 0).into());
            config.unix = Some(folder.path().join("mi"));
            config.http = Some((Ipv4Addr::LOCALHOST, 0).into());
            config.user = Some(("joe".into(), "p4ss".into()));
        });
        let addresses = simulator.addresses();
        let ways = [
            format!("udp:{}", addresses.udp.unwrap()),
            format!("unix:{}", addresses.unix.as_ref().unwrap().display()),
            format!("http://joe:p4ss@{}/mi", addresses.http.unwrap()),
        ];
        for way in ways {
            let findings = ask(&way);
            assert_eq!(missing(&findings), [""; 0], "{findings:?}");
            let good = findings.iter().filter(|finding| matches!(finding, Finding::Good(_))).count();
            assert_eq!(good, 1 + COMMANDS.len() + EVENTS.len() + 2, "{findings:?}");
            assert!(findings.iter().all(|finding| !finding.to_string().contains("p4ss")));
        }
    }

    #[test]
    fn what_is_not_loaded_is_named_with_its_module() {
        let simulator = simulated(|config| {
            config.udp = Some((Ipv4Addr::LOCALHOST, 0).into());
            config.sim.modules.callops = false;
        });
        let findings = ask(&format!("udp:{}", simulator.addresses().udp.unwrap()));
        let missing = missing(&findings);
        assert!(missing.contains(&"command call_hold: load the module callops"), "{missing:?}");
        assert!(!missing.iter().any(|what| what.contains("dlg_list")), "{missing:?}");
    }

    #[test]
    fn nobody_there_is_one_finding_and_the_last() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let findings = ask(&format!("udp:{}", silent.local_addr().unwrap()));
        assert_eq!(findings.len(), 1);
        assert!(missing(&findings)[0].contains("does not answer"), "{findings:?}");
    }
}
