//! Nodes whose address changes while they talk.

use std::time::Duration;

use prunella_bench::Mesh;

use super::rig::{self, Traffic, only_link};

#[test]
fn a_node_whose_address_changes_goes_on_with_the_streams_that_it_has() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let mut switch = lab.switch(&[&a, &b]).unwrap();
    let mesh = Mesh::found(&lab, &rig::plan(&[&a, &b]).link(0, 1, [&switch.ends[0], &switch.ends[1]])).unwrap();
    let traffic = Traffic::between(&mesh, 0, 1);
    let echo = traffic.echo();
    echo.goes_on(50).unwrap();
    // Nobody else has the old address, and nobody tells the nodes.
    switch.ends[0].move_to(101).unwrap();
    echo.goes_on(200).unwrap();
    let suffered = echo.finish().unwrap();
    assert!(suffered.gap < Duration::from_secs(10), "{:?}", suffered.gap);
    assert_eq!(only_link(&mesh, 0).0, "up");
    let links = mesh.nodes[1].json(&["links"]).unwrap();
    let address = links["links"][0]["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with("10.77.1.101:"), "{links}");
}
