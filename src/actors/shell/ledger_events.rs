//! What is written into the ledger of what this node obeys: statements of the authority, rules, and commands.

use std::path::Path;

use data_encoding::HEXLOWER;
use prunella_core::ledger::Event;
use prunella_core::policy::{Document, Source};

use super::Shell;
use crate::security::{Said, Statement, pair_fingerprint};

impl Shell {
    /// A statement counts from now on. The one who said it is named by the hash of the whole statement, with its signature and
    /// the certificates of whoever signed it: `prunella cert list` has what it said.
    pub(super) fn write_down_statement(&self, said: &Said) {
        let who = format!("statement {}", &blake3::hash(&said.to_bytes()).to_hex()[..16]);
        let authority = |change: String| Event::PolicyChanged {
            policy: "authority".to_owned(),
            who: who.clone(),
            from: String::new(),
            change,
        };
        self.write_down(match &said.statement {
            Statement::Revoked { peer, reason } => {
                Event::Revoked { peer: *peer, by: who.clone(), reason: reason.clone() }
            }
            Statement::Reinstated { peer } => Event::Readmitted { peer: *peer, reason: format!("reinstated by {who}") },
            Statement::Dismissed { issuer } => authority(format!("issuer {issuer} dismissed")),
            Statement::Succeeded { authority: der } => {
                authority(format!("authority {} trusted as well", HEXLOWER.encode(&pair_fingerprint(der))))
            }
            Statement::Retired { authority: hash } => {
                authority(format!("authority {} trusted no more", HEXLOWER.encode(hash)))
            }
            Statement::PolicySet { version, name, text } => Event::PolicyChanged {
                policy: blake3::hash(text).to_hex()[..16].to_owned(),
                who: who.clone(),
                from: name.clone(),
                change: format!("set for the whole mesh, as version {version}"),
            },
        });
    }

    /// Writes down who gives a command that changes something, before it is done. A ledger that cannot be written holds
    /// nobody up for long: that it was not written in time is told.
    pub async fn write_down_command(&self, command: String, who: String, from: String) {
        let event = Event::Commanded { command, who, from };
        if let Err(reason) = self.write_down_durably(event.clone()).await {
            tracing::warn!(?event, reason, "a command is done that is not in the ledger yet");
        }
    }

    /// Another policy is in force, of so many rules.
    pub(super) fn tell_policy_changed(&self, policy: &Document, rules: usize) {
        // Who has set one for the whole mesh stands in the entry of that statement.
        let who = match policy.source {
            Source::File => self.credentials.peer().to_string(),
            Source::Mesh => "the mesh".to_owned(),
        };
        self.write_down(Event::PolicyChanged {
            policy: policy.short_digest(),
            who,
            // Where a file lies on this host is nobody else's business, and a copy of the node has the same ledger.
            from: Path::new(&policy.name).file_name().unwrap_or_default().to_string_lossy().into_owned(),
            change: match policy.source {
                Source::File => format!("{rules} rules put in force"),
                Source::Mesh => format!("{rules} rules put in force, version {} of the mesh", policy.version),
            },
        });
    }
}
