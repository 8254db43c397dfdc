//! The mesh as a graph.

use std::collections::BTreeMap;

use super::called;
use super::page::Page;
use super::quantity::{percent, round_trip};
use super::table::{Column, Table};
use crate::api::PeerId;
use crate::api::vocabulary::{TopologyInfo, TopologyLink};

pub(super) fn graph(info: &TopologyInfo, page: &mut Page) {
    let names: BTreeMap<PeerId, &str> = info.nodes.iter().map(|node| (node.peer, node.name.as_str())).collect();
    let link = |link: &TopologyLink| {
        let doubt = if link.agreed { "" } else { "?" };
        let loss =
            if link.loss_permille > 0 { format!(" {} lost", percent(link.loss_permille)) } else { String::new() };
        let name = called(names.get(&link.to).copied().unwrap_or_default(), link.to);
        format!("{name}{doubt} {}{loss}", round_trip(link.rtt_us.into()))
    };
    let mut table = Table::new(["NODE", "STATUS", "REGION", "LINKS"].map(Column::Left));
    for node in &info.nodes {
        let mark = if node.peer == info.me { " (this node)" } else { "" };
        let links = node.links.iter().map(link).collect::<Vec<_>>().join(", ");
        table.row([
            format!("{}{mark}", called(&node.name, node.peer)),
            node.status.clone(),
            node.region.clone(),
            links,
        ]);
    }
    table.write(page, "no node is known");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::vocabulary::TopologyNode;

    #[test]
    fn what_only_one_end_says_has_a_question_mark() {
        let peer = |byte: u8| PeerId::from_public_key([byte; 32]);
        let link = |to, loss_permille, agreed| TopologyLink { to, rtt_us: 1500, loss_permille, agreed };
        let node = |byte: u8, name: &str, status: &str, links| TopologyNode {
            peer: peer(byte),
            name: name.into(),
            region: String::new(),
            status: status.into(),
            links,
        };
        let nodes = vec![
            node(1, "a", "alive", vec![link(peer(2), 25, true), link(peer(3), 0, false)]),
            node(2, "b", "alive", vec![link(peer(1), 0, true)]),
            node(3, "", "down", vec![]),
        ];
        let expected = "\
NODE           STATUS  REGION  LINKS
a (this node)  alive   -       b 1.50 ms 2.5 % lost, ambqgaydam? 1.50 ms
b              alive   -       a 1.50 ms
ambqgaydam     down    -       -
";
        let mut page = Page::default();
        graph(&TopologyInfo { me: peer(1), nodes, more: false }, &mut page);
        assert_eq!(page.into_text(), expected);
    }
}
