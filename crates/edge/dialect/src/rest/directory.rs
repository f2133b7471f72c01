//! `/v1/directory`: domains and their users. What is written here is stored and outlives a restart; what stands in the
//! configuration file is shown and not changed. No secret is ever shown.

use compact_str::CompactString;
use hookswitch_call::directory::{
    Directory, DirectoryError, Forwarding, Layer, MAX_CLASSES, Origin, Secret, UnnamedControl, UserLimits,
};
use hookswitch_call::{Address, Forwards};
use serde_json::{Map, Value, json};

use super::desk::{Done, Turn};
use super::page::{AFTER, LIMIT, Page, schema};
use super::problem::{Code, Problem};
use super::route::{Answer, Method, Resource, Route};
use super::shape::{Field, Kind, Values, object_schema};
use super::{Response, etag};
use crate::access::Scope;

pub(super) const RESOURCE: Resource = Resource { routes: ROUTES, schemas };

const TAG: &str = "directory";

/// Most users of one request.
const MAX_LISTED: usize = 100_000;

const CONTROL: Field =
    Field::may("control", Kind::OrNull(&Kind::Text(1, 2_048)), "base URL of the domain's control server; null is none");

const FORWARD: &[Field] = &[
    Field::may("always", Kind::Address, "whom to call without trying the user"),
    Field::may("busy", Kind::Address, "whom to call when the user is busy"),
    Field::may("no_answer", Kind::Address, "whom to call when nobody answers"),
    Field::may("no_answer_after_seconds", Kind::Whole(1, 3_600), "after how much ringing"),
    Field::may("unreachable", Kind::Address, "whom to call when the user cannot be reached"),
];

const COUNT: Kind = Kind::Whole(0, u32::MAX as i64);

const TOLL: &[Field] = &[
    Field::may("blocked", Kind::Flag, "no calls at all"),
    Field::may("hours", Kind::Text(11, 11), "calls may begin only in these hours: 08:00-18:30"),
    Field::may("calls", COUNT, "most calls at a time"),
    Field::may("calls_to_number", COUNT, "most calls at a time to one number"),
    Field::may("per_minute", COUNT, "most calls that are begun in a minute"),
    Field::may("per_hour", COUNT, "the same in an hour"),
    Field::may("per_day", COUNT, "the same in a day"),
    Field::may("minutes_per_day", COUNT, "minutes of talk in a day after which no other call begins"),
];

const LIMITS: &[Field] = &[
    Field::may("contacts", COUNT, "most contacts that may be registered at a time"),
    Field::may("calls", COUNT, "most calls at a time"),
    Field::may("classes", Kind::Named(&Kind::Object(TOLL), MAX_CLASSES), "limits for classes of cost, by their names"),
];

const SECRET: Kind = Kind::Text(0, 255);

const NAME: Field = Field::must("username", Kind::Text(1, 255), "the name of the user");

const OF_USER: [Field; 3] = [
    Field::may("forward", Kind::OrNull(&Kind::Object(FORWARD)), "whom to call instead; null is nobody"),
    Field::may("limits", Kind::OrNull(&Kind::Object(LIMITS)), "limits of its own; null has none"),
    Field::may(
        "record",
        Kind::OrNull(&Kind::OneOf(&["always", "never"])),
        "whether its calls are recorded; null leaves it to the rules",
    ),
];

const LISTED: &[Field] = &[NAME, Field::must("secret", SECRET, "its password"), OF_USER[0], OF_USER[1], OF_USER[2]];

const USERS: Kind = Kind::List(&Kind::Object(LISTED), 0, MAX_LISTED);

const PROBLEMS: &[Code] = &[Code::NoSuchDomain, Code::NoSuchUser, Code::DomainNotAllowed];

const OF_LISTS: &[Code] = &[Code::NoSuchDomain, Code::DomainNotAllowed, Code::InvalidCursor];

