//! Who is called what, as programs ask for it by DNS.

use std::net::Ipv6Addr;
use std::sync::Weak;

use prunella_core::Tag;

use crate::actors::shell::Shell;
use crate::names::Directory;

/// Names as this node knows them: of nodes first, then of services.
pub(super) struct MeshNames(pub(super) Weak<Shell>);

impl Directory for MeshNames {
    fn addresses(&self, name: &str) -> Vec<Ipv6Addr> {
        let Some(shell) = self.0.upgrade() else { return Vec::new() };
        match shell.known.called(name).as_slice() {
            [peer] => vec![peer.tag().address()],
            [] => shell.known.providers(name).iter().map(|peer| peer.tag().address()).collect(),
            // Names are no proof of anything: of two nodes with one name neither gets what is meant for the other.
            _ => Vec::new(),
        }
    }

    fn name_at(&self, address: Ipv6Addr) -> Option<String> {
        let shell = self.0.upgrade()?;
        let peer = shell.known.with_tag(Tag::from_address(&address)?)?;
        let name = shell.known.name(&peer).to_ascii_lowercase();
        let is_only = shell.known.called(&name) == [peer];
        Some(if is_only { name } else { peer.to_string() })
    }
}
