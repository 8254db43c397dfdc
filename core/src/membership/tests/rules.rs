//! One rule a test, on meshes small enough to count by hand.

use super::{at, peer, says};
use crate::membership::verdict::Tally;
use crate::membership::{Change, Membership, Reason, Status, Testimony};
use crate::{Instant, Rejected};

/// A mesh in which everybody is everybody's neighbor: with nine nodes, K = 8, L = 3, H = 6.
struct Mesh {
    membership: Membership,
    nodes: usize,
    version: u64,
    now_ms: u64,
    changes: Vec<Change>,
}

impl Mesh {
    fn new(nodes: usize) -> Self {
        let mut mesh = Self { membership: Membership::new(1), nodes, version: 0, now_ms: 0, changes: Vec::new() };
        for n in 0..nodes {
            mesh.membership.learned(peer(n), "", at(0)).unwrap();
            mesh.accuses(n, &[], 0);
        }
        mesh.run(0);
        mesh
    }

    /// Node `n` says that all its links work but those to `accused`; the version that says so.
    fn accuses(&mut self, n: usize, accused: &[usize], ms: u64) -> u64 {
        self.says(n, accused, &[], ms)
    }

    fn all_accuse(&mut self, nodes: impl IntoIterator<Item = usize>, accused: &[usize], ms: u64) {
        for n in nodes {
            self.accuses(n, accused, ms);
        }
    }

    fn says(&mut self, n: usize, accused: &[usize], refuted: &[(usize, u64)], ms: u64) -> u64 {
        let links: Vec<usize> = (0..self.nodes).filter(|other| *other != n && !accused.contains(other)).collect();
        self.version += 1;
        self.now_ms = ms;
        self.membership.told(peer(n), self.version, &says(&links, accused, refuted), at(ms)).unwrap();
        self.version
    }

    /// Wakes in time for everything up to `ms`.
    fn run(&mut self, ms: u64) {
        self.now_ms = ms;
        while let Some(due) = self.membership.deadline().filter(|due| *due <= at(ms)) {
            let changes = self.membership.wake(due);
            self.changes.extend(changes);
        }
    }

    fn status(&self, n: usize) -> Status {
        self.membership.roster().status(&peer(n)).unwrap()
    }

    /// The voices once what was said so far is settled.
    fn tally(&mut self, n: usize) -> Tally {
        self.run(self.now_ms);
        self.membership.tally(&peer(n)).unwrap()
    }
}

#[test]
fn few_accusers_make_a_suspect_and_fewer_clear_it() {
    let mut mesh = Mesh::new(9);
    mesh.all_accuse(1..=2, &[0], 1000);
    mesh.run(1000);
    assert_eq!(mesh.status(0), Status::Alive);
    mesh.accuses(3, &[0], 1000);
    mesh.run(1000);
    assert_eq!(mesh.status(0), Status::Suspect);
    let change = mesh.changes[0];
    assert_eq!((change.from, change.to), (Status::Alive, Status::Suspect));
    assert_eq!((change.evidence.accusers, change.evidence.low, change.evidence.high), (3, 3, 6));
    assert_eq!(mesh.membership.accusers(&peer(0)), [peer(1), peer(2), peer(3)]);
    mesh.run(600_000);
    assert_eq!(mesh.status(0), Status::Suspect, "however long: they are too few");
    mesh.accuses(3, &[], 600_000);
    mesh.run(600_000);
    assert_eq!(mesh.status(0), Status::Alive);
}

#[test]
fn many_accusers_remove_after_the_hold() {
    let mut mesh = Mesh::new(9);
    mesh.all_accuse(1..=6, &[0], 1000);
    mesh.run(5999);
    assert_eq!(mesh.status(0), Status::Suspect);
    mesh.run(6000);
    assert_eq!(mesh.status(0), Status::Down);
    assert_eq!(mesh.changes.last().unwrap().evidence.reason, Reason::Accusers);
}

#[test]
fn a_break_in_the_accusations_starts_the_hold_afresh() {
    let mut mesh = Mesh::new(9);
    mesh.all_accuse(1..=6, &[0], 1000);
    mesh.accuses(6, &[], 5000);
    mesh.run(5500);
    mesh.accuses(6, &[0], 5500);
    mesh.run(10_499);
    assert_eq!(mesh.status(0), Status::Suspect);
    mesh.run(10_500);
    assert_eq!(mesh.status(0), Status::Down);
}

