//! The native REST for calls that an OpenSIPS carries, beside those of our own switch, over sockets.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};
use hookswitch_opensips_sim::Behaviour;
use serde_json::{Value, json};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// An OpenSIPS with Alice and Bob, who answer.
fn opensips() -> Simulator {
    let phone = |name: &str| (name.to_owned(), Behaviour::scripted(name, "127.0.0.1:5062"));
    let udp = Some((Ipv4Addr::LOCALHOST, 0).into());
    Simulator::start(SimulatorConfig { udp, phones: vec![phone("alice"), phone("bob")], ..SimulatorConfig::default() })
        .unwrap()
}

fn start(folder: &Path, more: &str) -> Running {
    let text = format!(
        "sip: {{ listen: [ \"udp:127.0.0.1:0\" ] }}\nmedia: {{ ports: 26200-26300, threads: 1 }}\n\
         call_api: {{ listen: \"127.0.0.1:0\" }}\nhttp: {{ listen: \"127.0.0.1:0\" }}\n\
         control: {{ listen: \"127.0.0.1:0\" }}\nchannels: {{ listen: \"127.0.0.1:0\" }}\ndata_dir: {}\ncall_records: {{ folder: {} }}\n{more}\n",
        folder.join("data").display(),
        folder.join("calls").display(),
    );
    Running::start(Config::parse("t", &text).unwrap()).unwrap()
}

fn beside(folder: &Path, simulator: &Simulator) -> Running {
    let secret = folder.join("secret");
    std::fs::write(&secret, "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").unwrap();
    let more = format!(
        "opensips: {{ mi: \"udp:{}\" }}\n\
         call_webhooks: {{ secrets: [ \"file:{}\" ], allow_private: [ 127.0.0.0/8 ] }}",
        simulator.addresses().udp.unwrap(),
        secret.display()
    );
    let running = start(folder, &more);
    let http = running.switch.addresses().http[0];
    wait("OpenSIPS is found", || ask(http, "GET", "/health", None, "").0 == 200);
    running
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One request; its status, whether it was answered before, and the document.
fn ask(at: SocketAddr, method: &str, target: &str, key: Option<&str>, body: &str) -> (u16, bool, Value) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{key}\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase().contains("idempotency-replayed: true"), serde_json::from_str(body).unwrap_or_default())
}

/// A page that is no document.
fn page(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn call(carrier: &str) -> String {
    // Nobody is where our own switch calls.
    let host = if carrier == "opensips" { "127.0.0.1:5080" } else { "127.0.0.1:9" };
    json!({ "from": format!("sip:alice@{host}"), "to": format!("sip:bob@{host}"), "carrier": carrier }).to_string()
}

fn names(page: &Value, list: &str) -> Vec<String> {
    page[list].as_array().unwrap_or(&Vec::new()).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// The types of a call's events so far.
fn story(at: SocketAddr, call: &str) -> Vec<String> {
    let page = ask(at, "GET", &format!("/v1/events?limit=1000&call={call}"), None, "").2;
    page["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// A web server that takes everything and shows its documents.
fn target() -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (shown, documents) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            loop {
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if length == 0 || reader.read_exact(&mut body).is_err() {
                    break;
                }
                let _ = shown.send(serde_json::from_slice(&body).unwrap());
                reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            }
        }
    });
    (address, documents)
}

