//! `call-cmd`: one command, carried out here, without a daemon.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self as blocking, TryRecvError};
use std::time::Duration;

use hookswitch_dialect::call_api::{COMMANDS, Mode};
use hookswitch_drive::{Clock, LocalSession, OpenSipsFront, Phase};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::args::{CmdArgs, Tool};
use super::follow::{Deadline, End, Line, Request, Show, follow, print};
use super::front;
use super::log::{Level, Log};
use super::startup::{self, Started};

/// How often the thread of the session looks whether there is something to send.
const TURN: Duration = Duration::from_millis(20);

/// Messages that may wait to be read here.
const MOST_WAITING: usize = 1_024;

/// Why there is nothing more to read.
const CLOSED: &str = "the session was closed";

/// Runs the tool; standard output gets the lines of `-json`.
#[must_use]
pub fn run(args: &CmdArgs) -> ExitCode {
    let Started { settings, log } = match startup::start(args) {
        Ok(started) => started,
        Err(over) => return over,
    };
    let Some(method) = args.command.as_deref() else {
        log.error("no command specified!");
        log.fatal(&format!("Usage: {} command [arguments...]", CmdArgs::NAME));
        return End::Failed.into();
    };
    log.line(Level::Debug, &format!("Running command {method}"));
    if !COMMANDS.iter().any(|row| row.name == method && row.modes.has(Mode::Original)) {
        log.fatal(&format!("could not initialize {method} command"));
        return End::Failed.into();
    }
    let started = front::config(&settings).map_err(|error| error.to_string());
    let front = started.and_then(|config| OpenSipsFront::start(config).map_err(|error| error.to_string()));
    let front = match front {
        Ok(front) => Arc::new(front),
        Err(error) => {
            log.fatal(&format!("could not initialize SIP proxy: {error}"));
            return End::Failed.into();
        }
    };
    let request = Request {
        method,
        params: &parameters(&args.parameters).to_string(),
        id: Value::from(1),
        deadline: Deadline::after(args.once.timeout.unwrap_or_default()),
        json: args.once.json,
        show: Show::Events,
    };
    let end = converse(&request, &front, &log);
    // The thread of the session has ended, so this is the last owner.
    if let Some(front) = Arc::into_inner(front) {
        let _ = front.stop();
    }
    end.into()
}

fn converse(request: &Request<'_>, front: &Arc<OpenSipsFront>, log: &Log) -> End {
    let (runtime, mut interrupts) = match startup::runtime() {
        Ok(both) => both,
        Err(error) => {
            log.fatal(&format!("cannot start: {error}"));
            return End::Failed;
        }
    };
    let mut line = Local::start(front.session(Mode::Original), Arc::clone(front));
    let end = runtime.block_on(follow(request, &mut line, log, &mut interrupts, &mut print));
    line.finish();
    end
}

/// `name=value` words as parameters. A word without an equals sign is a name with an empty value; of two equal names the
/// later counts.
fn parameters(words: &[String]) -> Value {
    let pair = |word: &String| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        (name.to_owned(), Value::from(value))
    };
    Value::Object(words.iter().map(pair).collect::<Map<_, _>>())
}

/// A session within this process. A thread of its own waits for what it says.
struct Local {
    sends: Option<blocking::Sender<String>>,
    texts: mpsc::Receiver<String>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Local {
    fn start(session: LocalSession, front: Arc<OpenSipsFront>) -> Self {
        let (sends, to_send) = blocking::channel::<String>();
        let (heard, texts) = mpsc::channel(MOST_WAITING);
        let thread = std::thread::spawn(move || {
            let clock = Clock::start();
            loop {
                match to_send.try_recv() {
                    Ok(text) => session.send(text),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => break,
                }
                let asked = clock.now();
                let is_over = match session.recv_timeout(TURN) {
                    Some(text) => heard.blocking_send(text).is_err(),
                    // A session that was closed says so by not waiting.
                    None => front.phase() >= Phase::Stopped || clock.now() - asked < TURN / 2,
                };
                if is_over {
                    break;
                }
            }
        });
        Self { sends: Some(sends), texts, thread: Some(thread) }
    }

    /// Ends the thread.
    fn finish(&mut self) {
        self.sends = None;
        self.texts.close();
        if let Some(thread) = self.thread.take() {
            // It panics only if the front does, and that was said.
            let _ = thread.join();
        }
    }
}

impl Line for Local {
    async fn send(&mut self, text: String) -> Result<(), String> {
        let sent = self.sends.as_ref().is_some_and(|sends| sends.send(text).is_ok());
        if sent { Ok(()) } else { Err(CLOSED.into()) }
    }

    async fn receive(&mut self) -> Result<String, String> {
        self.texts.recv().await.ok_or_else(|| CLOSED.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_parameters_as_the_original_read_them() {
        let words = ["caller=sip:a@b;x=y", "a=b=c", "bare", "twice=1", "twice=2", "cmd_id=", "=v"].map(String::from);
        let expected = json!({"caller": "sip:a@b;x=y", "a": "b=c", "bare": "", "twice": "2", "cmd_id": "", "": "v"});
        assert_eq!(parameters(&words), expected);
        assert_eq!(parameters(&[]), json!({}));
    }
}
