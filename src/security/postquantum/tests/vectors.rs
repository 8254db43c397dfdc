//! Project Wycheproof's vectors, valid and invalid, all of them. How many there are is asserted, so that none is skipped in
//! silence: each test ends with what it counted.

use std::collections::BTreeMap;

use prunella_core::{PeerId, Rejected, identity};
use wycheproof::{ByteString, TestResult, eddsa, mldsa_sign, mldsa_verify, mlkem, xdh};

use super::reference;
use super::*;

/// How often something happened.
type Tally = BTreeMap<&'static str, usize>;

#[test]
fn ml_kem_768_decapsulates_as_every_vector_says() {
    let mut tally = Tally::new();
    for test in kem_tests(mlkem::TestName::MlKem768) {
        // Seeds are for the reference here; a seed of another length is none of ours to refuse.
        let Ok(seed) = <&[u8; 64]>::try_from(given(&test.seed)) else {
            assert!(test.result.must_fail());
            *tally.entry("seed of another length").or_default() += 1;
            continue;
        };
        let key = DecapsulationKey::from_bytes(&reference::decapsulation_key(seed)).unwrap();
        if let Some(public) = &test.encaps_key {
            assert_eq!(key.encapsulation_key().as_bytes().as_slice(), public.as_slice());
        }
        let secret = key.decapsulate(given(&test.ct));
        let outcome = match test.result {
            TestResult::Valid => {
                assert_eq!(secret.unwrap().as_slice(), given(&test.shared_secret), "{}", test.tc_id);
                "right secret"
            }
            _ => {
                assert!(matches!(secret, Err(PostQuantumError::Length { .. })), "{}", test.tc_id);
                "length refused"
            }
        };
        *tally.entry(outcome).or_default() += 1;
    }
    assert_eq!(tally, Tally::from([("right secret", 161), ("length refused", 20), ("seed of another length", 20)]));
}

#[test]
fn ml_kem_768_keys_of_every_seed_are_taken_and_are_the_same() {
    let mut taken = 0;
    for test in kem_tests(mlkem::TestName::MlKem768KeyGenSeed) {
        let seed = <&[u8; 64]>::try_from(given(&test.seed)).unwrap();
        let bytes = given(&test.decaps_key);
        assert_eq!(reference::decapsulation_key(seed), bytes, "{}", test.tc_id);
        let key = DecapsulationKey::from_bytes(bytes).unwrap();
        assert_eq!((key.as_bytes(), &key.encapsulation_key().as_bytes()[..]), (bytes, given(&test.encaps_key)));
        let (ciphertext, secret) = key.encapsulation_key().encapsulate();
        assert_eq!(key.decapsulate(&*ciphertext).unwrap(), secret);
        taken += 1;
    }
    assert_eq!(taken, 100);
}

#[test]
fn ml_kem_768_encapsulation_keys_are_judged_as_every_vector_says() {
    let mut tally = Tally::new();
    for test in kem_tests(mlkem::TestName::MlKem768Encaps) {
        // The randomness that a vector gives cannot be handed to `pqcrypto`: what is judged here are the keys.
        let outcome = match (EncapsulationKey::from_bytes(given(&test.encaps_key)), test.result) {
            (Ok(key), TestResult::Valid) => {
                assert_ne!(key.encapsulate().1, key.encapsulate().1, "secrets are fresh");
                "taken"
            }
            (Err(PostQuantumError::NotReduced), TestResult::Invalid) => "not reduced",
            (Err(PostQuantumError::Length { .. }), TestResult::Invalid) => "length refused",
            (judged, result) => panic!("{}: {judged:?}, and it is {result:?}", test.tc_id),
        };
        *tally.entry(outcome).or_default() += 1;
    }
    assert_eq!(tally, Tally::from([("taken", 133), ("not reduced", 112), ("length refused", 20)]));
}