const CHANGES: &[Code] = &[
    Code::NoSuchDomain,
    Code::NoSuchUser,
    Code::DomainNotAllowed,
    Code::Configured,
    Code::LimitReached,
    Code::PreconditionFailed,
];

const DOMAIN_ANSWER: Answer = Answer { status: 200, about: "The domain.", schema: Some("Domain") };
const USER_ANSWER: Answer = Answer { status: 200, about: "The user.", schema: Some("User") };
const UNCHANGED: Answer = Answer { status: 304, about: "The sender has this version.", schema: None };
const GONE: Answer = Answer { status: 204, about: "It is gone.", schema: None };

type Run = fn(&mut Turn<'_>) -> Result<Done, Problem>;

/// A route about one entry; a change of it needs another scope than a look.
const fn entry(
    (method, path, name): (Method, &'static str, &'static str),
    about: &'static str,
    body: Option<&'static [Field]>,
    answers: &'static [Answer],
    run: Run,
) -> Route {
    let is_look = matches!(method, Method::Get);
    let (scope, problems) = if is_look { (Scope::Read, PROBLEMS) } else { (Scope::Admin, CHANGES) };
    Route { method, path, name, tag: TAG, about, scope, query: &[], body, answers, problems, run }
}

const DOMAIN: &str = "/v1/directory/{domain}";
const USER: &str = "/v1/directory/{domain}/users/{user}";

const ROUTES: &[Route] = &[
    Route {
        query: &[LIMIT, AFTER],
        problems: OF_LISTS,
        ..entry(
            (Method::Get, "/v1/directory", "listDomains"),
            "The domains, in the order of their names.",
            None,
            &[Answer { status: 200, about: "A page of domains.", schema: Some("Domains") }],
            domains,
        )
    },
    entry(
        (Method::Get, DOMAIN, "getDomain"),
        "A domain, without its users.",
        None,
        &[DOMAIN_ANSWER, UNCHANGED],
        get_domain,
    ),
    entry(
        (Method::Put, DOMAIN, "putDomain"),
        "Makes or replaces what is pushed for a domain, all users of it.",
        Some(&[CONTROL, Field::must("users", USERS, "its users")]),
        &[DOMAIN_ANSWER, Answer { status: 201, about: "The domain is new.", schema: Some("Domain") }],
        put_domain,
    ),
    entry(
        (Method::Patch, DOMAIN, "patchDomain"),
        "Adds or replaces users of a domain, and its control server if that is said; the others stay.",
        Some(&[CONTROL, Field::may("users", USERS, "users that are new or other than before")]),
        &[DOMAIN_ANSWER],
        patch_domain,
    ),
    entry(
        (Method::Delete, DOMAIN, "deleteDomain"),
        "Removes what is pushed for a domain.",
        None,
        &[GONE],
        delete_domain,
    ),
    Route {
        query: &[LIMIT, AFTER],
        problems: OF_LISTS,
        ..entry(
            (Method::Get, "/v1/directory/{domain}/users", "listUsers"),
            "The users of a domain, in the order of their names; without those that are looked up elsewhere.",
            None,
            &[Answer { status: 200, about: "A page of users.", schema: Some("Users") }],
            users,
        )
    },
    entry((Method::Get, USER, "getUser"), "A user, without its secret.", None, &[USER_ANSWER, UNCHANGED], get_user),
    entry(
        (Method::Put, USER, "putUser"),
        "Makes or replaces a user of a domain that there is.",
        Some(&[Field::must("secret", SECRET, "its password"), OF_USER[0], OF_USER[1], OF_USER[2]]),
        &[USER_ANSWER, Answer { status: 201, about: "The user is new.", schema: Some("User") }],
        put_user,
    ),
    entry(
        (Method::Patch, USER, "patchUser"),
        "Changes what is said of a user, and leaves the rest.",
        Some(&[Field::may("secret", SECRET, "its password"), OF_USER[0], OF_USER[1], OF_USER[2]]),
        &[USER_ANSWER],
        patch_user,
    ),
    entry((Method::Delete, USER, "deleteUser"), "Removes a user that was pushed.", None, &[GONE], delete_user),
];

// Domains.

impl Turn<'_> {
    /// The domain in the path, whether it exists or not.
    fn domain(&self) -> Result<CompactString, Problem> {
        let domain = CompactString::from(self.path[0].to_lowercase());
        match self.request.grant.sees_domain(&domain) {
            true => Ok(domain),
            false => {
                let problem = Problem::new(Code::DomainNotAllowed, "the token reaches other domains");
                Err(problem.expected("a path with a domain that the token reaches"))
            }
        }
    }

    fn existing_domain(&self) -> Result<CompactString, Problem> {
        let domain = self.domain()?;
        let is_there = self.switch.directory().revision(&domain).is_some();
        is_there.then_some(domain).ok_or_else(no_such_domain)
    }

    /// The version of a domain, if it exists.
    fn domain_version(&self, domain: &str) -> Option<String> {
        let revision = self.switch.directory().revision(domain)?;
        Some(etag::of_secret(&self.desk.seed, &["domain", domain, &revision.to_string()]))
    }

    fn domain_answer(&self, status: u16, domain: &str) -> Response {
        let response = Response::json(status, &domain_document(self.switch.directory(), domain));
        match self.domain_version(domain) {
            Some(version) if status == 200 => etag::answer(&self.request.headers, &version, response),
            Some(version) => response.with("etag", version),
            None => response,
        }
    }
}

