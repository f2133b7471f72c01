//! Sends one request and follows its command to the end: what `call-cmd` and `call-api-client` have in common.

use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::course::{Course, Heard, Verdict, go_text};
use super::log::{Level, Log};

/// How long the last words may take after an error, an interruption or the end of patience.
pub const GRACE: Duration = Duration::from_secs(5);

/// The method whose command rings phones until somebody ends it.
const CALL_START: &str = "CallStart";

/// The `id` of the request that ends a CallStart.
const END_ID: &str = "interrupt";

/// The way to whoever carries commands out.
pub trait Line {
    /// Sends one message.
    ///
    /// # Errors
    /// It cannot be sent; why.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), String>> + Send;
    /// The next message. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// There will be none; why.
    fn receive(&mut self) -> impl Future<Output = Result<String, String>> + Send;
}

/// How a tool ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The command succeeded.
    Succeeded,
    /// It failed, was refused, or nobody could be reached.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// `-timeout` was over.
    TimedOut,
    /// SIGINT or SIGTERM.
    Interrupted,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::Succeeded => 0,
            End::Failed => 1,
            End::Usage => 2,
            End::TimedOut => 3,
            // As shells do: 128 and the number of the signal.
            End::Interrupted => 130,
        })
    }
}

/// What is shown of a command's course.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// Every message as it is, after `send:` and `recv:`.
    Messages,
    /// Every event, after the method and the name of the command.
    Events,
}

/// When somebody's patience is over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Option<Instant>,
    patience: Duration,
}

impl Deadline {
    /// So long from now; zero: never.
    #[must_use]
    pub fn after(patience: Duration) -> Self {
        Self { at: (!patience.is_zero()).then(|| Instant::now() + patience), patience }
    }

    /// How long that was at the start.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits until then, or for ever.
    pub async fn passed(self) {
        match self.at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// One request to be followed.
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its parameters, as JSON.
    pub params: &'a str,
    /// Its `id`.
    pub id: Value,
    /// When all of it must be over.
    pub deadline: Deadline,
    /// Whether every message goes to standard output, instead of what is shown.
    pub json: bool,
    /// What is shown.
    pub show: Show,
}

impl Request<'_> {
    /// The message.
    #[must_use]
    pub fn text(&self) -> String {
        let (id, method) = (&self.id, Value::from(self.method));
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{}}}"#, self.params)
    }
}

/// Why the end is awaited with little patience.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hurry {
    /// The command failed, and `Ended` is all that may still come.
    Failed,
    Interrupted,
    TimedOut,
}

struct Follower<'a, L> {
    request: &'a Request<'a>,
    line: &'a mut L,
    log: &'a Log,
    out: &'a mut dyn FnMut(&str),
    course: Course,
    hurry: Option<Hurry>,
    deadline: Deadline,
}

/// Sends the request and follows its command until it is over, time is up or somebody interrupts; a CallStart that runs
/// then is ended first. `out` takes the lines of `-json`, `interrupts` a message for each signal.
pub async fn follow<L: Line>(
    request: &Request<'_>,
    line: &mut L,
    log: &Log,
    interrupts: &mut mpsc::Receiver<()>,
    out: &mut dyn FnMut(&str),
) -> End {
    let course = Course::new(request.id.clone());
    let mut follower = Follower { request, line, log, out, course, hurry: None, deadline: request.deadline };
    let text = request.text();
    if request.show == Show::Messages && !request.json {
        log.info(&format!("send: {text}"));
    }
    if let Err(error) = follower.line.send(text).await {
        log.fatal(&format!("write:{error}"));
        return End::Failed;
    }
    loop {
        let next = tokio::select! {
            message = follower.line.receive() => match message {
                Ok(text) => follower.heard(&text).await,
                Err(error) => {
                    log.error(&format!("read: {error}"));
                    Some(follower.end())
                }
            },
            Some(()) = interrupts.recv() => follower.hasten(Hurry::Interrupted).await,
            () = follower.deadline.passed() => follower.hasten(Hurry::TimedOut).await,
        };
        if let Some(end) = next {
            return end;
        }
    }
}

