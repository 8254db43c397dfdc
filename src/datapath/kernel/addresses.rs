//! The addresses of this host, as the kernel lists them for the network namespace of the calling thread.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use prunella_ebpf_common::LOCAL_MAX;

/// The addresses at which a socket that is bound to `bound` can be reached, at most [`LOCAL_MAX`].
pub(super) fn reached_at(bound: SocketAddr) -> BTreeSet<IpAddr> {
    let ip = bound.ip().to_canonical();
    if !ip.is_unspecified() {
        return BTreeSet::from([ip]);
    }
    let v4 = addresses_v4(&listed("/proc/thread-self/net/fib_trie")).into_iter().map(IpAddr::V4);
    let v6 = addresses_v6(&listed("/proc/thread-self/net/if_inet6")).into_iter().map(IpAddr::V6);
    v4.chain(v6.filter(|_| ip.is_ipv6())).take(LOCAL_MAX).collect()
}

fn listed(path: &str) -> String {
    let mut text = String::new();
    // What cannot be read, or comes behind the bound, is not known to the program, which leaves it to user space.
    let _ = File::open(path).and_then(|file| file.take(LIST_BYTES_MAX).read_to_string(&mut text));
    text
}

/// Each local address is a leaf of the trie of routes: a line with the address, then one that says `/32 host LOCAL`.
fn addresses_v4(trie: &str) -> BTreeSet<Ipv4Addr> {
    let mut leaf: Option<Ipv4Addr> = None;
    let mut found = BTreeSet::new();
    for line in trie.lines().map(str::trim) {
        match line.strip_prefix("|-- ") {
            Some(address) => leaf = address.parse().ok(),
            None if line == "/32 host LOCAL" => found.extend(leaf),
            None => {}
        }
    }
    found
}

/// Each line begins with an address, as 32 hexadecimal digits.
fn addresses_v6(list: &str) -> BTreeSet<Ipv6Addr> {
    let words = list.lines().filter_map(|line| line.split_whitespace().next());
    words.filter_map(|digits| u128::from_str_radix(digits, 16).ok()).map(Ipv6Addr::from).collect()
}

/// How much of a list is read, in bytes: thousands of addresses.
const LIST_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_the_kernel_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.1.0.0\n        \
                    /24 link UNICAST\n     |-- 10.1.0.7\n        /32 host LOCAL\n     |-- 10.1.0.255\n        \
                    /32 link BROADCAST\n";
        assert_eq!(addresses_v4(trie), BTreeSet::from([Ipv4Addr::new(10, 1, 0, 7)]));
        let list =
            "fd000000000000000000000000000001 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80 lo\n";
        assert_eq!(addresses_v6(list), BTreeSet::from(["fd00::1".parse().unwrap(), Ipv6Addr::LOCALHOST]));
    }

    #[test]
    fn a_bound_socket_is_reached_at_its_address_and_others_at_all_of_their_kind() {
        let at = |address: &str| reached_at(address.parse().unwrap());
        assert_eq!(at("192.0.2.1:1"), BTreeSet::from(["192.0.2.1".parse().unwrap()]));
        assert!(at("0.0.0.0:1").contains(&IpAddr::from(Ipv4Addr::LOCALHOST)));
        assert!(at("0.0.0.0:1").iter().all(IpAddr::is_ipv4), "such a socket hears nothing else");
    }
}