fn no_such_domain() -> Problem {
    Problem::new(Code::NoSuchDomain, "the directory has no such domain")
}

fn no_such_user() -> Problem {
    Problem::new(Code::NoSuchUser, "the domain has no such user")
}

fn domain_document(directory: &Directory, domain: &str) -> Value {
    let (pushed, configured) = directory.origins(domain);
    json!({
        "domain": domain, "control": directory.control(domain), "users": directory.user_count(domain),
        "pushed": pushed, "configured": configured,
    })
}

fn domains(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let page = Page::of(&turn.query)?;
    let directory = turn.switch.directory();
    let names = directory.domains_after(page.after.as_deref(), hookswitch_call::directory::MAX_DOMAINS);
    let seen = names.into_iter().filter(|name| turn.request.grant.sees_domain(name));
    let entries = seen.map(|name| (name.to_owned(), domain_document(directory, name)));
    Ok(Done::Now(Response::json(200, &page.document("domains", entries))))
}

fn get_domain(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let domain = turn.existing_domain()?;
    Ok(Done::Now(turn.domain_answer(200, &domain)))
}

fn put_domain(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let domain = turn.domain()?;
    let present = turn.domain_version(&domain);
    etag::may_change(&turn.request.headers, present.as_deref())?;
    let layer = layer(&turn.body)?;
    turn.switch.directory_mut().put(&domain, layer).map_err(|error| refused(&error, Some(&turn.body)))?;
    Ok(Done::Now(changed(turn, if present.is_some() { 200 } else { 201 }, &domain)))
}

fn patch_domain(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let domain = turn.existing_domain()?;
    etag::may_change(&turn.request.headers, turn.domain_version(&domain).as_deref())?;
    let layer = layer(&turn.body)?;
    let unnamed = if turn.body.has("control") { UnnamedControl::Goes } else { UnnamedControl::Stays };
    turn.switch.directory_mut().patch(&domain, layer, unnamed).map_err(|error| refused(&error, Some(&turn.body)))?;
    Ok(Done::Now(changed(turn, 200, &domain)))
}

/// What there is after a change: also for whoever named the version before in a condition.
fn changed(turn: &Turn<'_>, status: u16, domain: &str) -> Response {
    let response = Response::json(status, &domain_document(turn.switch.directory(), domain));
    match turn.domain_version(domain) {
        Some(version) => response.with("etag", version),
        None => response,
    }
}

