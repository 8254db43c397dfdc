//! A log against crashes, failures, full disks, flipped bits and garbage.

use std::collections::BTreeSet;

use super::*;

/// Short files, so that every workload needs several.
const SEGMENT: u64 = 700;

fn entry(n: u64) -> Vec<u8> {
    // Some are longer than others, some are empty, and one looks like what stands before an entry.
    match n % 5 {
        0 => Vec::new(),
        1 => Header::of(b"another", n + 1, n, [7; 16]).encode().to_vec(),
        _ => format!("entry {n} {}", "x".repeat((n * 13 % 90) as usize)).into_bytes(),
    }
}

fn entries(from: u64, until: u64) -> Vec<Vec<u8>> {
    (from..until).map(entry).collect()
}

fn open(files: &FaultyFiles) -> (Log<FaultyFiles>, Found) {
    Log::open_in(files.clone(), SEGMENT).unwrap()
}

/// Appends until `until`, in batches of one to four; how many were acknowledged, and how many were tried at most.
fn work(files: &FaultyFiles, until: u64) -> (u64, u64) {
    let Ok((mut log, _)) = Log::open_in(files.clone(), SEGMENT) else { return (0, 0) };
    let (mut acknowledged, mut tried) = (log.len(), log.len());
    while log.len() < until && !files.has_crashed() {
        let batch = entries(log.len(), log.len() + 1 + log.len() % 4);
        tried = log.len() + batch.len() as u64;
        if log.append(&batch).is_ok() {
            acknowledged = log.len();
        }
    }
    (acknowledged, tried)
}

/// Whether all entries are there, as they were written, from the first on.
fn assert_whole(log: &Log<FaultyFiles>) {
    for index in 0..log.len() {
        assert_eq!(log.read(index).unwrap(), entry(index), "entry {index}");
    }
}

/// A log with so many entries, in batches of one to four.
fn written(until: u64) -> FaultyFiles {
    let files = FaultyFiles::new();
    work(&files, until);
    files
}

#[test]
fn what_was_appended_is_there_again_over_several_files() {
    let files = written(50);
    let (log, found) = open(&files);
    assert_eq!(found, Found::default());
    assert!(log.len() >= 50 && log.segments.len() > 3, "{} in {}", log.len(), log.segments.len());
    assert_whole(&log);
    let index = log.len();
    assert!(matches!(log.read(index), Err(LogError::NoEntry { .. })));
}

