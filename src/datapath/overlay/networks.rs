//! Networks behind nodes: whose addresses may stand in a packet, and to whom it goes.
//!
//! As in WireGuard, one table answers both questions: a packet to an address goes to the node of the longest prefix that holds
//! it, and one from an address is taken from the nodes of that prefix alone.

use std::net::{IpAddr, Ipv4Addr};

use prunella_core::Tag;
use prunella_core::overlay::{Flow, Prefix, PrefixTable, Protocol};

/// The networks behind this node and behind others; a value, published whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    here: PrefixTable<()>,
    there: PrefixTable<Box<[Tag]>>,
    /// The address from which this machine itself sends to networks of IPv4: in one of those behind it.
    own_v4: Option<Ipv4Addr>,
}

impl Networks {
    /// Those behind this node, those behind others, each with the nodes that are believed to stand before it, of which the first
    /// is sent what is for it; and the address from which this machine sends there by IPv4, if it has one.
    pub fn new(here: &[Prefix], there: Vec<(Prefix, Vec<Tag>)>, own_v4: Option<Ipv4Addr>) -> Self {
        let here = here.iter().map(|prefix| (*prefix, ())).collect();
        let there = there.into_iter().filter(|(_, nodes)| !nodes.is_empty());
        Self { here, there: there.map(|(prefix, nodes)| (prefix, nodes.into())).collect(), own_v4 }
    }

    /// Whether an address is behind this node.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.here.find(address).is_some()
    }

    /// The node to which packets for an address go.
    pub(super) fn towards(&self, address: IpAddr) -> Option<Tag> {
        self.there.find(address)?.first().copied()
    }

    /// Whether a node passes on packets from an address.
    pub(super) fn believes(&self, node: Tag, from: IpAddr) -> bool {
        self.there.find(from).is_some_and(|nodes| nodes.contains(&node))
    }

    /// Whether a flow is what the mesh's own socket at `port` sends: such a packet would carry what carries it.
    pub(super) fn is_own_frame(&self, flow: &Flow, own: IpAddr, port: u16) -> bool {
        let (from, source_port) = flow.source;
        let is_ours = from == own || self.own_v4.is_some_and(|v4| from == IpAddr::V4(v4));
        is_ours && flow.protocol == Protocol::UDP && source_port == port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_prefix_says_who_is_sent_and_who_is_believed() {
        let [wide, near, spare] = [Tag(1), Tag(2), Tag(3)];
        let there = vec![
            (prefix("10.0.0.0/8"), vec![wide]),
            (prefix("10.20.0.0/16"), vec![near, spare]),
            (prefix("10.30.0.0/16"), vec![]),
        ];
        let networks = Networks::new(&[prefix("fd00:20::/64")], there, None);
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(networks.towards(at("10.20.0.5")), Some(near));
        assert_eq!(networks.towards(at("10.30.0.5")), Some(wide), "nobody stands before the longer one");
        assert_eq!(networks.towards(at("11.0.0.1")), None);
        let believed = |from| [wide, near, spare].map(|node| networks.believes(node, at(from)));
        assert_eq!(believed("10.20.0.5"), [false, true, true], "a wider network says nothing about a part of it");
        assert_eq!(believed("10.21.0.5"), [true, false, false]);
        assert!(networks.has(at("fd00:20::7")) && !networks.has(at("10.20.0.5")));
    }

    #[test]
    fn what_the_mesh_itself_sends_is_told_from_what_others_send() {
        let own = IpAddr::V6(Tag(7).address());
        let networks = Networks::new(&[prefix("10.20.0.0/16")], vec![], Some(Ipv4Addr::new(10, 20, 0, 1)));
        let flow = |from: &str, port| Flow {
            protocol: Protocol::UDP,
            source: (from.parse().unwrap(), port),
            destination: (own, 4600),
        };
        assert!(networks.is_own_frame(&flow(&own.to_string(), 4600), own, 4600));
        assert!(networks.is_own_frame(&flow("10.20.0.1", 4600), own, 4600));
        assert!(!networks.is_own_frame(&flow("10.20.0.2", 4600), own, 4600));
        assert!(!networks.is_own_frame(&flow("10.20.0.1", 4601), own, 4600));
    }
}
