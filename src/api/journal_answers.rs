//! What the node answers about the recording of what its roles hear. No actor is asked.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prunella_core::recording::RoleName;

use super::answers::Answers;
use super::node::JOURNAL_NAME;
use super::vocabulary::{JournalInfo, JournalRole};
use crate::actors::recorder::Recorder;
use crate::host::unblocked;

impl Answers {
    pub(super) async fn journal(&self) -> JournalInfo {
        let shell = self.shell();
        let recorder = shell.recorder.clone();
        let directory = self.dir().join(JOURNAL_NAME);
        let run = recorder.as_ref().map(|recorder| recorder.dir().to_path_buf());
        let now = SystemTime::UNIX_EPOCH + shell.host.unix_time();
        let (root, of_run) = (directory.clone(), run.clone());
        // A disk that hangs holds up this and nobody else: then nothing is known of the files.
        let weigh = unblocked(&*shell.host, move || Weighed::of(&root, of_run.as_deref(), now));
        let weighed = tokio::time::timeout(DISK_PATIENCE, weigh).await.ok().and_then(Result::ok).unwrap_or_default();
        JournalInfo {
            recording: recorder.as_ref().is_some_and(|recorder| recorder.writes()),
            since_unix_ms: run.as_deref().and_then(begun),
            run: run.map(|run| run.display().to_string()),
            directory: directory.display().to_string(),
            file_bytes_max: shell.config.journal.file_bytes(),
            bytes: weighed.files.iter().map(|file| file.bytes).sum(),
            earlier_bytes: weighed.earlier_bytes,
            earlier_runs: weighed.earlier_runs,
            roles: recorder.map(|recorder| roles(&recorder, &weighed)).unwrap_or_default(),
        }
    }
}

/// What lies on disk.
#[derive(Debug, Default, PartialEq, Eq)]
struct Weighed {
    files: Vec<FileWeighed>,
    earlier_bytes: u64,
    earlier_runs: usize,
}

/// A file of this run.
#[derive(Debug, PartialEq, Eq)]
struct FileWeighed {
    role: String,
    bytes: u64,
    /// How long ago it was begun.
    age: Option<Duration>,
}

impl Weighed {
    fn of(root: &Path, run: Option<&Path>, now: SystemTime) -> Self {
        let mut weighed = Self::default();
        for dir in entries(root).map(|entry| entry.path()).filter(|dir| begun(dir).is_some()) {
            if Some(dir.as_path()) == run {
                weighed.files.extend(entries(&dir).filter_map(|entry| file(&entry, now)));
            } else {
                weighed.earlier_runs += 1;
                weighed.earlier_bytes +=
                    entries(&dir).filter_map(|entry| Some(entry.metadata().ok()?.len())).sum::<u64>();
            }
        }
        weighed
    }
}

/// Files are called `ROLE.NUMBER.inputs`.
fn file(entry: &DirEntry, now: SystemTime) -> Option<FileWeighed> {
    let name = entry.file_name().into_string().ok()?;
    let (role, _) = name.strip_suffix(".inputs")?.split_once('.')?;
    let about = entry.metadata().ok()?;
    // Some file systems do not say when a file was made.
    let age = about.created().ok().map(|made| now.duration_since(made).unwrap_or_default());
    Some(FileWeighed { role: role.to_owned(), bytes: about.len(), age })
}

/// As many as there can be; what cannot be read is not there.
fn entries(dir: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(PathBuf::from(dir)).into_iter().flatten().flatten().take(FILES_MAX)
}

/// When a run began: it is named so.
fn begun(run: &Path) -> Option<u64> {
    run.file_name()?.to_str()?.parse().ok()
}

fn roles(recorder: &Arc<Recorder>, weighed: &Weighed) -> Vec<JournalRole> {
    let role = |role: RoleName| {
        let counts = recorder.counts(role);
        let files: Vec<&FileWeighed> = weighed.files.iter().filter(|file| file.role == role.name()).collect();
        JournalRole {
            role: role.name().to_owned(),
            files: files.len(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            held_ms: files.iter().filter_map(|file| file.age).max().map(|age| age.as_millis() as u64),
            entries: counts.entries,
            dropped: counts.dropped,
            gaps: counts.gaps,
        }
    };
    RoleName::ALL.into_iter().map(role).filter(|role| role.entries > 0 || role.dropped > 0).collect()
}

/// How long the disk may take to tell of the files.
const DISK_PATIENCE: Duration = Duration::from_millis(500);
/// Files of a directory that are looked at: far more than are kept.
const FILES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_weighed_by_run_and_role_and_nothing_else_is() {
        let home = tempfile::tempdir().unwrap();
        let file = |run: &str, name: &str, bytes: usize| {
            fs::create_dir_all(home.path().join(run)).unwrap();
            fs::write(home.path().join(run).join(name), vec![0; bytes]).unwrap();
        };
        file("1000", "gossip.000000.inputs", 50);
        file("2000", "gossip.000007.inputs", 100);
        file("2000", "peer.000000.inputs", 11);
        file("2000", "notes.txt", 5);
        file("elsewhere", "gossip.000000.inputs", 9);
        let run = home.path().join("2000");
        let mut weighed = Weighed::of(home.path(), Some(&run), SystemTime::now() + Duration::from_secs(60));
        weighed.files.sort_by_key(|file| file.bytes);
        let files: Vec<(&str, u64)> = weighed.files.iter().map(|file| (file.role.as_str(), file.bytes)).collect();
        assert_eq!((files, weighed.earlier_runs, weighed.earlier_bytes), (vec![("peer", 11), ("gossip", 100)], 1, 50));
        assert!(weighed.files.iter().all(|file| file.age.is_none_or(|age| age >= Duration::from_secs(59))));
        assert_eq!(begun(&run), Some(2000));
        assert_eq!(Weighed::of(&home.path().join("gone"), None, SystemTime::now()), Weighed::default());
    }
}