#[test]
fn what_is_over_a_limit_is_refused_and_changes_nothing() {
    let (mut log, _) = open(&FaultyFiles::new());
    let long = vec![0; LOG_ENTRY_BYTES_MAX + 1];
    assert!(matches!(log.append(&[long]), Err(LogError::OverLimit { what: "bytes in an entry", .. })));
    let many = vec![vec![0; LOG_ENTRY_BYTES_MAX]; LOG_BATCH_BYTES_MAX / LOG_ENTRY_BYTES_MAX];
    assert!(matches!(log.append(&many), Err(LogError::OverLimit { what: "bytes in a batch", .. })));
    log.append::<Vec<u8>>(&[]).unwrap();
    assert!(log.is_empty());
    log.append(&many[1..]).unwrap();
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged_and_leaves_a_whole_log() {
    let mut ended = BTreeSet::new();
    for call in 1.. {
        let mut survived = false;
        for seed in 0..40 {
            let files = FaultyFiles::new();
            files.crash_at(call);
            let (acknowledged, tried) = work(&files, 60);
            survived |= !files.has_crashed();
            files.restart(seed);
            let (mut log, found) = open(&files);
            assert_eq!(found.damaged, [], "call {call}, seed {seed}");
            assert!(log.len() >= acknowledged, "call {call}, seed {seed}: {} of {acknowledged}", log.len());
            assert!(log.len() <= tried.max(acknowledged), "call {call}, seed {seed}");
            assert_whole(&log);
            ended.insert(log.len() - acknowledged);
            let next = log.len();
            log.append(&entries(next, next + 3)).unwrap();
            drop(log);
            let (log, found) = open(&files);
            assert_eq!((found, log.len()), (Found::default(), next + 3));
            assert_whole(&log);
        }
        if survived {
            assert!(call > 60, "every write and every sync was a place to crash: {call}");
            break;
        }
    }
    assert!(ended.len() > 2, "none, some and all of a batch were there: {ended:?}");
}

#[test]
fn a_second_crash_while_the_log_is_opened_loses_nothing_either() {
    for first in (1..70).step_by(3) {
        for second in 1..12 {
            let files = FaultyFiles::new();
            files.crash_at(first);
            let (acknowledged, tried) = work(&files, 30);
            files.restart(first);
            files.crash_at(second);
            let (again, tried_again) = work(&files, 34);
            files.restart(second);
            let (log, found) = open(&files);
            assert_eq!(found.damaged, [], "calls {first} and {second}");
            assert!(log.len() >= acknowledged.max(again) && log.len() <= tried.max(tried_again).max(acknowledged));
            assert_whole(&log);
        }
    }
}

#[test]
fn a_failure_at_any_call_is_told_and_the_log_stays_usable() {
    for call in 1..90 {
        let files = FaultyFiles::new();
        files.fail_at(call);
        let (mut log, _) = open(&files);
        let mut failures = 0;
        while log.len() < 30 {
            let before = log.len();
            let batch = entries(before, before + 1 + before % 4);
            if log.append(&batch).is_err() {
                failures += 1;
                assert_eq!(log.len(), before, "nothing of it counts");
                assert_whole(&log);
            }
        }
        assert!(failures <= 1, "call {call}");
        // Whatever the failed call left behind, and whether or not the power fails now.
        let copy = files.copy();
        copy.restart(call);
        for files in [files, copy] {
            let (log, found) = open(&files);
            assert_eq!(found.damaged, [], "call {call}");
            assert!(log.len() >= 30);
            assert_whole(&log);
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_log_goes_on_when_there_is_room() {
    for room in (0..3000).step_by(37) {
        let files = FaultyFiles::new();
        files.set_room(Some(room));
        let (mut log, _) = open(&files);
        let mut n = 0;
        let refused = loop {
            match log.append(&entries(n, n + 2)) {
                Ok(()) => n += 2,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&refused, LogError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull),
            "{refused}"
        );
        assert_eq!(log.len(), n);
        assert!(log.append(&entries(n, n + 2)).is_err(), "it is full still");
        assert_whole(&log);
        let copy = files.copy();
        copy.restart(room);
        let (after, found) = open(&copy);
        assert!(after.len() >= n && found.damaged.is_empty(), "a crash on a full disk loses nothing: {found:?}");
        assert_whole(&after);
        files.set_room(None);
        log.append(&entries(n, n + 2)).unwrap();
        drop(log);
        let (log, found) = open(&files);
        assert_eq!((log.len(), found), (n + 2, Found::default()));
        assert_whole(&log);
    }
}

/// Every file of a log, with its length.
fn lengths(files: &FaultyFiles) -> Vec<(String, usize)> {
    let names = files.list().unwrap();
    names.into_iter().map(|name| (name.clone(), files.read(&name).unwrap().len())).collect()
}

#[test]
fn one_flipped_bit_anywhere_is_named_with_its_place_and_can_be_repaired() {
    let files = written(14);
    let all = open(&files).0.len();
    let mut named = BTreeSet::new();
    for (name, length) in lengths(&files) {
        for bit in 0..length * 8 {
            let copy = files.copy();
            copy.tamper(&name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            let (mut log, found) = open(&copy);
            assert_eq!((log.len(), found.torn_bytes), (all, 0), "{name}, bit {bit}");
            if name == NOTE {
                assert!(found.note_lost && found.damaged.is_empty(), "bit {bit}: {found:?}");
                assert_whole(&log);
                assert_eq!(open(&copy).1, Found::default(), "it was written again");
                continue;
            }
            let [damaged] = &found.damaged[..] else { panic!("{name}, bit {bit}: {found:?}") };
            assert_eq!(damaged.segment, name, "bit {bit}: {damaged}");
            assert!(damaged.until - damaged.first <= 1, "bit {bit}: {damaged}");
            named.extend(damaged.first..damaged.until);
            for index in 0..all {
                let is_damaged = (damaged.first..damaged.until).contains(&index);
                match log.read(index) {
                    Err(LogError::Damaged(again)) => assert!(is_damaged && again.how == damaged.how, "{again}"),
                    read => assert!(!is_damaged && read.unwrap() == entry(index), "{name}, bit {bit}, entry {index}"),
                }
            }
            for index in damaged.first..damaged.until {
                log.repair(index, &entry(index)).unwrap();
                assert_whole(&log);
                drop(log);
                (log, _) = open(&copy);
                assert_whole(&log);
            }
            let next = log.len();
            log.append(&entries(next, next + 1)).unwrap();
            drop(log);
            assert_whole(&open(&copy).0);
        }
    }
    assert_eq!(named, (0..all).collect(), "every entry was damaged once");
}

/// Whichever write or sync of a repair is the last, what stood there is there again, or what was damaged is damaged still; and
/// nothing else is.
#[test]
fn a_crash_at_any_call_of_a_repair_leaves_what_was_damaged_or_what_stood_there() {
    let files = written(14);
    let all = open(&files).0.len();
    let places: Vec<(String, usize, u64)> = {
        let (log, _) = open(&files);
        let of = |segment: &Segment| {
            let name = segment.name.clone();
            let slot = |(at, slot): (u64, &Slot)| (name.clone(), slot.at as usize, segment.first + at);
            (0..).zip(&segment.slots).map(slot).collect::<Vec<_>>()
        };
        log.segments.iter().flat_map(of).collect()
    };
    let mut ended = BTreeSet::new();
    for (name, at, index) in places {
        // In the header; and in the entry, if there is anything in it.
        let entry_is_empty = entry(index).is_empty();
        for offset in [50, HEADER_BYTES].into_iter().filter(|offset| *offset < HEADER_BYTES || !entry_is_empty) {
            for call in 1..=3 {
                for seed in 0..12 {
                    let copy = files.copy();
                    copy.tamper(&name, |bytes| bytes[at + offset] ^= 4);
                    let (mut log, found) = open(&copy);
                    assert_eq!(found.damaged.len(), 1);
                    copy.crash_at(call);
                    let was_told = log.repair(index, &entry(index)).is_ok();
                    drop(log);
                    copy.restart(seed);
                    let (mut log, found) = open(&copy);
                    assert_eq!(log.len(), all, "{name}, entry {index}, call {call}, seed {seed}");
                    for other in (0..all).filter(|other| *other != index) {
                        assert_eq!(log.read(other).unwrap(), entry(other), "entry {other} of {index}, call {call}");
                    }
                    assert_eq!(log.read(index).is_ok(), found.damaged.is_empty());
                    assert!(found.damaged.is_empty() || !was_told, "what was told is there");
                    ended.insert((was_told, found.damaged.is_empty()));
                    log.repair(index, &entry(index)).unwrap();
                    assert_eq!(log.damaged(), []);
                    assert_whole(&log);
                }
            }
        }
    }
    assert_eq!(ended.len(), 3, "it was told, or not, and then was done or not: {ended:?}");
}

#[test]
fn openings_are_mended_without_anybody_elses_help() {
    let files = written(50);
    let segments: Vec<String> =
        lengths(&files).into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".log")).collect();
    assert!(segments.len() > 2);
    for bit in 0..OPENING_BYTES * 8 {
        for call in 1..=3 {
            let copy = files.copy();
            segments.iter().for_each(|name| copy.tamper(name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)));
            let (mut log, found) = open(&copy);
            assert_eq!(found.damaged.len(), segments.len(), "bit {bit}: {found:?}");
            copy.crash_at(call);
            let _ = log.mend_openings();
            drop(log);
            copy.restart(bit as u64);
            let (mut log, _) = open(&copy);
            log.mend_openings().unwrap();
            drop(log);
            let (mut log, found) = open(&copy);
            assert_eq!((found, log.mend_openings().unwrap()), (Found::default(), 0), "bit {bit}");
            assert_whole(&log);
        }
    }
}

#[test]
fn a_bit_that_is_flipped_while_the_log_is_open_is_noticed_when_it_is_read() {
    let files = written(14);
    let (mut log, _) = open(&files);
    let (name, at) = (log.segments[0].name.clone(), log.segments[0].slots[2].at as usize + HEADER_BYTES);
    files.tamper(&name, |bytes| bytes[at] ^= 1);
    assert!(matches!(log.read(2), Err(LogError::Damaged(Damaged { how: How::Entry, first: 2, .. }))));
    log.repair(2, &entry(2)).unwrap();
    assert_whole(&log);
    files.tamper(&name, |bytes| bytes.truncate(at));
    assert!(matches!(log.read(3), Err(LogError::Damaged(Damaged { how: How::Missing, first: 3, .. }))));
}

#[test]
fn only_what_stood_there_can_be_put_in_its_place() {
    let files = written(14);
    let (name, at) = {
        let (log, _) = open(&files);
        (log.segments[0].name.clone(), log.segments[0].slots[3].at as usize)
    };
    for offset in [0, 9, HEADER_BYTES + 1] {
        let copy = files.copy();
        copy.tamper(&name, |bytes| bytes[at + offset] ^= 1);
        let (mut log, _) = open(&copy);
        let mut other = entry(3);
        other[0] ^= 1;
        for wrong in [other, entry(2), Vec::new(), vec![0; 500]] {
            assert!(matches!(log.repair(3, &wrong), Err(LogError::OtherEntry { index: 3 })), "{offset}");
        }
        assert!(log.read(3).is_err());
        log.repair(3, &entry(3)).unwrap();
        assert_whole(&log);
    }
    let mut log = open(&files).0;
    log.repair(3, b"something else").unwrap();
    assert_whole(&log);
    assert!(matches!(log.repair(1000, b""), Err(LogError::NoEntry { index: 1000, .. })));
}

#[test]
fn a_log_that_lost_its_end_says_how_much_was_acknowledged() {
    let files = written(30);
    let all = open(&files).0.len();
    let (name, length) = lengths(&files).into_iter().rfind(|(name, _)| name.ends_with(".log")).unwrap();
    let first = Segment::first_of(&name).unwrap();
    for left in [0, OPENING_BYTES, length - 1] {
        let copy = files.copy();
        copy.tamper(&name, |bytes| bytes.truncate(left));
        let (mut log, found) = open(&copy);
        let named = found.damaged.iter().map(|damaged| damaged.until).max();
        assert_eq!(named, Some(all), "{left}: {found:?}");
        assert!(found.damaged.iter().any(|damaged| damaged.first >= first));
        let next = log.len();
        log.append(&entries(next, next + 1)).unwrap();
        assert!(open(&copy).0.len() > next, "it goes on");
    }
    let mut copy = files.copy();
    Files::remove(&mut copy, &name).unwrap();
    let (log, found) = open(&copy);
    assert_eq!(log.len(), first);
    assert!(matches!(&found.damaged[..], [Damaged { how: How::Missing, .. }]), "{found:?}");
}

#[test]
fn a_file_that_is_missing_in_the_middle_is_named_and_the_others_can_be_read() {
    let files = written(50);
    let all = open(&files).0.len();
    let names: Vec<String> =
        lengths(&files).into_iter().map(|(name, _)| name).filter(|n| n.ends_with(".log")).collect();
    for gone in 0..names.len() - 1 {
        let mut copy = files.copy();
        Files::remove(&mut copy, &names[gone]).unwrap();
        let (mut log, found) = open(&copy);
        let (first, until) = (Segment::first_of(&names[gone]).unwrap(), Segment::first_of(&names[gone + 1]).unwrap());
        let [Damaged { first: from, until: to, how: How::Missing, .. }] = found.damaged[..] else {
            panic!("{found:?}")
        };
        assert_eq!((from, to, log.len()), (first, until, all));
        for index in 0..all {
            assert_eq!(log.read(index).is_ok(), !(first..until).contains(&index), "{index}");
        }
        assert!(matches!(log.repair(first, &entry(first)), Err(LogError::Damaged(_))), "its place is gone");
        log.append(&entries(all, all + 1)).unwrap();
    }
}

#[test]
fn garbage_in_the_directory_never_panics() {
    let mut random = 7_u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) as usize % below
    };
    let files = written(14);
    for _ in 0..3000 {
        let copy = files.copy();
        for _ in 0..=draw(4) {
            let names = lengths(&copy);
            let (name, length) = &names[draw(names.len())];
            let (at, many, byte) = (draw(length + 1), draw(200), draw(256) as u8);
            match draw(5) {
                0 => copy.tamper(name, |bytes| bytes.truncate(at)),
                1 => copy.tamper(name, |bytes| bytes[at..].iter_mut().take(many).for_each(|b| *b = byte)),
                2 => copy.tamper(name, |bytes| drop(bytes.drain(at..(at + many).min(*length)))),
                3 => copy.tamper(name, |bytes| drop(bytes.splice(at..at, vec![byte; many]))),
                _ => copy.tamper(name, |bytes| bytes.extend_from_within(at..)),
            }
        }
        let (mut log, found) = open(&copy);
        for index in 0..log.len() {
            // Whatever is read is what was written: nobody here makes checks that fit.
            assert!(log.read(index).map_or(true, |read| read == entry(index)), "{index}");
        }
        let next = log.len();
        log.append(&entries(next, next + 2)).unwrap();
        drop(log);
        let (log, _) = open(&copy);
        assert!(log.len() >= next + 2 && log.read(next + 1).is_ok(), "{next} {found:?} {:?}", lengths(&copy));
    }
    for name in ["ffffffffffffffff.log", "0000000000000007.log", "x.log", "1.log", ""] {
        let mut copy = files.copy();
        copy.create(name).unwrap();
        copy.write_at(name, 0, &[7; 100]).unwrap();
        let (log, _) = open(&copy);
        assert!(log.len() < 100, "{name}");
    }
}

#[test]
fn who_only_looks_changes_nothing_and_sees_what_who_opens_sees() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("log");
    assert!(matches!(Log::look(&place), Err(LogError::Io(_))), "there is none");
    let (mut log, _) = Log::open(&place).unwrap();
    (0..5u8).for_each(|i| log.append(&[vec![i; 40]]).unwrap());
    let segment = place.join("0000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    let length = bytes.len();
    bytes[48 + 2 * 128 + 100] ^= 1;
    bytes.extend([7; 30]);
    std::fs::write(&segment, &bytes).unwrap();
    let (seen, found) = Log::look(&place).unwrap();
    assert_eq!((seen.len(), found.damaged.len(), found.torn_bytes), (5, 1, 30));
    assert_eq!((found.damaged[0].first, found.damaged[0].until), (2, 3));
    assert_eq!(seen.read(1).unwrap(), [1; 40]);
    assert!(matches!(seen.read(2), Err(LogError::Damaged(_))));
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "the torn end is still there");
    drop(log);
    let (opened, same) = Log::open(&place).unwrap();
    assert_eq!((opened.len(), same), (5, found));
    assert_eq!(std::fs::metadata(&segment).unwrap().len(), length as u64);
}
