//! The pages, as the control listener asks for them.

use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::rest;
use hookswitch_dialect::webhook::Terms;
use serde_json::Value;

use super::*;
use crate::journal::{JournalConfig, JournalThread};

struct Rig {
    grant: Arc<Grant>,
    handle: WebhookHandle,
    webhooks: Option<Webhooks>,
    _journal: JournalThread,
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Its runtime must not end within ours.
        let webhooks = self.webhooks.take();
        std::thread::spawn(move || drop(webhooks)).join().unwrap();
    }
}

impl Rig {
    /// An endpoint to which nothing leads, with dead letters of these events, for somebody who may do this.
    async fn start(grant: Grant, dead: &[u64]) -> Self {
        let journal = JournalThread::start(&JournalConfig::new(None)).unwrap();
        let endpoint = EndpointConfig {
            name: "crm".into(),
            url: "http://127.0.0.1:9/x".parse().unwrap(),
            fallback: None,
            filter: Filter::default(),
            secrets: Vec::new(),
            allow_private: Vec::new(),
            authorities: None,
            timeout: Duration::from_secs(1),
            terms: Terms { retry_time: Duration::ZERO, ..Terms::default() },
        };
        let webhooks =
            Webhooks::start(WebhooksConfig { endpoints: vec![endpoint], calls: None, store: None }, &journal.handle())
                .unwrap();
        for id in dead {
            let letter = hookswitch_dialect::webhook::Letter {
                id: EventId(*id),
                kind: "call.ended".into(),
                call: None,
                text: format!("{{\"id\":\"{id}\"}}").into(),
                until: Time::ZERO,
                attempts: 3,
                failures: 3,
                last_target: None,
                last_failure: Some("status 500".into()),
            };
            let dead = hookswitch_dialect::webhook::Dead { letter, since: Clock::start().now() };
            let stored = hookswitch_dialect::webhook::Stored::Dead(dead);
            webhooks.handle().with("crm", |endpoint, _| endpoint.restore(stored)).await.unwrap();
        }
        Self { grant: Arc::new(grant), handle: webhooks.handle(), webhooks: Some(webhooks), _journal: journal }
    }

    async fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query.to_owned())));
        let request = rest::Request {
            method: method.into(),
            path: path.to_owned(),
            query,
            headers: rest::Headers::default(),
            body: Vec::new(),
            grant: Arc::clone(&self.grant),
            webhook: None,
            work: rest::Work::Here,
        };
        assert!(rest::is_of_listener(&request), "{method} {path}");
        let answer = match rest::admit(&request) {
            Ok(admitted) => pages::answer(&self.handle, &self.grant, &admitted).await,
            Err(problem) => Err(problem),
        };
        let response = answer.unwrap_or_else(rest::Problem::into_response);
        (response.status, serde_json::from_str(&response.body).unwrap_or_default())
    }
}

#[tokio::test]
async fn an_endpoint_is_shown_with_its_figures() {
    let rig = Rig::start(Grant::everything(), &[5]).await;
    let (status, list) = rig.ask("GET", "/v1/webhooks").await;
    assert_eq!((status, &list["webhooks"][0]["name"]), (200, &Value::from("crm")));
    let (_, one) = rig.ask("GET", "/v1/webhooks/crm").await;
    assert_eq!(
        (&one["url"], &one["enabled"], &one["dead_letters"]),
        (&"http://127.0.0.1:9/x".into(), &true.into(), &1.into())
    );
    let (status, problem) = rig.ask("GET", "/v1/webhooks/nobody").await;
    assert_eq!((status, &problem["code"]), (404, &Value::from("no_such_webhook")));
    assert_eq!(rig.handle.names().len(), 1);
}

