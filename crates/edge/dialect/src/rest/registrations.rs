//! `/v1/registrations`: where users can be reached.

use serde_json::{Value, json};

use super::Response;
use super::desk::{Done, Turn};
use super::page::{AFTER, LIMIT, Page, schema};
use super::problem::{Code, Problem};
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, Kind, object_schema};
use super::switch::Binding;
use super::time::{moment, moment_or_null};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "registrations";

const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/registrations",
        name: "listRegistrations",
        tag: TAG,
        about: "Registered contacts, in the order of their domains and users.",
        scope: Scope::Read,
        query: &[
            LIMIT,
            AFTER,
            Field::may("domain", Kind::Text(1, 255), "only those of this domain"),
            Field::may("user", Kind::Text(1, 255), "only those of this user"),
        ],
        body: None,
        answers: &[Answer { status: 200, about: "A page of registrations.", schema: Some("Registrations") }],
        problems: &[Code::InvalidCursor],
        run: list,
    },
    Route {
        method: Method::Delete,
        path: "/v1/registrations/{domain}/{user}",
        name: "removeRegistrations",
        tag: TAG,
        about: "Forgets all registrations of a user. Its phones may register again.",
        scope: Scope::Admin,
        query: &[],
        body: None,
        answers: &[Answer { status: 204, about: "They are gone.", schema: None }],
        problems: &[Code::NoSuchRegistration],
        run: remove,
    },
];

fn list(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let page = Page::of(&turn.query)?;
    let (domain, user) = (turn.query.text("domain").map(str::to_lowercase), turn.query.text("user"));
    let mut domains = turn.switch.registered_domains();
    domains.retain(|its| turn.request.grant.sees_domain(its) && domain.as_deref().is_none_or(|domain| domain == its));
    domains.sort_unstable();
    let all = domains.iter().flat_map(|domain| {
        let mut of_domain: Vec<(String, Binding)> =
            turn.switch.bindings(domain).into_iter().map(|binding| (place(&binding), binding)).collect();
        of_domain.retain(|(place, binding)| page.is_behind(place) && user.is_none_or(|user| binding.user == user));
        of_domain.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        of_domain
    });
    let entries = all.map(|(place, binding)| (place, document(&binding)));
    Ok(Done::Now(Response::json(200, &page.document("registrations", entries))))
}

/// Where it stands in the list. No name has this character.
fn place(binding: &Binding) -> String {
    format!("{}\u{1}{}\u{1}{:016x}", binding.domain, binding.user, binding.id)
}

fn document(binding: &Binding) -> Value {
    json!({
        "domain": binding.domain, "user": binding.user, "id": binding.id.to_string(), "contact": binding.contact,
        "source": binding.source, "user_agent": binding.agent, "registered": moment(binding.registered),
        "refreshed": moment(binding.refreshed), "expires": moment(binding.expires),
        "stale_since": moment_or_null(binding.stale),
    })
}

fn remove(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let (domain, user) = (turn.path[0].to_lowercase(), turn.path[1].clone());
    let none = || Problem::new(Code::NoSuchRegistration, "nobody of this name is registered in this domain");
    if !turn.request.grant.sees_domain(&domain) || turn.switch.unregister(&domain, &user) == 0 {
        return Err(none());
    }
    Ok(Done::Now(Response::empty(204)))
}

fn schemas() -> Vec<(&'static str, Value)> {
    const TEXT: Kind = Kind::Text(0, 65_535);
    const FIELDS: &[Field] = &[
        Field::must("domain", TEXT, "the domain"),
        Field::must("user", TEXT, "the user"),
        Field::must("id", TEXT, "its number among those of the user"),
        Field::must("contact", TEXT, "the contact, as the phone wrote it"),
        Field::must("source", TEXT, "where its last request came from"),
        Field::must("user_agent", Kind::OrNull(&TEXT), "what the phone says it is"),
        Field::must("registered", Kind::Time, "since when"),
        Field::must("refreshed", Kind::Time, "when it was last refreshed"),
        Field::must("expires", Kind::Time, "when it ends unless it is refreshed"),
        Field::must("stale_since", Kind::OrNull(&Kind::Time), "since when its phone cannot be reached"),
    ];
    vec![("Registration", object_schema(FIELDS)), ("Registrations", schema("registrations", "Registration"))]
}
