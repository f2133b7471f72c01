//! Log lines in the shape that the original tools gave them (that of the Go package logrus), on standard error or in a
//! file.
//!
//! ```text
//! time="2026-11-20T15:42:48Z" level=info msg="connecting to ws://localhost:5059/call-api"
//! INFO[0000] connecting to ws://localhost:5059/call-api        (on a terminal)
//! ```

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookswitch_drive::Clock;
use jiff::Zoned;
use tracing::Metadata;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;

use super::redact::redacted;

/// Mode of a log file that did not exist.
const FILE_MODE: u32 = 0o644;

/// How wide a message is on a terminal before its fields begin.
const TERMINAL_WIDTH: usize = 44;

/// How much a line matters; the first matters most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The last words of a program.
    Fatal,
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// What goes on.
    Info,
    /// For those who look for a fault.
    Debug,
    /// Everything.
    Trace,
}

/// A text names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid logrus Level: {0:?}")]
pub struct BadLevel(String);

impl FromStr for Level {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "panic" | "fatal" => Self::Fatal,
            "error" => Self::Error,
            "warn" | "warning" => Self::Warning,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return Err(BadLevel(text.to_owned())),
        })
    }
}

impl Level {
    /// As it is written, and the number of its colour on a terminal.
    const fn shown(self) -> (&'static str, u8) {
        match self {
            Self::Fatal => ("fatal", 31),
            Self::Error => ("error", 31),
            Self::Warning => ("warning", 33),
            Self::Info => ("info", 36),
            Self::Debug => ("debug", 37),
            Self::Trace => ("trace", 37),
        }
    }
}

/// Where lines go.
enum Sink {
    Stderr,
    File(PathBuf, File),
    Other(Box<dyn Write + Send>),
}

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// `key=value`, for programs.
    Plain,
    /// For people; with or without colours.
    Terminal { coloured: bool },
}

/// The log of one tool.
pub struct Log {
    level: Level,
    pii: bool,
    shape: Shape,
    sink: Mutex<Sink>,
    clock: Clock,
    /// By that clock; lines on a terminal count the seconds since then.
    started: Duration,
}

impl Log {
    /// Standard error: lines for people if that is a terminal. `level` is the least that is written; without `pii`
    /// addresses and numbers of people are taken out.
    #[must_use]
    pub fn stderr(level: Level, pii: bool) -> Self {
        let shape = match io::stderr().is_terminal() {
            true => Shape::Terminal { coloured: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) },
            false => Shape::Plain,
        };
        Self::with(Sink::Stderr, shape, level, pii)
    }

    /// A file, appended to and made if it is not there.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn file(path: &Path, level: Level, pii: bool) -> io::Result<Self> {
        let sink = Sink::File(path.to_owned(), open(path)?);
        Ok(Self::with(sink, Shape::Plain, level, pii))
    }

    /// Somebody else's writer.
    #[must_use]
    pub fn writer(writer: Box<dyn Write + Send>, level: Level, pii: bool) -> Self {
        Self::with(Sink::Other(writer), Shape::Plain, level, pii)
    }

    fn with(sink: Sink, shape: Shape, level: Level, pii: bool) -> Self {
        let clock = Clock::start();
        Self { level, pii, shape, sink: Mutex::new(sink), started: clock.now(), clock }
    }

    /// Writes one line, unless its level is not wanted.
    pub fn line(&self, level: Level, message: &str) {
        self.line_with(level, message, &[]);
    }

    /// [`Level::Info`].
    pub fn info(&self, message: &str) {
        self.line(Level::Info, message);
    }

    /// [`Level::Warning`].
    pub fn warn(&self, message: &str) {
        self.line(Level::Warning, message);
    }

    /// [`Level::Error`].
    pub fn error(&self, message: &str) {
        self.line(Level::Error, message);
    }

    /// [`Level::Fatal`]. The caller ends the program.
    pub fn fatal(&self, message: &str) {
        self.line(Level::Fatal, message);
    }

    /// Writes one line with fields, which come in the order of their names.
    pub fn line_with(&self, level: Level, message: &str, fields: &[(String, String)]) {
        if level > self.level {
            return;
        }
        let clean = |text: &str| if self.pii { text.to_owned() } else { redacted(text) };
        let message = clean(message.strip_suffix('\n').unwrap_or(message));
        let mut fields: Vec<(&str, String)> = fields.iter().map(|(key, value)| (key.as_str(), clean(value))).collect();
        fields.sort();
        let text = match self.shape {
            Shape::Plain => plain(&Zoned::now(), level, &message, &fields),
            Shape::Terminal { coloured } => {
                let running = self.clock.now().saturating_sub(self.started);
                terminal(coloured, running.as_secs(), level, &message, &fields)
            }
        };
        // Nobody is left to tell when the log itself cannot be written.
        let _ = match &mut *self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            Sink::Stderr => io::stderr().write_all(text.as_bytes()),
            Sink::File(_, file) => file.write_all(text.as_bytes()),
            Sink::Other(writer) => writer.write_all(text.as_bytes()).and_then(|()| writer.flush()),
        };
    }

    /// Opens the log file anew, for whoever moves it away; nothing for other places.
    ///
    /// # Errors
    /// The file cannot be opened; the old one goes on.
    pub fn reopen(&self) -> io::Result<()> {
        if let Sink::File(path, file) = &mut *self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            *file = open(path)?;
        }
        Ok(())
    }

    /// Makes what the switch's own parts say (`tracing`) lines of this log; what they say at info is at `info` here. Once
    /// per process; later calls do nothing.
    pub fn take_tracing(self: &Arc<Self>, info: Level) {
        use tracing_subscriber::layer::SubscriberExt as _;
        use tracing_subscriber::util::SubscriberInitExt as _;
        hookswitch_drive::show_pii(self.pii);
        let _ = tracing_subscriber::registry().with(Tracing { log: Arc::clone(self), info }).try_init();
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).mode(FILE_MODE).open(path)
}