impl<L: Line> Follower<'_, L> {
    async fn heard(&mut self, text: &str) -> Option<End> {
        let quiet = self.request.json;
        if self.request.show == Show::Messages && !quiet {
            self.log.info(&format!("recv: {text}"));
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            self.log.warn("failed to parse JSON reply: it is ignored");
            return None;
        };
        if !message.is_object() {
            self.log.warn("the server sent something that is no JSON-RPC message: it is ignored");
            return None;
        }
        if quiet {
            // One line each, whatever the server writes.
            let line = if text.contains(['\n', '\r']) { message.to_string() } else { text.to_owned() };
            (self.out)(&line);
        }
        let heard = self.course.hear(message);
        heard.iter().for_each(|heard| self.show(heard));
        if self.course.verdict().is_some() {
            return Some(self.end());
        }
        // It was wanted over before it had a name.
        let is_started = heard.iter().any(|heard| matches!(heard, Heard::Started(_)));
        if is_started && matches!(self.hurry, Some(Hurry::Interrupted | Hurry::TimedOut)) {
            return self.end_call().await;
        }
        if self.course.error().is_some() && self.hurry.is_none() {
            self.hurry_up(Hurry::Failed);
        }
        None
    }

    fn show(&self, heard: &Heard) {
        match heard {
            Heard::Event { name, data } if self.request.show == Show::Events && !self.request.json => {
                let data = data.as_ref().map(|data| format!(": {}", go_text(data))).unwrap_or_default();
                let cmd_id = self.course.cmd_id().unwrap_or_default();
                self.log.info(&format!("{}:{cmd_id}: {name}{data}", self.request.method));
            }
            Heard::Refused(error) => self.show_error(error, None),
            Heard::Failed { error, why } => self.show_error(error, why.as_deref()),
            Heard::Started(_) | Heard::Event { .. } | Heard::Ended => {}
        }
    }

    fn show_error(&self, error: &str, why: Option<&str>) {
        let level = match self.hurry {
            // Of a command that was ended, this is what was wanted.
            Some(Hurry::Interrupted | Hurry::TimedOut) => Level::Info,
            Some(Hurry::Failed) | None => Level::Fatal,
        };
        let fields: Vec<_> = why.map(|why| ("reason".to_owned(), why.to_owned())).into_iter().collect();
        self.log.line_with(level, error, &fields);
    }

    /// Somebody wants it over: a CallStart is ended, as soon as it has a name, and its end awaited for a while; everything
    /// else is left.
    async fn hasten(&mut self, why: Hurry) -> Option<End> {
        let is_second = self.hurry.is_some();
        if !is_second {
            match why {
                Hurry::Interrupted => self.log.info("interrupt"),
                Hurry::TimedOut | Hurry::Failed => {
                    let patience = self.request.deadline.patience();
                    self.log.fatal(&format!("no end of {} within {patience:?}", self.request.method));
                }
            }
        }
        if is_second || self.request.method != CALL_START {
            self.hurry.get_or_insert(why);
            return Some(self.end());
        }
        self.hurry_up(why);
        if self.course.cmd_id().is_some() { self.end_call().await } else { None }
    }

    /// Has the CallStart ended that runs.
    async fn end_call(&mut self) -> Option<End> {
        let callid = Value::from(self.course.cmd_id().unwrap_or_default());
        let end = format!(r#"{{"jsonrpc":"2.0","id":"{END_ID}","method":"CallEnd","params":{{"callid":{callid}}}}}"#);
        if self.request.show == Show::Messages && !self.request.json {
            self.log.info(&format!("send: {end}"));
        }
        self.line.send(end).await.is_err().then(|| self.end())
    }

    fn hurry_up(&mut self, why: Hurry) {
        self.hurry = Some(why);
        self.deadline = Deadline::after(GRACE);
    }

    fn end(&self) -> End {
        match (self.hurry, self.course.verdict()) {
            (Some(Hurry::Interrupted), _) => End::Interrupted,
            (Some(Hurry::TimedOut), _) => End::TimedOut,
            (_, Some(Verdict::Succeeded)) => End::Succeeded,
            (_, Some(Verdict::Failed(_)) | None) => End::Failed,
        }
    }
}

/// Prints one line of `-json`.
pub fn print(line: &str) {
    // Whoever reads no more has heard enough; the command goes on.
    let _ = writeln!(std::io::stdout(), "{line}");
}
