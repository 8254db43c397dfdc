//! Copies of what neighbors wrote, and what is repaired with them.

use super::*;
use crate::limits::{LEDGER_COPIES_MAX, LEDGER_COPY_ENTRIES_MAX, LEDGER_FETCH_MAX};

/// Starts node 1 again, with these of its entries damaged; what its log was before.
fn damage(mesh: &mut Mesh, damaged: &[usize]) -> Vec<Option<Entry>> {
    let whole = mesh.node(1).log.clone();
    let mut log = whole.clone();
    damaged.iter().for_each(|index| log[*index] = None);
    mesh.start(1, log);
    whole
}

/// What node 1 said of damage that was repaired.
fn repaired(mesh: &Mesh) -> Vec<(Vec<u64>, PeerId, usize)> {
    let told = mesh.node(1).told.iter().filter_map(|effect| match effect {
        Effect::Repaired { entries, by, left, .. } => Some((entries.clone(), *by, *left)),
        _ => None,
    });
    told.collect()
}

fn questions(mesh: &Mesh, n: u8) -> Vec<(u64, u64)> {
    let asked = mesh.node(n).told.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Fetch { first, count, .. }, .. } => Some((*first, *count)),
        _ => None,
    });
    asked.collect()
}

#[test]
fn a_damaged_entry_is_put_back_with_a_neighbors_help_and_the_head_is_what_it_was() {
    let mut mesh = witnessed();
    let head = *mesh.heads(1).last().unwrap();
    let whole = damage(&mut mesh, &[4]);
    mesh.pass(5000);
    assert_eq!(repaired(&mesh), [(vec![4], id(2), 0)]);
    assert_eq!(mesh.node(1).log[..10], whole[..]);
    assert!(mesh.node(1).keeper.ledger().continues(&head));
    assert_eq!((mesh.node(1).keeper.damaged().len(), mesh.node(1).keeper.repaired()), (0, 1));
    let told: Vec<&Entry> = mesh.node(1).log[10..].iter().flatten().collect();
    assert_eq!(told[0].kind, EventKind::Damaged);
    let entry = told.iter().find(|entry| entry.kind == EventKind::Repaired).unwrap();
    assert_eq!((&entry.who, entry.subject.as_str()), (&id(2).to_string(), "entries of this ledger: 4"));
    mesh.pass(10_000);
    assert_eq!(mesh.found(2), []);
    // The same damage once more is told once more.
    damage(&mut mesh, &[4]);
    mesh.pass(5000);
    let kinds = mesh.kinds(1);
    let count = |kind| kinds.iter().filter(|other| **other == kind).count();
    assert_eq!((count(EventKind::Damaged), count(EventKind::Repaired)), (2, 2), "{kinds:?}");
}

#[test]
fn several_damaged_entries_in_a_row_are_put_back_from_the_last_to_the_first() {
    for damaged in [&[3, 4][..], &[0, 1, 2, 3, 4, 5, 6, 7, 8], &[0], &[9], &[8, 9], &[1, 2, 5, 6, 8, 9]] {
        let mut mesh = witnessed();
        let head = mesh.heads(1).last().unwrap().sign(&identity(1));
        let whole = damage(&mut mesh, damaged);
        // What it has signed itself, as its own store or a neighbor has it.
        mesh.hear(1, heard(head.clone()));
        mesh.pass(20_000);
        assert_eq!(mesh.node(1).log[..10], whole[..], "{damaged:?}");
        let keeper = &mesh.node(1).keeper;
        assert!(keeper.is_ready() && keeper.ledger().continues(&head.head), "{damaged:?}");
        assert_eq!((keeper.damaged().len(), keeper.is_rolled_back(), mesh.found(2)), (0, false, vec![]));
        let size = mesh.node(1).log.len() as u64;
        assert_eq!(mesh.node(2).keeper.witness().proven(&id(1)).map(|head| head.head.size), Some(size));
        let log: Vec<Entry> = mesh.node(1).log.iter().flatten().cloned().collect();
        assert_eq!(crate::ledger::verify_all(&log, &keeper.ledger().head().sign(&identity(1))), Ok(()));
    }
}

