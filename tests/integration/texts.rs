//! Tokens, configurations, lines of the control socket, requests of other nodes and statements, whatever they hold: the fuzz target's corpus.

use std::path::{Path, PathBuf};

use prunella_core::rng::Rng;

#[path = "../../fuzz/bodies/texts.rs"]
mod bodies;

fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("fuzz/corpus/texts")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(root.join("config/default.toml"));
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn every_reader_of_texts_answers_to_the_whole_corpus_and_to_bent_files() {
    let files = corpus();
    let read: Vec<bodies::Read> = files.iter().map(|bytes| bodies::read(bytes)).collect();
    let count = |is: fn(&bodies::Read) -> bool| read.iter().filter(|read| is(read)).count();
    let found = [count(|read| read.token), count(|read| read.config), count(|read| read.control)];
    assert!(found[0] >= 1 && found[1] >= 2 && found[2] >= 3, "a token, configurations, lines: {found:?}");
    let remote = [count(|read| read.remote), count(|read| read.control && !read.remote)];
    assert!(remote[0] >= 3 && remote[1] >= 4, "some are done from afar, others never: {remote:?}");
    let mut rng = Rng::from_seed(1);
    for _ in 0..3000 {
        let mut bytes = files[rng.below(files.len())].clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len() + 1);
            match rng.below(4) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] = rng.next_u64() as u8,
                2 if at < bytes.len() => bytes[at] = *rng.pick(b"\"'\\{}[]=:,0-").unwrap(),
                _ => {
                    let end = bytes.len().min(at + rng.below(40));
                    let copy = bytes[at.min(end)..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        bodies::read(&bytes);
    }
}
