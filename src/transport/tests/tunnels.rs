//! Tunnels for packets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prunella_core::identity::Identity;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::testbed::Mesh;
use crate::datapath::Wanted;
use crate::host::Machine;
use crate::transport::{FindHook, Tunneling};

#[tokio::test(start_paused = true)]
async fn a_node_of_which_nothing_was_known_is_looked_for_again_soon() {
    let node = Mesh::new().node(1);
    let (overlay, _questions) = node.port.start_overlay(Vec::new(), [7; 16]);
    let ((_inbox_sender, inbox), (want, wanted)) = (mpsc::channel(1), mpsc::channel(1));
    let looked = Arc::new(AtomicU64::new(0));
    let looking = looked.clone();
    let find: FindHook = Arc::new(move |_| {
        looking.fetch_add(1, Ordering::Relaxed);
        None
    });
    let tunneling =
        Tunneling::new((node.port.clone(), overlay), node.sessions.clone(), (inbox, wanted), find, Machine::shared());
    let keeping = tokio::spawn(Arc::new(tunneling).keep());
    let destination = Identity::from_secret(&[2; 32]).peer().tag();
    // A packet every 10 ms: word of the node may come between any two of them.
    for _ in 0..20 {
        want.send(Wanted { destination, packet: Vec::new() }).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    assert!((5..=10).contains(&looked.load(Ordering::Relaxed)), "{looked:?}: neither once nor for every packet");
    keeping.abort();
}