#[test]
fn ml_kem_768_decapsulation_keys_are_judged_as_every_vector_says() {
    let mut tally = Tally::new();
    for test in kem_tests(mlkem::TestName::MlKem768SemiExpandedDecaps) {
        let key = DecapsulationKey::from_bytes(given(&test.decaps_key));
        let secret = key.and_then(|key| key.decapsulate(given(&test.ct)));
        let outcome = match (secret, test.result) {
            (Ok(secret), TestResult::Valid) => {
                assert_eq!(secret.as_slice(), given(&test.shared_secret), "{}", test.tc_id);
                "right secret"
            }
            (Err(PostQuantumError::HashMismatch), TestResult::Invalid) => "hash mismatch",
            (Err(PostQuantumError::Length { .. }), TestResult::Invalid) => "length refused",
            (judged, result) => panic!("{}: {judged:?}, and it is {result:?}", test.tc_id),
        };
        *tally.entry(outcome).or_default() += 1;
    }
    assert_eq!(tally, Tally::from([("right secret", 3), ("hash mismatch", 2), ("length refused", 4)]));
}

#[test]
fn ml_dsa_65_verifies_as_every_vector_says() {
    let mut tally = Tally::new();
    let set = mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa65Verify).unwrap();
    for group in set.test_groups {
        let key = VerifyingKey::from_bytes(&group.pubkey);
        for test in group.tests {
            let context = given(&test.ctx);
            let verified = key.clone().and_then(|key| key.verify(context, &test.msg, &test.sig));
            let outcome = match (verified, test.result) {
                (Ok(()), TestResult::Valid) => "verified",
                (Err(PostQuantumError::Forged), TestResult::Invalid) => "forged",
                (Err(PostQuantumError::Length { .. }), TestResult::Invalid) => "length refused",
                (Err(PostQuantumError::ContextTooLong { .. }), TestResult::Invalid) => "context too long",
                (verified, result) => panic!("{}: {verified:?}, and it is {result:?}", test.tc_id),
            };
            *tally.entry(outcome).or_default() += 1;
        }
    }
    assert_eq!(tally, Tally::from([("verified", 79), ("forged", 119), ("length refused", 7), ("context too long", 5)]));
}

#[test]
fn ml_dsa_65_signs_with_the_private_key_of_every_vector() {
    let mut tally = Tally::new();
    let set = mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa65SignNoSeed).unwrap();
    for group in set.test_groups {
        let private = given(&group.privkey);
        for test in group.tests {
            let outcome = sign_and_verify(private, given(&group.pubkey), &test);
            *tally.entry(outcome).or_default() += 1;
        }
    }
    let expected = [
        ("both fit", 63),
        ("over a digest, which is not offered", 10),
        ("length refused", 2),
        ("out of range", 2),
        ("context too long", 1),
    ];
    assert_eq!(tally, Tally::from(expected));
}

#[test]
fn ml_dsa_65_signs_with_the_key_of_every_seed() {
    use aws_lc_rs::encoding::AsRawBytes;
    use aws_lc_rs::signature::{ML_DSA_65_SIGNING, PqdsaKeyPair};

    let mut tally = Tally::new();
    let set = mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa65SignSeed).unwrap();
    for group in set.test_groups {
        // `pqcrypto` takes no seed: the other implementation expands it.
        let expanded = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, given(&group.privseed));
        let private = expanded.map(|pair| pair.private_key().as_raw_bytes().unwrap());
        for test in group.tests {
            let outcome = match &private {
                Ok(private) => sign_and_verify(private.as_ref(), given(&group.pubkey), &test),
                Err(_) => {
                    assert!(test.result.must_fail(), "{}", test.tc_id);
                    "seed of another length"
                }
            };
            *tally.entry(outcome).or_default() += 1;
        }
    }
    let expected = [
        ("both fit", 84),
        ("over a digest, which is not offered", 17),
        ("seed of another length", 3),
        ("context too long", 1),
    ];
    assert_eq!(tally, Tally::from(expected));
}

