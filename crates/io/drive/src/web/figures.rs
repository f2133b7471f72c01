//! What our own switch has counted, as figures.

use compact_str::CompactString;
use hookswitch_call::directory::LookupTotals;
use hookswitch_dialect::flow::FlowTotals;
use hookswitch_dialect::rest::{CommandTotals, Totals};
use hookswitch_shard::TrunkStatus;
use hookswitch_sip::registrar::RegistrarTotals;
use hookswitch_sip::resolve::{ResolverCounts, ResolverTotals};

use super::status::Figure;
use crate::records::RecordCounts;

/// What has become of call detail records.
pub(crate) fn record_figures(counts: &RecordCounts) -> [Figure; 2] {
    let (written, lost) = counts.get();
    [
        Figure::total("call_records_written", "Call detail records that were written.", written),
        Figure::total("call_records_lost", "Call detail records that could not be written and were given up.", lost),
    ]
}

/// What has become of the commands of the native REST, and how many run.
pub(crate) fn rest_figures(totals: &Totals, running: usize) -> Vec<Figure> {
    const COMMANDS: &str = "Commands of the native REST, by kind and by what became of them.";
    let of_kind = |(kind, totals): (&&'static str, &CommandTotals)| {
        [("done", totals.done), ("failed", totals.failed), ("refused", totals.refused)].map(|(result, count)| {
            let result = CompactString::const_new(result);
            Figure::total("rest_commands", COMMANDS, count).labelled("command", kind).named("result", result)
        })
    };
    let running = Figure::now("rest_commands_running", "Commands of the native REST that run.", running);
    totals.iter().flat_map(of_kind).chain([running]).collect()
}

/// What the look-ups of names have counted.
pub(crate) fn dns_figures((totals, counts): (ResolverTotals, ResolverCounts)) -> Vec<Figure> {
    const ANSWERS: &str = "Answers to questions for names, by what they were.";
    let answers = |result, value| Figure::total("dns_answers", ANSWERS, value).labelled("result", result);
    let waited = u64::try_from(totals.waited.as_millis()).unwrap_or(u64::MAX);
    vec![
        Figure::total("dns_questions", "Questions for names that were asked.", totals.asked),
        Figure::total("dns_questions_saved", "Questions whose answer was kept or under way.", totals.saved),
        Figure::total("dns_questions_refused", "Questions not asked: too many were under way.", totals.refused),
        answers("found", totals.found),
        answers("nothing", totals.nothing),
        answers("failed", totals.failed),
        answers("late", totals.late),
        Figure::total("dns_answer_milliseconds", "Time from each question to its answer, in all.", waited),
        Figure::now("dns_answers_kept", "Answers that are kept.", counts.entries),
        Figure::now("dns_questions_waiting", "Questions under way.", counts.lookups),
    ]
}

/// What has happened to bindings.
pub(crate) fn binding_figures(totals: RegistrarTotals) -> Vec<Figure> {
    const EVENTS: &str = "What has happened to registered contacts.";
    let events = [
        ("registered", totals.registered),
        ("refreshed", totals.refreshed),
        ("unregistered", totals.unregistered),
        ("expired", totals.expired),
        ("revoked", totals.revoked),
        ("stale", totals.stale),
        ("revived", totals.revived),
        ("unreachable", totals.unreachable),
    ];
    events.map(|(event, count)| Figure::total("registration_events", EVENTS, count).labelled("event", event)).into()
}

/// What the look-ups of users have counted, where there are any, and how many requests and calls wait for one.
pub(crate) fn user_figures(counts: Option<(LookupTotals, usize)>) -> Vec<Figure> {
    const LOOKUPS: &str = "Look-ups of users, by what came of them.";
    let Some((totals, waiting)) = counts else { return Vec::new() };
    let results = [
        ("found", totals.found),
        ("nobody", totals.nobody),
        ("failed", totals.failed),
        ("shared", totals.shared),
        ("refused", totals.refused),
    ];
    let lookups =
        results.map(|(result, count)| Figure::total("user_lookups", LOOKUPS, count).labelled("result", result));
    let now = [
        Figure::total(
            "users_forgotten",
            "Users who were looked up and forgotten because of the limit.",
            totals.evicted,
        ),
        Figure::now("users_remembered", "Users who were looked up and are remembered.", totals.users),
        Figure::now("user_lookups_waiting", "Requests and calls that wait for a user to be looked up.", waiting),
    ];
    lookups.into_iter().chain(now).collect()
}

/// How the trunks stand, all together; `/trunks` has each by itself.
pub(crate) fn trunk_figures(trunks: &[TrunkStatus]) -> Vec<Figure> {
    const REGISTRATIONS: &str = "Registrations of ours at trunks, by how they stand.";
    const CALLS: &str = "Calls through trunks, by direction.";
    if trunks.is_empty() {
        return Vec::new();
    }
    let standing = |state: &'static str| {
        let count = trunks.iter().filter(|trunk| trunk.registration.as_ref().is_some_and(|r| r.state == state)).count();
        Figure::now("trunk_registrations", REGISTRATIONS, count).labelled("state", state)
    };
    let down = trunks.iter().flat_map(|trunk| &trunk.hosts).filter(|host| !host.up).count();
    let sum = |of: fn(&TrunkStatus) -> u64| trunks.iter().map(of).sum();
    vec![
        standing("registered"),
        standing("starting"),
        standing("failed"),
        Figure::now("trunk_hosts_down", "Hosts of trunks that are out of order.", down),
        Figure::now(
            "trunk_calls_live",
            "Calls there are through trunks.",
            trunks.iter().map(|trunk| trunk.calls).sum(),
        ),
        Figure::total("trunk_calls", CALLS, sum(|trunk| trunk.sent)).labelled("direction", "to"),
        Figure::total("trunk_calls", CALLS, sum(|trunk| trunk.received)).labelled("direction", "from"),
        Figure::total(
            "trunk_calls_passed_over",
            "Calls that a host of a trunk has failed or refused for itself.",
            sum(|trunk| trunk.passed_over),
        ),
    ]
}

/// What has been counted of call flows, each by its name.
pub(crate) fn flow_figures(flows: &[(CompactString, FlowTotals, usize)]) -> Vec<Figure> {
    const QUESTIONS: &str = "Questions about calls of a flow, by whether they had a good answer.";
    let figures = |(name, totals, live): &(CompactString, FlowTotals, usize)| {
        let questions = |result, value| Figure::total("flow_questions", QUESTIONS, value).labelled("result", result);
        [
            Figure::total("flow_calls", "Calls that came to a flow.", totals.calls),
            Figure::now("flow_calls_live", "Calls that a flow leads now.", *live),
            questions("answered", totals.answered),
            questions("failed", totals.failed),
            Figure::times(
                "flow_answer_seconds",
                "Time from a question of a flow to its answer, good or not.",
                totals.waited,
            ),
            Figure::total("flow_fallback_urls", "How often the fallback URL of a flow was asked.", totals.other_url),
            Figure::total("flow_fallbacks", "How often a flow's verbs of the configuration came in.", totals.fell_back),
            Figure::total("flow_verbs_failed", "Verbs of a flow that could not be carried out.", totals.verbs_failed),
        ]
        .map(|figure| figure.named("flow", name.clone()))
    };
    flows.iter().flat_map(figures).collect()
}
