//! The picture: text and nothing else, so that it is the same in a terminal and in a file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Cell, Row, Table, Widget as _};

use super::reading::{Call, Health, Node, Reading, Registration};
use super::source::MAX_ENTRIES;
use super::view::{Page, Sort, View};

/// Lines above the list, its heading included, where there are no nodes.
const ABOVE: u16 = 6;

/// Lines below the list, in a terminal.
const BELOW: u16 = 1;

const KEYS: &str =
    "q quit  Tab calls/registrations  s sort  r reverse  d domain  p pause  Space now  arrows scroll  ? help";

const HELP: &[&str] = &[
    "Tab          calls, or registrations",
    "s            sort by: age, state, caller or user, callee or source",
    "r            the other way round",
    "d            only one domain: write it and press Enter; empty for all",
    "p            pause, and go on",
    "Space        read again at once",
    "Up Down PgUp PgDn Home End   move in the list",
    "?            this page",
    "q  Ctrl-C    quit",
];

/// Lines above the list: nodes take one more.
fn above(reading: Option<&Reading>) -> u16 {
    ABOVE + u16::from(reading.is_some_and(|reading| !reading.health.nodes.is_empty()))
}

/// Entries that fit into an area of a terminal.
pub(super) fn rows(area: Rect, reading: Option<&Reading>) -> usize {
    usize::from(area.height.saturating_sub(above(reading) + BELOW))
}

/// Lines of a picture with all entries.
pub(super) fn height(view: &View, reading: &Reading) -> u16 {
    let entries = match view.page {
        Page::Calls => reading.calls.len(),
        Page::Registrations => reading.registrations.len(),
    };
    let above = above(Some(reading));
    above.saturating_add(u16::try_from(entries).unwrap_or(u16::MAX))
}

/// Draws all of it. `failure` says why there is nothing newer.
pub(super) fn draw(buffer: &mut Buffer, view: &View, url: &str, reading: Option<&Reading>, failure: Option<&str>) {
    let area = buffer.area;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut head = match reading {
        Some(reading) => head(reading, url),
        None => vec![format!("hookswitch at {url}: not seen yet")],
    };
    let above = above(reading);
    head.resize(usize::from(above) - 2, String::new());
    head.push(match failure {
        Some(why) => format!("! {why}"),
        None => listed(view, reading),
    });
    for (line, text) in (area.y..area.bottom()).zip(&head) {
        let is_loud = line == area.y || (failure.is_some() && line == area.y + above - 2);
        let style = if is_loud { bold } else { Style::new() };
        buffer.set_stringn(area.x, line, shown(text), usize::from(area.width), style);
    }
    let is_terminal = view.rows > 0;
    if is_terminal && area.height > above {
        let keys = match &view.typing {
            Some(text) => format!("domain: {text}_   (Enter: show it, Esc: as before)"),
            None => KEYS.to_owned(),
        };
        let style = Style::new().add_modifier(Modifier::REVERSED);
        buffer.set_stringn(area.x, area.bottom() - 1, keys, usize::from(area.width), style);
    }
    let below = if is_terminal { BELOW } else { 0 };
    let top = above - 1;
    let list = Rect::new(area.x, area.y + top.min(area.height), area.width, area.height.saturating_sub(top + below));
    if view.helps {
        for (line, text) in (list.y..list.bottom()).zip(HELP) {
            buffer.set_stringn(list.x, line, text, usize::from(list.width), Style::new());
        }
    } else if let Some(reading) = reading {
        table(view, reading).render(list, buffer);
    }
}

