//! What the node answers about shared values.

use prunella_core::shared::{Refused, Value};

use super::answers::Answers;
use super::error::{Error, ErrorKind};
use super::page::page;
use super::vocabulary::{Response, SharedInfo, SharedValue};
use crate::actors::shell::Written;

impl Answers {
    /// Writes a shared key, or removes it.
    pub(super) async fn write_shared(&self, key: String, value: Option<String>) -> Result<Response, Error> {
        let done = format!("{key} is {}", if value.is_some() { "set" } else { "removed" });
        match self.shell().write_shared(key.clone(), value).await {
            Written::Done => self.done_and_durable(&done).await,
            Written::Refused(refused) => Err(Error::new(kind_of(refused), told(&key, refused))),
            Written::Unknown => {
                let text = format!("the gossip actor did not say in time whether {key} is written; look, or try again");
                Err(Error::new(ErrorKind::TimedOut, text))
            }
        }
    }

    /// The values of one shared key.
    pub(super) fn shared(&self, key: &str) -> Result<Response, Error> {
        let values = self.shell().known.shared(key);
        if values.is_empty() {
            return Err(Error::new(ErrorKind::KeyNotFound, told(key, Refused::NoSuchKey)));
        }
        Ok(Response::Shared(self.info(key.to_owned(), values)))
    }

    /// As many shared keys as fit an answer, after the one named.
    pub(super) fn shared_list(&self, after: Option<&str>) -> Response {
        let mut known = self.shell().known.shared_after(after, LIST_KEYS_MAX + 1);
        let is_cut = known.len() > LIST_KEYS_MAX;
        known.truncate(LIST_KEYS_MAX);
        let (shared, more) = page(known.into_iter().map(|(key, values)| self.info(key, values)));
        Response::SharedList { shared, more: more || is_cut }
    }

    fn info(&self, key: String, values: Vec<Value>) -> SharedInfo {
        let value = |value: Value| SharedValue {
            writer_names: value.writers.iter().map(|writer| self.shell().known.name(writer)).collect(),
            value: value.value,
            writers: value.writers,
            written_unix_ms: value.written_ms,
        };
        SharedInfo { key, values: values.into_iter().map(value).collect() }
    }
}

fn told(key: &str, refused: Refused) -> String {
    match refused {
        Refused::NoSuchKey => format!("there is no shared key {key}; `prunella shared list` lists them"),
        other => other.to_string(),
    }
}

fn kind_of(refused: Refused) -> ErrorKind {
    match refused {
        Refused::BadKey | Refused::LongValue { .. } => ErrorKind::InvalidInput,
        Refused::NoSuchKey => ErrorKind::KeyNotFound,
        Refused::TooManyOwnKeys | Refused::TooManyKeys => ErrorKind::OverLimit,
        Refused::NoQuorum { .. } => ErrorKind::NoQuorum,
        _ => ErrorKind::Internal,
    }
}

/// Keys told at once, at most.
const LIST_KEYS_MAX: usize = 500;
