//! Relays whose cables go dark while traffic flows.

use std::time::Duration;

use prunella_bench::{Lab, Mesh, Plan, Switch};

use super::rig::{self, Traffic};

/// From n0 to n3 over n1 or n2; the switch on each of the four ways.
pub(crate) fn diamond(lab: &Lab) -> (Plan, [Switch; 4]) {
    let [a, left, right, b] = rig::hosts(lab);
    let join = |one, other| lab.switch(&[one, other]).unwrap();
    let ways = [join(&a, &left), join(&left, &b), join(&a, &right), join(&right, &b)];
    let between = [(0, 1), (1, 3), (0, 2), (2, 3)];
    let plan = between.iter().zip(&ways).fold(rig::plan(&[&a, &left, &right, &b]), |plan, (&(from, to), way)| {
        plan.link(from, to, [&way.ends[0], &way.ends[1]])
    });
    (plan, ways)
}

#[test]
fn a_relay_whose_cable_goes_dark_in_silence_costs_a_stream_a_short_gap_and_nothing_else() {
    let Some(lab) = rig::lab() else { return };
    let (plan, ways) = diamond(&lab);
    let mesh = Mesh::found(&lab, &plan).unwrap();
    let traffic = Traffic::between(&mesh, 0, 3);
    for end in [0, 1] {
        let echo = traffic.echo();
        // Paths are kept warm for what is in use.
        let used = mesh.paths(0, 3, 2).unwrap();
        echo.goes_on(100).unwrap();
        let relay = used[1];
        // The first way of the path, then its last.
        let way = &ways[(relay - 1) * 2 + end];
        way.cut().unwrap();
        echo.goes_on(200).unwrap();
        let suffered = echo.finish().unwrap();
        assert!(suffered.gap < GAP_MAX, "{:?} over {used:?}", suffered.gap);
        let now = mesh.paths(0, 3, 1).unwrap();
        assert_ne!(now[1], relay, "{now:?}");
        way.mend().unwrap();
    }
}

#[test]
fn bytes_under_way_while_a_relay_goes_dark_one_way_arrive_unchanged() {
    let Some(lab) = rig::lab() else { return };
    let (plan, ways) = diamond(&lab);
    let mesh = Mesh::found(&lab, &plan).unwrap();
    let traffic = Traffic::between(&mesh, 0, 3);
    let echo = traffic.echo();
    let used = mesh.paths(0, 3, 2).unwrap();
    let first = &ways[(used[1] - 1) * 2];
    // Slow enough to be under way for a while.
    ways.iter().for_each(|way| way.throttle(50, 50).unwrap());
    std::thread::scope(|scope| {
        let bulk = scope.spawn(|| traffic.pull(8_000_000));
        echo.goes_on(50).unwrap();
        // The answers' way: what n0 sends still arrives.
        first.cut_from(1).unwrap();
        echo.goes_on(50).unwrap();
        assert!(!bulk.is_finished(), "too fast to have noticed anything");
        let suffered = echo.finish().unwrap();
        assert!(suffered.gap < GAP_MAX, "{:?}", suffered.gap);
        bulk.join().unwrap();
    });
}

/// Ten times what is usual: other tests run beside these.
const GAP_MAX: Duration = Duration::from_secs(1);
