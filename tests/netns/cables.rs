//! That the lab itself does what it says.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use prunella_bench::traffic::{BulkServer, Echo, EchoServer, Pace, pull, push};
use prunella_bench::{Delay, Host, Lab};

use super::rig;

/// Pings until the end, and says how many of so many came back.
fn answered(from: &Host, to: impl ToString, count: u32, more: &[&str]) -> u32 {
    let (to, count_text) = (to.to_string(), count.to_string());
    let words = [&["ping", "-q", "-c", &count_text, "-i", "0.01", "-W", "0.3"], more, &[&to]].concat();
    let told = from.run(&words, Duration::from_secs(20)).unwrap();
    let summary = told.stdout.lines().find(|line| line.contains(" received")).unwrap_or_else(|| panic!("{told:?}"));
    summary.split(", ").find_map(|part| part.strip_suffix(" received")).unwrap().parse().unwrap()
}

#[test]
fn a_switch_drops_and_loses_what_it_is_told_to_and_no_link_goes_down() {
    let Some(lab) = rig::lab() else { return };
    let [a, b, c] = rig::hosts(&lab);
    let switch = lab.switch(&[&a, &b, &c]).unwrap();
    let far = switch.ends[1].v4;
    assert_eq!(answered(&a, far, 5, &[]), 5);
    assert_eq!(answered(&a, switch.ends[2].v6, 5, &[]), 5);

    switch.cut_from(1).unwrap();
    assert_eq!(answered(&a, far, 5, &[]), 0);
    assert_eq!(answered(&a, switch.ends[2].v4, 5, &[]), 5, "the other port works");
    switch.cut().unwrap();
    assert_eq!(answered(&a, switch.ends[2].v4, 5, &[]), 0);
    for end in &switch.ends {
        let carrier = format!("/sys/class/net/{}/carrier", end.device);
        assert_eq!(end.host.run_well(&["cat", &carrier]).unwrap().trim(), "1", "nobody is told");
    }

    switch.mend().unwrap();
    assert_eq!(answered(&a, far, 5, &[]), 5);
    switch.lose(300).unwrap();
    // There and back: 49 of a hundred arrive. Five standard deviations are 56.
    let came = answered(&a, far, 500, &[]);
    assert!((189..=301).contains(&came), "{came} of 500");
}

#[test]
fn a_switch_passes_no_more_than_it_is_told_to() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let switch = lab.switch(&[&a, &b]).unwrap();
    let server = BulkServer::start(&b, SocketAddr::from((switch.ends[1].v4, 0))).unwrap();
    let before = push(&a, server.address(), 2_000_000).unwrap();
    switch.throttle(20, 50).unwrap();
    let [there, back] = [push, pull].map(|send| send(&a, server.address(), 2_000_000).unwrap());
    // At 20 Mbit/s it takes 0.8 s, less what the switch lets pass at once.
    for took in [there, back] {
        assert!(took > Duration::from_millis(650) && before < took, "{took:?} after {before:?} before");
    }
}

#[test]
fn a_delayed_cable_holds_each_frame_for_as_long_as_it_is_told_to_and_loses_none() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let delay = Delay { least: Duration::from_millis(20), jitter: Duration::from_millis(4) };
    let cable = lab.delayed_cable(&a, &b, delay).unwrap();
    let echo = EchoServer::start(&b, SocketAddr::from((cable.ends[1].v6, 0))).unwrap();
    let numbers = Echo::start(&a, echo.address(), Pace(Duration::from_millis(5))).unwrap();
    numbers.goes_on(100).unwrap();
    let mut times = numbers.finish().unwrap().round_trips;
    times.sort();
    // The connection's first frames asked for addresses. A busy host takes longer, never less.
    let (least, median) = (times[0], times[times.len() / 2]);
    assert!(least >= Duration::from_millis(40) && median < Duration::from_millis(90), "{least:?}, {median:?}");
    let bulk = BulkServer::start(&b, SocketAddr::from((cable.ends[1].v4, 0))).unwrap();
    push(&a, bulk.address(), 8_000_000).unwrap();
    assert_eq!(cable.overflown(), 0);
}

#[test]
fn a_path_that_is_silent_about_sizes_drops_what_is_too_big() {
    let Some(lab) = rig::lab() else { return };
    let [a, router, b] = rig::hosts(&lab);
    let (near, far) = (lab.cable(&a, &router).unwrap(), lab.cable(&router, &b).unwrap());
    router.be_router().unwrap();
    a.route(&far.ends[1].subnet(), near.ends[1].v4.into()).unwrap();
    b.route(&near.ends[0].subnet(), far.ends[0].v4.into()).unwrap();
    let whole = ["-M", "do", "-s", "1372"];
    assert_eq!(answered(&a, far.ends[1].v4, 3, &whole), 3);
    far.set_mtu(1300).unwrap();
    router.keep_silent_about_sizes().unwrap();
    assert_eq!(answered(&a, far.ends[1].v4, 3, &whole), 0);
    assert_eq!(answered(&a, far.ends[1].v4, 3, &["-M", "do", "-s", "1272"]), 3);
}

#[test]
fn what_a_killed_process_left_is_removed_by_the_next_lab() {
    let Some(lab) = rig::lab() else { return };
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    let left = format!("prunella-lab{}x0-0-left", gone.id());
    gone.wait().unwrap();
    let ip = |words: &[&str]| std::process::Command::new("ip").args(words).output().unwrap();
    assert!(ip(&["netns", "add", &left]).status.success());
    let another = Lab::new().unwrap();
    assert!(!String::from_utf8(ip(&["netns", "list"]).stdout).unwrap().contains(&left));
    // What a living process has stays.
    lab.host("a").unwrap().run_well(&["true"]).unwrap();
    drop(another);
    lab.host("b").unwrap().run_well(&["true"]).unwrap();
}

#[test]
fn a_lab_ends_what_runs_in_it_and_leaves_nothing_behind() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = rig::hosts(&lab);
    let cable = lab.delayed_cable(&a, &b, Delay::of(Duration::ZERO)).unwrap();
    let switch = lab.switch(&[&a, &b]).unwrap();
    // One that nobody holds is ended as well.
    let mut forgotten = a.command("sleep").arg("600").spawn().unwrap();
    let mut held = b.start("sleep", &["sleep", "600"]).unwrap();
    held.assert_runs().unwrap();
    let namespaces =
        || String::from_utf8(std::process::Command::new("ip").args(["netns", "list"]).output().unwrap().stdout);
    // The namespaces of `a`, `b` and the switch.
    let prefix = a.namespace().rsplit_once("-0-").or(a.namespace().split_once("-1-")).unwrap().0.to_owned() + "-";
    assert_eq!(namespaces().unwrap().lines().filter(|line| line.starts_with(&prefix)).count(), 3);
    let (dir, began) = (lab.dir().to_owned(), Instant::now());
    drop((held, cable, switch));
    drop(lab);
    assert!(!forgotten.wait().unwrap().success(), "it was killed");
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(namespaces().unwrap().lines().filter(|line| line.starts_with(&prefix)).count(), 0);
    assert!(!dir.exists());
    let lab = Lab::new().unwrap();
    assert!(lab.dir().exists());
}
