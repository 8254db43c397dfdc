//! What the node answers about services and forwards.

use std::collections::BTreeMap;

use prunella_core::PeerId;

use super::answers::Answers;
use super::page::page_beside;
use super::vocabulary::{ForwardInfo, Response, ServiceInfo};
use crate::transport::ForwardState;

impl Answers {
    /// As many services as fit an answer, after those of a name and a provider; with the first of them the forwards.
    pub(super) fn services(&self, after: Option<String>, after_provider: Option<PeerId>) -> Response {
        let shell = self.shell();
        let targets: BTreeMap<String, String> = shell.services().exposed().into_iter().collect();
        let me = shell.credentials.peer();
        let service = |(name, provider): (String, PeerId)| ServiceInfo {
            target: targets.get(&name).filter(|_| provider == me).map(|target| format!("tcp://{target}")),
            provider_name: shell.known.name(&provider),
            name,
            provider,
        };
        let forward = |f: ForwardState| ForwardInfo { name: f.name, listen: f.listen, open: f.open, total: f.total };
        let is_first = after.is_none();
        let is_told = |(name, provider): &(String, PeerId)| match (&after, after_provider) {
            (None, _) => false,
            (Some(after), Some(last)) if name == after => *provider <= last,
            (Some(after), _) => name <= after,
        };
        let rest = shell.known.services().into_iter().skip_while(is_told);
        let forwards = if is_first { shell.services().forwards() } else { Vec::new() };
        let forwards: Vec<ForwardInfo> = forwards.into_iter().map(forward).collect();
        let (services, more) = page_beside(&forwards, rest.map(service));
        Response::Services { services, forwards, more }
    }
}