#[test]
fn what_a_liar_gives_back_changes_nothing_and_somebody_else_is_asked() {
    let mut mesh = witnessed();
    mesh.nodes.get_mut(&id(2)).unwrap().lies = true;
    let whole = damage(&mut mesh, &[4, 7]);
    mesh.pass(30_000);
    assert_eq!((repaired(&mesh), mesh.node(1).keeper.damaged().collect::<Vec<_>>()), (vec![], vec![4, 7]));
    assert!(mesh.node(1).keeper.others_given() >= 2);
    let lied = Effect::OtherGiven { by: id(2), index: 7 };
    assert!(mesh.node(1).told.contains(&lied), "{:?}", mesh.node(1).told);
    // An honest one comes, with copies that it has kept.
    let copies: BTreeMap<_, Vec<Entry>> = BTreeMap::from([(id(1), whole.iter().flatten().cloned().collect())]);
    let now = mesh.now;
    let keeper = Keeper::new(identity(3), now);
    let node = Node { keeper, log: vec![], told: vec![], writable: true, silent: false, copies, lies: false };
    mesh.nodes.insert(id(3), node);
    mesh.start(3, Vec::new());
    mesh.pass(30_000);
    assert_eq!(mesh.node(1).log[..10], whole[..]);
    assert!(repaired(&mesh).iter().all(|(_, by, _)| *by == id(3)), "{:?}", repaired(&mesh));
}

#[test]
fn copies_outlive_the_witness_that_made_them() {
    let mut mesh = witnessed();
    let log = mesh.node(2).log.clone();
    mesh.start(2, log);
    assert_eq!(mesh.node(2).keeper.copies().collect::<Vec<_>>(), [(id(1), 10)]);
    let whole = damage(&mut mesh, &[0, 4]);
    mesh.pass(10_000);
    assert_eq!(mesh.node(1).log[..10], whole[..]);
}

#[test]
fn a_long_ledger_is_copied_piece_by_piece_and_only_its_newest_entries() {
    let mut mesh = Mesh::new(1);
    mesh.pass(6000);
    for _ in 0..5 {
        mesh.append(1, 1000);
    }
    mesh.pass(3000);
    mesh.start(2, Vec::new());
    let head = mesh.heads(1).last().unwrap().sign(&identity(1));
    mesh.hear(2, heard(head));
    mesh.pass(40_000);
    let asked = questions(&mesh, 2);
    assert!((30..=40).contains(&asked.len()), "one question a second: {asked:?}");
    assert_eq!(asked[0], (5001 - LEDGER_COPY_ENTRIES_MAX, LEDGER_FETCH_MAX));
    assert!(asked.windows(2).all(|pair| pair[1].0 == pair[0].0 + pair[0].1), "{asked:?}");
    mesh.pass(60_000);
    assert_eq!(mesh.node(2).keeper.copies().collect::<Vec<_>>(), [(id(1), 5001)]);
    let copies = &mesh.node(2).copies[&id(1)];
    assert!(copies.iter().eq(mesh.node(1).log[905..].iter().flatten()));
    let count = questions(&mesh, 2).len();
    mesh.pass(60_000);
    assert_eq!(questions(&mesh, 2).len(), count, "what there is is not asked for again");
}

#[test]
fn only_what_a_head_covers_and_leads_to_it_is_copied() {
    let mut mesh = witnessed();
    mesh.append(1, 3);
    mesh.pass(1500);
    let copies = |mesh: &Mesh| mesh.node(2).copies[&id(1)].len();
    assert_eq!((mesh.heads(1).last().unwrap().size, copies(&mesh)), (13, 13));
    // Before the next head there is nothing to ask for, and what was not asked for does not count.
    mesh.append(1, 3);
    let unasked = mesh.node(1).log[13].as_ref().unwrap().encode();
    let message = Message::Entries { ledger: id(1), first: 13, entries: vec![unasked] };
    mesh.hear(2, Input::Heard { from: id(1), message });
    assert_eq!(copies(&mesh), 13);
    // Its own owner gives something else than it has signed.
    let mut effects = Vec::new();
    mesh.now = mesh.now + Duration::from_secs(2);
    let now = mesh.now;
    let head = {
        let node = mesh.nodes.get_mut(&id(1)).unwrap();
        node.keeper.ledger().head().sign(&identity(1))
    };
    let proof = mesh.node(1).keeper.ledger().tree().consistency(13, 16).unwrap();
    let other = Ledger::new(id(1)).next(&event(1), 0);
    let other = Entry { index: 13, previous: mesh.node(2).copies[&id(1)][12].hash(), ..other }.encode();
    let keeper = &mut mesh.nodes.get_mut(&id(2)).unwrap().keeper;
    keeper.handle(Input::HeadHeard { head, version: u64::MAX }, now, &mut effects);
    keeper.handle(Input::Heard { from: id(1), message: Message::Proof(proof) }, now, &mut effects);
    let fetch =
        |effect: &Effect| matches!(effect, Effect::Send { message: Message::Fetch { first: 13, count: 3, .. }, .. });
    assert!(effects.iter().any(fetch), "{effects:?}");
    effects.clear();
    let three: Vec<Vec<u8>> = vec![other; 3];
    let message = Message::Entries { ledger: id(1), first: 13, entries: three };
    keeper.handle(Input::Heard { from: id(1), message }, now, &mut effects);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Copy { .. })), "{effects:?}");
    assert_eq!(keeper.others_given(), 1);
}

