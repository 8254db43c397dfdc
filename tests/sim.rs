//! The simulator's ordinary budget: 200 small worlds, every seed that ever failed, and every scenario.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use prunella_sim::attack::{self, Attack, Outcome, Size};
use prunella_sim::scenario::{self, Scenario};
use prunella_sim::{Options, Report};

#[test]
fn two_hundred_small_worlds_bear_what_their_seeds_draw() {
    let options = Options { nodes: 6, seconds: 3, ..Options::default() };
    demand((1..=200).map(|seed| (seed, options)).collect());
}

#[test]
fn every_seed_that_ever_failed_passes() {
    let worlds: Vec<(u64, Options)> =
        include_str!("seeds.txt").lines().filter(|line| line.starts_with("--")).map(world).collect();
    assert!(!worlds.is_empty());
    demand(worlds);
}

/// As many members attack as are honest; `prunella sim --attacks` prints the same of a larger mesh.
#[test]
fn whatever_members_do_every_record_reaches_every_honest_node_in_time() {
    let size = Size { honest: 10, attackers: 10, records: 10, places: 14, ..Size::default() };
    let mut outcomes = on_all_threads(&Attack::ALL, |attack| Some(attack::run(*attack, size)));
    outcomes.sort_by_key(|outcome| outcome.attack);
    let table: Vec<String> = outcomes.iter().map(Outcome::to_string).collect();
    let table = format!("{}\n{}", Outcome::head(), table.join("\n"));
    println!("{table}");
    assert_eq!(outcomes.len(), Attack::ALL.len());
    assert!(outcomes.iter().all(Outcome::held), "{table}");
}

/// More attackers than places, and all of them dial before anybody else can: without a door that draws, some honest nodes
/// find every door shut and hear nothing.
#[test]
fn attackers_who_come_first_shut_nobody_out() {
    let size = Size { honest: 14, attackers: 14, records: 7, places: 16, ..Size::default() };
    let outcome = attack::run(Attack::Dawn, size);
    println!("{}\n{outcome}", Outcome::head());
    assert!(outcome.held(), "{outcome}");
}

/// Each file of `tests/scenarios` holds a script and the story that came of it. `REWRITE=1` writes the stories anew, for
/// whoever has changed what nodes do to read the difference.
#[test]
fn every_scenario_tells_the_story_that_its_file_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(&folder).expect("the folder of scenarios");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    assert!(files.len() >= 12, "{} scenarios", files.len());
    let rewrite = env::var_os("REWRITE").is_some_and(|value| value == "1");
    let mut wrong: Vec<String> = on_all_threads(&files, |file| complaint(file, rewrite));
    wrong.sort();
    assert!(
        wrong.is_empty(),
        "{}\n\nIf this is how it should be: REWRITE=1 cargo test --test sim scenario, and read the difference.",
        wrong.join("\n\n")
    );
}

/// What is wrong with a scenario; `None`: nothing, or it was rewritten. Oracles that say no are never written off.
fn complaint(file: &Path, rewrite: bool) -> Option<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(file).expect("a scenario is text");
    let story = match Scenario::parse(&text) {
        Ok(scenario) => scenario.play(),
        Err(mistake) => return Some(format!("{name}: {mistake}")),
    };
    let (script, held) = scenario::split(&text);
    let told = story.to_string();
    if rewrite && held != told {
        fs::write(file, scenario::join(script, &told)).expect("the scenario is written");
    }
    if !story.failures.is_empty() {
        return Some(format!("{name}:\n  {}", story.failures.join("\n  ")));
    }
    if story.left_out > 0 {
        return Some(format!("{name}: {} lines too many; let `tell` name fewer topics", story.left_out));
    }
    (!rewrite && held != told).then(|| format!("{name} tells another story:\n{}", difference(held, &told)))
}

/// Lines that are gone (`-`) and new (`+`), with the one before each change: the longest common subsequence stays.
fn difference(before: &str, after: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut same, mut lines) = (0, 0, None, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            same = Some(a[i]);
            (i, j) = (i + 1, j + 1);
            continue;
        }
        lines.extend(same.take().map(|line| format!("    {line}")));
        if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("  - {}", a[i]));
            i += 1;
        } else {
            lines.push(format!("  + {}", b[j]));
            j += 1;
        }
    }
    lines.join("\n")
}

#[test]
fn a_difference_shows_what_is_gone_and_what_is_new() {
    let told = difference("one\ntwo\nthree\nfour\n", "one\nthree\n3.5\nfour\n");
    assert_eq!(told, "    one\n  - two\n    three\n  + 3.5");
    assert_eq!(difference("same\n", "same\n"), "");
}

/// Runs every world.
fn demand(worlds: Vec<(u64, Options)>) {
    let mut failed: Vec<Report> =
        on_all_threads(&worlds, |(seed, options)| Some(options.run(*seed, &mut || true)).filter(|r| !r.passed()));
    failed.sort_by_key(|report| report.seed);
    let told: Vec<String> = failed.iter().map(Report::to_string).collect();
    assert!(failed.is_empty(), "{} of {} worlds failed:\n{}", failed.len(), worlds.len(), told.join("\n"));
}

/// What the work has to say of each item, in any order, on as many threads as there are processors: each world has only
/// one.
fn on_all_threads<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let (next, told) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(said) = work(item) {
                        told.lock().unwrap_or_else(PoisonError::into_inner).push(said);
                    }
                }
            });
        }
    });
    told.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A line of `seeds.txt`: options as `prunella sim` takes them.
fn world(line: &str) -> (u64, Options) {
    let (mut seed, mut options) = (None, Options::default());
    let words: Vec<&str> = line.split_whitespace().collect();
    for option in words.chunks(2) {
        let [name, value] = option else { panic!("an option without a value: {line}") };
        let value: u64 = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
        match *name {
            "--seed" => seed = Some(value),
            "--nodes" => options.nodes = value as usize,
            "--seconds" => options.seconds = value,
            _ => panic!("an unknown option: {line}"),
        }
    }
    (seed.unwrap_or_else(|| panic!("no seed: {line}")), options)
}
