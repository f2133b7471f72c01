use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use hookswitch_dialect::webhook::{CallWebhook, Terms};

use super::*;
use crate::journal::{JournalConfig, JournalThread};
use crate::webhook::{CallWebhooksConfig, Webhooks, WebhooksConfig};

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DOCUMENT: &str = r#"{"verbs":[{"reject":{}}]}"#;

type Taken = (QuestionId, Result<Reply, CompactString>);

/// A server that answers each path in its own bad way; what it was asked comes out.
fn server() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let requests = Arc::clone(&requests);
            thread::spawn(move || {
                let mut text = String::new();
                let mut piece = [0; 4_096];
                while !text.ends_with('}') {
                    let Ok(read @ 1..) = stream.read(&mut piece) else { return };
                    text.push_str(&String::from_utf8_lossy(&piece[..read]));
                }
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                requests.lock().expect("nobody panics").push(text);
                let say = |status: &str, body: &str| {
                    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                };
                let answer = match path.as_str() {
                    "/good" | "/deep/next" => say("200 OK", DOCUMENT),
                    "/500" => say("500 No", DOCUMENT),
                    "/204" => say("204 Nothing", ""),
                    "/garbage" => say("200 OK", "<html>"),
                    "/posted" => say("200 OK", &posted("http://127.0.0.1:1/x", "")),
                    "/posted/keyed" => say("200 OK", &posted("http://127.0.0.1:1/x", r#","key":"crm""#)),
                    "/posted/private" => say("200 OK", &posted("http://10.0.0.1/x", "")),
                    "/posted/odd" => say("200 OK", &posted("gopher://h.test/x", "")),
                    "/bad" => say("200 OK", r#"{"verbs":[{"dial":{"to":7}}]}"#),
                    "/long" => say("200 OK", &format!("{DOCUMENT}{}", " ".repeat(MAX_DOCUMENT))),
                    "/moved" => say("302 There", "").replace("\r\n\r\n", "\r\nLocation: /good\r\n\r\n"),
                    "/half" => say("200 OK", DOCUMENT).replace("]}", ""),
                    // It hangs.
                    _ => {
                        let _ = stream.read(&mut piece);
                        return;
                    }
                };
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    (address, asked)
}

/// A document that names a webhook.
fn posted(url: &str, more: &str) -> String {
    format!(r#"{{"webhook":{{"url":"{url}","events":["call.ended"]{more}}},"verbs":[{{"reject":{{}}}}]}}"#)
}

fn config(at: SocketAddr, path: &str, fallback: Option<&str>) -> FlowConfig {
    let url = |path: &str| format!("http://{at}{path}").parse().expect("a URL");
    FlowConfig {
        name: "sales".into(),
        url: url(path),
        fallback: fallback.map(url),
        secrets: vec![SECRET.parse().expect("a key")],
        allow_private: vec![Network { addr: [127, 0, 0, 0].into(), prefix: 8 }],
        authorities: None,
        timeout: Duration::from_secs(1),
    }
}

/// Where nobody posts events of single calls.
fn service(config: FlowConfig) -> (FlowService, Receiver<Taken>) {
    service_with(config, &WebhookHandle::default())
}

fn service_with(config: FlowConfig, webhooks: &WebhookHandle) -> (FlowService, Receiver<Taken>) {
    let (replies, taken) = channel();
    let replies = Mutex::new(replies);
    let sink: DocumentSink = Arc::new(move |id, heard| {
        if let Heard::Reply(reply) = heard {
            let _ = replies.lock().expect("nobody panics").send((id, reply));
        }
    });
    (FlowService::start(vec![config], webhooks, Clock::start(), sink).expect("a service"), taken)
}

fn question(url: Option<&str>) -> Question {
    Question {
        id: QuestionId(7),
        flow: "sales".into(),
        name: "flow_7".into(),
        url: url.map(ToOwned::to_owned),
        body: r#"{"event":"incoming"}"#.into(),
        last: false,
    }
}

fn ask(config: FlowConfig, url: Option<&str>) -> Result<Reply, String> {
    ask_with(config, url, &WebhookHandle::default())
}

fn ask_with(config: FlowConfig, url: Option<&str>, webhooks: &WebhookHandle) -> Result<Reply, String> {
    let (service, taken) = service_with(config, webhooks);
    service.ask(question(url));
    let (id, reply) = taken.recv_timeout(PATIENCE).expect("a reply");
    assert_eq!(id, QuestionId(7));
    reply.map_err(|why| why.to_string())
}

#[test]
fn a_question_is_posted_and_signed_and_its_document_read() {
    let (at, asked) = server();
    let reply = ask(config(at, "/good", None), None).expect("a document");
    let Document { verbs, .. } = Document::read(DOCUMENT.as_bytes()).expect("one");
    assert_eq!(reply, Reply { verbs, webhook: None });
    let request = asked.lock().expect("nobody panics")[0].to_lowercase();
    for header in
        ["post /good http/1.1", "content-type: application/json", "webhook-id: flow_7", "webhook-signature: v1,"]
    {
        assert!(request.contains(header), "{request}");
    }
    // From the URL of the flow on.
    ask(config(at, "/deep/500", None), Some("next")).expect("a document");
    ask(config(at, "/500", None), Some("/good")).expect("a document");
}

#[test]
fn whatever_is_no_good_answer_says_why() {
    let (at, _) = server();
    for (path, expected) in [
        ("/500", "status 500"),
        ("/204", "status 204"),
        ("/moved", "status 302"),
        ("/garbage", "the document: expected value"),
        ("/bad", "verbs[0].dial.to: invalid type"),
        ("/long", "the document is longer than 65536 bytes"),
        ("/half", ""),
        ("/hangs", "no answer in time"),
    ] {
        let why = ask(config(at, path, None), None).expect_err(path);
        assert!(why.contains(expected), "{path}: {why}");
        ask(config(at, path, Some("/good")), None).expect("the fallback URL has a document");
    }
    let both = ask(config(at, "/500", Some("/garbage")), None).expect_err("neither");
    assert!(both.starts_with("status 500; the fallback URL: the document: expected value"), "{both}");
}

#[test]
fn that_the_fallback_url_is_asked_is_told_before_its_answer() {
    let (at, _) = server();
    let (heard, taken) = channel();
    let heard = Mutex::new(heard);
    let sink: DocumentSink = Arc::new(move |_, what| {
        let _ = heard.lock().expect("nobody panics").send(what);
    });
    let config = config(at, "/500", Some("/good"));
    let service = FlowService::start(vec![config], &WebhookHandle::default(), Clock::start(), sink).expect("a service");
    service.ask(question(None));
    let first = taken.recv_timeout(PATIENCE).expect("that it failed");
    assert!(matches!(&first, Heard::Elsewhere(why) if why == "status 500"), "{first:?}");
    let second = taken.recv_timeout(PATIENCE).expect("a reply");
    assert!(matches!(second, Heard::Reply(Ok(_))), "{second:?}");
}

#[test]
fn a_webhook_is_taken_on_or_the_document_is_no_good_answer() {
    let (at, _) = server();
    let ask = |path: &str, webhooks: &WebhookHandle| ask_with(config(at, path, None), None, webhooks);
    let why = ask("/posted", &WebhookHandle::default()).expect_err("nobody posts anything");
    assert!(why.starts_with("webhook.url: the events of single calls are not posted"), "{why}");
    let calls = CallWebhooksConfig {
        max: 1,
        secrets: Vec::new(),
        keys: [("desk".into(), vec![SECRET.parse().expect("a key")])].into(),
        allow_private: vec![Network { addr: [127, 0, 0, 0].into(), prefix: 8 }],
        authorities: None,
        timeout: Duration::from_secs(1),
        terms: Terms::default(),
        linger: Duration::from_secs(60),
    };
    let journal = JournalThread::start(&JournalConfig::new(None)).expect("a log");
    let config = WebhooksConfig { endpoints: Vec::new(), calls: Some(calls), store: None };
    let webhooks = Webhooks::start(config, &journal.handle()).expect("webhooks");
    let handle = webhooks.handle();
    for (path, expected) in [
        ("/posted/private", "webhook.url: leads to 10.0.0.1, which is no public address"),
        ("/posted/odd", "webhook.url: not an http or https URL"),
        ("/posted/keyed", "webhook.key: no key of call_webhooks.keys has this name"),
    ] {
        let why = ask(path, &handle).expect_err(path);
        assert!(why.starts_with(expected), "{path}: {why}");
    }
    assert!(handle.names().is_empty());
    let name = ask("/posted", &handle).expect("a document").webhook.expect("its webhook");
    let wanted =
        CallWebhook { events: Some(vec!["call.ended".into()]), ..CallWebhook::to("http://127.0.0.1:1/x".to_owned()) };
    assert_eq!((handle.names(), wanted.name()), (vec![name.clone()], name), "as a request that names it");
}

#[test]
fn a_document_leads_nowhere_but_where_a_flow_may_ask() {
    let (at, asked) = server();
    let private = |url: Option<&str>| {
        let mut config = config(at, "/good", None);
        config.allow_private.clear();
        ask(config, url).expect_err("not allowed")
    };
    assert!(private(None).contains("no public address"), "{}", private(None));
    let metadata = ask(config(at, "/good", None), Some("http://169.254.169.254/")).expect_err("another network");
    assert!(metadata.contains("169.254.169.254"), "{metadata}");
    for url in ["ftp://x/", "http://joe:s3cret@127.0.0.1/", "http://["] {
        let why = ask(config(at, "/good", None), Some(url)).expect_err(url);
        assert!(why.starts_with(&format!("`{url}`: ")), "{why}");
    }
    assert!(asked.lock().expect("nobody panics").is_empty());
}

#[test]
fn the_end_of_a_call_is_posted_once_and_nobody_waits_for_its_answer() {
    let (at, asked) = server();
    let (service, taken) = service(config(at, "/500", Some("/good")));
    service.ask(Question { last: true, ..question(None) });
    service.ask(question(None));
    let (_, reply) = taken.recv_timeout(PATIENCE).expect("the reply to the second");
    reply.expect("a document of the fallback URL");
    assert!(taken.try_recv().is_err());
    let paths: Vec<String> = asked.lock().expect("nobody panics").iter().map(|text| text[..10].to_owned()).collect();
    assert_eq!(paths.iter().filter(|path| path.starts_with("POST /good")).count(), 1, "{paths:?}");
}

#[test]
fn so_many_questions_are_under_way_and_no_more() {
    let (at, _) = server();
    let (service, taken) = service(config(at, "/hangs", None));
    service.under_way.store(MAX_FLOW_QUESTIONS, Ordering::Relaxed);
    service.ask(question(None));
    let (_, reply) = taken.recv_timeout(PATIENCE).expect("a reply");
    assert_eq!(reply, Err("too many questions are under way".into()));
    assert_eq!(service.under_way.load(Ordering::Relaxed), MAX_FLOW_QUESTIONS);
    service.ask(Question { flow: "other".into(), ..question(None) });
    let (_, reply) = taken.recv_timeout(PATIENCE).expect("a reply");
    assert_eq!(reply, Err("there is nobody to ask".into()));
}
