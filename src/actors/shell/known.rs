//! What is known of other nodes and their services, as the surfaces ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use prunella_core::PeerId;
use prunella_core::record::NodeBody;

/// Known nodes and services. Filled by gossip, so it is bounded by the limits on records.
#[derive(Debug, Default)]
pub struct Known {
    nodes: RwLock<BTreeMap<PeerId, NodeBody>>,
    services: RwLock<BTreeSet<(String, PeerId)>>,
}

impl Known {
    pub(super) fn set_node(&self, peer: PeerId, body: Option<NodeBody>) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        match body {
            Some(body) => nodes.insert(peer, body),
            None => nodes.remove(&peer),
        };
    }

    pub(super) fn set_service(&self, provider: PeerId, name: String, exposed: bool) {
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        if exposed {
            services.insert((name, provider));
        } else {
            services.remove(&(name, provider));
        }
    }

    /// Every known node and what it says of itself.
    pub fn nodes(&self) -> BTreeMap<PeerId, NodeBody> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A node's name; its short id if it gives none.
    pub fn name(&self, peer: &PeerId) -> String {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.get(peer).map(|node| node.name.clone()).filter(|n| !n.is_empty()).unwrap_or_else(|| peer.short())
    }

    /// Every service and who exposes it, ordered by name.
    pub fn services(&self) -> Vec<(String, PeerId)> {
        self.services.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Who exposes a service.
    pub fn providers(&self, name: &str) -> Vec<PeerId> {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        services.iter().filter(|(n, _)| n == name).map(|(_, provider)| *provider).collect()
    }

    /// The node that `text` means: a peer id, the beginning of exactly one, or exactly one node's name.
    pub fn find(&self, text: &str) -> Option<PeerId> {
        if let Ok(peer) = text.parse() {
            return Some(peer);
        }
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let only = |fits: &dyn Fn(&PeerId, &NodeBody) -> bool| {
            let mut found = nodes.iter().filter(|(peer, node)| fits(peer, node)).map(|(peer, _)| *peer);
            found.next().filter(|_| found.next().is_none())
        };
        only(&|_, node| node.name == text).or_else(|| only(&|peer, _| peer.to_string().starts_with(text)))
    }

    pub(super) fn dialable(&self) -> Vec<(PeerId, Vec<SocketAddr>)> {
        let nodes = self.nodes();
        nodes.into_iter().filter(|(_, n)| !n.addresses.is_empty()).map(|(peer, n)| (peer, n.addresses)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_name_prefix_and_id() {
        let known = Known::default();
        let (a, b) = (PeerId::from_public_key([1; 32]), PeerId::from_public_key([2; 32]));
        for (peer, name) in [(a, "alpha"), (b, "beta")] {
            known.set_node(peer, Some(NodeBody { name: name.into(), addresses: vec![], region: String::new() }));
        }
        assert_eq!(known.find("beta"), Some(b));
        assert_eq!(known.find(&a.to_string()[..8]), Some(a));
        assert_eq!(known.find(&b.to_string()), Some(b));
        assert_eq!(known.find("a"), None, "an ambiguous prefix means nobody");
        assert_eq!(known.find("gamma"), None);
    }
}
