//! Where results go: whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::api::{Error, ErrorKind};

/// A destination. Dropped without being finished, it leaves nothing behind, unless it is a mere stream.
pub(super) enum Destination {
    /// Bytes are written as they come.
    Stream(Box<dyn Write>),
    /// Bytes wait in a file without a name until all of them are good.
    HeldBack {
        /// The file.
        file: BufWriter<File>,
        /// Where they go then.
        then: Box<dyn Write>,
    },
    /// Bytes go to a file of the same directory as the one that it will replace. It has no name until all of them are
    /// there, so that nothing of it is left behind even if the process is killed; or, where a file must have a name, one of
    /// its own.
    File {
        /// The file; none after it was finished.
        file: Option<BufWriter<File>>,
        /// Whether it has its name.
        named: bool,
        /// How it is called until it is in its place.
        partial: PathBuf,
        /// How it is called in the end.
        path: PathBuf,
    },
}

impl Destination {
    /// A file with this mode, in the place of what is there.
    pub(super) fn file(path: &Path, mode: u32) -> Result<Self, Error> {
        let name = path.file_name().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("{} cannot be the name of a file", path.display()))
        })?;
        let mut partial_name = std::ffi::OsString::from(".");
        partial_name.push(name);
        partial_name.push(format!(".{}", random_name()?));
        let partial = path.with_file_name(partial_name);
        let (file, named) = match nameless(path, mode) {
            Some(file) => (file, false),
            None => {
                let mut options = OpenOptions::new();
                (options.write(true).create_new(true).mode(mode).open(&partial).map_err(failed(path))?, true)
            }
        };
        Ok(Self::File { file: Some(BufWriter::new(file)), named, partial, path: path.to_owned() })
    }

    /// A stream that gets nothing until all of it is there.
    pub(super) fn held_back(then: Box<dyn Write>) -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("prunella-{}", random_name()?));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(failed(&path))?;
        fs::remove_file(&path).map_err(failed(&path))?;
        Ok(Self::HeldBack { file: BufWriter::new(file), then })
    }

    /// All of it is there: now it counts.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        match &mut self {
            Self::Stream(stream) => stream.flush().map_err(failed(Path::new("standard output"))),
            Self::HeldBack { file, then } => {
                let mut pass_on = || -> io::Result<()> {
                    file.flush()?;
                    file.get_mut().rewind()?;
                    io::copy(file.get_mut(), then)?;
                    then.flush()
                };
                pass_on().map_err(failed(Path::new("standard output")))
            }
            Self::File { file, named, partial, path } => {
                let mut last = file.take().expect("BUG: a file is finished once");
                let mut replace = || -> io::Result<()> {
                    last.flush()?;
                    last.get_mut().sync_all()?;
                    if !*named {
                        name(last.get_ref(), partial)?;
                        *named = true;
                    }
                    fs::rename(&*partial, &*path)
                };
                let replaced = replace();
                if replaced.is_err() {
                    *file = Some(last);
                }
                replaced.map_err(failed(path))
            }
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stream(stream) => stream,
            Self::HeldBack { file, .. } => file,
            Self::File { file, .. } => file.as_mut().expect("BUG: nothing is written after the end"),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Self::File { file: Some(_), named: true, partial, .. } = self {
            // Told or not, a part of a file is of no use; its name says whose it was.
            let _ = fs::remove_file(partial);
        }
    }
}

/// A file without a name in the directory of `path`; `None` where there is no such thing, or no such directory.
fn nameless(path: &Path, mode: u32) -> Option<File> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::from_raw_mode(mode)).ok().map(File::from)
}

/// Gives a file its name (open(2), at `O_TMPFILE`).
fn name(file: &File, path: &Path) -> io::Result<()> {
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, nameless, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

fn random_name() -> Result<String, Error> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::System, format!("cannot draw randomness: {error}")))?;
    Ok(data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::new(ErrorKind::System, format!("cannot write {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_whole_and_replaces_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        fs::write(&path, "old").unwrap();
        let mut destination = Destination::file(&path, 0o600).unwrap();
        destination.write_all(b"new").unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"old".to_vec(), vec!["out".to_owned()]));
        destination.finish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"new".to_vec(), vec!["out".to_owned()]));
    }

    #[test]
    fn what_is_given_up_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut destination = Destination::file(&path, 0o600).unwrap();
        destination.write_all(b"a part").unwrap();
        drop(destination);
        assert!(names(dir.path()).is_empty());
        fs::create_dir(&path).unwrap();
        let destination = Destination::file(&path, 0o600).unwrap();
        assert!(destination.finish().is_err(), "a directory is not replaced by a file");
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn a_path_that_names_no_file_is_refused() {
        for path in ["..", "/"] {
            assert_eq!(Destination::file(Path::new(path), 0o600).err().unwrap().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn what_is_held_back_comes_at_the_end() {
        #[derive(Clone, Default)]
        struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let then = Shared::default();
        let mut destination = Destination::held_back(Box::new(then.clone())).unwrap();
        destination.write_all(&[7; 100_000]).unwrap();
        assert!(then.0.lock().unwrap().is_empty());
        destination.finish().unwrap();
        assert_eq!(*then.0.lock().unwrap(), [7; 100_000]);
    }
}
