//! Whether a file is another one than when it was read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file as it was seen: when it was changed, and which one it is. A file that is not there is seen as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::api) struct FileState(Option<(i64, i64, u64)>);

impl FileState {
    /// The file as it is now.
    pub(in crate::api) fn of(path: &Path) -> Self {
        Self(std::fs::metadata(path).ok().map(|file| (file.mtime(), file.mtime_nsec(), file.ino())))
    }
}
