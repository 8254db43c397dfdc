//! Key generation of ML-KEM-768 from a seed, straight from FIPS 203 and FIPS 202: vectors give seeds, and neither `pqcrypto`
//! nor AWS-LC's safe interface takes one. Written to be compared with the standard, not to be fast or to keep secrets.

const Q: u32 = 3329;

/// A polynomial, or its transform.
type Polynomial = [u32; 256];

/// The decapsulation key of a seed of 64 bytes, d and z (FIPS 203, algorithms 13 and 16).
pub(super) fn decapsulation_key(seed: &[u8; 64]) -> Vec<u8> {
    let (d, z) = seed.split_at(32);
    let expanded = sponge(72, 0x06, &[d, &[3]].concat(), 64);
    let (rho, sigma) = expanded.split_at(32);
    let noise = |n: u8| transform(&centered(&sponge(136, 0x1f, &[sigma, &[n]].concat(), 128)));
    let secret: Vec<Polynomial> = (0..3).map(noise).collect();
    let errors: Vec<Polynomial> = (3..6).map(noise).collect();
    let mut public = Vec::new();
    for (i, mut sum) in (0..3).zip(errors) {
        for (j, s) in (0..3).zip(&secret) {
            let product = multiply(&uniform(&[rho, &[j, i]].concat()), s);
            sum.iter_mut().zip(product).for_each(|(sum, p)| *sum = (*sum + p) % Q);
        }
        encode(&sum, &mut public);
    }
    public.extend_from_slice(rho);
    let mut key = Vec::new();
    secret.iter().for_each(|s| encode(s, &mut key));
    key.extend_from_slice(&public);
    key.extend(sponge(136, 0x06, &public, 32));
    key.extend_from_slice(z);
    key
}

/// Algorithm 7: a transform that nobody chose, from the stream of SHAKE128.
fn uniform(seed: &[u8]) -> Polynomial {
    let stream = sponge(168, 0x1f, seed, 168 * 8);
    let pairs = stream.chunks_exact(3).flat_map(|c| {
        let [a, b, c] = [c[0], c[1], c[2]].map(u32::from);
        [a + 256 * (b % 16), b / 16 + 16 * c]
    });
    let taken: Vec<u32> = pairs.filter(|value| *value < Q).take(256).collect();
    taken.try_into().expect("eight blocks are enough")
}

/// Algorithm 8 for eta 2: small coefficients.
fn centered(bytes: &[u8]) -> Polynomial {
    let bit = |n: usize| u32::from(bytes[n / 8] >> (n % 8) & 1);
    std::array::from_fn(|i| (Q + bit(4 * i) + bit(4 * i + 1) - bit(4 * i + 2) - bit(4 * i + 3)) % Q)
}

/// Algorithm 9: the number-theoretic transform.
fn transform(polynomial: &Polynomial) -> Polynomial {
    let mut f = *polynomial;
    let mut i = 1;
    for length in [128, 64, 32, 16, 8, 4, 2] {
        for start in (0..256).step_by(2 * length) {
            let zeta = power(reversed(i));
            i += 1;
            for j in start..start + length {
                let t = zeta * f[j + length] % Q;
                f[j + length] = (f[j] + Q - t) % Q;
                f[j] = (f[j] + t) % Q;
            }
        }
    }
    f
}

/// Algorithm 11: the product of two transforms.
fn multiply(a: &Polynomial, b: &Polynomial) -> Polynomial {
    let mut c = [0; 256];
    for i in 0..128 {
        let gamma = power(2 * reversed(i as u32) + 1);
        let (a0, a1, b0, b1) = (a[2 * i], a[2 * i + 1], b[2 * i], b[2 * i + 1]);
        c[2 * i] = (a0 * b0 + a1 * b1 % Q * gamma) % Q;
        c[2 * i + 1] = (a0 * b1 + a1 * b0) % Q;
    }
    c
}

/// 17 to this power.
fn power(exponent: u32) -> u32 {
    (0..exponent).fold(1, |value, _| value * 17 % Q)
}

/// Seven bits in the reverse order.
fn reversed(value: u32) -> u32 {
    value.reverse_bits() >> 25
}

/// Algorithm 5 for 12 bits.
fn encode(polynomial: &Polynomial, out: &mut Vec<u8>) {
    for pair in polynomial.chunks_exact(2) {
        out.extend([pair[0] as u8, (pair[0] >> 8 | (pair[1] & 15) << 4) as u8, (pair[1] >> 4) as u8]);
    }
}

/// SHA-3 and SHAKE (FIPS 202): the sponge with this rate and this suffix.
fn sponge(rate: usize, suffix: u8, input: &[u8], output: usize) -> Vec<u8> {
    let mut padded = input.to_vec();
    padded.push(suffix);
    padded.resize(padded.len().next_multiple_of(rate), 0);
    *padded.last_mut().expect("there is a suffix") |= 0x80;
    let mut state = [0_u64; 25];
    for block in padded.chunks_exact(rate) {
        for (lane, bytes) in state.iter_mut().zip(block.chunks_exact(8)) {
            *lane ^= u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        }
        permute(&mut state);
    }
    let mut out = Vec::new();
    while out.len() < output {
        out.extend(state.iter().flat_map(|lane| lane.to_le_bytes()).take(rate));
        permute(&mut state);
    }
    out.truncate(output);
    out
}

/// Keccak-f[1600], its round constants from their shift register (FIPS 202, section 3.2.5).
fn permute(a: &mut [u64; 25]) {
    let mut register = 1_u8;
    for _ in 0..24 {
        let parity: [u64; 5] = std::array::from_fn(|x| (0..5).fold(0, |sum, y| sum ^ a[x + 5 * y]));
        for (i, lane) in a.iter_mut().enumerate() {
            *lane ^= parity[(i + 4) % 5] ^ parity[(i % 5 + 1) % 5].rotate_left(1);
        }
        let (mut x, mut y, mut moved) = (1, 0, a[1]);
        for t in 0..24 {
            (x, y) = (y, (2 * x + 3 * y) % 5);
            let rotated = moved.rotate_left((t + 1) * (t + 2) / 2 % 64);
            moved = std::mem::replace(&mut a[x + 5 * y], rotated);
        }
        for row in a.chunks_exact_mut(5) {
            let old = [row[0], row[1], row[2], row[3], row[4]];
            (0..5).for_each(|x| row[x] = old[x] ^ (!old[(x + 1) % 5] & old[(x + 2) % 5]));
        }
        for j in 0..7 {
            a[0] ^= u64::from(register & 1) << ((1 << j) - 1);
            register = (register << 1) ^ ((register >> 7) * 0x71);
        }
    }
}

#[test]
fn the_sponge_is_that_of_the_standard() {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    assert_eq!(hex(&sponge(136, 0x06, b"", 32)), "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
    assert_eq!(hex(&sponge(168, 0x1f, b"", 16)), "7f9c2ba4e88f827d616045507605853e");
}
