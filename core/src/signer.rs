//! What signs a role's statements: a key, or the signatures that the key made when the role first ran.
//!
//! A role that is replayed must say what it said then, signatures included, and the key stays where it is. So a recording
//! holds the signatures, and a [`Signer`] that recalls them gives one only after it has checked it: without the key
//! nothing can be signed that was not signed before.

use std::collections::VecDeque;

use crate::PeerId;
use crate::identity::{self, Identity};

/// Signs for one node.
#[derive(Debug)]
pub struct Signer {
    peer: PeerId,
    source: Source,
    noted: Option<Vec<Vec<u8>>>,
}

#[derive(Debug)]
enum Source {
    Key(Box<Identity>),
    Recalled(VecDeque<Vec<u8>>),
}

impl From<Identity> for Signer {
    fn from(identity: Identity) -> Self {
        Self { peer: identity.peer(), source: Source::Key(Box::new(identity)), noted: None }
    }
}

impl Signer {
    /// Signs for `peer` with nothing but what it is told to recall.
    pub fn recalling(peer: PeerId) -> Self {
        Self { peer, source: Source::Recalled(VecDeque::new()), noted: None }
    }

    /// For whom it signs.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// From now on notes every signature, 64 bytes each, until [`Signer::take`] takes them.
    pub fn note(&mut self) {
        self.noted.get_or_insert_default();
    }

    /// The signatures that were noted since the last time, in the order in which they were made.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        self.noted.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What is recalled next, in this order; what was to be recalled before is forgotten. With a key it changes nothing.
    pub fn recall(&mut self, signatures: Vec<Vec<u8>>) {
        if let Source::Recalled(next) = &mut self.source {
            *next = signatures.into();
        }
    }

    /// The signature over `bytes`; `None` if what is recalled is none. With a key there always is one.
    pub(crate) fn sign(&mut self, bytes: &[u8]) -> Option<[u8; 64]> {
        let signature = match &mut self.source {
            Source::Key(identity) => identity.sign(bytes),
            Source::Recalled(next) => {
                let signature: [u8; 64] = next.pop_front()?.try_into().ok()?;
                identity::verify(&self.peer, bytes, &signature).ok()?;
                signature
            }
        };
        if let Some(noted) = &mut self.noted {
            noted.push(signature.to_vec());
        }
        Some(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signed_is_recalled_for_the_same_bytes_only() {
        let me = Identity::from_secret(&[1; 32]);
        let mut signer = Signer::from(me.clone());
        assert_eq!(signer.sign(b"unnoted"), Some(me.sign(b"unnoted")));
        signer.note();
        signer.sign(b"one");
        signer.sign(b"two");
        let noted = signer.take();
        assert_eq!((noted.len(), signer.take().len()), (2, 0));

        let mut replayed = Signer::recalling(me.peer());
        assert_eq!(replayed.sign(b"one"), None);
        replayed.recall(noted.clone());
        assert_eq!(replayed.sign(b"one"), Some(me.sign(b"one")));
        assert_eq!(replayed.sign(b"three"), None);
        let mut other = Signer::recalling(Identity::from_secret(&[2; 32]).peer());
        other.recall(noted);
        assert_eq!(other.sign(b"one"), None);
    }
}
