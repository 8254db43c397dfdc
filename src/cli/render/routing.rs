//! Nodes, links, paths, and measurements along them.

use super::called;
use super::page::Page;
use super::quantity::{bytes, percent, round_trip, span};
use super::table::{Column, Table};
use crate::api::PeerId;
use crate::api::vocabulary::{HopInfo, LaneInfo, LinkInfo, PathInfo, PathWhy, PeerInfo, Reach};

pub(super) fn peers(peers: &[PeerInfo], page: &mut Page) {
    let [name, peer, state] = ["NAME", "PEER", "STATE"].map(Column::Left);
    let mut table = Table::new([name, peer, state, Column::Right("RELAYS"), Column::Left("ADDRESSES")]);
    for info in peers {
        let state = match info.state {
            Reach::Myself => "this node",
            Reach::Neighbor => "neighbor",
            Reach::Relayed => "relayed",
            Reach::Unreachable => "unreachable",
        };
        let relays = info.relays.map(|relays| relays.to_string()).unwrap_or_default();
        let addresses: Vec<String> = info.addresses.iter().map(ToString::to_string).collect();
        table.row([info.name.clone(), info.peer.short(), state.to_owned(), relays, addresses.join(" ")]);
    }
    table.write(page, "no nodes are known");
}

pub(super) fn links(links: &[LinkInfo], page: &mut Page) {
    let mut table = Table::new([
        Column::Left("NEIGHBOR"),
        Column::Left("PEER"),
        Column::Left("STATE"),
        Column::Right("RTT"),
        Column::Right("LOSS"),
        Column::Right("PROBED EVERY"),
        Column::Right("SENT"),
        Column::Right("RECEIVED"),
        Column::Right("MADE"),
        Column::Left("ADDRESS"),
    ]);
    for info in links {
        table.row([
            info.name.clone(),
            info.peer.short(),
            info.state.clone(),
            round_trip(info.rtt_us),
            percent(info.loss_permille),
            if info.probed_every_ms > 0 { span(info.probed_every_ms) } else { String::new() },
            bytes(info.sent_bytes),
            bytes(info.received_bytes),
            info.established.to_string(),
            info.address.map(|address| address.to_string()).unwrap_or_default(),
        ]);
    }
    table.write(page, "no links; `peers` shows whom the node knows, `prunella join` or `bootstrap` whom it dials");
    if links.iter().any(|info| info.latency.count > 0) {
        page.line("");
        round_trips(links, page);
    }
}

/// What the last round trips to each neighbor took.
fn round_trips(links: &[LinkInfo], page: &mut Page) {
    let titles = ["CURRENT", "MIN", "MEAN", "P99", "MAX", "COUNT"].map(Column::Right);
    let [current, min, mean, p99, max, count] = titles;
    let mut table = Table::new([Column::Left("ROUND TRIPS"), current, min, mean, p99, max, count]);
    for LinkInfo { name, peer, latency: l, .. } in links {
        let [current, min, mean, p99, max] =
            [l.current_us, l.min_us, l.mean_us, l.p99_us, l.max_us].map(|us| round_trip(us.into()));
        table.row([called(name, *peer), current, min, mean, p99, max, l.count.to_string()]);
    }
    table.write(page, "none");
}

pub(super) fn paths(destination: PeerId, paths: &[PathInfo], page: &mut Page) {
    let mut table =
        Table::new([Column::Left("STATE"), Column::Right("RTT"), Column::Right("COST"), Column::Left("PATH")]);
    for info in paths {
        let hops: Vec<String> = info
            .hops
            .iter()
            .enumerate()
            .map(|(i, hop)| called(info.names.get(i).map_or("", String::as_str), *hop))
            .collect();
        table.row([state(info), round_trip(info.rtt_us), info.cost.to_string(), hops.join(" → ")]);
    }
    table.write(page, &format!("no path to {}", destination.short()));
    for info in paths {
        if let Some(why) = &info.why {
            reasons(info, why, page);
        }
    }
}

/// A path's state, and the lanes that take it.
fn state(path: &PathInfo) -> String {
    let lanes: Vec<String> = path.lanes.iter().map(|info| info.lane.to_string()).collect();
    match lanes.len() {
        0 => path.state.clone(),
        1 => format!("{}, lane {}", path.state, lanes[0]),
        _ => format!("{}, lanes {}", path.state, lanes.join(" ")),
    }
}

