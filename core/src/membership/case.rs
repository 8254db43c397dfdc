//! What is remembered about one member that is not plainly alive: clocks, and how often it was removed.

use std::time::Duration;

use super::verdict::{Level, Tally};
use super::{Reason, Status};
use crate::Instant;
use crate::limits::{
    FORGET_AFTER, REMOVALS_FORGOTTEN_AFTER, RETURN_AFTER_MAX, RETURN_AFTER_MIN, STABILITY_WAIT_MAX, SUSPICION_HOLD,
};
use crate::planted::{self, PlantedBug};

/// The case of one member. A member without one is alive, or suspect, and was not removed lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Case {
    /// Since when at least H accuse it without a break.
    convictable: Option<Instant>,
    /// Since when it works without a break, while it is down.
    working: Option<Instant>,
    /// Since when it is down.
    down: Option<Instant>,
    /// It is down for its silence alone.
    silent: bool,
    /// How often it was removed, as far as that is remembered.
    removals: u32,
    /// When it came back from its last removal.
    returned: Option<Instant>,
}

/// What a look at a case came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgment {
    pub(super) status: Status,
    pub(super) reason: Reason,
    /// When to look again though nobody said anything new.
    pub(super) due: Option<Instant>,
    /// Only others that are not clear yet keep the member from being removed.
    pub(super) waits: bool,
    /// Down for so long that nobody counts on it.
    pub(super) gone: bool,
}

impl Case {
    /// Whether there is nothing to remember.
    pub(super) fn is_closed(&self) -> bool {
        *self == Case::default()
    }

    /// Looks at the member again: `record` says whether its links record is held, `blocked` whether somebody else whom
    /// its observers observe is between the watermarks.
    pub(super) fn judge(&mut self, was: Status, tally: &Tally, record: bool, blocked: bool, now: Instant) -> Judgment {
        if self.silent && record {
            // Silence convicts nobody of anything: the first new record ends it.
            (self.silent, self.down, self.working) = (false, None, None);
            let reason = if was == Status::Down { Reason::Returned } else { Reason::Accusers };
            return Judgment { reason, ..self.judge_standing(tally, blocked, now) };
        }
        if self.silent {
            let forget = self.down.unwrap_or(now) + FORGET_AFTER;
            let (due, gone) = ((now < forget).then_some(forget), now >= forget);
            return Judgment { status: Status::Down, reason: Reason::Silence, due, waits: false, gone };
        }
        if was == Status::Down { self.judge_down(tally, now) } else { self.judge_standing(tally, blocked, now) }
    }

    /// The member's own record has expired.
    pub(super) fn fall_silent(&mut self, now: Instant) {
        self.silent = true;
        self.down = Some(now);
        self.convictable = None;
    }

    fn judge_standing(&mut self, tally: &Tally, blocked: bool, now: Instant) -> Judgment {
        let level = tally.level();
        let status = if level == Level::Sound { Status::Alive } else { Status::Suspect };
        let judgment = Judgment { status, reason: Reason::Accusers, due: None, waits: false, gone: false };
        if level < Level::Convictable {
            self.convictable = None;
            return Judgment { due: self.forgotten_at(now), ..judgment };
        }
        let since = *self.convictable.get_or_insert(now);
        if planted::is(PlantedBug::SuspicionUnending) {
            return judgment;
        }
        if now < since + SUSPICION_HOLD {
            return Judgment { due: Some(since + SUSPICION_HOLD), ..judgment };
        }
        let at_last = since + SUSPICION_HOLD + STABILITY_WAIT_MAX;
        if blocked && now < at_last {
            return Judgment { due: Some(at_last), waits: true, ..judgment };
        }
        self.forgotten_at(now);
        self.removals = self.removals.saturating_add(1);
        self.down = Some(now);
        (self.convictable, self.working, self.returned) = (None, None, None);
        Judgment { status: Status::Down, due: Some(now + FORGET_AFTER), ..judgment }
    }

    fn judge_down(&mut self, tally: &Tally, now: Instant) -> Judgment {
        let down = *self.down.get_or_insert(now);
        let gone = now >= down + FORGET_AFTER;
        let forget = (!gone).then_some(down + FORGET_AFTER);
        let judgment = Judgment { status: Status::Down, reason: Reason::Returned, due: forget, waits: false, gone };
        if tally.level() != Level::Sound || tally.witnesses == 0 {
            self.working = None;
            return judgment;
        }
        let back = *self.working.get_or_insert(now) + return_after(self.removals);
        if now < back {
            return Judgment { due: Some(forget.map_or(back, |forget| forget.min(back))), ..judgment };
        }
        (self.working, self.down, self.returned) = (None, None, Some(now));
        Judgment { status: Status::Alive, due: self.forgotten_at(now), gone: false, ..judgment }
    }

    /// When the removals are forgotten; forgets them if that time has come.
    fn forgotten_at(&mut self, now: Instant) -> Option<Instant> {
        let at = self.returned? + REMOVALS_FORGOTTEN_AFTER;
        if now < at {
            return Some(at);
        }
        (self.returned, self.removals) = (None, 0);
        None
    }
}