#[test]
fn who_is_not_a_neighbor_by_both_records_has_no_voice() {
    let mut mesh = Mesh::new(9);
    for n in 100..120 {
        mesh.membership.told(peer(n), 1, &says(&[], &[0], &[]), at(1000)).unwrap();
    }
    mesh.run(60_000);
    assert_eq!(mesh.tally(0).observers, 8);
    assert_eq!((mesh.status(0), mesh.tally(0).accusers), (Status::Alive, 0));
}

#[test]
fn a_refutation_voids_exactly_the_version_that_it_names_and_older_ones() {
    let mut mesh = Mesh::new(9);
    let versions: Vec<(usize, u64)> = (1..=3).map(|n| (n, mesh.accuses(n, &[0], 1000))).collect();
    mesh.says(0, &[], &[(1, versions[0].1)], 1000);
    assert_eq!(mesh.tally(0).accusers, 2);
    mesh.says(0, &[], &[(1, versions[0].1 - 1)], 1000);
    assert_eq!(mesh.tally(0).accusers, 3, "what came later is not refuted");
    mesh.says(0, &[], &versions, 1000);
    assert_eq!((mesh.tally(0).accusers, mesh.tally(0).witnesses), (0, 5), "nor is it a word in favor");
    mesh.accuses(2, &[0], 2000);
    assert_eq!(mesh.tally(0).accusers, 1, "said again, it stands");
    mesh.run(2000);
    assert_eq!(mesh.status(0), Status::Alive);
}

#[test]
fn nobody_refutes_what_is_not_said_yet() {
    let mut mesh = Mesh::new(9);
    let all: Vec<(usize, u64)> = (1..9).map(|n| (n, u64::MAX)).collect();
    mesh.says(0, &[], &all, 0);
    mesh.all_accuse(1..9, &[0], 1000);
    mesh.run(6000);
    assert_eq!(mesh.status(0), Status::Down);
}

#[test]
fn a_refutation_that_arrives_before_the_accusation_is_not_lost() {
    let mut mesh = Mesh::new(9);
    mesh.says(0, &[], &[(1, 20)], 0);
    mesh.membership.told(peer(1), 20, &says(&[2, 3], &[0], &[]), at(1000)).unwrap();
    mesh.now_ms = 1000;
    assert_eq!(mesh.tally(0).accusers, 0);
    mesh.membership.told(peer(1), 21, &says(&[2, 3], &[0], &[]), at(1000)).unwrap();
    assert_eq!(mesh.tally(0).accusers, 1);
}

#[test]
fn an_accused_accuser_has_no_voice() {
    let mut mesh = Mesh::new(9);
    let all: Vec<usize> = (1..9).collect();
    mesh.accuses(0, &all, 1000);
    mesh.all_accuse(1..=3, &[0], 1000);
    mesh.run(1000);
    assert_eq!((mesh.tally(5).voting, mesh.tally(5).accusers), (7, 0));
    mesh.all_accuse(1..=2, &[], 2000);
    mesh.run(2000);
    assert_eq!((mesh.tally(5).voting, mesh.tally(5).accusers), (8, 1), "one accuser takes nobody's voice");
}

#[test]
fn a_crash_of_two_neighbors_is_one_cut_and_removes_both_at_once() {
    let mut mesh = Mesh::new(9);
    mesh.all_accuse(2..=8, &[0], 1000);
    mesh.all_accuse(2..=5, &[0, 1], 4000);
    mesh.run(6000);
    assert_eq!([mesh.status(0), mesh.status(1)], [Status::Suspect; 2], "node 1 is in between");
    mesh.all_accuse(6..=8, &[0, 1], 7000);
    mesh.run(7000);
    assert_eq!(mesh.status(0), Status::Down, "node 1 is clear: it goes as well");
    mesh.run(12_000);
    assert_eq!(mesh.status(1), Status::Down);
}

#[test]
fn a_subject_that_stays_in_between_delays_a_removal_by_five_seconds_only() {
    let mut mesh = Mesh::new(9);
    mesh.all_accuse(2..=4, &[0, 1], 1000);
    mesh.all_accuse(5..=8, &[0], 1000);
    mesh.run(10_999);
    assert_eq!([mesh.status(0), mesh.status(1)], [Status::Suspect; 2]);
    mesh.run(11_000);
    assert_eq!([mesh.status(0), mesh.status(1)], [Status::Down, Status::Suspect]);
}

