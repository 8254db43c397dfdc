//! Made-up answers of a node, always the same, for tests.

use super::model::{Heard, Model, Part};
use crate::api::vocabulary::{
    ActionInfo, ActorDetail, ActorInfo, ActorLink, HandledInfo, IncidentInfo, KindInfo, LatencySummary, LedgerGlance,
    LinkInfo, MemberCounts, PathInfo, PeerInfo, PhaseInfo, Reach, Status, TookInfo, TopologyInfo, TopologyLink,
    TopologyNode,
};
use crate::api::{PeerId, Request, Response};

pub(super) const NOW_UNIX_MS: u64 = 1_700_000_060_000;

pub(super) fn peer(number: usize) -> PeerId {
    PeerId::from_public_key([number as u8 + 1; 32])
}

/// This node, two neighbors, and beyond them as many as are wanted; every seventh cannot be reached.
pub(super) fn peers(count: usize) -> Vec<PeerInfo> {
    let info = |number: usize| PeerInfo {
        peer: peer(number),
        name: format!("n{number}"),
        addresses: vec![([10, 0, 0, number as u8], 4600).into()],
        state: match number {
            0 => Reach::Myself,
            1 | 2 => Reach::Neighbor,
            _ if number.is_multiple_of(7) => Reach::Unreachable,
            _ => Reach::Relayed,
        },
        relays: (number > 0 && !number.is_multiple_of(7)).then_some(usize::from(number > 2)),
    };
    (0..count).map(info).collect()
}

pub(super) fn links() -> Vec<LinkInfo> {
    let link = |number: usize| LinkInfo {
        peer: peer(number),
        name: format!("n{number}"),
        address: Some(([10, 0, 0, number as u8], 4600).into()),
        state: "up".to_owned(),
        rtt_us: 900 * number as u64,
        loss_permille: 5 * (number as u16 - 1),
        sent_bytes: 1_000_000 * number as u64,
        received_bytes: 500_000,
        established: 1,
        probed_every_ms: 100,
        failing: false,
        latency: LatencySummary::default(),
    };
    vec![link(1), link(2)]
}

pub(in crate::cli) fn actors() -> Vec<ActorInfo> {
    let actor = |name: &str, depth: usize, mailbox: u64, handled: u64, busy_us: u64, restarts: u64| ActorInfo {
        name: name.to_owned(),
        parent: (depth > 0).then(|| "root".to_owned()),
        depth,
        state: "running".to_owned(),
        strategy: None,
        age_ms: 61_000,
        mailbox,
        handled,
        busy_us,
        took_p99_us: Some(16.4),
        restarts,
        last_failure: (restarts > 0).then(|| "it was told to".to_owned()),
    };
    vec![
        actor("root", 0, 0, 3, 0, 0),
        actor("gossip", 1, 4, 100, 5_000, 0),
        actor("monitor", 2, 9, 900, 90_000, 1),
        actor("planner", 2, 0, 12, 400, 2),
    ]
}

pub(super) fn incident(id: u64, lasted_ms: Option<u64>) -> IncidentInfo {
    IncidentInfo {
        id,
        kind: "link-down".to_owned(),
        subject: "n1".to_owned(),
        severity: "major".to_owned(),
        evidence: "no probe has returned for 1004 ms".to_owned(),
        opened_unix_ms: 1_700_000_000_000 + 1000 * id,
        lasted_ms,
        follows_from: None,
        explains: Vec::new(),
        phases: PhaseInfo { detect_us: Some(1_004_000), ..PhaseInfo::default() },
        actions: vec![ActionInfo { after_us: 100, phase: "execute".to_owned(), what: "redial: begun".to_owned() }],
    }
}