/// What a picture looks like without its styles: lines, with nothing at their ends.
pub(super) fn plain(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.y..area.bottom() {
        let line: String = (area.x..area.right()).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Four lines about the switch as a whole, and one about its nodes if it has any.
fn head(reading: &Reading, url: &str) -> Vec<String> {
    let (health, figures) = (&reading.health, &reading.figures);
    let number = |name: &str| figures.sum(name).map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
    let version = health.version.as_deref().unwrap_or("");
    let states = if reading.more || reading.calls.is_empty() { String::new() } else { states(&reading.calls) };
    let memory = figures.sum("process_resident_bytes").map_or_else(|| "-".to_owned(), bytes_text);
    let rates = reading.rates;
    let or = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let processor = or(rates.and_then(|rates| rates.processor).map(|cent| format!("{cent:.0} %")));
    let late = or(rates.and_then(|rates| rates.late).map(|cent| format!("{cent:.2} %")));
    let every_second = rates.map_or_else(
        || "-".to_owned(),
        |rates| {
            format!(
                "{:.1} calls ended, {:.1} commands, RTP packets {:.0} in, {:.0} out, {:.0} lost",
                rates.calls_ended, rates.commands, rates.received, rates.sent, rates.lost
            )
        },
    );
    let mut lines = vec![
        format!(
            "hookswitch {version} {}, {}   {url}   {}",
            standing(health),
            length(i64::try_from(health.uptime).unwrap_or(i64::MAX)),
            reading.at.strftime("%F %T UTC")
        ),
        format!(
            "calls {}{states}   legs {}   registrations {}   commands {}   connections {}",
            health.calls,
            number("legs"),
            health.registrations,
            number("commands_running"),
            number("sip_connections")
        ),
        format!(
            "processor {processor}   memory {memory}   media ports {} of {}   ticks late by more than 1 ms {late}",
            number("media_ports_taken"),
            number("media_ports")
        ),
        format!("per second: {every_second}"),
    ];
    lines.extend((!health.nodes.is_empty()).then(|| nodes(&health.nodes, reading.at)));
    lines
}

/// The nodes of each kind, those first that are not well: what they have, or since when they are as they are.
fn nodes(nodes: &[Node], now: Timestamp) -> String {
    let mut all: Vec<&Node> = nodes.iter().collect();
    all.sort_by_key(|node| node.state == "up");
    let told = |node: &&Node| {
        let since =
            node.since.map_or_else(String::new, |since| format!(" {}", length(now.duration_since(since).as_secs())));
        let has = match (node.legs, node.calls) {
            (Some(legs), _) => format!("legs {legs}"),
            (None, Some(calls)) => format!("calls {calls}"),
            (None, None) => "-".to_owned(),
        };
        let bare = node.url.split_once("://").map_or(node.url.as_str(), |(_, bare)| bare);
        format!("{} {bare} {}{since}, {has}", node.kind, node.state)
    };
    let (up, of) = (nodes.iter().filter(|node| node.state == "up").count(), nodes.len());
    format!("nodes {up} of {of} up: {}", all.iter().map(told).collect::<Vec<_>>().join("; "))
}

/// Its state, and those of its carriers that are not well.
fn standing(health: &Health) -> String {
    let unwell = health.carriers.iter().filter(|(_, carrier)| carrier.state != "up");
    unwell.fold(health.status.clone(), |text, (name, carrier)| format!("{text}, {name} {}", carrier.state))
}

/// How many calls are in which state.
fn states(calls: &[Call]) -> String {
    let mut counted = BTreeMap::<&str, usize>::new();
    for call in calls {
        *counted.entry(&call.state).or_default() += 1;
    }
    let counted: Vec<String> = counted.iter().map(|(state, count)| format!("{count} {state}")).collect();
    format!(" ({})", counted.join(", "))
}

/// What is in the list.
fn listed(view: &View, reading: Option<&Reading>) -> String {
    let (what, by) = match (view.page, view.sort) {
        (Page::Calls, Sort::Age) => ("calls", "age"),
        (Page::Calls, Sort::State) => ("calls", "state"),
        (Page::Calls, Sort::Caller) => ("calls", "caller"),
        (Page::Calls, Sort::Callee) => ("calls", "callee"),
        (Page::Registrations, Sort::Age) => ("registrations", "age"),
        (Page::Registrations, Sort::State) => ("registrations", "state"),
        (Page::Registrations, Sort::Caller) => ("registrations", "user"),
        (Page::Registrations, Sort::Callee) => ("registrations", "source"),
    };
    let of = view.domain.as_deref().map_or_else(|| "all domains".to_owned(), |domain| format!("domain {domain}"));
    let turned = if view.reversed { ", reversed" } else { "" };
    let cut = match (reading.is_some_and(|reading| reading.more), view.page) {
        (false, _) => String::new(),
        (true, Page::Calls) => format!("; only the newest {MAX_ENTRIES}"),
        (true, Page::Registrations) => format!("; only the first {MAX_ENTRIES}"),
    };
    let paused = if view.paused { "; paused" } else { "" };
    format!("{what} of {of} by {by}{turned}{cut}{paused}")
}

fn table<'t>(view: &View, reading: &Reading) -> Table<'t> {
    let skipped = view.first;
    let heading = |names: &[&'static str]| {
        Row::new(names.iter().map(|name| Cell::from(*name)).collect::<Vec<_>>())
            .style(Style::new().add_modifier(Modifier::REVERSED))
    };
    match view.page {
        Page::Calls => {
            let calls = view.calls(reading);
            let rows = calls.into_iter().skip(skipped).map(|call| call_row(call, reading.at));
            let widths = [9, 9, 9].map(Constraint::Length).into_iter();
            let widths = widths.chain([Constraint::Fill(1), Constraint::Fill(1), Constraint::Length(21)]);
            Table::new(rows, widths).header(heading(&["state", "age", "talked", "caller", "callee", "id"]))
        }
        Page::Registrations => {
            let all = view.registrations(reading);
            let rows = all.into_iter().skip(skipped).map(|one| registration_row(one, reading.at));
            let widths = [Constraint::Fill(2), Constraint::Fill(2)].into_iter();
            let widths = widths.chain([9, 9, 7].map(Constraint::Length)).chain([Constraint::Fill(2)]);
            Table::new(rows, widths).header(heading(&["user", "source", "since", "expires", "state", "phone"]))
        }
    }
}

fn call_row<'t>(call: &Call, now: Timestamp) -> Row<'t> {
    let since = |at: Timestamp| length(now.duration_since(at).as_secs());
    Row::new(vec![
        shown(&call.state),
        since(call.began),
        call.answered.map_or_else(|| "-".to_owned(), since),
        shown(&call.caller),
        shown(&call.callee),
        shown(&call.id),
    ])
}

fn registration_row<'t>(one: &Registration, now: Timestamp) -> Row<'t> {
    Row::new(vec![
        shown(&format!("{}@{}", one.user, one.domain)),
        shown(&one.source),
        length(now.duration_since(one.registered).as_secs()),
        length(one.expires.duration_since(now).as_secs()),
        if one.stale_since.is_some() { "silent" } else { "well" }.to_owned(),
        shown(one.user_agent.as_deref().unwrap_or("-")),
    ])
}

/// A length of time in at most eight characters: `59`, `1:02:03`, `12d 03h`.
fn length(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{rest:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{rest:02}"),
        _ => format!("{days}d {hours:02}h"),
    }
}

fn bytes_text(bytes: f64) -> String {
    let mebibytes = bytes / 1_048_576.0;
    if mebibytes < 10_000.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1_024.0) }
}

/// A stranger's text without what would move the cursor.
fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_short() {
        for (seconds, text) in
            [(-5, "0:00"), (59, "0:59"), (3_600, "1:00:00"), (86_399, "23:59:59"), (1_047_600, "12d 03h")]
        {
            assert_eq!(length(seconds), text);
        }
    }
}
