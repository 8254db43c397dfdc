//! `prunella topology`: who is linked with whom.

use super::failure::Failure;
use super::session::Session;
use crate::api::vocabulary::{TopologyInfo, TopologyNode};
use crate::api::{Request, Response};

/// A large mesh comes in several answers, and is shown as one.
pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    let mut all: Vec<TopologyNode> = Vec::new();
    loop {
        let after = all.last().map(|node| node.peer);
        match session.ask("show the topology", &Request::Topology { after }).await? {
            Response::Topology(TopologyInfo { me, nodes, more }) => {
                all.extend(nodes);
                if !more {
                    return session.output.show(&Response::Topology(TopologyInfo { me, nodes: all, more }));
                }
            }
            other => return session.output.show(&other),
        }
    }
}
