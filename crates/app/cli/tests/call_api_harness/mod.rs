//! The three tools as processes, in a folder of their own and without anybody's configuration; and an OpenSIPS to talk
//! to.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};
use hookswitch_opensips_sim::{Answer, Behaviour, Reaction};

/// Nothing here takes as long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A folder in which a tool runs; it is its home as well.
pub struct Place {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// With a file in it.
    pub fn with(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// With a variable of the environment.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, tool: &str, arguments: &[&str]) -> Command {
        let program = match tool {
            "call-api" => env!("CARGO_BIN_EXE_call-api"),
            "call-cmd" => env!("CARGO_BIN_EXE_call-cmd"),
            "call-api-client" => env!("CARGO_BIN_EXE_call-api-client"),
            other => panic!("no such tool: {other}"),
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("TZ", "UTC").envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a tool to its end.
    pub fn run(&self, tool: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command(tool, arguments).output().unwrap())
    }

    /// Starts a tool.
    pub fn start(&self, tool: &str, arguments: &[&str]) -> Running {
        let mut command = self.command(tool, arguments);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (say, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Running { child, lines, seen: Vec::new() }
    }
}

/// How a tool ended and what it said.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    /// `level msg` of each line, the time left out.
    pub log: Vec<String>,
    pub stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).unwrap();
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            log: stderr.lines().map(shortened).collect(),
            stderr,
        }
    }

    /// The lines of these levels.
    pub fn of_level(&self, level: &str) -> Vec<&str> {
        let of = self.log.iter().filter_map(|line| line.strip_prefix(level));
        of.map(str::trim_start).collect()
    }
}

/// `level text` of a log line, without its time and quotes.
pub fn shortened(line: &str) -> String {
    let Some(rest) = line.strip_prefix("time=\"") else { return line.to_owned() };
    let (time, rest) = rest.split_once("\" level=").unwrap();
    assert!(time.len() == 20 && time.ends_with('Z'), "{line}");
    let (level, message) = rest.split_once(" msg=").unwrap();
    let quoted = message.strip_prefix('"').and_then(|message| message.strip_suffix('"'));
    let message = quoted.unwrap_or(message).replace("\\\"", "\"");
    format!("{level} {message}")
}

/// A tool that runs. Killed when it is dropped.
pub struct Running {
    pub child: Child,
    lines: Receiver<String>,
    pub seen: Vec<String>,
}

impl Running {
    /// Waits for a log line that holds this text.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("nobody said {text:?}: {:#?}", self.seen);
            };
            let line = shortened(&line);
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end; every line that came until then is in `log`.
    pub fn end(mut self) -> Ran {
        let mut stdout = String::new();
        std::io::Read::read_to_string(&mut self.child.stdout.take().unwrap(), &mut stdout).unwrap();
        let status = self.child.wait().unwrap().code().unwrap_or(-1);
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(shortened(&line));
        }
        Ran { status, stdout, log: std::mem::take(&mut self.seen), stderr: String::new() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An OpenSIPS with phones: alice and bob answer, erin is busy, ringo rings, walter refuses REFER, hanna refuses to be
/// held.
pub fn opensips() -> Simulator {
    let phone = |name: &str, change: fn(&mut Behaviour)| {
        let mut behaviour = Behaviour::scripted(name, "127.0.0.1:5062");
        behaviour.answer = Answer::After(Duration::from_millis(20));
        change(&mut behaviour);
        (name.to_owned(), behaviour)
    };
    let phones = vec![
        phone("alice", |_| {}),
        phone("bob", |_| {}),
        phone("erin", |erin| erin.answer = Answer::Refuses(486, Duration::ZERO)),
        phone("ringo", |ringo| ringo.answer = Answer::Rings),
        phone("walter", |walter| walter.refer = Reaction::Refuses(603)),
        phone("hanna", |hanna| hanna.reinvite = Reaction::Refuses(488)),
    ];
    let config = SimulatorConfig { udp: Some(([127, 0, 0, 1], 0).into()), phones, ..SimulatorConfig::default() };
    Simulator::start(config).unwrap()
}

/// Where it takes requests, as `mi.url` has it.
pub fn mi(opensips: &Simulator) -> String {
    opensips.addresses().udp.unwrap().to_string()
}

/// The URI of one of its phones.
pub fn sip(name: &str) -> String {
    format!("sip:{name}@127.0.0.1:5080")
}

/// A configuration with this OpenSIPS, on any port, that shows who calls whom.
pub fn yml(opensips: &Simulator) -> String {
    format!(
        "ws_server:\n  host: 127.0.0.1\n  port: 0\nmi:\n  url: {}\nlog:\n  level: INFO\n  pii: true\n",
        mi(opensips)
    )
}

/// The repository's own file.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").join(path)
}
