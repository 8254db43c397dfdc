//! What is written into the ledger of what this node obeys: statements of the authority, and rules.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use prunella_core::ledger::Event;
use prunella_core::policy::RuleSet;

use super::Shell;
use crate::security::{Said, Statement, fingerprint};

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
                authority(format!("authority {} trusted as well", HEXLOWER.encode(&fingerprint(der))))
            }
            Statement::Retired { authority: hash } => {
                authority(format!("authority {} trusted no more", HEXLOWER.encode(hash)))
            }
        });
    }

    /// Other rules are in force than `before`.
    pub(super) fn tell_policy_changed(&self, before: &Arc<RuleSet>) {
        let rules = self.rules.load();
        if **rules == **before {
            return;
        }
        // Where the file lies on this host is nobody else's business, and a copy of the node has the same ledger.
        let file = self.config.policy.file.file_name().unwrap_or_default();
        let text: Vec<String> = rules.rules.iter().map(ToString::to_string).collect();
        self.write_down(Event::PolicyChanged {
            policy: blake3::hash(text.join("\n").as_bytes()).to_hex()[..16].to_owned(),
            who: self.credentials.peer().to_string(),
            from: file.to_string_lossy().into_owned(),
            change: format!("{} rules put in force: {}", text.len(), text.join("; ")),
        });
    }
}