fn delete_domain(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let domain = turn.existing_domain()?;
    etag::may_change(&turn.request.headers, turn.domain_version(&domain).as_deref())?;
    turn.switch.directory_mut().remove(&domain).map_err(|error| refused(&error, None))?;
    Ok(Done::Now(Response::empty(204)))
}

// Users.

fn users(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let page = Page::of(&turn.query)?;
    let (domain, directory) = (turn.existing_domain()?, turn.switch.directory());
    let names = directory.users_after(&domain, page.after.as_deref(), page.most());
    let entries =
        names.into_iter().filter_map(|name| Some((name.to_owned(), user_document(directory, &domain, name)?)));
    Ok(Done::Now(Response::json(200, &page.document("users", entries))))
}

fn user_document(directory: &Directory, domain: &str, user: &str) -> Option<Value> {
    let origin = match directory.origin(domain, user)? {
        Origin::Pushed => "pushed",
        Origin::Configured => "configured",
        Origin::Found => "looked_up",
    };
    let limits = Some(directory.limits(domain, user)).filter(|limits| !limits.is_empty());
    // Numbers and text always can be written.
    let limits = limits.map(|limits| serde_json::to_value(limits).unwrap_or_default());
    Some(json!({
        "domain": domain, "username": user, "origin": origin, "limits": limits,
        "record": directory.record(domain, user).map(|always| if always { "always" } else { "never" }),
        "forward": directory.forwards(domain, user).filter(|forward| !forward.is_empty()).map(forward_document),
    }))
}

fn forward_document(forwarding: &Forwarding) -> Value {
    let Forwards { busy, no_answer, no_answer_after, unreachable } = &forwarding.otherwise;
    let mut document = Map::new();
    let addresses =
        [("always", &forwarding.always), ("busy", busy), ("no_answer", no_answer), ("unreachable", unreachable)];
    for (name, address) in addresses {
        document.extend(address.as_ref().map(|address| (name.to_owned(), address.0.as_str().into())));
    }
    let after = no_answer_after.map(|after| ("no_answer_after_seconds".to_owned(), after.as_secs().into()));
    document.extend(after);
    Value::Object(document)
}

impl Turn<'_> {
    fn user_version(&self, domain: &str) -> Option<String> {
        let (directory, user) = (self.switch.directory(), self.path[1].as_str());
        let document = user_document(directory, domain, user)?.to_string();
        let secret = directory.secret(domain, user)?;
        Some(etag::of_secret(&self.desk.seed, &["user", &document, secret.reveal()]))
    }

    /// Writes a user, and shows it.
    fn write_user(&mut self, domain: &str, layer: Layer, status: u16) -> Result<Done, Problem> {
        let patched = self.switch.directory_mut().patch(domain, layer, UnnamedControl::Stays);
        patched.map_err(|error| refused(&error, None))?;
        let document = user_document(self.switch.directory(), domain, &self.path[1]).ok_or_else(no_such_user)?;
        let version = self.user_version(domain).unwrap_or_default();
        Ok(Done::Now(Response::json(status, &document).with("etag", version)))
    }
}

fn get_user(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let domain = turn.existing_domain()?;
    let document = user_document(turn.switch.directory(), &domain, &turn.path[1]).ok_or_else(no_such_user)?;
    let version = turn.user_version(&domain).unwrap_or_default();
    Ok(Done::Now(etag::answer(&turn.request.headers, &version, Response::json(200, &document))))
}

fn put_user(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let domain = turn.existing_domain()?;
    let present = turn.user_version(&domain);
    etag::may_change(&turn.request.headers, present.as_deref())?;
    let (user, body) = (CompactString::from(turn.path[1].as_str()), &turn.body);
    let secret = Secret::new(body.text("secret").unwrap_or_default());
    let layer = one(user, secret, (forwarding(body), limits(body, "")?, record(body)));
    turn.write_user(&domain, layer, if present.is_some() { 200 } else { 201 })
}

