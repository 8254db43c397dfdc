//! Ledgers without a running node: their files walked from the first entry to the last, and proofs in files checked.

use std::fs;
use std::path::Path;

use prunella_core::PeerId;
use prunella_core::ledger::{Attestation, Entry, Hash, Ledger};
use prunella_storage::log::{Files, Log, LogError};

pub use prunella_core::ledger::EventKind;

use super::vocabulary::{LedgerLine, LedgerProblem, LedgerProofInfo, LedgerRepair, LedgerReport};
use super::{Error, ErrorKind, harmless};

/// The name of the ledger's directory in a node's.
pub const LEDGER_NAME: &str = "ledger";

/// Walks the ledger in `place`, and changes nothing there. `tell` hears how many entries were walked, of how many.
///
/// # Errors
/// [`ErrorKind::Storage`] if there is no ledger, or its files cannot be read. What is wrong with it is no error: it is told.
pub fn verify(place: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<LedgerReport, Error> {
    let (log, found) = look(place)?;
    let mut problems = Problems::default();
    for damaged in found.damaged.iter().filter(|damaged| damaged.first == damaged.until) {
        problems.add(None, damaged.to_string());
    }
    let ledger = walk(&log, &mut problems, tell);
    Ok(LedgerReport {
        place: place.display().to_string(),
        entries: log.len(),
        head: ledger.map(|ledger| ledger.head()),
        problems: problems.told,
        more_problems: problems.more,
        torn_bytes: found.torn_bytes,
        repairs: problems.repairs,
    })
}

/// Hands on every place of the ledger in `place`, in order, until `line` says no; how many there are.
///
/// # Errors
/// As [`verify`].
pub fn lines(place: &Path, line: &mut dyn FnMut(LedgerLine) -> bool) -> Result<u64, Error> {
    let (log, _) = look(place)?;
    for index in 0..log.len() {
        let read = match read(&log, index) {
            Ok(entry) => LedgerLine::Entry(Box::new(entry)),
            Err(damaged) => LedgerLine::Damaged { index, damaged },
        };
        if !line(read) {
            break;
        }
    }
    Ok(log.len())
}

/// Checks a proof in a file, with nothing else at hand.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the file is no proof, with the reason why it proves nothing.
pub fn verify_proof(file: &Path) -> Result<LedgerProofInfo, Error> {
    let invalid = |text: String| Error::new(ErrorKind::InvalidInput, format!("{}: {text}", file.display()));
    let text = fs::read_to_string(file)
        .map_err(|error| Error::new(ErrorKind::System, invalid(error.to_string()).to_string()))?;
    let proof: LedgerProofInfo = serde_json::from_str(&text)
        .map_err(|error| harmless(&error.to_string()))
        .map_err(|error| invalid(format!("no proof of an entry ({error}); `prunella ledger prove` makes one")))?;
    check(&proof).map_err(|reason| invalid(format!("it proves nothing: {reason}")))?;
    Ok(proof)
}

/// Checks that the ledger's node has written the entry, and that whoever is said to have seen the head has.
fn check(proof: &LedgerProofInfo) -> Result<(), String> {
    let LedgerProofInfo { entry, inclusion, head, seen } = proof.clone();
    Attestation { entry, inclusion, head }.verify().map_err(|reason| format!("the entry's proof is {reason}"))?;
    for cosignature in &seen {
        let refused = |reason| format!("the word of witness {} is {reason}", cosignature.witness);
        cosignature.verify(&proof.head.head).map_err(refused)?;
    }
    Ok(())
}

/// Puts the entries together as their chain says, and tells of each that does not fit. `None`: none can be read, so nobody
/// knows whose they are.
fn walk<F: Files>(log: &Log<F>, problems: &mut Problems, tell: &mut dyn FnMut(u64, u64)) -> Option<Ledger> {
    let owner = (0..log.len()).find_map(|index| read(log, index).ok()).map(|entry| entry.ledger);
    let mut ledger = Ledger::new(owner.unwrap_or(PeerId::from_public_key([0; 32])));
    for index in 0..log.len() {
        tell(index + 1, log.len());
        let hash = match read(log, index) {
            Ok(entry) => {
                problems.note_repair(&entry);
                match ledger.push(&entry) {
                    Ok(()) => continue,
                    Err(broken) => {
                        problems.add(Some(index), broken.to_string());
                        entry.hash()
                    }
                }
            }
            Err(reason) => {
                problems.add(Some(index), reason);
                // The one after it names its hash.
                read(log, index + 1).map_or(Hash::NONE, |after| after.previous)
            }
        };
        if let Err(broken) = ledger.push_hash(hash) {
            problems.add(Some(index), broken.to_string());
        }
    }
    owner.map(|_| ledger)
}

fn look(place: &Path) -> Result<(Log<impl Files + use<>>, prunella_storage::log::Found), Error> {
    Log::look(place).map_err(|error| {
        let text = match &error {
            LogError::Io(io) if io.kind() == std::io::ErrorKind::NotFound => {
                format!("there is no ledger in {}; name a node's directory with --dir, or a ledger's", place.display())
            }
            error => format!("{}: {error}", place.display()),
        };
        Error::new(ErrorKind::Storage, text)
    })
}

fn read<F: Files>(log: &Log<F>, index: u64) -> Result<Entry, String> {
    let bytes = log.read(index).map_err(|error| error.to_string())?;
    Entry::decode(&bytes).map_err(|reason| format!("what stands there is no entry: {reason}"))
}

#[derive(Default)]
struct Problems {
    told: Vec<LedgerProblem>,
    more: u64,
    repairs: Vec<LedgerRepair>,
}

impl Problems {
    fn note_repair(&mut self, entry: &Entry) {
        if entry.kind == EventKind::Repaired {
            if self.repairs.len() == PROBLEMS_MAX {
                self.repairs.remove(0);
            }
            let (what, by) = (entry.subject.clone(), entry.who.clone());
            self.repairs.push(LedgerRepair { index: entry.index, what, by });
        }
    }

    fn add(&mut self, index: Option<u64>, reason: String) {
        if self.told.len() < PROBLEMS_MAX {
            self.told.push(LedgerProblem { index, reason });
        } else {
            self.more += 1;
        }
    }
}

/// Problems that are named.
const PROBLEMS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use prunella_core::identity::Identity;
    use prunella_core::ledger::{Cosignature, Event};

    use super::*;

    fn owner() -> Identity {
        Identity::from_secret(&[1; 32])
    }

    /// A ledger of ten entries on disk; the files, and what they hold.
    fn written() -> (tempfile::TempDir, std::path::PathBuf, Ledger, Vec<Entry>) {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join(LEDGER_NAME);
        let (mut log, _) = Log::open(&place).unwrap();
        let (mut ledger, mut entries) = (Ledger::new(owner().peer()), Vec::new());
        for i in 0..10 {
            let event = Event::Commanded { command: format!("{i}"), who: "uid 0".into(), from: "pid 1".into() };
            let entry = ledger.next(&event, i);
            ledger.push(&entry).unwrap();
            log.append(&[entry.encode()]).unwrap();
            entries.push(entry);
        }
        (home, place, ledger, entries)
    }

    fn verified(place: &Path) -> LedgerReport {
        verify(place, &mut |_, _| {}).unwrap()
    }

    #[test]
    fn a_ledger_that_is_as_it_was_has_no_problem() {
        let (_home, place, ledger, _) = written();
        let report = verified(&place);
        assert_eq!((report.entries, report.head, report.problems), (10, Some(ledger.head()), vec![]));
        let error = verify(&place.join("nothing"), &mut |_, _| {}).expect_err("there is none");
        assert!(error.to_string().contains("there is no ledger in"), "{error}");
    }

    #[test]
    fn each_flipped_bit_is_told_with_its_entry_and_changes_no_head() {
        let (_home, place, ledger, _) = written();
        let file = place.join("0000000000000000.log");
        let whole = fs::read(&file).unwrap();
        let frame = (whole.len() - 48) / 10;
        for index in 0..9 {
            let mut bytes = whole.clone();
            bytes[48 + index * frame + 120] ^= 1;
            fs::write(&file, &bytes).unwrap();
            let report = verified(&place);
            assert_eq!(report.head, Some(ledger.head()), "the next entry names the hash");
            assert_eq!((report.problems.len(), report.problems[0].index), (1, Some(index as u64)));
            assert!(report.problems[0].reason.contains("the entry is damaged"), "{:?}", report.problems);
        }
    }

    #[test]
    fn another_entry_in_its_place_breaks_the_chain_with_its_number() {
        let (_home, _, _, mut entries) = written();
        entries[4].text = "nothing happened".to_owned();
        let home = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(home.path()).unwrap();
        entries.iter().for_each(|entry| log.append(&[entry.encode()]).unwrap());
        let report = verified(home.path());
        assert_eq!(report.problems.len(), 1);
        assert_eq!(report.problems[0].index, Some(5));
        assert!(report.problems[0].reason.contains("does not follow"), "{:?}", report.problems);
    }

    #[test]
    fn a_proof_in_a_file_is_checked_with_everything_that_it_says() {
        let (home, _, ledger, entries) = written();
        let head = ledger.head().sign(&owner());
        let Attestation { entry, inclusion, head } = Attestation::of(entries[3].clone(), ledger.tree(), head).unwrap();
        let seen = vec![Cosignature::of(&head.head, &Identity::from_secret(&[2; 32]))];
        let good = LedgerProofInfo { entry, inclusion, head, seen };
        let file = home.path().join("proof.json");
        let checked = |proof: &LedgerProofInfo| {
            fs::write(&file, serde_json::to_string(proof).unwrap()).unwrap();
            verify_proof(&file).map_err(|error| error.to_string())
        };
        assert_eq!(checked(&good), Ok(good.clone()));
        let mut lie = good.clone();
        lie.entry.text = "4".to_owned();
        assert!(checked(&lie).unwrap_err().contains("it proves nothing"));
        let mut lie = good.clone();
        lie.seen[0].witness = owner().peer();
        assert!(checked(&lie).unwrap_err().contains("the word of witness"));
        fs::write(&file, "{}").unwrap();
        assert!(verify_proof(&file).unwrap_err().to_string().contains("no proof of an entry"));
    }
}
