//! Paths that carry smaller packets than the first cable lets expect.

use prunella_bench::{Lab, Mesh};

use super::rig::{self, Traffic};

/// Two nodes with a router between them whose far cable takes packets of so many bytes, and which does not say so.
fn behind_a_silent_router(lab: &Lab, mtu: u16) -> Mesh {
    let [a, router, b] = rig::hosts(lab);
    let (near, far) = (lab.cable(&a, &router).unwrap(), lab.cable(&router, &b).unwrap());
    router.be_router().unwrap();
    a.route(&far.ends[1].subnet(), near.ends[1].v4.into()).unwrap();
    b.route(&near.ends[0].subnet(), far.ends[0].v4.into()).unwrap();
    router.keep_silent_about_sizes().unwrap();
    far.set_mtu(mtu).unwrap();
    Mesh::found(lab, &rig::plan(&[&a, &b]).link(0, 1, [&near.ends[0], &far.ends[1]])).unwrap()
}

fn carries_bulk(mtu: u16) {
    let Some(lab) = rig::lab() else { return };
    let mesh = behind_a_silent_router(&lab, mtu);
    let traffic = Traffic::between(&mesh, 0, 1);
    traffic.push(4_000_000);
    traffic.pull(4_000_000);
}

#[test]
fn a_path_of_1400_bytes_in_the_middle_is_no_black_hole() {
    carries_bulk(1400);
}

#[test]
fn a_path_of_1300_bytes_in_the_middle_is_no_black_hole() {
    carries_bulk(1300);
}

#[test]
fn a_relay_whose_far_cable_takes_less_is_no_black_hole() {
    let Some(lab) = rig::lab() else { return };
    let [a, relay, b] = rig::hosts(&lab);
    let (near, far) = (lab.cable(&a, &relay).unwrap(), lab.cable(&relay, &b).unwrap());
    far.set_mtu(1300).unwrap();
    let mesh = Mesh::found(&lab, &rig::plan(&[&a, &relay, &b]).over(0, 1, &near).over(1, 2, &far)).unwrap();
    let traffic = Traffic::between(&mesh, 0, 2);
    traffic.push(4_000_000);
    traffic.pull(4_000_000);
}

#[test]
fn a_path_that_becomes_narrower_while_bytes_are_under_way_is_no_black_hole() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let cable = lab.cable(&a, &b).unwrap();
    let mesh = Mesh::found(&lab, &rig::plan(&[&a, &b]).over(0, 1, &cable)).unwrap();
    let traffic = Traffic::between(&mesh, 0, 1);
    traffic.push(4_000_000);
    let echo = traffic.echo();
    cable.set_mtu(1300).unwrap();
    traffic.push(4_000_000);
    traffic.pull(4_000_000);
    echo.goes_on(50).unwrap();
    echo.finish().unwrap();
}
