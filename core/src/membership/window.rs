//! Whether a link that still answers now and then is good enough to count.

/// The outcomes of the last ten probes over one link.
///
/// Silence is noticed by time; a link that loses most packets is never silent for long, so it is judged by its share of
/// failures. The rule is Rapid's edge detector (Suresh et al., USENIX ATC 2018, section 6): bad when more than 40 % of
/// the last ten probes failed. Rapid never takes a judgment back; here a bad link is good again when at most
/// [`FAILURES_TO_TRUST`] of the last ten failed. The gap between the two keeps a lossy link from changing sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeWindow {
    /// One bit a probe, the last one lowest; set: it failed.
    failed: u16,
    bad: bool,
}

impl ProbeWindow {
    /// Takes the outcome of one more probe: whether it came back in time.
    pub fn push(&mut self, returned: bool) {
        self.failed = (self.failed << 1 | u16::from(!returned)) & ((1 << PROBES) - 1);
        let failures = self.failures();
        self.bad = if self.bad { failures > FAILURES_TO_TRUST } else { failures > FAILURES_MAX };
    }

    /// How many of the last ten failed.
    pub const fn failures(&self) -> u32 {
        self.failed.count_ones()
    }

    /// Whether the link is too bad to be used.
    pub const fn is_bad(&self) -> bool {
        self.bad
    }
}

/// Probes looked back on (Rapid's figure).
const PROBES: u32 = 10;
/// More failures than these make a link bad: 40 % (Rapid's figure).
const FAILURES_MAX: u32 = 4;
/// A bad link is good again at no more failures than these.
pub const FAILURES_TO_TRUST: u32 = 2;

const _: () = assert!(FAILURES_TO_TRUST < FAILURES_MAX && FAILURES_MAX < PROBES, "a judgment does not undo itself");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_bad_when_more_than_four_of_the_last_ten_probes_failed() {
        let mut window = ProbeWindow::default();
        for _ in 0..4 {
            window.push(false);
            window.push(true);
        }
        assert!(!window.is_bad());
        window.push(false);
        assert!(window.is_bad());
    }

    #[test]
    fn failures_longer_ago_than_ten_probes_are_forgotten() {
        let mut window = ProbeWindow::default();
        (0..4).for_each(|_| window.push(false));
        (0..10).for_each(|_| window.push(true));
        assert_eq!(window.failures(), 0);
        (0..4).for_each(|_| window.push(false));
        assert!(!window.is_bad());
    }

    #[test]
    fn a_bad_link_is_good_again_only_when_nearly_all_return() {
        let mut window = ProbeWindow::default();
        (0..10).for_each(|_| window.push(false));
        (0..7).for_each(|_| window.push(true));
        assert!(window.is_bad());
        window.push(true);
        assert!(!window.is_bad());
    }
}
