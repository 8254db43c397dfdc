//! Vectors that break wrong implementations, and the agreement with a second implementation.

mod interoperability;
mod reference;
mod vectors;

use super::*;

#[test]
fn secrets_are_not_printed() {
    let texts = [format!("{:?}", DecapsulationKey::generate()), format!("{:?}", SigningKey::generate())];
    assert_eq!(texts, ["DecapsulationKey(secret)", "SigningKey(secret)"]);
}

#[test]
fn two_signatures_over_the_same_differ_and_both_fit() {
    let key = SigningKey::generate();
    let signatures = [key.sign(b"here", b"said").unwrap(), key.sign(b"here", b"said").unwrap()];
    assert_ne!(signatures[0], signatures[1], "signing is hedged");
    for signature in &signatures {
        assert_eq!(key.verifying_key().verify(b"here", b"said", &**signature), Ok(()));
        assert_eq!(key.verifying_key().verify(b"there", b"said", &**signature), Err(PostQuantumError::Forged));
        assert_eq!(key.verifying_key().verify(b"here", b"sai", &**signature), Err(PostQuantumError::Forged));
        assert_eq!(
            SigningKey::generate().verifying_key().verify(b"here", b"said", &**signature),
            Err(PostQuantumError::Forged)
        );
    }
}

#[test]
fn a_context_that_is_too_long_is_refused_by_both_sides() {
    let key = SigningKey::generate();
    let signature = key.sign(&[7; 255], b"said").unwrap();
    assert_eq!(key.verifying_key().verify(&[7; 255], b"said", &*signature), Ok(()));
    let refused = PostQuantumError::ContextTooLong { actual: 256 };
    assert_eq!(key.sign(&[7; 256], b"said").unwrap_err(), refused);
    assert_eq!(key.verifying_key().verify(&[7; 256], b"said", &*signature), Err(refused));
}

#[test]
fn halves_of_two_key_pairs_are_no_pair() {
    let (one, two) = (SigningKey::generate(), SigningKey::generate());
    assert!(SigningKey::from_bytes(one.as_bytes(), one.verifying_key().as_bytes()).is_ok());
    let mixed = SigningKey::from_bytes(one.as_bytes(), two.verifying_key().as_bytes());
    assert_eq!(mixed.unwrap_err(), PostQuantumError::NotAPair { what: "ML-DSA-65" });
}

#[test]
fn a_ciphertext_for_another_key_gives_another_secret_and_no_error() {
    let (one, two) = (DecapsulationKey::generate(), DecapsulationKey::generate());
    let (ciphertext, secret) = one.encapsulation_key().encapsulate();
    assert_eq!(one.decapsulate(&*ciphertext).unwrap(), secret);
    assert_ne!(two.decapsulate(&*ciphertext).unwrap(), secret);
    let mut bent = ciphertext;
    bent[700] ^= 1;
    assert_ne!(one.decapsulate(&*bent).unwrap(), secret);
    assert_eq!(one.decapsulate(&*bent).unwrap(), one.decapsulate(&*bent).unwrap(), "always the same other secret");
}
