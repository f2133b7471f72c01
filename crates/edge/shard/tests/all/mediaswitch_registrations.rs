//! The controller of a domain hears who registers there and who is gone.

use crate::support::controller::Mood;
use crate::support::*;
use serde_json::{Value, json};

fn told(world: &mut World) -> Vec<(&'static str, String, Value)> {
    world.notes().into_iter().map(|told| (told.note.method, told.note.url, told.document)).collect()
}

const URL: &str = "http://127.0.0.1:9001/reg/x.test/bob";

fn here(host: &str) -> Value {
    json!({ "host": host, "port": 5060, "user": "bob@x.test" })
}

/// The same whatever the phone calls itself.
fn without_agent(mut notes: Vec<(&'static str, String, Value)>) -> Vec<(&'static str, String, Value)> {
    for (_, _, document) in &mut notes {
        if let Some(document) = document.as_object_mut() {
            document.remove("agent");
        }
    }
    notes
}

#[test]
fn every_registration_is_told_and_its_end() {
    let mut world = World::controlled();
    for _ in 0..2 {
        assert_eq!(world.register(1), 200);
        assert_eq!(without_agent(told(&mut world)), [("PUT", URL.to_owned(), here("10.0.0.3"))], "made and refreshed");
    }
    assert_eq!(world.register_as(1, "bob", World::credentials("bob"), 0), 200);
    assert_eq!(told(&mut world), [("DELETE", URL.to_owned(), Value::Null)]);
}

/// A switch whose domain has a controller, and which asks phones every 30 s whether they are there.
fn pinging() -> World {
    let mut config = shard_config();
    config.dialogs.controllers = true;
    config.directory = directory();
    config.b2bua.registrar.options_ping = sec(30);
    let mut world = World::new(config);
    let (status, _) = world.http("PATCH", "/dir/x.test", r#"{"control":"http://127.0.0.1:9001/"}"#);
    assert_eq!(status, 200);
    world
}

#[test]
fn a_registration_that_runs_out_is_told() {
    for mut world in [World::controlled(), pinging()] {
        world.register(1);
        told(&mut world);
        world.pass(sec(599));
        assert!(told(&mut world).is_empty(), "it is there, and answers if it is asked");
        world.pass(sec(2));
        assert_eq!(told(&mut world), [("DELETE", URL.to_owned(), Value::Null)]);
    }
}

#[test]
fn a_phone_that_falls_silent_is_told_before_its_time_is_over() {
    let mut world = pinging();
    world.register(1);
    told(&mut world);
    world.mute = Some(at("10.0.0.3:5060"));
    world.pass(sec(200));
    assert_eq!(told(&mut world), [("DELETE", URL.to_owned(), Value::Null)]);
}

#[test]
fn who_does_not_prove_who_it_is_unregisters_nobody() {
    let mut world = World::controlled();
    world.register(1);
    told(&mut world);
    // From its own address, and from somebody else's.
    for agent in [1, 3] {
        assert_eq!(world.register_as(agent, "bob", None, 0), 401, "it is challenged");
    }
    assert!(told(&mut world).is_empty());
    let (_, listed) = world.ask("GET", "/reg/x.test", &Value::Null);
    assert_eq!(listed["users"]["bob"]["registered"], true);
    assert_eq!(world.register_as(1, "bob", World::credentials("bob"), 0), 200);
    assert_eq!(told(&mut world), [("DELETE", URL.to_owned(), Value::Null)], "and whoever does prove it does");
}

#[test]
fn a_user_with_another_phone_is_still_registered() {
    let mut world = World::controlled();
    world.register(1);
    world.register(2);
    assert_eq!(told(&mut world).len(), 2);
    world.register_as(1, "bob", World::credentials("bob"), 0);
    assert!(told(&mut world).is_empty());
    world.register_as(2, "bob", World::credentials("bob"), 0);
    assert_eq!(told(&mut world).len(), 1);
}

#[test]
fn a_controller_that_was_away_hears_how_it_is_now() {
    let mut world = World::controlled();
    world.mood = Mood::Dead;
    world.register(1);
    world.register(1);
    world.register_as(1, "bob", World::credentials("bob"), 0);
    told(&mut world);
    world.mood = Mood::Says(200);
    world.pass(sec(40));
    let last = told(&mut world).pop().unwrap();
    assert_eq!(last.0, "DELETE");
    assert_eq!(world.shard.controller_notes().0, 0);
}

#[test]
fn nobody_is_told_unless_controllers_are_configured() {
    let mut world = World::new(shard_config());
    world.http("PATCH", "/dir/x.test", r#"{"control":"http://127.0.0.1:9001/"}"#);
    world.register(1);
    assert!(told(&mut world).is_empty());
}