/// One path's links, and what decided for it or against it.
fn reasons(path: &PathInfo, why: &PathWhy, page: &mut Page) {
    let name = |peer: PeerId| {
        let at = path.hops.iter().position(|hop| *hop == peer);
        called(at.and_then(|at| path.names.get(at)).map_or("", String::as_str), peer)
    };
    let hops: Vec<String> = path.hops.iter().map(|hop| name(*hop)).collect();
    page.line("");
    page.line(&format!("{}: {}", hops.join(" → "), verdict(why)));
    if why.shared > 0 {
        page.line(&format!("  relays and links shared with the paths before it: {}", why.shared));
    }
    for LaneInfo { lane, streams, sent_bytes } in &path.lanes {
        page.line(&format!("  lane {lane}: {streams} streams of this node, {} sent", bytes(*sent_bytes)));
    }
    for link in &why.links {
        page.line(&format!(
            "  {} → {}: round trip {}, loss {}, cost {}",
            name(link.from),
            name(link.to),
            round_trip(link.rtt_us.into()),
            percent(link.loss_permille),
            link.cost
        ));
    }
}

/// What decided, as people say it.
fn verdict(why: &PathWhy) -> String {
    let share = why.cost_permille.unwrap_or_default() as f64 / 10.0;
    let seconds = |ms: u64| ms as f64 / 1000.0;
    match why.verdict.as_str() {
        "chosen" => "in use: it works, and no other costs so much less that it is worth a change".to_owned(),
        "least" => "in use for want of one that works better".to_owned(),
        "unwatched" => "not probed: nobody talks to the node".to_owned(),
        "dearer" => format!("works, and costs {share:.0} % of the path in use"),
        "hardly-cheaper" => format!("works, but at {share:.0} % of the cost a change is not worth it"),
        "on-probation" => {
            let (good_for, hold) = why.probation_ms.unwrap_or_default();
            let (good_for, hold) = (seconds(good_for), seconds(hold));
            format!("works and is better, but has only for {good_for:.1} s of {hold:.1} s since the path in use failed")
        }
        "doubted" => {
            let (ago, avoided) = why.probation_ms.unwrap_or_default();
            let (ago, avoided) = (seconds(ago), seconds(avoided));
            format!("passes probes, but payload was not acknowledged {ago:.1} s ago: avoided for {avoided:.0} s")
        }
        "rising" => {
            let (ago, avoided) = why.probation_ms.unwrap_or_default();
            let (ago, avoided) = (seconds(ago), seconds(avoided));
            format!("works, but rose towards its limit {ago:.1} s ago: avoided for {avoided:.0} s")
        }
        "next" => "works and is better: traffic is about to move".to_owned(),
        "unproven" => "no probe has come back yet".to_owned(),
        "overdue" => "a probe is overdue".to_owned(),
        "late" => "probes have been overdue for long".to_owned(),
        "dead" => "no probe comes back".to_owned(),
        other => other.to_owned(),
    }
}

pub(super) fn ping(peer: PeerId, rtt_us: u64, via: &[PeerId], page: &mut Page) {
    let relays: Vec<String> = via.iter().map(PeerId::short).collect();
    let way = if relays.is_empty() { "directly".to_owned() } else { format!("via {}", relays.join(" → ")) };
    page.line(&format!("{} answered in {} {way}", peer.short(), round_trip(rtt_us)));
}

