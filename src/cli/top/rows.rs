//! The rows of each list: in their order, filtered, with rates. Pure.

use std::cmp::Reverse;

use super::known::Known;
use crate::api::PeerId;
use crate::api::vocabulary::{ActorInfo, IncidentInfo, LinkInfo, PeerInfo, Reach};
use crate::cli::render::quantity::{bytes, moment, percent, round_trip, span};
use crate::cli::render::short_time;

/// A list.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// The columns' titles; with a leading `>` the column has numbers, which end at its right edge.
    pub(super) titles: &'static [&'static str],
    /// The rows.
    pub(super) rows: Vec<Row>,
    /// By what they are ordered.
    pub(super) order: &'static str,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// What it is about: for the node's answers, and so that it stays chosen when rows change places.
    pub(super) key: String,
    /// Its cells.
    pub(super) cells: Vec<String>,
    /// Whether it is good.
    pub(super) mark: Mark,
}

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing to say.
    Plain,
    /// It is well.
    Good,
    /// It may not be well.
    Doubtful,
    /// It is broken.
    Bad,
}

/// By what actors are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ActorOrder {
    /// As they stand in the tree.
    #[default]
    Tree,
    /// By messages that wait.
    Mailbox,
    /// By the time that they take.
    Time,
    /// By restarts.
    Restarts,
    /// By messages handled in a second.
    Handled,
}

/// By what links are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LinkOrder {
    /// By the neighbor's name.
    #[default]
    Name,
    /// By the round trip, the longest first.
    RoundTrip,
    /// By lost probes, the most first.
    Loss,
    /// By bytes in a second, the most first.
    Bytes,
}

impl ActorOrder {
    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            ActorOrder::Tree => ActorOrder::Mailbox,
            ActorOrder::Mailbox => ActorOrder::Time,
            ActorOrder::Time => ActorOrder::Restarts,
            ActorOrder::Restarts => ActorOrder::Handled,
            ActorOrder::Handled => ActorOrder::Tree,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ActorOrder::Tree => "as in the tree",
            ActorOrder::Mailbox => "by mailbox",
            ActorOrder::Time => "by time",
            ActorOrder::Restarts => "by restarts",
            ActorOrder::Handled => "by handled/s",
        }
    }
}

impl LinkOrder {
    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            LinkOrder::Name => LinkOrder::RoundTrip,
            LinkOrder::RoundTrip => LinkOrder::Loss,
            LinkOrder::Loss => LinkOrder::Bytes,
            LinkOrder::Bytes => LinkOrder::Name,
        }
    }

    fn name(self) -> &'static str {
        match self {
            LinkOrder::Name => "by name",
            LinkOrder::RoundTrip => "by round trip",
            LinkOrder::Loss => "by loss",
            LinkOrder::Bytes => "by throughput",
        }
    }
}

impl Mark {
    /// How a link is.
    pub(super) fn of_link(link: &LinkInfo) -> Self {
        match link.state.as_str() {
            "up" if link.failing => Mark::Doubtful,
            "up" => Mark::Good,
            "late" | "dialing" => Mark::Doubtful,
            _ => Mark::Bad,
        }
    }
}

/// Bytes that a link sent and received in a second.
pub(super) fn throughput(known: &Known<Vec<LinkInfo>>, peer: PeerId) -> [Option<f64>; 2] {
    let of =
        |links: &Vec<LinkInfo>, count: fn(&LinkInfo) -> u64| links.iter().find(|link| link.peer == peer).map(count);
    [known.rate(|links| of(links, |link| link.sent_bytes)), known.rate(|links| of(links, |link| link.received_bytes))]
}

/// The links.
pub(super) fn links(known: &Known<Vec<LinkInfo>>, order: LinkOrder) -> Listing {
    let mut links: Vec<(&LinkInfo, [Option<f64>; 2])> =
        known.last().into_iter().flatten().map(|link| (link, throughput(known, link.peer))).collect();
    let most = |rates: &[Option<f64>; 2]| rates.iter().flatten().sum::<f64>() as u64;
    match order {
        LinkOrder::Name => links.sort_by_key(|(link, _)| called(&link.name, link.peer)),
        LinkOrder::RoundTrip => links.sort_by_key(|(link, _)| Reverse(link.rtt_us)),
        LinkOrder::Loss => links.sort_by_key(|(link, _)| Reverse(link.loss_permille)),
        LinkOrder::Bytes => links.sort_by_key(|(_, rates)| Reverse(most(rates))),
    }
    let row = |(link, [sent, received]): (&LinkInfo, [Option<f64>; 2])| Row {
        key: link.peer.to_string(),
        cells: vec![
            called(&link.name, link.peer),
            link.state.clone(),
            round_trip(link.rtt_us),
            round_trip(link.latency.p99_us.into()),
            percent(link.loss_permille),
            bytes_per_second(sent),
            bytes_per_second(received),
            link.established.to_string(),
            link.address.map(|address| address.to_string()).unwrap_or_default(),
        ],
        mark: Mark::of_link(link),
    };
    let titles = &["NEIGHBOR", "STATE", ">RTT", ">P99", ">LOSS", ">SENT/S", ">RECEIVED/S", ">MADE", "ADDRESS"];
    Listing { titles, rows: links.into_iter().map(row).collect(), order: order.name() }
}

