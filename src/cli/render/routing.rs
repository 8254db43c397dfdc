//! Nodes, links, paths, and measurements along them.

use super::called;
use super::page::Page;
use super::quantity::{bytes, percent, round_trip, span};
use super::table::{Column, Table};
use crate::api::PeerId;
use crate::api::vocabulary::{HopInfo, LinkInfo, PathInfo, PeerInfo, Reach};

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
        table.row([info.state.clone(), round_trip(info.rtt_us), info.cost.to_string(), hops.join(" → ")]);
    }
    table.write(page, &format!("no path to {}", destination.short()));
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
        }];
        let expected = "\
NEIGHBOR  PEER        STATE      RTT   LOSS  PROBED EVERY     SENT  RECEIVED  MADE  ADDRESS
b         aibaeaqcai  up     1.50 ms  2.5 %         5.0 s  2.0 KiB      10 B     1  -
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
        }];
        let expected = "STATE   RTT  COST  PATH\nin-use    -    12  a → aibaeaqcai\n";
        assert_eq!(drawn(|page| paths(peer(2), &known, page)), expected);
        assert_eq!(drawn(|page| paths(peer(2), &[], page)), "no path to aibaeaqcai\n");
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
