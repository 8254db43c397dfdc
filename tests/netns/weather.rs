//! Cables that lose, are slow, or are long.

use std::time::Duration;

use prunella_bench::{Delay, Mesh};

use super::rig::{self, Traffic, only_link};

#[test]
fn over_a_cable_that_loses_three_of_a_hundred_everything_arrives_and_the_link_stays() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let switch = lab.switch(&[&a, &b]).unwrap();
    let mesh = Mesh::found(&lab, &rig::plan(&[&a, &b]).link(0, 1, [&switch.ends[0], &switch.ends[1]])).unwrap();
    let traffic = Traffic::between(&mesh, 0, 1);
    switch.lose(30).unwrap();
    let echo = traffic.echo();
    traffic.push(2_000_000);
    traffic.pull(2_000_000);
    echo.goes_on(100).unwrap();
    let suffered = echo.finish().unwrap();
    assert!(suffered.gap < Duration::from_secs(2), "{:?}", suffered.gap);
    for node in [0, 1] {
        assert_eq!(only_link(&mesh, node).0, "up");
    }
}

#[test]
fn over_a_slow_cable_bulk_takes_what_there_is_and_small_requests_still_pass() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let switch = lab.switch(&[&a, &b]).unwrap();
    let mesh = Mesh::found(&lab, &rig::plan(&[&a, &b]).link(0, 1, [&switch.ends[0], &switch.ends[1]])).unwrap();
    let traffic = Traffic::between(&mesh, 0, 1);
    switch.throttle(20, 50).unwrap();
    let echo = traffic.echo();
    let took = traffic.push(5_000_000);
    // 2 s at 20 Mbit/s.
    assert!(took > Duration::from_millis(1700) && took < Duration::from_secs(6), "{took:?}");
    echo.goes_on(20).unwrap();
    let suffered = echo.finish().unwrap();
    assert!(suffered.gap < Duration::from_secs(1), "{:?}", suffered.gap);
    assert_eq!(only_link(&mesh, 0).0, "up");
}

#[test]
fn over_a_long_cable_round_trips_take_as_long_as_it_is_and_bulk_fills_it() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let cable = lab.delayed_cable(&a, &b, Delay::of(Duration::from_millis(20))).unwrap();
    let mesh = Mesh::found(&lab, &rig::plan(&[&a, &b]).over_delayed(0, 1, &cable)).unwrap();
    let (state, rtt) = only_link(&mesh, 0);
    assert!(state == "up" && rtt >= Duration::from_millis(40) && rtt < Duration::from_millis(120), "{state} {rtt:?}");
    let traffic = Traffic::between(&mesh, 0, 1);
    let echo = traffic.echo();
    let took = traffic.push(8_000_000);
    // A window of 64 KiB would take 5 s.
    assert!(took < Duration::from_secs(4), "{took:?}");
    let suffered = echo.finish().unwrap();
    assert!(suffered.round_trips.iter().all(|&took| took >= Duration::from_millis(40)));
    assert_eq!(only_link(&mesh, 1).0, "up");
}
