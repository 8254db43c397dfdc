//! A mesh that a node knows without anybody who runs it: signed records of many nodes, put into its store, from where it
//! takes them up when it starts, as it takes up those of an earlier life.

#![allow(unreachable_pub, reason = "each benchmark and test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a crowd that cannot be made is a failed run")]

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prunella_core::Label;
use prunella_core::identity::Identity;
use prunella_core::limits::RECORD_LIFE_MAX;
use prunella_core::record::{Body, Kind, LinkBody, LinksBody, NodeBody, Record, RecordId};
use prunella_core::wire::codec;
use prunella_storage::limits::BATCH_ENTRIES_MAX;
use prunella_storage::{Batch, SledStore, Store, Tree};

/// Links of each node of the crowd: to those next to it in a ring.
pub const LINKS: usize = 6;

/// Has the node in `dir`, which does not run, know `count` nodes more: each says who and where it is, with whom it is
/// linked, and that it exposes two services.
pub fn settle(dir: &Path, count: usize) {
    let nodes: Vec<Identity> =
        (0..count).map(|i| Identity::from_secret(blake3::hash(&i.to_le_bytes()).as_bytes())).collect();
    let store = SledStore::open(dir.join("store")).unwrap();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let mut said = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        let body = NodeBody {
            name: format!("crowd-{i:04}"),
            addresses: vec![
                ([192, 0, 2, (i % 250) as u8], 4600).into(),
                ([198, 51, 100, (i % 250) as u8], 4600).into(),
            ],
            region: format!("region-{}", i % 7),
            ..NodeBody::default()
        };
        said.push(record(node, now_ms, Kind::Node, "", Body::Node(body)));
        let others = (1..=LINKS / 2).flat_map(|step| [(i + step) % count, (i + count - step) % count]);
        let link = |(n, other): (usize, usize)| LinkBody {
            neighbor: nodes[other].peer(),
            label: Label(n as u16 + 1),
            rtt_us: 400 + 10 * n as u32,
            loss_permille: 0,
        };
        let mut links: Vec<LinkBody> = others.enumerate().map(link).collect();
        links.sort_by_key(|link| link.neighbor);
        said.push(record(node, now_ms, Kind::Links, "", Body::Links(LinksBody { links })));
        for name in [format!("service-{}", i % 100), format!("files-{i}")] {
            said.push(record(node, now_ms, Kind::Service, &name, Body::Service));
        }
    }
    for (part, records) in said.chunks(BATCH_ENTRIES_MAX).enumerate() {
        let mut batch = Batch::new();
        for (n, bytes) in records.iter().enumerate() {
            batch.put(Tree::Records, format!("crowd-{part}-{n}").into_bytes(), bytes.clone());
        }
        store.apply(&batch).unwrap();
    }
    store.flush().unwrap();
}

fn record(me: &Identity, now_ms: u64, kind: Kind, key: &str, body: Body) -> Vec<u8> {
    let id = RecordId { origin: me.peer(), kind, key: key.to_owned() };
    let expires_ms = now_ms + RECORD_LIFE_MAX.as_millis() as u64 / 2;
    let record = Record { id, version: now_ms << 16, issued_ms: now_ms, expires_ms, body };
    codec::encode(&record.sign(me).signed)
}
