//! What one implementation makes, the other takes: PQClean's here, AWS-LC's there.

use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::kem::{self, ML_KEM_768};
use aws_lc_rs::signature::{KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, PqdsaKeyPair, UnparsedPublicKey};

use super::*;

#[test]
fn they_take_our_encapsulation_keys_and_we_their_ciphertexts() {
    for _ in 0..10 {
        let ours = DecapsulationKey::generate();
        let theirs = kem::EncapsulationKey::new(&ML_KEM_768, ours.encapsulation_key().as_bytes()).unwrap();
        let (ciphertext, secret) = theirs.encapsulate().unwrap();
        assert_eq!(ours.decapsulate(ciphertext.as_ref()).unwrap().as_slice(), secret.as_ref());
    }
}

#[test]
fn we_take_their_encapsulation_keys_and_they_our_ciphertexts() {
    for _ in 0..10 {
        let theirs = kem::DecapsulationKey::generate(&ML_KEM_768).unwrap();
        let key = theirs.encapsulation_key().unwrap().key_bytes().unwrap();
        let (ciphertext, secret) = EncapsulationKey::from_bytes(key.as_ref()).unwrap().encapsulate();
        let heard = theirs.decapsulate(ciphertext.as_slice().into()).unwrap();
        assert_eq!(heard.as_ref(), secret.as_slice());
    }
}

#[test]
fn either_takes_the_decapsulation_keys_of_the_other() {
    let ours = DecapsulationKey::generate();
    let theirs = kem::DecapsulationKey::new(&ML_KEM_768, ours.as_bytes()).unwrap();
    let (ciphertext, secret) = ours.encapsulation_key().encapsulate();
    assert_eq!(theirs.decapsulate(ciphertext.as_slice().into()).unwrap().as_ref(), secret.as_slice());

    let theirs = kem::DecapsulationKey::generate(&ML_KEM_768).unwrap();
    let ours = DecapsulationKey::from_bytes(theirs.key_bytes().unwrap().as_ref()).unwrap();
    let (ciphertext, secret) = theirs.encapsulation_key().unwrap().encapsulate().unwrap();
    assert_eq!(ours.decapsulate(ciphertext.as_ref()).unwrap().as_slice(), secret.as_ref());
}

#[test]
fn both_give_the_same_secret_for_a_ciphertext_that_was_bent() {
    let ours = DecapsulationKey::generate();
    let theirs = kem::DecapsulationKey::new(&ML_KEM_768, ours.as_bytes()).unwrap();
    let (mut ciphertext, secret) = ours.encapsulation_key().encapsulate();
    for at in (0..CIPHERTEXT_BYTES).step_by(97) {
        ciphertext[at] ^= 0x10;
        let rejected = ours.decapsulate(&*ciphertext).unwrap();
        assert_eq!(theirs.decapsulate(ciphertext.as_slice().into()).unwrap().as_ref(), rejected.as_slice());
        assert_ne!(rejected, secret);
    }
}

#[test]
fn they_verify_our_signatures_and_sign_with_our_keys() {
    let ours = SigningKey::generate();
    let theirs = UnparsedPublicKey::new(&ML_DSA_65, ours.verifying_key().as_bytes());
    for length in [0, 1, 100, 10_000] {
        let message = vec![length as u8; length];
        let signature = ours.sign(b"", &message).unwrap();
        assert!(theirs.verify(&message, &*signature).is_ok());
        assert!(theirs.verify(b"another", &*signature).is_err());
    }
    let theirs = PqdsaKeyPair::from_raw_private_key(&ML_DSA_65_SIGNING, ours.as_bytes()).unwrap();
    assert_eq!(theirs.public_key().as_ref(), ours.verifying_key().as_bytes());
    assert_eq!(ours.verifying_key().verify(b"", b"said", &signed(&theirs, b"said")), Ok(()));
}

#[test]
fn we_verify_their_signatures_and_sign_with_their_keys() {
    let theirs = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let public = VerifyingKey::from_bytes(theirs.public_key().as_ref()).unwrap();
    for length in [0, 1, 100, 10_000] {
        let message = vec![length as u8; length];
        let signature = signed(&theirs, &message);
        assert_eq!(public.verify(b"", &message, &signature), Ok(()));
        assert_eq!(public.verify(b"", b"another", &signature), Err(PostQuantumError::Forged));
    }
    let private = theirs.private_key().as_raw_bytes().unwrap();
    let ours = SigningKey::from_bytes(private.as_ref(), public.as_bytes()).unwrap();
    let signature = ours.sign(b"", b"said").unwrap();
    assert!(UnparsedPublicKey::new(&ML_DSA_65, public.as_bytes()).verify(b"said", &*signature).is_ok());
}

fn signed(key: &PqdsaKeyPair, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; SIGNATURE_BYTES];
    assert_eq!(key.sign(message, &mut signature), Ok(SIGNATURE_BYTES));
    signature
}
