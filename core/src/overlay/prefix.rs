//! Networks behind nodes: prefixes of IP addresses, each in the one form that it has, and tables of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The addresses that begin with the same bits. It has no bits behind its length, so two are the same network if they are
/// equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text or a pair is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// It is no address with a length.
    Form,
    /// It has bits behind its length; this one has not.
    HostBits(Prefix),
}

impl Prefix {
    /// The addresses whose first `length` bits are those of `address`.
    ///
    /// # Errors
    /// [`PrefixError`] if there are not so many bits, if others are set, or if it is an IPv4 address written as IPv6.
    pub const fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        let is_mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        if length > bits_of(address) || is_mapped {
            return Err(PrefixError::Form);
        }
        let first = first(number(address), length);
        if first != number(address) {
            let address = match address {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits((first >> 96) as u32)),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(first)),
            };
            return Err(PrefixError::HostBits(Self { address, length }));
        }
        Ok(Self { address, length })
    }

    /// A single address.
    ///
    /// # Errors
    /// As [`Prefix::new`].
    pub const fn host(address: IpAddr) -> Result<Self, PrefixError> {
        Self::new(address, bits_of(address))
    }

    /// Its first address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits its addresses have in common.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether its addresses are of IPv6.
    pub const fn is_v6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether an address is one of it.
    pub const fn contains(&self, address: IpAddr) -> bool {
        self.is_v6() == address.is_ipv6() && first(number(address), self.length) == number(self.address)
    }

    /// Whether all addresses of the other are of this one, too.
    pub const fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    /// Whether a node may say that it stands behind it.
    ///
    /// # Errors
    /// Why not: a fragment that fits behind the prefix.
    pub fn check_announced(&self) -> Result<(), String> {
        let least = if self.is_v6() { V6_BITS_MIN } else { V4_BITS_MIN };
        if self.length < least {
            return Err(format!("is too wide: at least {least} bits, or it draws to itself what is for others"));
        }
        let own = Self { address: IpAddr::V6(crate::Tag(0).address()), length: 64 };
        if own.overlaps(self) {
            return Err(format!("overlaps {own}, the addresses of the mesh's own nodes"));
        }
        match NOWHERE.iter().find(|other| other.overlaps(self)) {
            Some(other) => Err(format!("overlaps {other}, which no network of its own has")),
            None => Ok(()),
        }
    }

    const fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = text.split_once('/').ok_or(PrefixError::Form)?;
        let address = address.parse().map_err(|_| PrefixError::Form)?;
        let plain = length.parse::<u8>().ok().filter(|number| number.to_string() == length);
        Self::new(address, plain.ok_or(PrefixError::Form)?)
    }
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrefixError::Form => f.write_str("is no prefix: write \"fd00:20::/64\" or \"10.20.0.0/16\""),
            PrefixError::HostBits(prefix) => write!(f, "has bits behind its length: write \"{prefix}\""),
        }
    }
}

impl std::error::Error for PrefixError {}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl<C> Decode<C> for Prefix {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (address, length) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        Self::new(address, length).map_err(|_| DecodeError::Other("a prefix in another form than its own"))
    }
}

bincode::impl_borrow_decode!(Prefix);

/// What is found by the longest prefix of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixTable<T> {
    /// One for each length that there is, the longest first.
    levels: Vec<Level<T>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Level<T> {
    is_v6: bool,
    length: u8,
    /// Ascending.
    entries: Vec<(u128, T)>,
}

impl<T> PrefixTable<T> {
    /// What is behind the longest prefix that holds this address.
    pub fn find(&self, address: IpAddr) -> Option<&T> {
        let (is_v6, number) = (address.is_ipv6(), number(address));
        self.levels.iter().filter(|level| level.is_v6 == is_v6).find_map(|level| {
            let at = level.entries.binary_search_by_key(&first(number, level.length), |entry| entry.0);
            at.ok().map(|at| &level.entries[at].1)
        })
    }

    /// Whether nothing is found in it.
    pub const fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        Self { levels: Vec::new() }
    }
}

impl<T> FromIterator<(Prefix, T)> for PrefixTable<T> {
    /// Of two with the same prefix, the first one counts.
    fn from_iter<I: IntoIterator<Item = (Prefix, T)>>(all: I) -> Self {
        let mut sorted: Vec<(Prefix, T)> = all.into_iter().collect();
        sorted.sort_by_key(|(prefix, _)| (prefix.is_v6(), u8::MAX - prefix.length, number(prefix.address)));
        let mut levels: Vec<Level<T>> = Vec::new();
        for (Prefix { address, length }, found) in sorted {
            let is_v6 = address.is_ipv6();
            let entry = (number(address), found);
            match levels.last_mut().filter(|level| (level.is_v6, level.length) == (is_v6, length)) {
                None => levels.push(Level { is_v6, length, entries: vec![entry] }),
                Some(level) if level.entries.last().is_some_and(|last| last.0 == entry.0) => {}
                Some(level) => level.entries.push(entry),
            }
        }
        Self { levels }
    }
}

const fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// An address as a number whose upper bits are its first ones.
const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => (v4.to_bits() as u128) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The first bits of a number; the others are zero.
const fn first(number: u128, length: u8) -> u128 {
    if length == 0 { 0 } else { number & (u128::MAX << (128 - length)) }
}

/// The fewest bits of a network behind a node: whoever announces half of the world means to draw it to itself.
const V4_BITS_MIN: u8 = 8;
const V6_BITS_MIN: u8 = 16;

const fn v4(a: u8, b: u8, length: u8) -> Prefix {
    Prefix { address: IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), length }
}

const fn v6(first: u16, length: u8) -> Prefix {
    Prefix { address: IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), length }
}

/// What stands for a machine itself, for one link, or for many receivers (RFC 6890, RFC 4291).
const NOWHERE: [Prefix; 8] = [
    v4(0, 0, 8),
    v4(127, 0, 8),
    v4(169, 254, 16),
    v4(224, 0, 4),
    v4(240, 0, 4),
    // The unspecified address, the loopback address, and IPv4 addresses written as IPv6.
    v6(0, 80),
    v6(0xfe80, 10),
    v6(0xff00, 8),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::codec;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_has_one_form() {
        for text in ["fd00:20::/64", "10.20.0.0/16", "::/0", "0.0.0.0/0", "10.0.0.1/32", "2001:db8::1/128"] {
            assert_eq!(prefix(text).to_string(), text);
            assert_eq!(codec::decode::<Prefix>(&codec::encode(&prefix(text))), Ok(prefix(text)));
        }
        for text in ["", "fd00::", "fd00::/129", "10.0.0.0/33", "10.0.0.0/08", "10.0.0/8", "a/8", "::ffff:10.0.0.0/104"]
        {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::Form), "{text}");
        }
        assert_eq!("10.20.0.1/16".parse::<Prefix>(), Err(PrefixError::HostBits(prefix("10.20.0.0/16"))));
        let spoiled = codec::encode(&(IpAddr::from([10, 20, 0, 1]), 16u8));
        assert!(codec::decode::<Prefix>(&spoiled).is_err(), "nor may it travel in another one");
        assert!(codec::decode::<Prefix>(&codec::encode(&(IpAddr::from([10, 20, 0, 0]), 33u8))).is_err());
    }

    #[test]
    fn only_networks_of_their_own_are_announced() {
        for good in ["fd00:20::/64", "10.0.0.0/8", "192.168.7.0/24", "2001:db8::1/128", "203.0.113.7/32"] {
            assert_eq!(prefix(good).check_announced(), Ok(()), "{good}");
        }
        for (bad, says) in [
            ("::/0", "too wide"),
            ("0.0.0.0/1", "too wide"),
            ("128.0.0.0/1", "too wide"),
            ("fd00::/8", "too wide"),
            ("fd70:7275::/32", "own nodes"),
            ("fd70:7275:6e65:0:1::/80", "own nodes"),
            ("127.0.0.0/8", "overlaps"),
            ("::1/128", "overlaps"),
            ("fe80::/64", "overlaps"),
            ("ff02::/16", "overlaps"),
            ("224.0.0.0/8", "overlaps"),
            ("169.254.169.254/32", "overlaps"),
        ] {
            let reason = prefix(bad).check_announced().unwrap_err();
            assert!(reason.contains(says), "{bad}: {reason}");
        }
    }

    #[test]
    fn one_covers_what_is_within_it() {
        let wide = prefix("10.20.0.0/16");
        assert!(wide.covers(&prefix("10.20.5.0/24")) && wide.covers(&wide));
        assert!(!prefix("10.20.5.0/24").covers(&wide) && !wide.covers(&prefix("a14::/16")));
        assert!(wide.contains("10.20.255.255".parse().unwrap()) && !wide.contains("10.21.0.0".parse().unwrap()));
        assert!(prefix("::/0").covers(&prefix("fd00::/8")) && !prefix("::/0").covers(&wide));
    }

    proptest! {
        #[test]
        fn the_longest_prefix_answers(
            all in proptest::collection::vec((any::<bool>(), 0u8..8, 0u8..=16), 0..40),
            asked in proptest::collection::vec((any::<bool>(), 0u8..8), 1..40),
        ) {
            let address = |is_v6, byte: u8| -> IpAddr {
                if is_v6 { [byte, byte, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into() } else { [byte, byte, 0, 0].into() }
            };
            let all: Vec<Prefix> = all
                .into_iter()
                .map(|(is_v6, byte, length)| match Prefix::new(address(is_v6, byte), length) {
                    Ok(prefix) | Err(PrefixError::HostBits(prefix)) => prefix,
                    Err(PrefixError::Form) => unreachable!("BUG: no such length is drawn"),
                })
                .collect();
            let table: PrefixTable<Prefix> = all.iter().map(|prefix| (*prefix, *prefix)).collect();
            prop_assert_eq!(table.is_empty(), all.is_empty());
            for (is_v6, byte) in asked {
                let asked = address(is_v6, byte);
                let longest = all.iter().filter(|prefix| prefix.contains(asked)).max_by_key(|prefix| prefix.length());
                prop_assert_eq!(table.find(asked), longest);
            }
        }
    }
}