fn patch_user(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let domain = turn.existing_domain()?;
    let present = turn.user_version(&domain).ok_or_else(no_such_user)?;
    etag::may_change(&turn.request.headers, Some(&present))?;
    let (user, body, directory) = (CompactString::from(turn.path[1].as_str()), &turn.body, turn.switch.directory());
    let secret = match body.text("secret") {
        Some(secret) => Secret::new(secret),
        None => directory.secret(&domain, &user).cloned().ok_or_else(no_such_user)?,
    };
    let forward = match body.has("forward") {
        true => forwarding(body),
        false => directory.forwards(&domain, &user).cloned().unwrap_or_default(),
    };
    let limits = if body.has("limits") { limits(body, "")? } else { directory.limits(&domain, &user).clone() };
    let record = if body.has("record") { record(body) } else { directory.record(&domain, &user) };
    let layer = one(user, secret, (forward, limits, record));
    turn.write_user(&domain, layer, 200)
}

fn delete_user(turn: &mut Turn<'_>) -> Result<Done, Problem> {
    let domain = turn.existing_domain()?;
    let present = turn.user_version(&domain).ok_or_else(no_such_user)?;
    etag::may_change(&turn.request.headers, Some(&present))?;
    let user = turn.path[1].clone();
    turn.switch.directory_mut().remove_user(&domain, &user).map_err(|error| refused(&error, None))?;
    Ok(Done::Now(Response::empty(204)))
}

// Bodies.

fn one(
    user: CompactString,
    secret: Secret,
    (forward, limits, record): (Forwarding, UserLimits, Option<bool>),
) -> Layer {
    let forwards = Some(forward).filter(|forward| !forward.is_empty()).map(|forward| (user.clone(), forward));
    let limits = Some(limits).filter(|limits| !limits.is_empty()).map(|limits| (user.clone(), limits));
    let record = record.map(|record| (user.clone(), record)).into_iter().collect();
    let (forwards, limits) = (forwards.into_iter().collect(), limits.into_iter().collect());
    Layer { control: None, users: [(user, secret)].into(), forwards, limits, record }
}

/// Whether a user is recorded; nothing and null leave it to the rules.
fn record(body: &Values) -> Option<bool> {
    body.text("record").map(|word| word == "always")
}

fn layer(body: &Values) -> Result<Layer, Problem> {
    let mut layer = Layer { control: control(body)?, ..Layer::default() };
    for (index, values) in body.objects("users").into_iter().enumerate() {
        let user = CompactString::from(values.text("username").unwrap_or_default());
        let place = format!("/users/{index}");
        let limits = limits(&values, &place)?;
        let secret = Secret::new(values.text("secret").unwrap_or_default());
        let of_one = one(user, secret, (forwarding(&values), limits, record(&values)));
        layer.forwards.extend(of_one.forwards);
        layer.limits.extend(of_one.limits);
        layer.record.extend(of_one.record);
        for (user, secret) in of_one.users {
            if layer.users.insert(user, secret).is_some() {
                let problem = Problem::new(Code::InvalidField, "the user is listed twice");
                return Err(problem.at(format!("{place}/username")).expected("each user once"));
            }
        }
    }
    Ok(layer)
}

fn control(body: &Values) -> Result<Option<CompactString>, Problem> {
    let Some(url) = body.text("control") else { return Ok(None) };
    let is_url = ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    if is_url && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(url.into()));
    }
    Err(Problem::new(Code::InvalidField, "it is no URL").at("/control").expected("an http or https URL, or null"))
}

