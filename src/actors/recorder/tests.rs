//! The recorder: it holds nobody up, its files are bounded, and a gap is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use prunella_core::gossip::{self, Gossip};
use prunella_core::identity::Identity;
use prunella_core::limits::NODE_NAME_BYTES_MAX;
use prunella_core::policy::{self, Document, Policy, Source};
use prunella_core::record::NodeBody;
use prunella_core::recording::{Handled, Outcome};

use super::*;

fn setup(dir: &Path, file_bytes: u64) -> RecorderSetup {
    RecorderSetup { dir: dir.to_path_buf(), node: PeerId::from_public_key([1; 32]), run_unix_ms: 1000, file_bytes }
}

fn tape(queue: &Queue) -> Tape {
    let started = Started { life: 7, actor: "policy".to_owned(), at: 0, start: Vec::new() };
    Tape::begin(queue.clone(), RoleName::Policy, 7, Entry::Started(started))
}

fn hear(tape: &mut Tape) {
    let input = policy::Input::Offered(Document::new(0, Source::File, "p.toml", Vec::new()));
    let mut effects = Vec::new();
    tape.record(&mut Policy::default(), Some(input), Instant::BOOT, &mut effects);
    assert_eq!(effects.len(), 1, "what is recorded or not, the role hears it");
}

/// The entries that wait.
fn waiting(entries: &Entries) -> Vec<Entry> {
    let told = std::iter::from_fn(|| entries.receiver.try_recv().ok());
    told.map(|told| match told {
        Told::Entry(_, entry, bytes) => {
            entries.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            entry
        }
        Told::End => panic!("nobody ends"),
    })
    .collect()
}

fn numbers(entries: &[Entry]) -> Vec<u64> {
    entries.iter().filter_map(|entry| if let Entry::Handled(h) = entry { Some(h.number) } else { None }).collect()
}

#[test]
fn a_full_queue_holds_nobody_up_and_the_gap_is_counted_and_told() {
    let (queue, entries) = Queue::with_room_for(3);
    let mut tape = tape(&queue);
    // Nobody takes anything out: whoever waited here would wait for ever.
    (0..6).for_each(|_| hear(&mut tape));
    assert_eq!(queue.dropped.load(Ordering::Relaxed), 4);
    let taken = waiting(&entries);
    assert!(matches!(&taken[0], Entry::Started(_)));
    assert_eq!(numbers(&taken), [1, 2]);

    hear(&mut tape);
    hear(&mut tape);
    assert_eq!(waiting(&entries), [Entry::Lost { life: 7, dropped: 4 }], "the gap, and nothing after it");
    assert_eq!((queue.dropped.load(Ordering::Relaxed), queue.waiting_bytes.load(Ordering::Relaxed)), (4, 0));
}

#[test]
fn a_life_that_ends_after_a_gap_still_tells_of_it() {
    let (queue, entries) = Queue::with_room_for(1);
    let mut tape = tape(&queue);
    hear(&mut tape);
    assert_eq!(waiting(&entries).len(), 1);
    drop(tape);
    assert_eq!(waiting(&entries), [Entry::Lost { life: 7, dropped: 1 }]);
}

#[test]
fn the_queue_is_bounded_in_bytes_as_well() {
    let (queue, entries) = Queue::with_room_for(1000);
    let long = |bytes| {
        let start = vec![0; bytes];
        queue.put(RoleName::Policy, Entry::Started(Started { life: 1, actor: String::new(), at: 0, start }))
    };
    assert_eq!(long(RECORDING_ENTRY_BYTES_MAX), Queued::Dropped, "with what is around it, it is too long");
    let most = RECORDING_QUEUE_BYTES_MAX / RECORDING_ENTRY_BYTES_MAX;
    let taken = (0..2 * most).filter(|_| long(RECORDING_ENTRY_BYTES_MAX - 100) == Queued::Taken).count();
    assert_eq!(taken, most);
    assert_eq!(waiting(&entries).len(), most);
    assert_eq!(long(10), Queued::Taken);
    drop(entries);
    assert_eq!(long(10), Queued::Nobody);
}

#[test]
fn an_input_on_which_the_role_panics_is_recorded() {
    let (queue, entries) = Queue::with_room_for(10);
    let mut machine = Gossip::new(Identity::from_secret(&[1; 32]), 1, Instant::BOOT);
    let mut tape = tape(&queue);
    let name = "x".repeat(NODE_NAME_BYTES_MAX + 1);
    let body = NodeBody { name, ..NodeBody::default() };
    let input = gossip::Input::Announce(body);
    let heard = codec::encode_plain(&input);
    let recorded = AssertUnwindSafe(|| tape.record(&mut machine, Some(input), Instant::BOOT, &mut Vec::new()));
    assert!(catch_unwind(recorded).is_err());
    let expected =
        Handled { life: 7, number: 1, at: 0, heard: Some(heard), signatures: Vec::new(), outcome: Outcome::Panicked };
    assert_eq!(waiting(&entries)[1..], [Entry::Handled(expected)]);
}

#[test]
fn after_a_gap_the_machine_keeps_no_signatures_for_nobody() {
    let (queue, _entries) = Queue::with_room_for(1);
    let mut machine = Gossip::new(Identity::from_secret(&[1; 32]), 1, Instant::BOOT);
    machine.note_signatures();
    let mut tape = tape(&queue);
    for number in 0..5 {
        let input = gossip::Input::SetService { name: format!("s{number}"), exposed: true };
        tape.record(&mut machine, Some(input), Instant::BOOT, &mut Vec::new());
    }
    assert_eq!(machine.take_signatures().len(), 0);
}

#[test]
fn files_are_their_owners_and_the_last_ones_of_each_role_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("journal");
    let recorder = Recorder::start(setup(&dir, 1000)).unwrap();
    let mut tape = recorder.begin("policy", &(), &mut Policy::default(), Instant::BOOT);
    (0..100).for_each(|_| hear(&mut tape));
    recorder.finish();
    assert_eq!(recorder.dropped(), 0);
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(recorder.dir()).unwrap() {
        let entry = entry.unwrap();
        let (mode, bytes) = (entry.metadata().unwrap().permissions().mode() & 0o777, entry.metadata().unwrap().len());
        assert_eq!(mode, 0o600);
        assert!(bytes < 1200, "{bytes}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let number = |name: &str| name.strip_prefix("policy.").unwrap().strip_suffix(".inputs").unwrap().parse::<u64>();
    let numbers: Vec<u64> = names.iter().map(|name| number(name).unwrap()).collect();
    assert_eq!(numbers.len(), 2);
    assert_eq!(numbers[0] + 1, numbers[1]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(recorder.dir())), (0o700, 0o700));
}

#[test]
fn the_last_runs_are_kept_whatever_the_clock_says() {
    let home = tempfile::tempdir().unwrap();
    let mut dirs = Vec::new();
    for run_unix_ms in [5000, 4000, 6000] {
        let recorder = Recorder::start(RecorderSetup { run_unix_ms, ..setup(home.path(), 1000) }).unwrap();
        dirs.push(recorder.dir().to_path_buf());
        recorder.finish();
    }
    assert_eq!(dirs, [5000, 5001, 6000].map(|run| home.path().join(run.to_string())));
    let kept: Vec<bool> = dirs.iter().map(|dir| dir.exists()).collect();
    assert_eq!(kept, [false, true, true]);
}
