//! Who belongs to the mesh and is well.

use super::page::Page;
use super::table::{Column, Table};
use crate::api::PeerId;
use crate::api::vocabulary::{BlameInfo, MemberInfo, Standing};

pub(super) fn members(standing: &Standing, page: &mut Page) {
    let mut table = Table::new([
        Column::Left("NAME"),
        Column::Left("PEER"),
        Column::Left("STATUS"),
        Column::Right("REPUTATION"),
        Column::Left("REGION"),
        Column::Left("ACCUSED BY"),
        Column::Left("DISTRUSTED BY"),
    ]);
    let name = |peer| standing.members.iter().find(|m| m.peer == peer).map_or(peer.short(), |m| m.name.clone());
    let names = |peers: &[PeerId]| peers.iter().map(|peer| name(*peer)).collect::<Vec<_>>().join(" ");
    for MemberInfo { peer, name: own, status, region, accusers, distrusted_by, reputation } in &standing.members {
        let (accusers, distrusted) = (names(accusers), names(distrusted_by));
        let score = format!("{reputation:.2}");
        table.row([own.clone(), peer.short(), status.clone(), score, region.clone(), accusers, distrusted]);
    }
    table.write(page, "no members are known");
    page.line("");
    let Standing { reachable, known, .. } = standing;
    page.line(&match standing.has_quorum {
        true => format!("{reachable} of {known} members within reach: a quorum"),
        false => {
            format!("{reachable} of {known} members within reach: fewer than a quorum, so governed state is read-only")
        }
    });
    let Standing { records, neighbors, neighbors_in_sync, .. } = standing;
    page.line(&format!("{records} records; {neighbors_in_sync} of {neighbors} neighbors hold the same"));
    if standing.ill_health > 0 {
        page.line(&format!("this node is late itself ({} of 8), and accuses others the later", standing.ill_health));
    }
}

pub(super) fn reputation(peer: PeerId, score: f64, parts: &[BlameInfo], page: &mut Page) {
    let verdict = if score < 0.5 { "ignored" } else { "believed" };
    page.line(&format!("{}  {score:.3} of 1: {verdict}", peer.short()));
    for BlameInfo { fault, taken } in parts {
        page.line(&format!("  -{taken:.3}  {fault}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_is_told_what_it_cannot_do() {
        let member = |i: u8, status: &str, accusers| MemberInfo {
            peer: PeerId::from_public_key([i; 32]),
            name: format!("n{i}"),
            status: status.to_owned(),
            region: String::new(),
            accusers,
            distrusted_by: Vec::new(),
            reputation: 1.0,
        };
        let standing = Standing {
            members: vec![member(1, "alive", vec![]), member(2, "down", vec![PeerId::from_public_key([1; 32])])],
            more: false,
            reachable: 1,
            known: 2,
            has_quorum: false,
            ill_health: 0,
            records: 5,
            neighbors: 0,
            neighbors_in_sync: 0,
        };
        let mut page = Page::default();
        members(&standing, &mut page);
        let text = page.into_text();
        assert!(text.contains("1 of 2 members within reach: fewer than a quorum"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("n2") && line.contains(" n1 ")), "{text}");
    }
}