#[test]
fn whoever_asks_for_a_third_ones_entries_or_too_often_is_not_answered() {
    let mut mesh = witnessed();
    let mut effects = Vec::new();
    let now = mesh.now;
    let keeper = &mut mesh.nodes.get_mut(&id(2)).unwrap().keeper;
    let mut fetch = |from: u8, of: u8, at: Instant| {
        let message = Message::Fetch { ledger: id(of), first: 0, count: 3 };
        keeper.handle(Input::Heard { from: id(from), message }, at, &mut effects);
        effects.drain(..).filter(|effect| matches!(effect, Effect::Give { .. } | Effect::Send { .. })).count()
    };
    assert_eq!(fetch(3, 1, now), 0, "it is neither's ledger");
    assert_eq!(fetch(3, 2, now), 0, "it is no neighbor");
    assert_eq!(fetch(1, 3, now), 0);
    assert_eq!((fetch(1, 1, now), fetch(1, 2, now)), (1, 1));
    assert_eq!((fetch(1, 1, now), fetch(1, 2, now)), (0, 0), "it has just been answered");
    assert_eq!(fetch(1, 1, now + Duration::from_millis(500)), 1);
}

#[test]
fn a_disk_that_takes_nothing_now_is_tried_again_and_a_place_that_is_gone_is_not() {
    let mut mesh = witnessed();
    let log = mesh.node(1).log.clone();
    let mut damaged = log.clone();
    damaged[4] = None;
    mesh.start(1, damaged.clone());
    mesh.nodes.get_mut(&id(1)).unwrap().writable = false;
    mesh.pass(10_000);
    assert_eq!(mesh.node(1).log[4], None);
    mesh.nodes.get_mut(&id(1)).unwrap().writable = true;
    mesh.pass(70_000);
    assert_eq!(mesh.node(1).log[4], log[4]);

    // Nobody hears of it again if its place on the disk is gone.
    let mut keeper = Keeper::new(identity(1), mesh.now);
    let mut effects = Vec::new();
    let mut now = mesh.now;
    keeper.handle(Input::NeighborChanged { peer: id(2), is_usable: true }, now, &mut effects);
    keeper.handle(Input::Loaded { entries: damaged }, now, &mut effects);
    let message = Message::Entries { ledger: id(1), first: 4, entries: vec![log[4].as_ref().unwrap().encode()] };
    keeper.handle(Input::Heard { from: id(2), message }, now, &mut effects);
    assert!(matches!(effects.last(), Some(Effect::Mend { .. })), "{effects:?}");
    keeper.handle(Input::Mended { entries: vec![], refused: vec![4] }, now, &mut effects);
    effects.clear();
    for _ in 0..300 {
        now = now + Duration::from_secs(1);
        keeper.wake(now, &mut effects);
    }
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send { .. })), "{effects:?}");
    assert_eq!(keeper.damaged().collect::<Vec<_>>(), [4]);
}

