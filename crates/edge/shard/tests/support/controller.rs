//! A controller over HTTP, as seen from a shard: what it is told, and what it asks.

use std::collections::VecDeque;

use hookswitch_shard::{HttpId, Input, Note};
use serde_json::Value;

use super::{World, directory, shard_config};

/// How a controller answers what it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// With this status.
    Says(u16),
    /// Not at all: no connection, or no answer in time.
    Dead,
    /// Not yet: the test answers itself.
    Later,
}

/// What a controller was told.
pub struct Told {
    pub note: Note,
    pub document: Value,
}

impl World {
    /// A switch whose domain x.test has a controller, to which calls go.
    pub fn controlled() -> Self {
        let mut config = shard_config();
        config.dialogs.controllers = true;
        config.directory = directory();
        let mut world = Self::new(config);
        let (status, _) = world.http("PATCH", "/dir/x.test", r#"{"control":"http://127.0.0.1:9001/"}"#);
        assert_eq!(status, 200);
        world
    }

    /// Asks the switch something, as a controller does.
    pub fn ask(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let input = Input::Http { id: HttpId(7), method: method.into(), path: path.into(), body: body.into() };
        self.shard.handle(self.now, input);
        self.run();
        let (status, body) = self.answers.pop().expect("an HTTP answer");
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// A command for a dialog that must go well.
    pub fn command(&mut self, action: &str, body: &Value) {
        let (status, answer) = self.ask("PUT", &format!("/dialog/{action}"), body);
        assert_eq!(status, 200, "{action}: {answer}");
    }

    /// What the controller has been told since this was asked last: method, path, document.
    pub fn notes(&mut self) -> Vec<Told> {
        let told = std::mem::take(&mut self.noted);
        told.into_iter()
            .map(|note| Told { document: serde_json::from_str(&note.body).unwrap_or(Value::Null), note })
            .collect()
    }

    /// The one event since this was asked last.
    pub fn event(&mut self) -> Value {
        let mut notes = self.notes();
        let paths: Vec<&str> = notes.iter().map(|told| told.note.url.as_str()).collect();
        assert_eq!(notes.len(), 1, "{paths:?}");
        notes.remove(0).document
    }

    /// What a controller answers to what was told, by its mood.
    pub fn take_notes(&mut self, notes: VecDeque<Note>) {
        for note in notes {
            let id = note.id;
            self.noted.push(note);
            let status = match self.mood {
                Mood::Says(status) => Some(status),
                Mood::Dead => None,
                Mood::Later => continue,
            };
            self.shard.handle(self.now, Input::Controller { id, status });
        }
    }
}