/// How long a node must work to be back after that many removals: each one doubles it.
fn return_after(removals: u32) -> Duration {
    let doublings = removals.saturating_sub(1).min(31);
    RETURN_AFTER_MIN.saturating_mul(1 << doublings).min(RETURN_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accused_by(accusers: usize) -> Tally {
        Tally { observers: 8, voting: 8, accusers, witnesses: 8 - accusers }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    /// Whoever is removed at once: its case, at second 5.
    fn removed() -> Case {
        let mut case = Case::default();
        case.judge(Status::Alive, &accused_by(8), true, false, at(0));
        assert_eq!(case.judge(Status::Suspect, &accused_by(8), true, false, at(5)).status, Status::Down);
        case
    }

    #[test]
    fn a_removal_takes_h_accusers_for_the_whole_hold() {
        let mut case = Case::default();
        assert_eq!(case.judge(Status::Alive, &accused_by(6), true, false, at(0)).due, Some(at(5)));
        assert_eq!(case.judge(Status::Suspect, &accused_by(6), true, false, at(4)).status, Status::Suspect);
        assert_eq!(case.judge(Status::Suspect, &accused_by(5), true, false, at(4)).due, None, "it starts afresh");
        case.judge(Status::Suspect, &accused_by(6), true, false, at(6));
        assert_eq!(case.judge(Status::Suspect, &accused_by(6), true, false, at(10)).status, Status::Suspect);
        assert_eq!(case.judge(Status::Suspect, &accused_by(6), true, false, at(11)).status, Status::Down);
    }

    #[test]
    fn others_in_between_delay_a_removal_but_not_for_ever() {
        let mut case = Case::default();
        case.judge(Status::Alive, &accused_by(6), true, true, at(0));
        let judgment = case.judge(Status::Suspect, &accused_by(6), true, true, at(5));
        assert_eq!((judgment.status, judgment.waits, judgment.due), (Status::Suspect, true, Some(at(10))));
        assert_eq!(case.clone().judge(Status::Suspect, &accused_by(6), true, false, at(7)).status, Status::Down);
        assert_eq!(case.judge(Status::Suspect, &accused_by(6), true, true, at(10)).status, Status::Down);
    }

    #[test]
    fn a_removed_node_is_back_when_it_worked_without_a_break() {
        let mut case = removed();
        assert_eq!(case.judge(Status::Down, &accused_by(0), true, false, at(20)).due, Some(at(50)));
        assert_eq!(case.judge(Status::Down, &accused_by(3), true, false, at(40)).status, Status::Down);
        case.judge(Status::Down, &accused_by(2), true, false, at(41));
        assert_eq!(case.judge(Status::Down, &accused_by(2), true, false, at(70)).status, Status::Down);
        assert_eq!(case.judge(Status::Down, &accused_by(2), true, false, at(71)).status, Status::Alive);
    }

    #[test]
    fn a_node_of_whom_nobody_says_that_it_works_is_not_back() {
        let mut case = removed();
        case.judge(Status::Down, &Tally::default(), true, false, at(20));
        assert_eq!(case.judge(Status::Down, &Tally::default(), true, false, at(3600)).status, Status::Down);
    }

    #[test]
    fn each_removal_doubles_the_way_back_up_to_an_hour() {
        assert_eq!([1, 2, 3, 8, 100].map(return_after).map(|d| d.as_secs()), [30, 60, 120, 3600, 3600]);
        let (mut case, mut now) = (removed(), 5);
        for after in [30, 60, 120] {
            case.judge(Status::Down, &accused_by(0), true, false, at(now));
            assert_eq!(case.judge(Status::Down, &accused_by(0), true, false, at(now + after - 1)).status, Status::Down);
            assert_eq!(case.judge(Status::Down, &accused_by(0), true, false, at(now + after)).status, Status::Alive);
            now += after;
            case.judge(Status::Alive, &accused_by(8), true, false, at(now));
            now += 5;
            assert_eq!(case.judge(Status::Suspect, &accused_by(8), true, false, at(now)).status, Status::Down);
        }
    }

    #[test]
    fn removals_are_forgotten_after_two_quiet_hours() {
        let mut case = removed();
        case.judge(Status::Down, &accused_by(0), true, false, at(10));
        let judgment = case.judge(Status::Down, &accused_by(0), true, false, at(40));
        assert_eq!((judgment.status, judgment.due), (Status::Alive, Some(at(40 + 7200))));
        assert!(!case.is_closed());
        case.judge(Status::Alive, &accused_by(0), true, false, at(40 + 7200));
        assert!(case.is_closed());
    }

    #[test]
    fn silence_ends_with_the_next_record() {
        let mut case = Case::default();
        case.fall_silent(at(0));
        assert_eq!(case.judge(Status::Down, &Tally::default(), false, false, at(9)).status, Status::Down);
        assert_eq!(case.judge(Status::Down, &accused_by(0), true, false, at(10)).status, Status::Alive);
        assert!(case.is_closed());
    }

    #[test]
    fn who_is_down_for_a_day_is_gone() {
        let mut case = removed();
        assert!(!case.judge(Status::Down, &Tally::default(), false, false, at(5 + 24 * 3600 - 1)).gone);
        assert!(case.judge(Status::Down, &Tally::default(), false, false, at(5 + 24 * 3600)).gone);
    }
}
