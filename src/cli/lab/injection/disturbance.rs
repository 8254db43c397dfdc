//! What goes wrong inside a node or on a single link without taking it down: slow actors, bad disks, wrong clocks, and
//! links that double, reorder or throttle. None of it may cost a request.

use std::time::Duration;

use super::{FOR_MS, Injected, Mending, order, waiting};
use crate::api::Error;
use crate::api::chaos::{LinkImpairment, Order};
use crate::cli::lab::draw::Draw;
use crate::cli::lab::faults::{ACTORS, FaultKind};
use crate::cli::lab::mesh::Mesh;

/// Holds up an actor of a kind at random, at a node at random: stalls it, or makes it slow.
pub(super) async fn hold_up_an_actor(kind: FaultKind, mesh: &Mesh, draw: &mut Draw) -> Result<Injected, Error> {
    let node = draw.below(mesh.nodes().len());
    let wanted = ACTORS[draw.below(ACTORS.len())];
    let each_ms = (kind == FaultKind::SlowActor).then(|| 20 + draw.below(181) as u64);
    let told = async |mesh: &Mesh| mesh.nodes()[node].control.actors().await.map_err(|error| error.to_string());
    let actors = mesh.settle(&format!("the actors of n{node} told"), ANSWER_PATIENCE, told).await?;
    let of_kind: Vec<_> = actors.iter().filter(|actor| actor.name.split('/').next() == Some(wanted)).collect();
    let actor =
        draw.pick(&of_kind).ok_or_else(|| super::nothing_to_break(&format!("n{node} has no actor {wanted}")))?;
    order(mesh, node, Order::Actor { actor: actor.name.clone(), each_ms, for_ms: FOR_MS }).await?;
    let how = each_ms.map_or("stalled".to_owned(), |each| format!("takes {each} ms longer for each message"));
    Ok(waiting(format!("{} at n{node} {how}", actor.name), Mending::Clear(node)))
}

/// Sets the clock of a node at random wrong, or breaks its disk.
pub(super) async fn disturb_a_host(kind: FaultKind, mesh: &Mesh, draw: &mut Draw) -> Result<Injected, Error> {
    let node = draw.below(mesh.nodes().len());
    let (what, disturbance) = match kind {
        FaultKind::ClockJump => {
            let offset_s = *draw.pick(&CLOCK_OFFSETS_S).expect("BUG: there are offsets");
            (format!("the clock of n{node} is wrong by {offset_s} s"), Order::Clock { offset_s, for_ms: FOR_MS })
        }
        FaultKind::SlowDisk => {
            let slow_ms = 50 + draw.below(201) as u64;
            let what = format!("each call to the disk of n{node} takes {slow_ms} ms longer");
            (what, Order::Disk { slow_ms: Some(slow_ms), stopped: false, for_ms: FOR_MS })
        }
        _ => (format!("the disk of n{node} is full"), Order::Disk { slow_ms: None, stopped: false, for_ms: FOR_MS }),
    };
    order(mesh, node, disturbance).await?;
    Ok(waiting(what, Mending::Clear(node)))
}

/// Makes the certificate of a node at random due for renewal; it must be a later one in the end.
pub(super) async fn renew_a_certificate(mesh: &Mesh, draw: &mut Draw) -> Result<Injected, Error> {
    let node = draw.below(mesh.nodes().len());
    let now = async |mesh: &Mesh| expiry(mesh, node).await;
    let expires_after = mesh.settle(&format!("the certificate of n{node} told"), ANSWER_PATIENCE, now).await?;
    order(mesh, node, Order::Certificate).await?;
    let mending = Mending::AwaitCertificate { node, expires_after };
    Ok(waiting(format!("the certificate of n{node} is due"), mending))
}

/// Waits until the node has a certificate that expires later than the one that was made due. An attempt that failed is
/// made again, as the node would make it by itself in time.
pub(super) async fn await_certificate(mesh: &Mesh, node: usize, expires_after: u64) -> Result<(), Error> {
    let check = async |mesh: &Mesh| {
        let expires = expiry(mesh, node).await?;
        if expires > expires_after {
            return Ok(());
        }
        order(mesh, node, Order::Certificate).await.map_err(|error| error.to_string())?;
        tokio::time::sleep(DUE_AGAIN).await;
        Err(format!("it still expires at {expires}"))
    };
    mesh.settle(&format!("the certificate of n{node} renewed"), CERTIFICATE_PATIENCE, check).await
}

async fn expiry(mesh: &Mesh, node: usize) -> Result<u64, String> {
    let status = mesh.nodes()[node].control.status().await;
    status.map(|status| status.certificate_expires_unix).map_err(|error| error.to_string())
}

/// Doubles, reorders or throttles what travels on a link of the path in use at random, in a direction at random or both.
pub(super) async fn disturb_a_link(
    kind: FaultKind,
    mesh: &Mesh,
    hops: &[usize],
    draw: &mut Draw,
) -> Result<Injected, Error> {
    let link = draw.below(hops.len() - 1);
    let (near, far) = (hops[link], hops[link + 1]);
    let (sent, received) = *draw.pick(&WAYS).expect("BUG: there are directions");
    let none = LinkImpairment::default();
    let (how, impairment) = match kind {
        FaultKind::Duplicate => ("doubles", LinkImpairment { duplicate_permille: 300, ..none }),
        FaultKind::Reorder => ("reorders", LinkImpairment { reorder_permille: 300, ..none }),
        _ => ("throttles", LinkImpairment { bytes_per_second: THROTTLED_TO, ..none }),
    };
    let (neighbor, seed) = (mesh.nodes()[far].peer.clone(), Some(draw.below(usize::MAX) as u64));
    order(mesh, near, Order::Link { neighbor, sent, received, impairment, seed, for_ms: FOR_MS }).await?;
    let way = match (sent, received) {
        (true, true) => format!("link n{near} = n{far}"),
        (true, false) => format!("n{near} > n{far}"),
        _ => format!("n{far} > n{near}"),
    };
    Ok(waiting(format!("{way} {how}"), Mending::Clear(near)))
}

/// What a clock is wrong by: more and less than the tolerance of records, ahead and behind, and within the life of
/// certificates.
const CLOCK_OFFSETS_S: [i64; 4] = [-3600, -120, 120, 3600];
/// Sent, received.
const WAYS: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];
/// Bytes a second: less than the bulk stream wants, more than everything else needs.
const THROTTLED_TO: u64 = 1_000_000;
/// For a node whose surfaces are being restarted just now.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
const CERTIFICATE_PATIENCE: Duration = Duration::from_secs(20);
/// Renewing takes some round trips; whoever asks again sooner asks in vain.
const DUE_AGAIN: Duration = Duration::from_millis(500);