#[test]
fn copies_of_a_further_ledger_take_the_place_of_those_that_are_no_neighbors() {
    let mut mesh = witnessed();
    let mut keeper = Keeper::new(identity(2), mesh.now);
    let (mut effects, mut now) = (Vec::new(), mesh.now);
    for n in 0..LEDGER_COPIES_MAX as u8 {
        let ledger = id(100 + n);
        keeper.handle(Input::Copied(Copied { ledger, until: 1, last: Hash([1; 32]) }), now, &mut effects);
    }
    keeper.handle(Input::NeighborChanged { peer: id(1), is_usable: true }, now, &mut effects);
    keeper.handle(heard(mesh.heads(1)[0].sign(&identity(1))), now, &mut effects);
    now = now + Duration::from_secs(6);
    keeper.wake(now, &mut effects);
    let entries = vec![mesh.node(1).log[0].as_ref().unwrap().encode()];
    effects.clear();
    let message = Message::Entries { ledger: id(1), first: 0, entries };
    keeper.handle(Input::Heard { from: id(1), message }, now, &mut effects);
    let [Effect::DropCopies { ledger: gone }, Effect::Copy { .. }] = effects[..] else { panic!("{effects:?}") };
    assert!(keeper.copies().all(|(ledger, _)| ledger != gone) && keeper.copies().len() < LEDGER_COPIES_MAX);
    mesh.pass(100);
}

#[test]
fn another_history_takes_the_place_of_the_one_that_was_copied_after_a_restart_of_the_witness() {
    let mut mesh = witnessed();
    // Both begin anew, and the first has written something else meanwhile.
    let log = mesh.node(2).log.clone();
    mesh.start(1, Vec::new());
    mesh.unix_ms += 1000;
    mesh.append(1, 20);
    mesh.start(2, log);
    mesh.append(1, 1);
    mesh.pass(20_000);
    let size = mesh.node(1).log.len();
    assert_eq!(mesh.node(2).keeper.copies().collect::<Vec<_>>(), [(id(1), size as u64)]);
    assert!(mesh.node(2).copies[&id(1)].iter().eq(mesh.node(1).log.iter().flatten()));
}

#[test]
fn what_is_wrong_is_reported_again_to_whoever_forgot_it() {
    let mut mesh = witnessed();
    mesh.nodes.get_mut(&id(2)).unwrap().copies.clear();
    damage(&mut mesh, &[4]);
    let reports = |mesh: &mut Mesh, n: u8| {
        mesh.nodes.get_mut(&id(n)).unwrap().told.clear();
        mesh.hear(n, Input::ReportWanted);
        mesh.node(n).told.clone()
    };
    let how = "entries of this ledger: 4: not what was written".to_owned();
    assert_eq!(reports(&mut mesh, 1), [Effect::Report(Report::Damaged { how })]);
    assert_eq!(reports(&mut mesh, 2), []);
    let head = mesh.node(1).keeper.ledger().head();
    mesh.hear(2, heard(Head { root: Hash([7; 32]), ..head }.sign(&identity(1))));
    let told = reports(&mut mesh, 2);
    assert!(
        matches!(&told[..], [Effect::Report(Report::Broken { ledger, fault: Fault::Rewritten, .. })] if *ledger == id(1)),
        "{told:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_is_damaged_is_as_it_was_again_once_somebody_has_it(
        damaged in proptest::collection::btree_set(0..40_usize, 0..40),
        missing in proptest::collection::btree_set(0..40_usize, 0..6),
    ) {
        let mut mesh = Mesh::new(2);
        mesh.pass(6000);
        mesh.append(1, 39);
        mesh.pass(4000);
        let head = mesh.heads(1).last().unwrap().sign(&identity(1));
        prop_assert_eq!(mesh.node(2).copies[&id(1)].len(), 40);
        mesh.nodes.get_mut(&id(2)).unwrap().copies.get_mut(&id(1)).unwrap()
            .retain(|entry| !missing.contains(&(entry.index as usize)) || entry.index == 39);
        let whole = damage(&mut mesh, &damaged.iter().copied().collect::<Vec<_>>());
        mesh.hear(1, heard(head));
        mesh.pass(90_000);
        let back = |index: usize| mesh.node(1).log[index] == whole[index];
        for index in 0..40 {
            prop_assert!(back(index) || mesh.node(1).log[index].is_none());
            // What no neighbor has is lost, and so is what only it could have told of: that before it in the same row.
            let row = (index..40).take_while(|at| damaged.contains(at));
            if row.clone().all(|at| at == 39 || !missing.contains(&at)) {
                prop_assert!(back(index), "{} of {:?} without {:?}", index, damaged, missing);
            }
        }
        prop_assert_eq!(mesh.found(2), []);
    }
}