/// Signs what a vector signs. `pqcrypto` signs hedged, so its signature is another one than the vector's: both must fit.
fn sign_and_verify(private: &[u8], public: &[u8], test: &mldsa_sign::Test) -> &'static str {
    let Some(message) = &test.msg else { return "over a digest, which is not offered" };
    let context = given(&test.ctx);
    let key = SigningKey::from_bytes(private, if public.is_empty() { &[0; VERIFYING_KEY_BYTES] } else { public });
    match (key.and_then(|key| Ok((key.sign(context, message)?, key))), test.result) {
        (Ok((signature, key)), TestResult::Valid) => {
            assert_eq!(key.verifying_key().verify(context, message, &*signature), Ok(()), "{}", test.tc_id);
            assert_eq!(key.verifying_key().verify(context, message, &test.sig), Ok(()), "{}", test.tc_id);
            "both fit"
        }
        (Err(PostQuantumError::Length { .. }), TestResult::Invalid) => "length refused",
        (Err(PostQuantumError::OutOfRange), TestResult::Invalid) => "out of range",
        (Err(PostQuantumError::ContextTooLong { .. }), TestResult::Invalid) => "context too long",
        (signed, result) => panic!("{}: {:?}, and it is {result:?}", test.tc_id, signed.map(|_| "signed")),
    }
}

/// Strict verification refuses nothing that these vectors call valid, and no vector is "acceptable".
#[test]
fn ed25519_verifies_as_every_vector_says() {
    let mut tally = Tally::new();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let peer = PeerId::from_public_key(group.key.pk.as_slice().try_into().unwrap());
        for test in group.tests {
            let outcome = match (<&[u8; 64]>::try_from(test.sig.as_slice()), test.result) {
                (Err(_), TestResult::Invalid) => "length refused",
                (Ok(signature), result) => match (identity::verify(&peer, &test.msg, signature), result) {
                    (Ok(()), TestResult::Valid) => "verified",
                    (Err(Rejected::Unsigned), TestResult::Invalid) => "forged",
                    (verified, result) => panic!("{}: {verified:?}, and it is {result:?}", test.tc_id),
                },
                (Err(_), result) => panic!("{}: of another length, and it is {result:?}", test.tc_id),
            };
            *tally.entry(outcome).or_default() += 1;
        }
    }
    assert_eq!(tally, Tally::from([("verified", 88), ("forged", 51), ("length refused", 12)]));
}

#[test]
fn x25519_agrees_as_every_vector_says() {
    let mut tally = Tally::new();
    for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            let secret = X25519Secret::from_bytes(test.private_key.as_slice().try_into().unwrap());
            let agreed = secret.agree(test.public_key.as_slice().try_into().unwrap());
            // What is "acceptable" is a public key on the twist or not in its canonical form: RFC 7748 takes it, and so do
            // we, for the result is right. One of low order, with which everybody agrees on zero, is refused.
            let zero = test.flags.contains(&xdh::TestFlag::ZeroSharedSecret);
            let outcome = match (agreed, test.result) {
                (Err(PostQuantumError::LowOrder), TestResult::Acceptable) if zero => "zero refused",
                (Ok(agreed), TestResult::Valid | TestResult::Acceptable) if !zero => {
                    assert_eq!(agreed.as_slice(), test.shared_secret.as_slice(), "{}", test.tc_id);
                    "right secret"
                }
                (agreed, result) => panic!("{}: {:?}, and it is {result:?}", test.tc_id, agreed.is_ok()),
            };
            *tally.entry(outcome).or_default() += 1;
        }
    }
    assert_eq!(tally, Tally::from([("right secret", 487), ("zero refused", 31)]));
}

fn kem_tests(name: mlkem::TestName) -> Vec<mlkem::Test> {
    let set = mlkem::TestSet::load(name).unwrap();
    set.test_groups.into_iter().flat_map(|group| group.tests).collect()
}

/// What a vector gives; nothing where it gives nothing.
fn given(field: &Option<ByteString>) -> &[u8] {
    field.as_ref().map_or(&[], |bytes| bytes.as_slice())
}
