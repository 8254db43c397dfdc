//! The values that all members write, as an embedder uses them.

use super::MeshNode;
use crate::api::error::{Error, ErrorKind};
use crate::api::vocabulary::{Request, Response, SharedInfo, SharedValue};

/// Text under keys, the same on every node, written by any of them: settings, labels, flags. From
/// [`MeshNode::shared`].
///
/// A write is shown by its own node at once, by the others as soon as it has reached them. Whoever writes supersedes what
/// this node knows; values that were written without knowing of each other stand side by side until somebody writes
/// again. A value lasts three days longer than the node that wrote it last.
#[derive(Clone, Debug)]
pub struct SharedValues {
    node: MeshNode,
}

impl SharedValues {
    pub(super) fn of(node: MeshNode) -> Self {
        Self { node }
    }

    /// Writes `value` (at most `limits::SHARED_VALUE_BYTES_MAX`, 1 KiB) under `key`: 1 to 64 letters, digits, or any of
    /// `. _ - / :`. Writing the same value again keeps it when its writer is gone.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], [`ErrorKind::OverLimit`], [`ErrorKind::NoQuorum`] in too small a part of the mesh,
    /// [`ErrorKind::Storage`] if it is written but this node's store fails, so that it is in memory only,
    /// [`ErrorKind::TimedOut`], [`ErrorKind::NotRunning`].
    pub async fn set(&self, key: &str, value: &str) -> Result<(), Error> {
        let request = Request::SharedSet { key: key.to_owned(), value: value.to_owned() };
        self.node.request(request).await.map(drop)
    }

    /// Removes `key`, whoever wrote it.
    ///
    /// # Errors
    /// [`ErrorKind::KeyNotFound`], and as [`SharedValues::set`].
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        self.node.request(Request::SharedRemove { key: key.to_owned() }).await.map(drop)
    }

    /// The values of `key`, the newest first: none if there is no such key, several if there is a conflict.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`].
    pub async fn get(&self, key: &str) -> Result<Vec<SharedValue>, Error> {
        match self.node.request(Request::SharedGet { key: key.to_owned() }).await {
            Ok(Response::Shared(info)) => Ok(info.values),
            Ok(other) => unreachable!("BUG: a shared key is answered by its values, not {other:?}"),
            Err(error) if error.kind() == ErrorKind::KeyNotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Every key and its values, ordered by key. Asked for in parts, so it is no snapshot while others write.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`].
    pub async fn list(&self) -> Result<Vec<SharedInfo>, Error> {
        let mut all: Vec<SharedInfo> = Vec::new();
        loop {
            let after = all.last().map(|info| info.key.clone());
            match self.node.request(Request::SharedList { after }).await? {
                Response::SharedList { shared, more } => {
                    all.extend(shared);
                    if !more {
                        return Ok(all);
                    }
                }
                other => unreachable!("BUG: shared keys are answered by a list of them, not {other:?}"),
            }
        }
    }
}
