//! Runs the examples of the dialect's page, and compares its tables with the program's.
//!
//! In a block marked `call-api`, `session MODE` opens a session, `>` is what the client sends, `<`
//! what it reads next (`"…"` stands for any string) and `~` what happens in the switch meanwhile.

use std::sync::Arc;

use hookswitch_call::{Address, Cause, Event, Failure, Fault, Kind, Party, Refused, Stage, Upstream};
use hookswitch_dialect::call_api::{
    Admission, COMMANDS, Config, LogLost, LogOrder, MAX_BATCH, MAX_CMD_ID, MAX_HEADERS, MAX_HEADERS_BYTES, MAX_KEY,
    MAX_MESSAGE, Mode, Modes, Param, logged,
};
use hookswitch_dialect::journal::EventId;
use serde_json::Value;

use crate::rig::{Rig, answered, connecting, dialing, failure, over, ringing};

fn page() -> String {
    let path = format!("{}/../../../docs/dialects/call-api.md", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The blocks of a page that are marked with this word.
fn blocks<'a>(page: &'a str, mark: &str) -> Vec<&'a str> {
    let open = format!("```{mark}\n");
    page.split(&open).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[derive(Default)]
struct Example {
    rig: Option<Rig>,
    heard: Vec<Value>,
}

impl Example {
    fn line(&mut self, line: &str) {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "session" => {
                self.end();
                let (mode, access) =
                    rest.split_once(" with ").map_or((rest, None), |(mode, access)| (mode, Some(access)));
                let mode = if mode == "strict" { Mode::Strict } else { Mode::Original };
                let access = access.map(|access| serde_json::from_str(access).unwrap());
                self.rig = Some(Rig::admitted(Admission { mode, access: access.map(Arc::new) }, Config::default()));
            }
            ">" => {
                let heard = self.rig().send(rest);
                self.heard.extend(heard);
            }
            "~" => self.happen(rest),
            "<" => {
                assert!(!self.heard.is_empty(), "nothing was sent instead of {rest}");
                let heard = self.heard.remove(0);
                let expected: Value = serde_json::from_str(rest).unwrap_or_else(|error| panic!("{error}: {rest}"));
                assert!(is_like(&heard, &expected), "{heard}\ninstead of\n{expected}");
            }
            _ => panic!("not a line of an example: {line}"),
        }
    }

    fn happen(&mut self, what: &str) {
        let rig = self.rig.as_mut().expect("a session comes first");
        let ticket = rig.ticket;
        let words: Vec<&str> = what.split(' ').collect();
        let event: Event = match words.as_slice() {
            // As who reads the log says it.
            ["the", "log", "goes", "on"] => {
                let event = r#"{"id":"1795367109120008","type":"call.bridged","time":"2026-11-22T17:05:09.120Z","call":"call_000000000001","seq":4,"domains":["example.test"],"data":{}}"#;
                return self.heard.push(serde_json::from_str(&logged("log", event)).unwrap());
            }
            ["the", "log", "begins", "later"] => {
                let Some((_, LogOrder::Follow { tag, .. })) = rig.logs.pop() else { panic!("nobody follows the log") };
                rig.hub.log_lost(tag, LogLost { oldest: Some(EventId(1_795_367_109_990_000)) });
                return self.heard.extend(rig.values());
            }
            ["no", "such", "call"] => return rig.answers.push_back(Refused::NoSuchCall),
            // As the switchboard reports a start that a CallEnd has stopped.
            ["cancelled:", "caller"] => {
                let cause = Cause::new(Kind::Cancelled, Fault::Nobody);
                let result = Err(Failure::new(Stage::Caller, cause));
                return self.heard.extend(rig.settle(hookswitch_call::Ticket(1), result));
            }
            ["done"] => return self.heard.extend(rig.settle(ticket, Ok(()))),
            ["failed:", step, code, text @ ..] => {
                let stage = match *step {
                    "caller" => Stage::Caller,
                    "transfer" => Stage::Transfer,
                    _ => Stage::Callee,
                };
                let result = failure(stage, code.parse().unwrap(), &text.join(" "));
                return self.heard.extend(rig.settle(ticket, result));
            }
            ["the", party, "refuses", "to", "hold:", code, text @ ..] => {
                let cause = Cause::from_status(code.parse().unwrap(), &text.join(" "));
                let party = end(party);
                let (party, held) = (Some(party), vec![party.other()]);
                let result = Err(Failure { party, held, ..Failure::new(Stage::Hold, cause) });
                return self.heard.extend(rig.settle(ticket, result));
            }
            ["OpenSIPS", "says:", code, text @ ..] => {
                let text = text.join(" ");
                let cause = Cause { fault: Fault::Upstream, ..Cause::from_status(code.parse().unwrap(), &text) };
                let upstream = Some(Upstream { code: code.parse().unwrap(), text: text.into() });
                let result = Err(Failure { upstream, ..Failure::new(Stage::Backend, cause) });
                return self.heard.extend(rig.settle(ticket, result));
            }
            // The carrier tells of it for whoever wants to know, not for a command.
            ["the", "call", "is", "over"] => return self.heard.extend(rig.tell(None, over())),
            ["hold", "is", "accepted"] => Event::HoldAccepted { hold: true },
            ["the", party, "is", "asked", "to", "hold"] => Event::HoldAsked { party: end(party), hold: true },
            ["the", party, "holds"] => Event::Held { party: end(party), hold: true },
            ["transferring"] => Event::Transferring { party: Party::Callee, to: None },
            ["the", "transfer", "begins", "as", wire_id, "to", to] => {
                Event::TransferStarted { wire_id: (*wire_id).into(), to: Some(Address::from(*to)) }
            }
            ["the", "transfer", "reports", code, text @ ..] => {
                Event::TransferProgress { status: code.parse().unwrap(), text: text.join(" ").into() }
            }
            ["calling", "the", "caller", "as", wire_id] => dialing(Party::Caller, wire_id),
            ["calling", "the", "callee", "as", wire_id] => dialing(Party::Callee, wire_id),
            ["the", "caller", "answers"] => answered(Party::Caller),
            ["the", "callee", "answers"] => answered(Party::Callee),
            ["connecting"] => connecting(),
            ["the", "callee", "reports", code, text @ ..] => ringing(code.parse().unwrap(), &text.join(" ")),
            _ => panic!("nothing that happens: {what}"),
        };
        let heard = rig.tell(Some(ticket), event);
        self.heard.extend(heard);
    }

    fn rig(&mut self) -> &mut Rig {
        self.rig.as_mut().expect("a session comes first")
    }

    fn end(&self) {
        assert!(self.heard.is_empty(), "the page does not show {:?}", self.heard);
    }
}

