//! How the nodes of a control process stand, for `/health` and `/metrics`.

use hookswitch_nodes::{NodeKind, NodeState, NodeStatus};
use serde_json::{Value, json};

use super::status::{Figure, calendar};

/// Whether new calls can be carried as far as nodes go: `up`, or why not. Of each kind that there is one has to take calls.
///
/// The worst of both kinds decides: `down` where all of a kind are lost, `draining` where some are there and none takes new
/// calls, for those that there are go on, `starting` where one has not been heard of that may.
pub(super) fn standing(nodes: &[NodeStatus]) -> (&'static str, Option<&'static str>) {
    let of = |kind| standing_of(kind, nodes.iter().filter(|node| node.kind == kind).map(|node| node.standing.state));
    let all = [of(NodeKind::Sip), of(NodeKind::Media)];
    let worst = ["down", "draining", "starting"].into_iter().find_map(|word| all.iter().find(|it| it.0 == word));
    worst.copied().unwrap_or(("up", None))
}

fn standing_of(kind: NodeKind, states: impl Iterator<Item = NodeState>) -> (&'static str, Option<&'static str>) {
    let (none, drains) = match kind {
        NodeKind::Sip => ("no SIP node takes calls", "all SIP nodes drain"),
        NodeKind::Media => ("no media node takes calls", "all media nodes drain"),
    };
    let states: Vec<NodeState> = states.collect();
    if states.is_empty() || states.contains(&NodeState::Up) {
        ("up", None)
    } else if states.contains(&NodeState::Starting) {
        ("starting", None)
    } else if states.contains(&NodeState::Draining) {
        ("draining", Some(if states.contains(&NodeState::Lost) { none } else { drains }))
    } else {
        ("down", Some(none))
    }
}

/// All of them.
pub(super) fn documents(nodes: &[NodeStatus]) -> Value {
    nodes.iter().map(document).collect()
}

fn document(node: &NodeStatus) -> Value {
    let standing = &node.standing;
    let mut document = json!({
        "kind": node.kind.name(), "url": node.url.as_str(), "state": standing.state.name(),
        "since": standing.since.map(calendar),
    });
    document[carried(node.kind)] = standing.carries.into();
    document
}

/// What a node has of ours.
const fn carried(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Sip => "legs",
        NodeKind::Media => "calls",
    }
}

/// All of them as figures.
pub(crate) fn node_figures(nodes: &[NodeStatus]) -> Vec<Figure> {
    nodes.iter().flat_map(figures_of).collect()
}

fn figures_of(node: &NodeStatus) -> Vec<Figure> {
    const CHANNELS: &str = "Channels of a media node, as it said last.";
    const DIALOGS: &str = "Legs on a SIP node, whoever has ordered them, as it said last.";
    const BUSY: &str =
        "Processor time of a node, as it said last: of its media threads, or of the thread that has SIP.";
    let of = |figure: Figure| figure.named("node", node.url.clone());
    let standing = &node.standing;
    let is = |state: NodeState| usize::from(standing.state == state);
    let kind = node.kind.name();
    let up = Figure::now("node_up", "Whether a node takes calls.", is(NodeState::Up));
    let draining =
        Figure::now("node_draining", "Whether a node is there and takes no new calls.", is(NodeState::Draining));
    let mut figures = vec![of(up.labelled("kind", kind)), of(draining.labelled("kind", kind))];
    figures.push(of(match node.kind {
        NodeKind::Sip => Figure::now("node_legs", "Legs of ours on a SIP node.", standing.carries),
        NodeKind::Media => Figure::now("node_calls", "Calls of ours whose audio is on a media node.", standing.carries),
    }));
    if let Some(load) = &standing.load {
        let (name, help) = match node.kind {
            NodeKind::Sip => ("node_dialogs", DIALOGS),
            NodeKind::Media => ("node_channels", CHANNELS),
        };
        let channels = |state, count: u32| of(Figure::now(name, help, count as usize).labelled("state", state));
        let percent = load.cpu.max(0.0).round() as usize;
        figures.extend([
            channels("active", load.active),
            channels("free", load.available),
            of(Figure::now("node_processor_percent", BUSY, percent)),
        ]);
        if node.kind == NodeKind::Media {
            let late = load.late_ticks as usize;
            let help = "Ticks of a media node's last second that were too late.";
            figures.push(of(Figure::now("node_late_ticks", help, late)));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookswitch_nodes::Standing;

    use super::*;

    fn node(kind: NodeKind, state: NodeState) -> NodeStatus {
        let since = (state != NodeState::Starting).then_some(Duration::from_secs(1_000_000_000));
        NodeStatus { kind, url: "http://n".into(), standing: Standing { state, since, carries: 3, load: None } }
    }

    #[test]
    fn of_each_kind_one_has_to_take_calls() {
        use NodeKind::{Media, Sip};
        use NodeState::{Draining, Lost, Starting, Up};
        let of = |nodes: &[(NodeKind, NodeState)]| {
            standing(&nodes.iter().map(|(kind, state)| node(*kind, *state)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), ("up", None));
        assert_eq!(of(&[(Sip, Lost), (Sip, Up), (Media, Draining), (Media, Up)]), ("up", None));
        assert_eq!(of(&[(Sip, Up), (Media, Starting), (Media, Lost)]), ("starting", None));
        let no_media = Some("no media node takes calls");
        assert_eq!(of(&[(Sip, Starting), (Media, Lost)]), ("down", no_media));
        assert_eq!(of(&[(Sip, Up), (Media, Draining), (Media, Lost)]), ("draining", no_media));
        assert_eq!(of(&[(Sip, Draining), (Sip, Draining)]), ("draining", Some("all SIP nodes drain")));
        assert_eq!(of(&[(Sip, Draining), (Media, Starting)]), ("draining", Some("all SIP nodes drain")));
        assert_eq!(of(&[(Sip, Draining), (Sip, Starting), (Media, Up)]), ("starting", None), "that one may take some");
        assert_eq!(of(&[(Sip, Draining), (Media, Lost)]), ("down", no_media), "the worse of both");
        assert_eq!(of(&[(Sip, Lost), (Media, Up)]), ("down", Some("no SIP node takes calls")));
    }

    #[test]
    fn a_sip_node_says_what_it_has_of_everybody() {
        let body = br#"{"count":5,"counter":9,"available":95,"draining":true,"cpu":12.4}"#.as_slice();
        let mut drained = node(NodeKind::Sip, NodeState::Draining);
        drained.standing.load = hookswitch_nodes::Load::read_dialogs(&body.into());
        let figures = node_figures(&[drained]);
        let shown: Vec<_> = figures.iter().map(|it| (it.name, it.label.map(|(_, value)| value), it.value)).collect();
        let expected = [
            ("node_up", Some("sip"), 0),
            ("node_draining", Some("sip"), 1),
            ("node_legs", None, 3),
            ("node_dialogs", Some("active"), 5),
            ("node_dialogs", Some("free"), 95),
            ("node_processor_percent", None, 12),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_page_tells_each_with_what_it_has() {
        let documents = documents(&[node(NodeKind::Sip, NodeState::Lost), node(NodeKind::Media, NodeState::Starting)]);
        let lost =
            json!({ "kind": "sip", "url": "http://n", "state": "lost", "since": "2001-09-09T01:46:40Z", "legs": 3 });
        assert_eq!(documents[0], lost);
        assert_eq!((&documents[1]["since"], &documents[1]["calls"]), (&Value::Null, &3.into()));
    }
}