#[test]
fn neighbors_that_crash_together_are_removed_by_those_that_are_left() {
    let mut mesh = Mesh::new(9);
    mesh.all_accuse(5..9, &[0, 1, 2, 3, 4], 1000);
    mesh.run(6000);
    let statuses: Vec<Status> = (0..9).map(|n| mesh.status(n)).collect();
    assert_eq!(statuses[..5], [Status::Down; 5]);
    assert_eq!(statuses[5..], [Status::Alive; 4]);
}

#[test]
fn of_two_nodes_the_other_ones_word_is_enough() {
    let mut mesh = Mesh::new(2);
    mesh.accuses(0, &[1], 1000);
    mesh.run(6000);
    assert_eq!([mesh.status(0), mesh.status(1)], [Status::Alive, Status::Down]);
}

#[test]
fn a_removed_node_comes_back_when_it_worked_for_half_a_minute() {
    let mut mesh = Mesh::new(9);
    mesh.all_accuse(1..9, &[0], 0);
    mesh.run(5000);
    mesh.all_accuse(1..9, &[], 20_000);
    mesh.run(49_999);
    assert_eq!(mesh.status(0), Status::Down);
    mesh.run(50_000);
    assert_eq!(mesh.status(0), Status::Alive);
    assert_eq!(mesh.changes.last().unwrap().evidence.reason, Reason::Returned);
}

#[test]
fn a_one_way_flip_flop_of_twenty_seconds_stays_removed() {
    let mut mesh = Mesh::new(9);
    for period in 0..30 {
        let accused: &[usize] = if period % 2 == 0 { &[0] } else { &[] };
        mesh.all_accuse(1..9, accused, period * 20_000);
        mesh.run(period * 20_000 + 19_999);
    }
    let statuses: Vec<Status> = mesh.changes.iter().map(|change| change.to).collect();
    assert_eq!(statuses, [Status::Suspect, Status::Down]);
}

#[test]
fn who_lets_its_record_expire_is_down_until_its_next_one() {
    let mut mesh = Mesh::new(9);
    mesh.membership.forgotten(&peer(0), at(1000));
    mesh.run(1000);
    assert_eq!(mesh.status(0), Status::Down);
    assert_eq!(mesh.changes[0].evidence.reason, Reason::Silence);
    assert_eq!(mesh.tally(1).observers, 7, "nor does it observe");
    mesh.accuses(0, &[], 9000);
    mesh.run(9000);
    assert_eq!(mesh.status(0), Status::Alive);
    assert_eq!(mesh.changes[1].evidence.reason, Reason::Returned);
}

#[test]
fn a_record_that_expires_and_comes_back_within_a_moment_changes_nothing() {
    let mut mesh = Mesh::new(9);
    mesh.membership.forgotten(&peer(0), at(1000));
    mesh.accuses(0, &[], 1000);
    mesh.run(2000);
    assert!(mesh.changes.is_empty());
}

#[test]
fn who_takes_back_both_records_is_no_member() {
    let mut mesh = Mesh::new(3);
    mesh.membership.lost(&peer(0), at(0));
    assert_eq!(mesh.membership.roster().counts().known(), 3, "its links record is still held");
    mesh.membership.forgotten(&peer(0), at(0));
    mesh.run(0);
    assert_eq!((mesh.membership.roster().counts().known(), mesh.membership.roster().status(&peer(0))), (2, None));
    assert!(mesh.changes.is_empty());
}

#[test]
fn a_member_that_is_down_for_a_day_is_not_counted_any_more() {
    let mut mesh = Mesh::new(3);
    mesh.membership.forgotten(&peer(0), at(0));
    mesh.run(24 * 3_600_000 - 1);
    assert_eq!(mesh.membership.roster().counts().known(), 3);
    mesh.run(24 * 3_600_000);
    assert_eq!(mesh.membership.roster().counts().known(), 2);
    mesh.accuses(0, &[], 25 * 3_600_000);
    mesh.run(25 * 3_600_000);
    assert_eq!((mesh.membership.roster().counts().alive, mesh.status(0)), (3, Status::Alive));
}