fn plain(now: &Zoned, level: Level, message: &str, fields: &[(&str, String)]) -> String {
    // RFC 3339 writes a zone of no offset as Z.
    let zone = if now.offset().is_zero() { String::from("Z") } else { now.strftime("%:z").to_string() };
    let time = format!("{}{zone}", now.strftime("%Y-%m-%dT%H:%M:%S"));
    let mut text = format!("time=\"{time}\" level={} msg={}", level.shown().0, value(message));
    for (key, of) in fields {
        // Writing to a String cannot fail.
        let _ = write!(text, " {key}={}", value(of));
    }
    text.push('\n');
    text
}

fn terminal(coloured: bool, seconds: u64, level: Level, message: &str, fields: &[(&str, String)]) -> String {
    let (name, colour) = level.shown();
    let name = name[..4].to_ascii_uppercase();
    let paint = |text: &str| if coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() };
    let message = printable(message);
    let mut text = format!("{}[{seconds:04}] {message:<TERMINAL_WIDTH$} ", paint(&name));
    for (key, of) in fields {
        let _ = write!(text, " {}={}", paint(key), value(of));
    }
    text.push('\n');
    text
}

/// Without the control characters with which a stranger could write over a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// As it is, or in quotes where it could be taken for something else.
fn value(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/@^+".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { quoted(text) }
}

/// In double quotes, escaped as Go's `%q` does.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Hands on what the parts below say.
struct Tracing {
    log: Arc<Log>,
    info: Level,
}

impl Tracing {
    /// What a level of theirs is called here.
    const fn level(&self, theirs: tracing::Level) -> Level {
        match theirs {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => self.info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Tracing {
    /// Asked once for each place that could say something, so that what nobody wants costs nothing.
    fn enabled(&self, meta: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = self.level(*meta.level());
        // Libraries of others say more than anybody wants to know.
        let ours = meta.target().starts_with("hookswitch");
        level <= self.log.level && (ours || level <= Level::Warning)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.log.level {
            Level::Fatal => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warning => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        })
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.log.line_with(self.level(*event.metadata().level()), &fields.message, &fields.others);
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, String)>,
}

impl tracing::field::Visit for Fields {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.others.push((name.to_owned(), value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(zone: &str) -> Zoned {
        format!("2026-11-20T15:42:48.7{zone}").parse().unwrap()
    }

    #[test]
    fn a_line_is_as_the_original_wrote_it() {
        let utc = moment("+00:00[UTC]");
        assert_eq!(
            plain(&utc, Level::Info, r#"recv: {"jsonrpc"}"#, &[]),
            "time=\"2026-11-20T15:42:48Z\" level=info msg=\"recv: {\\\"jsonrpc\\\"}\"\n"
        );
        let fields = [("address", "127.0.0.1:5059".to_owned()), ("n", "5".to_owned())];
        assert_eq!(
            plain(&moment("+01:00[+01:00]"), Level::Warning, "interrupt", &fields),
            "time=\"2026-11-20T15:42:48+01:00\" level=warning msg=interrupt address=\"127.0.0.1:5059\" n=5\n"
        );
    }

    #[test]
    fn a_terminal_sees_seconds_and_colours() {
        let line = terminal(true, 7, Level::Info, "hello", &[("n", "5".to_owned())]);
        assert_eq!(line, format!("\x1b[36mINFO\x1b[0m[0007] {:<44}  \x1b[36mn\x1b[0m=5\n", "hello"));
        let line = terminal(false, 0, Level::Fatal, "a\x1b[2Jb", &[]);
        assert_eq!(line, format!("FATA[0000] {:<44} \n", "a\u{fffd}[2Jb"));
    }

    #[test]
    fn values_are_quoted_as_go_quotes() {
        for (text, expected) in [
            ("plain-1.0_/@^+", "plain-1.0_/@^+"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("\"\\\n\t\r\x07\x1b", "\"\\\"\\\\\\n\\t\\r\\a\\x1b\""),
            ("ü\u{85}", "\"ü\\u0085\""),
        ] {
            assert_eq!(value(text), expected);
        }
    }

    #[test]
    fn levels_have_the_names_of_logrus_in_any_case() {
        for (text, level) in [("DEBUG", Level::Debug), ("Warning", Level::Warning), ("WARN", Level::Warning)] {
            assert_eq!(text.parse(), Ok(level));
        }
        assert_eq!("LOUD".parse::<Level>().unwrap_err().to_string(), "not a valid logrus Level: \"LOUD\"");
    }

    #[test]
    fn a_file_is_appended_to_filtered_cleaned_and_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        std::fs::write(&path, "old\n").unwrap();
        let log = Log::file(&path, Level::Info, false).unwrap();
        log.line(Level::Debug, "unwanted");
        log.info("to sip:alice@example.test");
        std::fs::rename(&path, &moved).unwrap();
        log.warn("still there");
        log.reopen().unwrap();
        log.error("new file");
        let read = |path| std::fs::read_to_string(path).unwrap();
        let old: Vec<String> = read(&moved).lines().map(str::to_owned).collect();
        assert_eq!(old.len(), 3, "{old:?}");
        assert!(old[0] == "old" && old[1].ends_with("msg=\"to [hidden]\"") && old[2].contains("still there"));
        assert!(read(&path).contains("level=error msg=\"new file\""));
        let open = Log::file(&path, Level::Info, true).unwrap();
        open.info("to sip:alice@example.test");
        assert!(read(&path).ends_with("msg=\"to sip:alice@example.test\"\n"));
    }
}