fn end(name: &str) -> Party {
    if name == "caller" { Party::Caller } else { Party::Callee }
}

/// Equal, members in the same number, `"…"` equal to any string.
fn is_like(heard: &Value, expected: &Value) -> bool {
    match (heard, expected) {
        (Value::String(_), Value::String(any)) if any == "…" => true,
        (Value::Object(heard), Value::Object(expected)) => {
            heard.len() == expected.len()
                && expected.iter().all(|(name, value)| heard.get(name).is_some_and(|heard| is_like(heard, value)))
        }
        (Value::Array(heard), Value::Array(expected)) => {
            heard.len() == expected.len()
                && heard.iter().zip(expected).all(|(heard, expected)| is_like(heard, expected))
        }
        _ => heard == expected,
    }
}

#[test]
fn every_example_is_true() {
    let page = page();
    let blocks = blocks(&page, "call-api");
    assert!(blocks.len() >= 5);
    for block in blocks {
        let mut example = Example::default();
        block.lines().filter(|line| !line.is_empty()).for_each(|line| example.line(line));
        example.end();
    }
}

#[test]
fn the_table_of_commands_is_the_programs() {
    let page = page();
    for row in COMMANDS {
        let list = |params: &[Param]| {
            let all: Vec<_> = params.iter().map(|param| format!("`{}` ({})", param.name, param.kind.name())).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        let (params, optional) = (list(row.params), list(row.optional));
        let sessions = match row.modes {
            Modes::Both => "all",
            Modes::Original => "original",
            Modes::Strict => "strict",
        };
        let line = format!("| `{}` | {} | {params} | {optional} | {sessions} |", row.name, row.about);
        assert!(page.contains(&line), "the page lacks this row:\n{line}");
        for event in row.events.iter().filter(|_| row.name != "Test") {
            assert!(page.contains(&format!("`{}`", event.name())), "{}", event.name());
        }
    }
}

#[test]
fn the_limits_are_the_programs() {
    let page = page();
    let config = hookswitch_dialect::call_api::Config::default();
    for (what, number) in [
        ("bytes in a message", MAX_MESSAGE),
        ("bytes in a `cmd_id`", MAX_CMD_ID),
        ("bytes in an `idempotency_key`", MAX_KEY),
        ("bytes in `headers`", MAX_HEADERS_BYTES),
        ("header fields in `headers`", MAX_HEADERS),
        ("idempotency keys of one token", config.max_keys),
        ("bytes of these keys", config.max_key_bytes),
        ("requests in a batch", MAX_BATCH),
        ("sessions", config.max_sessions),
        ("commands in flight in one session", config.max_in_flight),
    ] {
        let line = format!("| {what} | {number} |");
        assert!(page.contains(&line), "the page lacks this row:\n{line}");
    }
}