#[test]
fn a_call_of_opensips_is_started_held_and_ended_over_http() {
    let (simulator, folder) = (opensips(), tempfile::tempdir().unwrap());
    std::fs::create_dir(folder.path().join("calls")).unwrap();
    let running = beside(folder.path(), &simulator);
    let at = running.switch.addresses().control[0];
    let (hook, posted) = target();
    let mut body: Value = serde_json::from_str(&call("opensips")).unwrap();
    body["webhook"] = json!({ "url": format!("http://{hook}/x"), "events": ["call.*", "command.ended"] });
    let (status, _, started) = ask(at, "POST", "/v1/calls", None, &body.to_string());
    assert_eq!((status, &started["carrier"]), (201, &"opensips".into()), "{started}");
    let id = started["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/calls/{id}");
    wait("they talk", || ask(at, "GET", &path, None, "").2["state"] == "talking");
    assert_eq!(names(&ask(at, "GET", "/v1/calls?carrier=opensips", None, "").2, "calls"), [id.as_str()]);
    assert!(names(&ask(at, "GET", "/v1/calls", None, "").2, "calls").is_empty(), "ours has none");

    let (status, _, held) = ask(at, "POST", &format!("{path}/hold"), None, "{}");
    assert_eq!(status, 202, "{held}");
    let command = format!("/v1/commands/{}", held["id"].as_str().unwrap());
    wait("the hold is done", || ask(at, "GET", &command, None, "").2["status"] == "done");
    let sound = r#"{"party":"caller","sounds":[{"file":"a.wav"}]}"#;
    let (status, _, refused) = ask(at, "POST", &format!("{path}/play"), None, sound);
    assert_eq!((status, &refused["code"]), (409, &"unsupported".into()), "{refused}");
    assert_eq!(ask(at, "GET", &format!("{path}?audio=true"), None, "").2["audio"], Value::Null);

    assert_eq!(ask(at, "DELETE", &path, None, "").0, 202);
    wait("the record is in the log", || story(at, &id).contains(&"call.record".to_owned()));
    let told = story(at, &id);
    for expected in ["call.started", "call.dialing", "call.bridged", "call.ended", "command.ended"] {
        assert!(told.contains(&expected.to_owned()), "{expected} is missing in {told:?}");
    }
    let records = ask(at, "GET", "/v1/call-records?carrier=opensips", None, "").2;
    assert_eq!(names(&records, "call_records"), [id.as_str()]);
    assert_eq!(ask(at, "GET", &format!("/v1/call-records/{id}"), None, "").0, 200);
    let documents = std::iter::from_fn(|| posted.recv_timeout(PATIENCE).ok());
    let kinds: Vec<Value> =
        documents.map(|event| event["type"].clone()).take_while(|kind| kind != "call.record").collect();
    assert!(kinds.contains(&"call.bridged".into()) && kinds.contains(&"call.ended".into()), "{kinds:?}");

    let written = || {
        let files = std::fs::read_dir(folder.path().join("calls")).unwrap();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>()
    };
    wait("the record is in the file", || written().contains(&id));
    assert!(written().contains(r#""carrier":"opensips""#), "{}", written());
    let metrics = page(running.switch.addresses().http[0], "/metrics");
    for (carrier, command, result) in [
        ("opensips", "start", "done"),
        ("opensips", "hold", "done"),
        ("opensips", "end", "done"),
        ("opensips", "play", "refused"),
    ] {
        let figure = format!(
            "hookswitch_rest_commands_total{{carrier=\"{carrier}\",command=\"{command}\",result=\"{result}\"}} 1"
        );
        assert!(metrics.contains(&figure), "{figure}\n{metrics}");
    }
    assert!(running.stop());
}

#[test]
fn a_key_means_one_request_whoever_carries_the_call_and_after_a_restart() {
    let (simulator, folder) = (opensips(), tempfile::tempdir().unwrap());
    std::fs::create_dir(folder.path().join("calls")).unwrap();
    let running = beside(folder.path(), &simulator);
    let at = running.switch.addresses().control[0];
    let (status, replayed, first) = ask(at, "POST", "/v1/calls", Some("k1"), &call("opensips"));
    assert_eq!((status, replayed), (201, false), "{first}");
    let (status, replayed, again) = ask(at, "POST", "/v1/calls", Some("k1"), &call("opensips"));
    assert_eq!((status, replayed, &again), (201, true, &first));
    let (status, _, ours) = ask(at, "POST", "/v1/calls", Some("k2"), &call("switch"));
    assert_eq!(status, 201, "{ours}");
    for (key, carrier) in [("k1", "switch"), ("k2", "opensips")] {
        let (status, _, refused) = ask(at, "POST", "/v1/calls", Some(key), &call(carrier));
        assert_eq!((status, &refused["code"]), (422, &"key_reused".into()), "{key}: {refused}");
    }
    // What is refused may be tried again under its key.
    let path = format!("/v1/calls/{}", first["id"].as_str().unwrap());
    wait("they talk", || ask(at, "GET", &path, None, "").2["state"] == "talking");
    let bridge = json!({ "party": "caller", "with": ours["id"], "with_party": "callee" }).to_string();
    for _ in 0..2 {
        let (status, _, refused) = ask(at, "POST", &format!("{path}/bridge"), Some("k3"), &bridge);
        assert_eq!((status, &refused["field"]), (404, &"/with".into()), "calls of two carriers: {refused}");
    }
    assert_eq!(ask(at, "POST", &format!("{path}/hold"), Some("k3"), "{}").0, 202);
    assert!(running.stop());

    let running = beside(folder.path(), &simulator);
    let at = running.switch.addresses().control[0];
    let (status, replayed, after) = ask(at, "POST", "/v1/calls", Some("k1"), &call("opensips"));
    assert_eq!((status, replayed, &after), (201, true, &first), "started before the restart");
    // It has gone on meanwhile, and is ended by the name that it had.
    let id = first["id"].as_str().unwrap();
    wait("the call is taken back", || {
        names(&ask(at, "GET", "/v1/calls?carrier=opensips", None, "").2, "calls") == [id]
    });
    assert_eq!(ask(at, "GET", &path, None, "").2["state"], "talking");
    assert_eq!(ask(at, "DELETE", &path, None, "").0, 202);
    wait("the record is in the log", || story(at, id).contains(&"call.record".to_owned()));
    let ends = story(at, id).iter().filter(|kind| *kind == "call.ended").count();
    assert_eq!(
        (ends, ask(at, "GET", &format!("/v1/call-records/{id}"), None, "").2["talked_seconds"].is_number()),
        (1, true)
    );
    assert!(running.stop());
}

#[test]
fn names_of_the_two_never_collide_and_a_drain_is_for_both() {
    let (simulator, folder) = (opensips(), tempfile::tempdir().unwrap());
    std::fs::create_dir(folder.path().join("calls")).unwrap();
    let running = beside(folder.path(), &simulator);
    let at = running.switch.addresses().control[0];
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        for carrier in ["switch", "opensips"] {
            let (status, _, made) = ask(at, "POST", "/v1/calls", None, &call(carrier));
            assert_eq!((status, &made["carrier"]), (201, &carrier.into()), "{made}");
            for name in [&made["id"], &made["command"]] {
                let name = name.as_str().unwrap().to_owned();
                let number = u64::from_str_radix(name.split_once('_').unwrap().1, 16).unwrap();
                assert_eq!(hookswitch_call::CallId(number).is_beyond(), carrier == "opensips", "{name}");
                assert!(seen.insert(name));
            }
            // Whose it is, its name says.
            let (status, _, command) =
                ask(at, "GET", &format!("/v1/commands/{}", made["command"].as_str().unwrap()), None, "");
            assert_eq!((status, &command["call"]), (200, &made["id"]), "{command}");
        }
    }
    assert_eq!(ask(at, "POST", "/v1/drain", None, "{}").0, 202);
    for carrier in ["switch", "opensips"] {
        wait("it drains", || ask(at, "POST", "/v1/calls", None, &call(carrier)).2["code"] == "draining");
    }
    assert!(running.stop());
}

#[test]
fn a_carrier_that_is_not_configured_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("calls")).unwrap();
    let running = start(folder.path(), "");
    let at = running.switch.addresses().control[0];
    let (status, _, refused) = ask(at, "POST", "/v1/calls", None, &call("opensips"));
    assert_eq!((status, &refused["code"], &refused["field"]), (409, &"not_enabled".into(), &"/carrier".into()));
    for list in ["calls", "legs", "call-records"] {
        let (status, _, refused) = ask(at, "GET", &format!("/v1/{list}?carrier=opensips"), None, "");
        assert_eq!((status, &refused["code"], &refused["field"]), (409, &"not_enabled".into(), &"?carrier".into()));
    }
    let (status, _, refused) = ask(at, "GET", "/v1/calls?carrier=nobody", None, "");
    assert_eq!((status, &refused["code"]), (422, &"invalid_parameter".into()));
    assert!(running.stop());
}
