//! What one node says about others, put together from its two records.

use crate::PeerId;
use crate::limits::LINKS_PER_NODE_MAX;
use crate::record::{JudgmentsBody, LinkBody, LinksBody, Refuted};

/// All that a node says about its neighbors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// Links that work.
    pub links: Vec<LinkBody>,
    /// Neighbors that it accuses, ascending.
    pub accused: Vec<PeerId>,
    /// Accusations that it contradicts, ascending.
    pub refuted: Vec<Refuted>,
    /// Whom it believes no more, ascending.
    pub distrusted: Vec<PeerId>,
}

impl Testimony {
    /// What the links record says, less the links that the judgments know to be silent by now; of links and accused
    /// together at most [`LINKS_PER_NODE_MAX`].
    pub fn of(links: &LinksBody, judgments: Option<&JudgmentsBody>) -> Self {
        let Some(judgments) = judgments else { return Self { links: links.links.clone(), ..Self::default() } };
        let mut accused = [&judgments.silent[..], &judgments.failing].concat();
        accused.sort_unstable();
        accused.dedup();
        let room = LINKS_PER_NODE_MAX.saturating_sub(accused.len());
        let (refuted, distrusted) = (judgments.refuted.clone(), judgments.distrusted.clone());
        Self { links: links.less(&judgments.silent).take(room).collect(), accused, refuted, distrusted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Label;

    #[test]
    fn a_silent_neighbor_is_accused_and_has_no_link_and_a_failing_one_keeps_it() {
        let peer = |n: u8| PeerId::from_public_key([n; 32]);
        let link = |n: u8| LinkBody { neighbor: peer(n), label: Label(n.into()), rtt_us: 1, loss_permille: 0 };
        let links = LinksBody { links: vec![link(1), link(2), link(3)] };
        let refuted = vec![Refuted { accuser: peer(1), version: 7 }];
        let distrusted = vec![peer(2)];
        let judgments = JudgmentsBody { silent: vec![peer(3), peer(9)], failing: vec![peer(2)], refuted, distrusted };
        let testimony = Testimony::of(&links, Some(&judgments));
        assert_eq!(testimony.links, [link(1), link(2)]);
        assert_eq!(testimony.accused, [peer(2), peer(3), peer(9)]);
        assert_eq!((testimony.refuted, testimony.distrusted), (judgments.refuted, judgments.distrusted));
        assert_eq!(Testimony::of(&links, None), Testimony { links: links.links, ..Testimony::default() });
    }
}
