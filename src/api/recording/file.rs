//! Reads a recording's files, an entry at a time: memory is bounded by one entry, whatever a file claims.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use prunella_core::recording::{CHUNK_HEAD_BYTES, Chunk, Damaged, Entry, Header, check_opening};

use crate::api::{Error, ErrorKind};

/// One file of a recording.
#[derive(Debug)]
pub(super) struct InputsFile {
    path: PathBuf,
    /// Whose it is.
    pub(super) header: Header,
    reader: BufReader<File>,
    /// Where the next chunk begins.
    offset: u64,
}

/// What comes next in a file.
#[derive(Debug)]
pub(super) enum Next {
    /// An entry.
    Entry(Entry),
    /// Nothing: the file is read.
    End,
    /// The beginning of an entry: whoever wrote it was stopped.
    Torn,
}

impl InputsFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// The file and what is wrong with it.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |error| unreadable(path, &error);
        let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut opening = Vec::new();
        reader.by_ref().take(10).read_to_end(&mut opening).map_err(unreadable)?;
        let damaged = |offset, why| damaged(path, offset, why);
        let opening: [u8; 10] = opening.try_into().map_err(|_| damaged(0, Damaged::Empty))?;
        check_opening(&opening).map_err(|why| damaged(0, why))?;
        let mut offset = opening.len() as u64;
        let header = match chunk(&mut reader).map_err(unreadable)?.map_err(|why| damaged(offset, why))? {
            Found::Bytes(bytes) => {
                let header = Header::decode(&bytes).map_err(|_| damaged(offset, Damaged::Undecodable))?;
                offset += (CHUNK_HEAD_BYTES + bytes.len()) as u64;
                header
            }
            Found::Torn | Found::End => return Err(damaged(offset, Damaged::Empty)),
        };
        Ok(Self { path: path.to_path_buf(), header, reader, offset })
    }

    /// Whether both are recordings of the same role.
    pub(super) fn is_of_the_same_role(&self, other: &Self) -> bool {
        self.header.role == other.header.role
    }

    /// The next entry.
    ///
    /// # Errors
    /// The file, where, and what is wrong there.
    pub(super) fn next(&mut self) -> Result<Next, Error> {
        let Self { path, reader, offset, .. } = self;
        let found = chunk(reader).map_err(|error| unreadable(path, &error))?;
        match found.map_err(|why| damaged(path, *offset, why))? {
            Found::End => Ok(Next::End),
            Found::Torn => Ok(Next::Torn),
            Found::Bytes(bytes) => {
                let entry = Entry::decode(&bytes).map_err(|_| damaged(path, *offset, Damaged::Undecodable))?;
                *offset += (CHUNK_HEAD_BYTES + bytes.len()) as u64;
                Ok(Next::Entry(entry))
            }
        }
    }
}

enum Found {
    Bytes(Vec<u8>),
    End,
    Torn,
}

fn chunk(reader: &mut impl Read) -> io::Result<Result<Found, Damaged>> {
    let mut head = Vec::with_capacity(CHUNK_HEAD_BYTES);
    reader.take(CHUNK_HEAD_BYTES as u64).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(Ok(Found::End));
    }
    let Ok(head) = <[u8; CHUNK_HEAD_BYTES]>::try_from(head) else { return Ok(Ok(Found::Torn)) };
    let chunk = match Chunk::head(&head) {
        Ok(chunk) => chunk,
        Err(why) => return Ok(Err(why)),
    };
    let mut bytes = Vec::with_capacity(chunk.bytes);
    reader.take(chunk.bytes as u64).read_to_end(&mut bytes)?;
    if bytes.len() < chunk.bytes {
        return Ok(Ok(Found::Torn));
    }
    Ok(chunk.check(&bytes).map(|()| Found::Bytes(bytes)))
}

fn damaged(path: &Path, offset: u64, why: Damaged) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{}: at byte {offset}: {why}", path.display()))
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::System, format!("cannot read {}: {error}", path.display()))
}
