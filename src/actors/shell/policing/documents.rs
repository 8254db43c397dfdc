//! Documents: found, compiled, offered to the PolicyActor, and enforced when it says so.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use prunella_core::limits::POLICIES_COMPILED_MAX;
use prunella_core::policy::{Document, Policy, Source};
use prunella_core::wire::codec;
use prunella_core::wiring::Route;
use prunella_core::{Rejected, policy};
use prunella_storage::{Batch, Entry, Store, Tree};

use super::{Count, InForce, RefusedDocument, lock};
use crate::actors::driver::Newborn;
use crate::actors::shell::Shell;
use crate::policy::{Engine, PolicyFile, Refused};
use crate::security::Statement;

/// Why the node's own file was not read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// It is refused as a whole.
    Refused(Refused),
    /// It is good, and does not count: a policy of this version is set for the whole mesh.
    SetForTheMesh(u64),
}

impl Shell {
    /// Whether the policy file that a node is to start with is good; without a file everything is denied.
    ///
    /// # Errors
    /// [`Refused`] says where it is wrong and why.
    pub fn check_policy(file: &Path) -> Result<(), Refused> {
        let document = own_document(file, 0)?;
        PolicyFile::of_bytes(&document.text, &document.name).map(drop)
    }

    /// A PolicyActor's machine, and what it has to choose from: first what the mesh was told last, then the last of that
    /// which was good here, then the node's own file. What does not compile is left out, and what is in force stays.
    pub fn policy(&self) -> Newborn<Policy> {
        let (set, mut found) = (self.policy_set(), Vec::new());
        let file_version = match &set {
            Some(document) if document.name.is_empty() => document.version,
            _ => {
                found.extend(set);
                found.extend(self.last_good());
                0
            }
        };
        found.dedup();
        found.extend(self.own_file(file_version));
        let compiling = found.into_iter().filter(|document| self.compile(document).is_ok());
        Newborn::of((), compiling.map(policy::Input::Offered).collect())
    }

    /// Reads the node's own file again; what comes of it is the PolicyActor's to say.
    ///
    /// # Errors
    /// [`NotRead`]; what was in force is in force.
    pub fn reload_policy(&self) -> Result<(), NotRead> {
        let in_force = self.policing.in_force();
        let Document { version, source, .. } = in_force.document;
        let document = own_document(&self.config.policy.file, version).map_err(NotRead::Refused)?;
        self.compile(&document).map_err(NotRead::Refused)?;
        if source == Source::Mesh {
            return Err(NotRead::SetForTheMesh(version));
        }
        self.directory.deliver(Route::Policy(policy::Input::Offered(document)));
        Ok(())
    }

    /// The mesh was told another policy: it is compiled and offered. Told in the log if it is bad.
    pub(super) fn offer_what_was_set(&self) {
        let Some(set) = self.policy_set() else { return };
        let document = if set.name.is_empty() { self.own_file(set.version) } else { Some(set) };
        let Some(document) = document else { return };
        if self.compile(&document).is_ok() {
            self.directory.deliver(Route::Policy(policy::Input::Offered(document)));
        }
    }

    /// The policy that the mesh was told last; one without a name sends every node back to its own file.
    pub fn policy_set(&self) -> Option<Document> {
        self.credentials.said().into_iter().find_map(|said| match said.statement {
            Statement::PolicySet { version, name, text } => Some(Document::new(version, Source::Mesh, name, text)),
            _ => None,
        })
    }

    /// From now on this document decides: streams that are open are judged again by it.
    pub(in crate::actors::shell) fn enforce(&self, document: Document) {
        let Ok(ready) = self.ready(&document) else { return };
        let Document { version, source, name, .. } = &ready.document;
        let (rules, digest) = (ready.engine.rules().len(), ready.document.short_digest());
        tracing::info!(version, %source, name, digest, rules, "this policy is in force");
        self.policing.streams.limit(&ready.limits);
        let before = self.policing.in_force.swap(Arc::clone(&ready));
        let mut refused = lock(&self.policing.refused);
        refused.take_if(|refused| refused.version <= *version);
        drop(refused);
        if before.document != ready.document {
            self.tell_policy_changed(&ready.document, rules);
            if ready.document.version > 0 {
                self.keep_policy(&ready.document);
            }
        }
        self.judge_relays();
        self.policing.standing.has_changed(self.clock.now());
    }