fn forwarding(body: &Values) -> Forwarding {
    let Some(values) = body.object("forward") else { return Forwarding::default() };
    let address = |member: &str| values.text(member).map(Address::from);
    let after = values.whole("no_answer_after_seconds").and_then(|seconds| u64::try_from(seconds).ok());
    let otherwise = Forwards {
        busy: address("busy"),
        no_answer: address("no_answer"),
        no_answer_after: after.map(std::time::Duration::from_secs),
        unreachable: address("unreachable"),
    };
    Forwarding { always: address("always"), otherwise }
}

fn limits(body: &Values, place: &str) -> Result<UserLimits, Problem> {
    let Some(written) = body.get("limits") else { return Ok(UserLimits::default()) };
    serde_json::from_value(written.clone()).map_err(|_| {
        let problem = Problem::new(Code::InvalidField, "the limits are not written as they must be");
        problem.at(format!("{place}/limits")).expected("numbers without a fraction, and hours such as 08:00-18:30")
    })
}

/// What the directory does not take; `body` has the list of users, if there is one.
fn refused(error: &DirectoryError, body: Option<&Values>) -> Problem {
    let of = |user: &str, member: &str| match body {
        None => format!("/{member}"),
        Some(body) => {
            let listed = body.objects("users");
            let index =
                listed.iter().position(|listed| listed.text("username").is_some_and(|name| name.starts_with(user)));
            index.map_or_else(|| "/users".to_owned(), |index| format!("/users/{index}/{member}"))
        }
    };
    let invalid = |place: String| Problem::new(Code::InvalidField, error.to_string()).at(place);
    match error {
        DirectoryError::NoSuchDomain(_) => no_such_domain(),
        DirectoryError::Configured(_) => Problem::new(Code::Configured, "it stands in the configuration file"),
        DirectoryError::BadName(name) => {
            invalid(of(name, "username")).expected("a name without spaces and control characters")
        }
        DirectoryError::SecretTooLong => {
            let long = |values: &Values| values.text("secret").is_some_and(|secret| secret.len() > 255);
            let index = body.and_then(|body| body.objects("users").iter().position(long));
            let place = index.map_or_else(|| "/secret".to_owned(), |index| format!("/users/{index}/secret"));
            invalid(place).expected("at most 255 bytes")
        }
        DirectoryError::BadForward { user, member, why } => {
            let member = if *member == "no_answer_after" { "no_answer_after_seconds" } else { member };
            invalid(of(user, &format!("forward/{member}"))).expected(format!("other than now, it {why}"))
        }
        DirectoryError::BadClasses(user) => invalid(of(user, "limits/classes")).expected("names of 1 to 255 bytes"),
        DirectoryError::TooManyDomains | DirectoryError::TooManyUsers => {
            Problem::new(Code::LimitReached, error.to_string())
        }
    }
}

fn schemas() -> Vec<(&'static str, Value)> {
    const DOMAIN: &[Field] = &[
        Field::must("domain", Kind::Text(1, 255), "its name"),
        Field::must("control", Kind::OrNull(&Kind::Text(0, 65_535)), "base URL of its control server"),
        Field::must("users", Kind::Whole(0, i64::MAX), "how many users it has"),
        Field::must("pushed", Kind::Flag, "something of it can be changed here"),
        Field::must("configured", Kind::Flag, "something of it stands in the configuration file"),
    ];
    const USER: &[Field] = &[
        Field::must("domain", Kind::Text(1, 255), "its domain"),
        Field::must("username", Kind::Text(0, 255), "its name"),
        Field::must("origin", Kind::OneOf(&["pushed", "configured", "looked_up"]), "where it comes from"),
        Field::must("forward", Kind::OrNull(&Kind::Any), "whom to call instead"),
        Field::must("limits", Kind::OrNull(&Kind::Any), "limits of its own"),
        Field::must("record", Kind::OrNull(&Kind::OneOf(&["always", "never"])), "whether its calls are recorded"),
    ];
    vec![
        ("Domain", object_schema(DOMAIN)),
        ("Domains", schema("domains", "Domain")),
        ("User", object_schema(USER)),
        ("Users", schema("users", "User")),
    ]
}
