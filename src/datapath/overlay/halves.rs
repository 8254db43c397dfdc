//! Packets that came in two parts.

use prunella_core::overlay::sealed::What;

/// Parts that wait for their others: the oldest makes room.
#[derive(Debug, Default)]
pub(super) struct Halves {
    waiting: Vec<Half>,
    next: usize,
}

#[derive(Debug)]
struct Half {
    key: u16,
    counter: u64,
    is_end: bool,
    checksum_left: bool,
    bytes: Vec<u8>,
}

impl Halves {
    /// Takes a part, and gives the packet if that was the second one, with whether its checksum is still to do.
    pub(super) fn take(&mut self, key: u16, counter: u64, what: What, bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
        let (is_end, checksum_left) = match what {
            What::Beginning { checksum_left } => (false, checksum_left),
            _ => (true, false),
        };
        let other = if is_end { counter.wrapping_sub(1) } else { counter + 1 };
        let found =
            self.waiting.iter().position(|half| half.key == key && half.counter == other && half.is_end != is_end);
        if let Some(found) = found {
            let half = self.waiting.swap_remove(found);
            self.next = 0;
            let (first, second) = if is_end { (&half.bytes[..], bytes) } else { (bytes, &half.bytes[..]) };
            return Some(([first, second].concat(), checksum_left || half.checksum_left));
        }
        let half = Half { key, counter, is_end, checksum_left, bytes: bytes.to_vec() };
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(half);
        } else {
            self.waiting[self.next] = half;
            self.next = (self.next + 1) % WAITING_MAX;
        }
        None
    }
}

/// Most parts that wait.
const WAITING_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_in_either_order_are_a_packet() {
        let mut halves = Halves::default();
        let beginning = What::Beginning { checksum_left: true };
        assert_eq!(halves.take(1, 10, beginning, b"ab"), None);
        assert_eq!(halves.take(2, 11, What::End, b"xx"), None, "of another tunnel");
        assert_eq!(halves.take(1, 11, What::End, b"cd"), Some((b"abcd".to_vec(), true)));
        assert_eq!(halves.take(1, 21, What::End, b"cd"), None);
        assert_eq!(halves.take(1, 20, beginning, b"ab"), Some((b"abcd".to_vec(), true)));
        assert_eq!(halves.take(2, 10, What::Beginning { checksum_left: false }, b"x"), Some((b"xxx".to_vec(), false)));
    }

    #[test]
    fn parts_without_others_are_forgotten() {
        let mut halves = Halves::default();
        for counter in 0..1000 {
            assert_eq!(halves.take(1, 2 * counter, What::End, b"x"), None);
            assert!(halves.waiting.len() <= WAITING_MAX);
        }
    }
}