    /// A document was refused by the PolicyActor.
    pub(in crate::actors::shell) fn tell_refused_policy(&self, version: u64, source: Source, reason: Rejected) {
        if reason == Rejected::Stale {
            // It is in force, or a newer one is: a role that begins is offered more than it takes.
            return tracing::debug!(version, %source, "a policy is older than the one in force");
        }
        self.note_refused(RefusedDocument { version, source, reason: reason.to_string() });
    }

    /// The document, ready to be enforced: as a rule it was compiled when it was offered.
    fn ready(&self, document: &Document) -> Result<Arc<InForce>, Refused> {
        let mut compiled = lock(&self.policing.compiled);
        let found = compiled.iter().position(|one| one.document == *document).and_then(|at| compiled.remove(at));
        drop(compiled);
        match found {
            Some(ready) => Ok(ready),
            None => self.compiled(document),
        }
    }

    /// Compiles a document and keeps it ready for the PolicyActor's decision.
    fn compile(&self, document: &Document) -> Result<(), Refused> {
        let ready = self.compiled(document)?;
        let mut compiled = lock(&self.policing.compiled);
        if compiled.len() >= POLICIES_COMPILED_MAX {
            compiled.pop_front();
        }
        compiled.push_back(ready);
        Ok(())
    }

    fn compiled(&self, document: &Document) -> Result<Arc<InForce>, Refused> {
        let Document { version, source, name, text, .. } = document;
        let policy = PolicyFile::of_bytes(text, name).inspect_err(|refused| {
            self.note_refused(RefusedDocument { version: *version, source: *source, reason: refused.to_string() });
        })?;
        for warning in &policy.warnings {
            tracing::warn!(%warning, "the policy is odd");
        }
        let limits = policy.limits.clone();
        let engine = Engine::new(policy, self.credentials.peer());
        Ok(Arc::new(InForce { engine, limits, document: document.clone() }))
    }

    fn note_refused(&self, refused: RefusedDocument) {
        let RefusedDocument { version, source, reason } = &refused;
        tracing::error!(version, %source, reason, "a policy was refused as a whole; what was in force stays in force");
        self.policing.streams.counters.add(Count::Documents);
        *lock(&self.policing.refused) = Some(refused);
    }

    /// The node's own file; `None` if it cannot be read, which is told.
    fn own_file(&self, version: u64) -> Option<Document> {
        let read = own_document(&self.config.policy.file, version);
        read.inspect_err(|refused| {
            self.note_refused(RefusedDocument { version, source: Source::File, reason: refused.to_string() });
        })
        .ok()
    }

    /// What the mesh was told and this node could compile, before something else that it could not.
    fn last_good(&self) -> Option<Document> {
        let kept = self.store.scan(Tree::Meta).ok()?.into_iter().find(|(key, _)| key == KEY)?;
        codec::decode_plain(&kept.1).ok()
    }

    fn keep_policy(&self, document: &Document) {
        let mut batch = Batch::new();
        match document.source {
            Source::Mesh => batch.put(Tree::Meta, KEY, codec::encode_plain(document)),
            Source::File => batch.delete(Tree::Meta, KEY),
        };
        self.directory.keep(batch);
    }

    /// What a new store should hold of it.
    pub(in crate::actors::shell) fn policy_to_keep(&self) -> Option<(Tree, Entry)> {
        let in_force = self.policing.in_force();
        let is_set = in_force.document.source == Source::Mesh;
        is_set.then(|| (Tree::Meta, (KEY.to_vec(), codec::encode_plain(&in_force.document))))
    }
}

/// What the file holds; without a file, nothing, which denies everything.
fn own_document(file: &Path, version: u64) -> Result<Document, Refused> {
    let exists = file.try_exists().unwrap_or(true);
    let text = if exists { PolicyFile::bytes(file)? } else { Vec::new() };
    Ok(Document::new(version, Source::File, file.display().to_string(), text))
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotRead::Refused(refused) => refused.fmt(f),
            NotRead::SetForTheMesh(version) => write!(
                f,
                "the file is good, but version {version} of the policy is set for the whole mesh; `prunella policy \
                 unset` on an issuer makes every node's own file count again"
            ),
        }
    }
}

/// Where the last good policy of the mesh is kept.
const KEY: &[u8] = b"policy";