/// n1 and n3 tell of the link between them; n2 tells of one that n3 does not tell of.
pub(super) fn topology() -> TopologyInfo {
    let node = |number: usize, links: &[(usize, bool)]| TopologyNode {
        peer: peer(number),
        name: format!("n{number}"),
        region: String::new(),
        status: "alive".to_owned(),
        links: links
            .iter()
            .map(|(to, agreed)| TopologyLink { to: peer(*to), rtt_us: 900, loss_permille: 0, agreed: *agreed })
            .collect(),
    };
    let nodes = vec![
        node(0, &[(1, true), (2, true)]),
        node(1, &[(0, true), (3, true)]),
        node(2, &[(0, true), (3, false)]),
        node(3, &[(1, true)]),
    ];
    TopologyInfo { me: peer(0), nodes, more: false }
}

pub(super) fn status() -> Status {
    Status {
        peer: peer(0),
        name: "n0".to_owned(),
        trust_domain: "mesh.test".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 42,
        listen: ([10, 0, 0, 0], 4600).into(),
        http: None,
        overlay_address: std::net::Ipv6Addr::LOCALHOST,
        uptime_ms: 61_000,
        links_up: 2,
        peers_known: 4,
        peers_reachable: 3,
        members: MemberCounts { alive: 4, suspect: 0, down: 0 },
        has_quorum: true,
        converged: true,
        incidents_open: 1,
        ledger: LedgerGlance { entries: Some(12), trouble: None },
        policy_refused: None,
        certificate_expires_unix: 1_700_003_600,
        counters: [].into(),
    }
}

pub(in crate::cli) fn actor_detail() -> ActorDetail {
    ActorDetail {
        links: vec![ActorLink { actor: "monitor".to_owned(), sent: 7, heard: Some(2) }],
        info: actors()[2].clone(),
        dropped: 0,
        at: None,
        held_up: None,
        took_p50_us: Some(4.1),
        took: vec![TookInfo { at_most_us: 4.096, count: 700 }, TookInfo { at_most_us: 16.384, count: 200 }],
        kinds: vec![KindInfo {
            kind: "LinkReported".to_owned(),
            count: 900,
            mean_us: 3.2,
            longest_us: 15.0,
            share_permille: 1000,
        }],
        last: vec![HandledInfo { ago_ms: 20, kind: "LinkReported".to_owned(), took_us: 3.0 }],
        failures: Vec::new(),
        knows: "Monitor {\n}".to_owned(),
        knows_is_whole: true,
    }
}

pub(super) fn paths() -> Response {
    let path = |hops: &[usize], state: &str, cost: u64| PathInfo {
        hops: hops.iter().map(|hop| peer(*hop)).collect(),
        names: hops.iter().map(|hop| format!("n{hop}")).collect(),
        state: state.to_owned(),
        cost,
        rtt_us: cost,
        lanes: Vec::new(),
        why: None,
    };
    Response::Paths {
        destination: peer(3),
        paths: vec![path(&[0, 1, 3], "in-use", 1900), path(&[0, 2, 3], "warm", 2800)],
    }
}

/// Has the model hear a response to a part of what it asks.
pub(super) fn hear(model: &mut Model, part: Part, answer: Result<Response, String>) {
    let request = model.wanted().remove(&part).unwrap_or(Request::Status);
    model.hear(Heard { part, request, answer });
}

/// A model that has heard everything twice, a second apart: link 1 sent 2 MB more, the monitor handled 50 more.
pub(super) fn model() -> Model {
    let mut model = Model::default();
    model.now_unix_ms = NOW_UNIX_MS;
    for round in 0..2u64 {
        model.now = std::time::Duration::from_secs(round);
        let (mut links, mut actors) = (links(), actors());
        links[0].sent_bytes += round * 2_000_000;
        actors[2].handled += round * 50;
        actors[2].busy_us += round * 12_500;
        let incidents = vec![incident(2, None), incident(1, Some(400))];
        hear(&mut model, Part::Status, Ok(Response::Status(status())));
        hear(&mut model, Part::Peers, Ok(Response::Peers { peers: peers(4), more: false }));
        hear(&mut model, Part::Links, Ok(Response::Links { links }));
        hear(&mut model, Part::Topology, Ok(Response::Topology(topology())));
        hear(&mut model, Part::Actors, Ok(Response::Actors { actors }));
        hear(&mut model, Part::Incidents, Ok(Response::Incidents { incidents }));
    }
    model
}
