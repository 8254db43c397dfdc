//! What a member costs, counted by the allocator.

use super::{at, peer, says};
use crate::membership::Membership;

/// Members of the measured mesh, each with eight neighbors and one of a hundred regions.
const MEMBERS: usize = 100_000;
/// The bar: bytes per known member that is not a neighbor.
const BYTES_PER_MEMBER_MAX: u64 = 128;

#[test]
fn a_member_takes_at_most_128_bytes_with_its_neighbors_and_its_share_of_every_container() {
    let mut held = None;
    let used = allocation_counter::measure(|| {
        let mut membership = Membership::new(1);
        for n in 0..MEMBERS {
            membership.learned(peer(n), &format!("region-{}", n % 100), at(0)).unwrap();
            let neighbors: Vec<usize> =
                (1..=4).flat_map(|d| [(n + d) % MEMBERS, (n + MEMBERS - d) % MEMBERS]).collect();
            membership.told(peer(n), 1, &says(&neighbors, &[], &[]), at(0)).unwrap();
        }
        assert_eq!(membership.wake(at(0)), []);
        held = Some(membership);
    });
    let membership = held.expect("it was built");
    assert_eq!(membership.roster().counts().alive, MEMBERS);
    assert_eq!(membership.tally(&peer(7)).map(|tally| tally.witnesses), Some(8));
    let bytes = u64::try_from(used.bytes_current).expect("more was taken than given back");
    println!("{:.1} bytes per member", bytes as f64 / MEMBERS as f64);
    assert!(bytes <= BYTES_PER_MEMBER_MAX * MEMBERS as u64, "{bytes} bytes");
}

#[test]
fn a_renewed_record_that_says_the_same_allocates_nothing_and_leaves_nothing() {
    let mut membership = Membership::new(1);
    for n in 0..9 {
        let others: Vec<usize> = (0..9).filter(|other| *other != n).collect();
        membership.told(peer(n), 1, &says(&others, &[], &[]), at(0)).unwrap();
    }
    membership.wake(at(0));
    let body = says(&(1..9).collect::<Vec<_>>(), &[], &[]);
    let used = allocation_counter::measure(|| membership.told(peer(0), 2, &body, at(1)).unwrap());
    assert_eq!((used.count_total, membership.wake(at(1))), (0, vec![]));
}
