//! Nodes whose address changes while they talk.

use std::time::Duration;

use prunella_bench::{Mesh, until};

use super::rig::{self, Traffic};

#[test]
fn a_node_whose_address_changes_goes_on_with_the_streams_that_it_has() {
    moves(0);
}

#[test]
fn a_node_goes_on_with_its_streams_when_the_other_end_has_another_address() {
    moves(1);
}

/// One of two nodes gets another address in the middle of a conversation that the first began. One of them has dialed, so in
/// one of the two tests the link's own connection cannot move with the node.
fn moves(who: usize) {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let mut switch = lab.switch(&[&a, &b]).unwrap();
    let mesh = Mesh::found(&lab, &rig::plan(&[&a, &b]).link(0, 1, [&switch.ends[0], &switch.ends[1]])).unwrap();
    let traffic = Traffic::between(&mesh, 0, 1);
    let echo = traffic.echo();
    echo.goes_on(50).unwrap();
    // Nobody else has the old address, and nobody tells the nodes.
    switch.ends[who].move_to(101).unwrap();
    echo.goes_on(200).unwrap();
    let address = until("the new address", Duration::from_secs(20), || {
        let links = mesh.nodes[1 - who].json(&["links"]).map_err(|error| error.to_string())?;
        let link = &links["links"][0];
        let is_there = link["address"].as_str().is_some_and(|address| address.starts_with("10.77.1.101:"));
        if is_there && link["state"] == "up" { Ok(()) } else { Err(links.to_string()) }
    });
    address.unwrap();
    let events = mesh.nodes[1 - who].run_well(&["events"]).unwrap();
    assert!(events.contains(&format!("n{who} has moved to 10.77.1.101:")), "{events}");
    echo.goes_on(50).unwrap();
    let suffered = echo.finish().unwrap();
    assert!(suffered.gap < Duration::from_secs(1), "{:?}", suffered.gap);
}