/// The actors.
pub(super) fn actors(known: &Known<Vec<ActorInfo>>, order: ActorOrder) -> Listing {
    let mut actors: Vec<Actor<'_>> = known.last().into_iter().flatten().map(|info| Actor::of(info, known)).collect();
    match order {
        ActorOrder::Tree => {}
        ActorOrder::Mailbox => actors.sort_by_key(|actor| Reverse(actor.info.mailbox)),
        ActorOrder::Time => {
            actors.sort_by(|a, b| b.busy.total_cmp(&a.busy).then(b.info.busy_us.cmp(&a.info.busy_us)));
        }
        ActorOrder::Restarts => actors.sort_by_key(|actor| Reverse(actor.info.restarts)),
        ActorOrder::Handled => {
            actors.sort_by(|a, b| b.handled.total_cmp(&a.handled).then(b.info.handled.cmp(&a.info.handled)));
        }
    }
    let titles = &["ACTOR", "STATE", ">MAILBOX", ">HANDLED/S", ">BUSY", ">P99", ">RESTARTS", ">FOR", "LAST FAILURE"];
    let rows = actors.into_iter().map(|actor| actor.row(order == ActorOrder::Tree)).collect();
    Listing { titles, rows, order: order.name() }
}

struct Actor<'a> {
    info: &'a ActorInfo,
    /// Messages in a second; below zero while unknown.
    handled: f64,
    /// The share of the time for which it was busy, in percent; below zero while unknown.
    busy: f64,
}

impl<'a> Actor<'a> {
    fn of(info: &'a ActorInfo, known: &Known<Vec<ActorInfo>>) -> Self {
        let of = |actors: &Vec<ActorInfo>, count: fn(&ActorInfo) -> u64| {
            actors.iter().find(|actor| actor.name == info.name).map(count)
        };
        let handled = known.rate(|actors| of(actors, |actor| actor.handled)).unwrap_or(-1.0);
        let busy = known.rate(|actors| of(actors, |actor| actor.busy_us)).map_or(-1.0, |us| us / 1e4);
        Self { info, handled, busy }
    }

    fn row(&self, in_tree: bool) -> Row {
        let info = self.info;
        let indent = if in_tree { "  ".repeat(info.depth) } else { String::new() };
        let known = |value: f64, text: String| if value < 0.0 { String::new() } else { text };
        Row {
            key: info.name.clone(),
            cells: vec![
                format!("{indent}{}", info.name),
                info.state.clone(),
                info.mailbox.to_string(),
                known(self.handled, format!("{:.0}", self.handled)),
                known(self.busy, format!("{:.2} %", self.busy)),
                info.took_p99_us.map(short_time).unwrap_or_default(),
                info.restarts.to_string(),
                span(info.age_ms),
                info.last_failure.clone().unwrap_or_default(),
            ],
            mark: if info.state == "running" { Mark::Plain } else { Mark::Bad },
        }
    }
}

/// The incidents, those that are open first.
pub(super) fn incidents(known: &Known<Vec<IncidentInfo>>, now_unix_ms: u64) -> Listing {
    let mut incidents: Vec<&IncidentInfo> = known.last().into_iter().flatten().collect();
    incidents.sort_by_key(|incident| (incident.lasted_ms.is_some(), Reverse(incident.id)));
    let row = |incident: &&IncidentInfo| {
        let (state, mark) = match incident.lasted_ms {
            Some(lasted) => (format!("healed after {}", span(lasted)), Mark::Plain),
            None => (format!("OPEN for {}", span(now_unix_ms.saturating_sub(incident.opened_unix_ms))), Mark::Bad),
        };
        Row {
            key: incident.id.to_string(),
            cells: vec![
                incident.id.to_string(),
                moment(incident.opened_unix_ms),
                incident.kind.clone(),
                incident.subject.clone(),
                incident.severity.clone(),
                state,
            ],
            mark,
        }
    };
    let titles = &[">ID", "OPENED", "KIND", "SUBJECT", "SEVERITY", "STATE"];
    Listing { titles, rows: incidents.iter().map(row).collect(), order: "open ones first" }
}

/// The nodes to which there may be paths.
pub(super) fn nodes(known: &Known<Vec<PeerInfo>>) -> Listing {
    let mut peers: Vec<&PeerInfo> = known.last().into_iter().flatten().collect();
    peers.retain(|info| info.state != Reach::Myself);
    peers.sort_by_key(|info| called(&info.name, info.peer));
    let row = |info: &&PeerInfo| {
        let (reached, mark) = match info.state {
            Reach::Myself | Reach::Neighbor => ("directly", Mark::Good),
            Reach::Relayed => ("over relays", Mark::Plain),
            Reach::Unreachable => ("not at all", Mark::Bad),
        };
        let addresses: Vec<String> = info.addresses.iter().map(ToString::to_string).collect();
        Row {
            key: info.peer.to_string(),
            cells: vec![
                called(&info.name, info.peer),
                info.peer.short(),
                reached.to_owned(),
                info.relays.map(|relays| relays.to_string()).unwrap_or_default(),
                addresses.join(" "),
            ],
            mark,
        }
    };
    let titles = &["NODE", "PEER", "REACHED", ">RELAYS", "ADDRESSES"];
    Listing { titles, rows: peers.iter().map(row).collect(), order: "by name" }
}

/// A node as people know it.
pub(super) fn called(name: &str, peer: PeerId) -> String {
    if name.is_empty() { peer.short() } else { name.to_owned() }
}

fn bytes_per_second(rate: Option<f64>) -> String {
    rate.map(|rate| bytes(rate as u64)).unwrap_or_default()
}