#[test]
fn only_links_that_both_ends_report_and_neither_doubts_lead_further() {
    let mut membership = Membership::new(1);
    let tell = |membership: &mut Membership, n: usize, body: &Testimony| {
        let version = membership.roster().counts().known() as u64 + 10;
        membership.told(peer(n), version, body, at(0)).unwrap();
    };
    // 0 - 1 - 2, 2 - 3 accused by 3 alone, 0 - 4 said by 0 alone.
    tell(&mut membership, 0, &says(&[1, 4], &[], &[]));
    tell(&mut membership, 1, &says(&[0, 2], &[], &[]));
    tell(&mut membership, 2, &says(&[1, 3], &[], &[]));
    tell(&mut membership, 3, &says(&[], &[2], &[]));
    tell(&mut membership, 4, &says(&[], &[], &[]));
    assert_eq!([0, 3, 4, 9].map(|n| membership.reachable(&peer(n))), [3, 1, 1, 0]);
}

#[test]
fn oversized_records_are_rejected() {
    let mut membership = Membership::new(1);
    let body = says(&[1], &[], &[]);
    assert_eq!(membership.told(peer(0), 5, &body, at(0)), Ok(()));
    let many: Vec<usize> = (1..=65).collect();
    assert_eq!(membership.told(peer(0), 6, &says(&many, &[], &[]), at(0)), Err(Rejected::OverLimit));
    assert_eq!(membership.roster().neighbors(&peer(0)).collect::<Vec<_>>(), [peer(1)]);
}

#[test]
fn odd_records_are_taken_for_what_they_can_mean() {
    let mut membership = Membership::new(1);
    membership.told(peer(0), 1, &says(&[0, 1, 1, 2], &[1], &[(7, 1)]), at(0)).unwrap();
    membership.told(peer(1), 1, &says(&[0], &[], &[]), at(0)).unwrap();
    membership.wake(at(0));
    let tally = membership.tally(&peer(1)).unwrap();
    assert_eq!((tally.observers, tally.accusers), (1, 1), "listed twice is one observer, and an accuser");
    assert_eq!(membership.tally(&peer(0)).unwrap().observers, 1, "nobody observes itself");
}

#[test]
fn entries_of_who_is_only_named_go_with_the_record_that_names_them() {
    let mut membership = Membership::new(1);
    for version in 1..1000 {
        let strangers: Vec<usize> = (0..64).map(|n| version as usize * 64 + n).collect();
        membership.told(peer(0), version, &says(&strangers, &[], &[]), at(version)).unwrap();
    }
    assert_eq!(membership.roster().counts().known(), 1);
    assert!(membership.roster().slots() <= 1 + 2 * 64, "{}", membership.roster().slots());
    assert_eq!(membership.wake(Instant::from_millis(2000)), []);
}

#[test]
fn a_silent_link_that_is_not_accused_yet_still_counts_as_an_observer() {
    let mut mesh = Mesh::new(9);
    for n in 2..9 {
        mesh.version += 1;
        let without_0: Vec<usize> = (1..9).filter(|other| *other != n).collect();
        mesh.membership.told(peer(n), mesh.version, &says(&without_0, &[], &[]), at(1000)).unwrap();
    }
    mesh.accuses(1, &[0], 1000);
    assert_eq!(mesh.tally(0), Tally { observers: 8, voting: 8, accusers: 1, witnesses: 0 });
    mesh.run(60_999);
    assert_eq!(mesh.status(0), Status::Alive);
    mesh.run(61_000);
    assert_eq!(mesh.tally(0).observers, 1, "after a minute they are no neighbors any more");
}

#[test]
fn dropping_its_accusers_saves_nobody() {
    let mut mesh = Mesh::new(9);
    mesh.version += 1;
    mesh.membership.told(peer(0), mesh.version, &says(&[], &[], &[]), at(1000)).unwrap();
    mesh.all_accuse(1..9, &[0], 2000);
    mesh.run(7000);
    assert_eq!(mesh.status(0), Status::Down);
    mesh.run(600_000);
    assert_eq!(mesh.status(0), Status::Down, "nobody says that it works");
    assert_eq!(mesh.membership.roster().neighbors(&peer(0)).count(), 0);
}