pub(super) fn trace(destination: PeerId, hops: &[HopInfo], page: &mut Page) {
    let mut table =
        Table::new([Column::Right("HOP"), Column::Left("NODE"), Column::Left("PEER"), Column::Right("RTT")]);
    for (i, hop) in hops.iter().enumerate() {
        let rtt = hop.rtt_us.map_or_else(|| "no answer".to_owned(), round_trip);
        table.row([(i + 1).to_string(), hop.name.clone(), hop.peer.short(), rtt]);
    }
    table.write(page, &format!("no path to {}", destination.short()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::vocabulary::{LatencySummary, PathLinkInfo};

    fn peer(byte: u8) -> PeerId {
        PeerId::from_public_key([byte; 32])
    }

    fn drawn(draw: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::default();
        draw(&mut page);
        page.into_text()
    }

    #[test]
    fn peers_are_aligned() {
        let known = [
            PeerInfo { peer: peer(1), name: "a".into(), addresses: vec![], state: Reach::Myself, relays: None },
            PeerInfo {
                peer: peer(2),
                name: "beta".into(),
                addresses: vec!["192.0.2.1:4600".parse().unwrap(), "[::1]:4600".parse().unwrap()],
                state: Reach::Relayed,
                relays: Some(2),
            },
        ];
        let expected = "\
NAME  PEER        STATE      RELAYS  ADDRESSES
a     aeaqcaibae  this node       -  -
beta  aibaeaqcai  relayed         2  192.0.2.1:4600 [::1]:4600
";
        assert_eq!(drawn(|page| peers(&known, page)), expected);
    }

    #[test]
    fn links_are_aligned() {
        let known = [LinkInfo {
            peer: peer(2),
            name: "b".into(),
            address: None,
            state: "up".into(),
            rtt_us: 1500,
            loss_permille: 25,
            sent_bytes: 2048,
            received_bytes: 10,
            established: 1,
            probed_every_ms: 5000,
            failing: false,
            latency: LatencySummary {
                current_us: 1400,
                min_us: 900,
                max_us: 20_000,
                mean_us: 1500,
                p99_us: 9000,
                count: 4000,
            },
        }];
        let expected = "\
NEIGHBOR  PEER        STATE      RTT   LOSS  PROBED EVERY     SENT  RECEIVED  MADE  ADDRESS
b         aibaeaqcai  up     1.50 ms  2.5 %         5.0 s  2.0 KiB      10 B     1  -

ROUND TRIPS  CURRENT     MIN     MEAN      P99      MAX  COUNT
b            1.40 ms  900 µs  1.50 ms  9.00 ms  20.0 ms   4000
";
        assert_eq!(drawn(|page| links(&known, page)), expected);
    }

    #[test]
    fn a_path_is_told_by_names_and_else_by_ids() {
        let known = [PathInfo {
            hops: vec![peer(1), peer(2)],
            names: vec!["a".into(), String::new()],
            state: "in-use".into(),
            cost: 12,
            rtt_us: 0,
            lanes: vec![],
            why: None,
        }];
        let expected = "STATE   RTT  COST  PATH\nin-use    -    12  a → aibaeaqcai\n";
        assert_eq!(drawn(|page| paths(peer(2), &known, page)), expected);
        assert_eq!(drawn(|page| paths(peer(2), &[], page)), "no path to aibaeaqcai\n");
    }

    #[test]
    fn a_path_says_why_it_is_not_used() {
        let link =
            |from, to| PathLinkInfo { from: peer(from), to: peer(to), rtt_us: 2000, loss_permille: 0, cost: 1250 };
        let why = PathWhy {
            verdict: "hardly-cheaper".into(),
            cost_permille: Some(812),
            probation_ms: None,
            shared: 1,
            links: vec![link(1, 2), link(2, 3)],
        };
        let known = [PathInfo {
            hops: vec![peer(1), peer(2), peer(3)],
            names: vec!["a".into(), "b".into(), "c".into()],
            state: "warm".into(),
            cost: 2500,
            rtt_us: 4000,
            lanes: vec![
                LaneInfo { lane: 1, streams: 2, sent_bytes: 2048 },
                LaneInfo { lane: 2, streams: 0, sent_bytes: 0 },
            ],
            why: Some(why),
        }];
        let expected = "\
STATE                RTT  COST  PATH
warm, lanes 1 2  4.00 ms  2500  a → b → c

a → b → c: works, but at 81 % of the cost a change is not worth it
  relays and links shared with the paths before it: 1
  lane 1: 2 streams of this node, 2.0 KiB sent
  lane 2: 0 streams of this node, 0 B sent
  a → b: round trip 2.00 ms, loss 0.0 %, cost 1250
  b → c: round trip 2.00 ms, loss 0.0 %, cost 1250
";
        assert_eq!(drawn(|page| paths(peer(3), &known, page)), expected);
    }

    #[test]
    fn a_silent_hop_is_told() {
        let hops = [
            HopInfo { peer: peer(1), name: "a".into(), rtt_us: Some(900) },
            HopInfo { peer: peer(2), name: "b".into(), rtt_us: None },
        ];
        let expected = "\
HOP  NODE  PEER              RTT
  1  a     aeaqcaibae     900 µs
  2  b     aibaeaqcai  no answer
";
        assert_eq!(drawn(|page| trace(peer(2), &hops, page)), expected);
    }

    #[test]
    fn a_ping_tells_its_way() {
        assert_eq!(drawn(|page| ping(peer(2), 900, &[], page)), "aibaeaqcai answered in 900 µs directly\n");
        let relayed = drawn(|page| ping(peer(2), 900, &[peer(1)], page));
        assert_eq!(relayed, "aibaeaqcai answered in 900 µs via aeaqcaibae\n");
    }
}