#[tokio::test]
async fn dead_letters_are_listed_in_pages_and_replayed() {
    let rig = Rig::start(Grant::everything(), &[5, 6, 7]).await;
    let (_, page) = rig.ask("GET", "/v1/webhooks/crm/dead-letters?limit=2").await;
    let first = &page["dead_letters"][0];
    assert_eq!(
        (&first["event"], &first["document"]["id"], &first["failure"]),
        (&"5".into(), &"5".into(), &"status 500".into())
    );
    assert_eq!(page["next"], "6");
    let (_, page) = rig.ask("GET", "/v1/webhooks/crm/dead-letters?limit=2&after=6").await;
    assert_eq!((page["dead_letters"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));
    let (status, replayed) = rig.ask("POST", "/v1/webhooks/crm/dead-letters/5/replay").await;
    assert_eq!((status, &replayed["replayed"]), (202, &1.into()));
    // It leads to this host, is refused and waits for its next attempt.
    let (_, one) = rig.ask("GET", "/v1/webhooks/crm/deliveries?event=5").await;
    assert_ne!(one["deliveries"][0]["state"], "delivered");
    assert_eq!(rig.ask("POST", "/v1/webhooks/crm/dead-letters/99/replay").await.0, 404);
    assert_eq!(rig.ask("POST", "/v1/webhooks/crm/dead-letters/x/replay").await.0, 404);
    let (_, replayed) = rig.ask("POST", "/v1/webhooks/crm/replay").await;
    assert!(replayed["replayed"].as_u64().unwrap() >= 2, "{replayed}");
}

#[tokio::test]
async fn a_test_says_why_it_failed() {
    let rig = Rig::start(Grant::everything(), &[]).await;
    let (status, came) = rig.ask("POST", "/v1/webhooks/crm/test").await;
    assert_eq!((status, &came["delivered"], &came["status"]), (200, &false.into(), &Value::Null));
    assert!(came["failure"].as_str().unwrap().contains("127.0.0.1"), "{came}");
    assert_eq!(rig.ask("POST", "/v1/webhooks/crm/enable").await.0, 200);
}

#[tokio::test]
async fn queries_that_mean_nothing_are_refused_and_say_which() {
    let rig = Rig::start(Grant::everything(), &[]).await;
    for (query, code, field) in [
        ("state=gone", "invalid_parameter", Some("?state")),
        ("event=x", "invalid_parameter", Some("?event")),
        ("limit=0", "invalid_parameter", Some("?limit")),
        ("limit=1001", "invalid_parameter", Some("?limit")),
        ("stat=dead", "unknown_parameter", Some("?stat")),
    ] {
        let (status, problem) = rig.ask("GET", &format!("/v1/webhooks/crm/deliveries?{query}")).await;
        assert_eq!((status, problem["code"].as_str(), problem["field"].as_str()), (422, Some(code), field), "{query}");
    }
    assert_eq!(rig.ask("GET", "/v1/webhooks/crm/deliveries?state=dead&limit=1000").await.0, 200);
}

#[tokio::test]
async fn whoever_may_only_read_orders_nothing_and_who_sees_one_domain_sees_nothing() {
    let reader = Grant { scopes: vec![Scope::Read], ..Grant::everything() };
    let rig = Rig::start(reader, &[5]).await;
    assert_eq!(rig.ask("GET", "/v1/webhooks/crm").await.0, 200);
    for path in ["replay", "test", "enable", "dead-letters/5/replay"] {
        let (status, problem) = rig.ask("POST", &format!("/v1/webhooks/crm/{path}")).await;
        assert_eq!((status, &problem["code"]), (403, &Value::from("forbidden")), "{path}");
    }
    let narrow = Grant { domains: vec!["a.test".into()], ..Grant::everything() };
    let rig = Rig::start(narrow, &[5]).await;
    for path in ["", "/crm", "/crm/deliveries", "/crm/dead-letters"] {
        let (status, problem) = rig.ask("GET", &format!("/v1/webhooks{path}")).await;
        assert_eq!((status, &problem["code"]), (403, &Value::from("domain_not_allowed")), "{path}");
    }
}
