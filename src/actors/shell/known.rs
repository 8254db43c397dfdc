//! What is known of other nodes, their services and shared values, as the surfaces ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use prunella_core::membership::Status;
use prunella_core::overlay::Prefix;
use prunella_core::record::{LinkBody, NodeBody};
use prunella_core::shared::Value;
use prunella_core::{PeerId, Tag};

/// Known nodes, services and shared values. Filled by gossip, so it is bounded by the limits on records.
#[derive(Debug, Default)]
pub struct Known {
    nodes: RwLock<BTreeMap<PeerId, NodeBody>>,
    links: RwLock<BTreeMap<PeerId, Vec<LinkBody>>>,
    /// Those of members that are not well.
    ill: RwLock<BTreeMap<PeerId, Status>>,
    services: RwLock<BTreeSet<(String, PeerId)>>,
    shared: RwLock<BTreeMap<String, Vec<Value>>>,
}

impl Known {
    /// Whether its name or its region is another one now.
    pub(super) fn set_node(&self, peer: PeerId, body: Option<NodeBody>) -> bool {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let said = |body: &Option<NodeBody>| body.as_ref().map(|body| (body.name.clone(), body.region.clone()));
        let now = said(&body);
        let before = match body {
            Some(body) => nodes.insert(peer, body),
            None => nodes.remove(&peer),
        };
        said(&before) != now
    }

    /// The neighbors that this node has come to have, and those that it has no more.
    pub(super) fn set_links(&self, peer: PeerId, links: Vec<LinkBody>) -> (Vec<PeerId>, Vec<PeerId>) {
        let ends = |links: &[LinkBody]| links.iter().map(|link| link.neighbor).collect::<BTreeSet<_>>();
        let mut known = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let now = ends(&links);
        let before = if links.is_empty() { known.remove(&peer) } else { known.insert(peer, links) };
        let before = ends(&before.unwrap_or_default());
        (now.difference(&before).copied().collect(), before.difference(&now).copied().collect())
    }

    /// The links of every node, as each says. A link counts when both of its ends say so.
    pub fn links(&self) -> BTreeMap<PeerId, Vec<LinkBody>> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether that is new.
    pub(super) fn set_service(&self, provider: PeerId, name: String, exposed: bool) -> bool {
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        if exposed { services.insert((name, provider)) } else { services.remove(&(name, provider)) }
    }

    pub(super) fn set_shared(&self, key: String, values: Vec<Value>) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        if values.is_empty() {
            shared.remove(&key);
        } else {
            shared.insert(key, values);
        }
    }

    /// The values of a shared key, the newest first; empty if it has none.
    pub fn shared(&self, key: &str) -> Vec<Value> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned().unwrap_or_default()
    }

    /// At most `count` shared keys and their values, ordered by key, from the first one after `after`.
    pub fn shared_after(&self, after: Option<&str>, count: usize) -> Vec<(String, Vec<Value>)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let rest = shared.range::<str, _>((after, Bound::Unbounded));
        rest.take(count).map(|(key, values)| (key.clone(), values.clone())).collect()
    }

    /// Every known node and what it says of itself.
    pub fn nodes(&self) -> BTreeMap<PeerId, NodeBody> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many nodes are known.
    pub fn count(&self) -> usize {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A node's name; its short id if it gives none.
    pub fn name(&self, peer: &PeerId) -> String {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.get(peer).map(|node| node.name.clone()).filter(|n| !n.is_empty()).unwrap_or_else(|| peer.short())
    }

    /// What a node says of its name and its region; empty where it says nothing.
    pub(super) fn name_and_region(&self, peer: &PeerId) -> (String, String) {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.get(peer).map(|node| (node.name.clone(), node.region.clone())).unwrap_or_default()
    }

    /// Every node that says that networks stand behind it, and which.
    pub(super) fn announcers(&self) -> Vec<(PeerId, Vec<Prefix>)> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let announcing = nodes.iter().filter(|(_, node)| !node.announced.is_empty());
        announcing.map(|(peer, node)| (*peer, node.announced.clone())).collect()
    }

    /// The networks that a node says to stand behind it.
    pub(super) fn announced(&self, peer: &PeerId) -> Vec<Prefix> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.get(peer).map(|node| node.announced.clone()).unwrap_or_default()
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

    /// The node with this tag.
    pub fn with_tag(&self, tag: Tag) -> Option<PeerId> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.keys().copied().find(|peer| peer.tag() == tag)
    }

    /// The nodes that `name` means, whatever its case: one by its peer id, or those of this name.
    pub fn called(&self, name: &str) -> Vec<PeerId> {
        if let Ok(peer) = name.parse() {
            return vec![peer];
        }
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.iter().filter(|(_, node)| node.name.eq_ignore_ascii_case(name)).map(|(peer, _)| *peer).collect()
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

    /// What the mesh thinks of a member.
    pub(super) fn set_status(&self, peer: PeerId, status: Status) {
        let mut ill = self.ill.write().unwrap_or_else(PoisonError::into_inner);
        match status {
            Status::Alive => ill.remove(&peer),
            status => ill.insert(peer, status),
        };
    }

    /// Members that are not well.
    pub fn ill(&self) -> BTreeMap<PeerId, Status> {
        self.ill.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nodes that say where they can be dialed and that the mesh has not given up.
    pub(super) fn dialable(&self) -> BTreeMap<PeerId, NodeBody> {
        let mut nodes = self.nodes();
        let ill = self.ill.read().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|peer, node| !node.addresses.is_empty() && ill.get(peer) != Some(&Status::Down));
        nodes
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::Label;

    use super::*;

    #[test]
    fn shared_keys_are_told_in_order_and_in_parts() {
        let known = Known::default();
        let value = |text: &str| vec![Value { value: text.into(), writers: vec![], written_ms: 1 }];
        for key in ["b", "a", "c"] {
            known.set_shared(key.into(), value(key));
        }
        let keys = |after, count| known.shared_after(after, count).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(None, 2), ["a", "b"]);
        assert_eq!(keys(Some("b"), 2), ["c"]);
        known.set_shared("c".into(), Vec::new());
        assert!(keys(Some("b"), 2).is_empty() && known.shared("c").is_empty());
        assert_eq!(known.shared("a"), value("a"));
    }

    #[test]
    fn what_is_different_about_links_is_told_and_measurements_are_not() {
        let known = Known::default();
        let [a, b, c] = [1, 2, 3].map(|byte| PeerId::from_public_key([byte; 32]));
        let link = |neighbor, rtt_us| LinkBody { neighbor, label: Label(1), rtt_us, loss_permille: 0 };
        assert_eq!(known.set_links(a, vec![link(b, 5)]), (vec![b], vec![]));
        assert_eq!(known.set_links(a, vec![link(b, 9)]), (vec![], vec![]));
        assert_eq!(known.set_links(a, vec![link(c, 9)]), (vec![c], vec![b]));
        assert_eq!(known.links(), BTreeMap::from([(a, vec![link(c, 9)])]));
        assert_eq!(known.set_links(a, Vec::new()), (vec![], vec![c]));
        assert!(known.links().is_empty());
    }

    #[test]
    fn a_node_is_found_by_name_prefix_and_id() {
        let known = Known::default();
        let (a, b) = (PeerId::from_public_key([1; 32]), PeerId::from_public_key([2; 32]));
        for (peer, name) in [(a, "alpha"), (b, "beta")] {
            known.set_node(peer, Some(NodeBody { name: name.into(), ..NodeBody::default() }));
        }
        assert_eq!(known.find("beta"), Some(b));
        assert_eq!(known.find(&a.to_string()[..8]), Some(a));
        assert_eq!(known.find(&b.to_string()), Some(b));
        assert_eq!(known.find("a"), None, "an ambiguous prefix means nobody");
        assert_eq!(known.find("gamma"), None);
    }
}
