//! Who goes first when more is to be sent than can be: fair queueing of flows, as in FQ-CoDel (RFC 8290).
//!
//! A flow that sends little is served before those that send much, which take turns by bytes. So a small request does not
//! wait behind a transfer, and a queue that stands is made shorter where it stands ([RFC 8289](super::codel)).
//!
//! Packets lie in slots that the caller owns, in an array beside this; here is only their order. Nothing allocates after
//! [`FairQueue::new`].

use super::codel::Codel;

/// The order in which packets leave.
#[derive(Debug)]
pub struct FairQueue {
    slots: Box<[Slot]>,
    /// The last one that came free is used first: memory that was never touched stays so.
    free: Vec<u16>,
    flows: Box<[Flow]>,
    /// Flows that had nothing to send until now, and the others that have something.
    new: List,
    old: List,
    bytes: usize,
    bytes_max: usize,
    dropped: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    next: Option<u16>,
    bytes: u32,
    since: u64,
}

#[derive(Debug, Default)]
struct Flow {
    first: Option<u16>,
    last: Option<u16>,
    bytes: usize,
    /// How many bytes it may send in this turn.
    credit: i64,
    codel: Codel,
    is_listed: bool,
    next: Option<u16>,
}

/// Flows one behind the other.
#[derive(Debug, Default)]
struct List {
    first: Option<u16>,
    last: Option<u16>,
}

impl FairQueue {
    /// An empty one with so many slots, at most 65,535, for at most so many bytes.
    pub fn new(slots: usize, bytes_max: usize) -> Self {
        let count = slots.min(usize::from(u16::MAX));
        Self {
            slots: vec![Slot::default(); count].into(),
            free: (0..count as u16).rev().collect(),
            flows: std::iter::repeat_with(Flow::default).take(FLOWS).collect(),
            new: List::default(),
            old: List::default(),
            bytes: 0,
            bytes_max,
            dropped: 0,
        }
    }

    /// The slot into which the next packet can be put.
    pub fn room(&self) -> Option<usize> {
        self.free.last().map(|slot| usize::from(*slot))
    }

    /// A packet was put there where [`FairQueue::room`] said, at this time, in nanoseconds. The flow is named by a hash.
    ///
    /// If that is too much in all, the flow that has most waiting loses what waits longest of it.
    pub fn push(&mut self, flow: u64, bytes: usize, now: u64) {
        let Some(slot) = self.free.pop() else { return };
        self.slots[usize::from(slot)] = Slot { next: None, bytes: bytes as u32, since: now };
        let number = (flow % FLOWS as u64) as u16;
        let flow = &mut self.flows[usize::from(number)];
        match flow.last.replace(slot) {
            Some(before) => self.slots[usize::from(before)].next = Some(slot),
            None => flow.first = Some(slot),
        }
        flow.bytes += bytes;
        self.bytes += bytes;
        if !flow.is_listed {
            flow.is_listed = true;
            flow.credit = QUANTUM;
            self.new.append(number, &mut self.flows);
        }
        while self.bytes > self.bytes_max {
            let fattest = (0..FLOWS).max_by_key(|flow| self.flows[*flow].bytes).expect("BUG: there are flows");
            self.drop_first(fattest);
        }
    }

    /// The slot of the packet that leaves now. It stays in use until it is [released](FairQueue::release).
    ///
    /// A packet that has waited too long is marked, if `mark` says that it has done so, or else dropped.
    pub fn pop(&mut self, now: u64, mut mark: impl FnMut(usize) -> bool) -> Option<usize> {
        loop {
            let is_new = self.new.first.is_some();
            let list = if is_new { &mut self.new } else { &mut self.old };
            let number = list.first?;
            let flow = usize::from(number);
            if self.flows[flow].credit <= 0 {
                self.flows[flow].credit += QUANTUM;
                list.remove_first(&mut self.flows);
                self.old.append(number, &mut self.flows);
            } else if let Some(slot) = self.leave(flow, now, &mut mark) {
                return Some(slot);
            } else {
                list_of(is_new, &mut self.new, &mut self.old).remove_first(&mut self.flows);
                // Behind those that wait, or else a flow could be a new one again and again.
                if is_new && self.old.first.is_some() {
                    self.old.append(number, &mut self.flows);
                } else {
                    self.flows[flow].is_listed = false;
                }
            }
        }
    }

    /// The packet of a slot has left.
    pub fn release(&mut self, slot: usize) {
        self.free.push(slot as u16);
    }

    /// How many packets were dropped since this was asked last.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn leave(&mut self, flow: usize, now: u64, mark: &mut impl FnMut(usize) -> bool) -> Option<usize> {
        loop {
            let slot = usize::from(self.flows[flow].first?);
            let Slot { next, bytes, since } = self.slots[slot];
            let drops = self.flows[flow].codel.drops(now.saturating_sub(since), next.is_none(), now);
            if drops && !mark(slot) {
                self.drop_first(flow);
                continue;
            }
            self.unlink_first(flow);
            self.flows[flow].credit -= i64::from(bytes);
            return Some(slot);
        }
    }

    fn drop_first(&mut self, flow: usize) {
        if let Some(slot) = self.unlink_first(flow) {
            self.free.push(slot);
            self.dropped += 1;
        }
    }

    fn unlink_first(&mut self, flow: usize) -> Option<u16> {
        let flow = &mut self.flows[flow];
        let slot = flow.first?;
        let Slot { next, bytes, .. } = self.slots[usize::from(slot)];
        flow.first = next;
        if next.is_none() {
            flow.last = None;
        }
        flow.bytes -= bytes as usize;
        self.bytes -= bytes as usize;
        Some(slot)
    }
}

const fn list_of<'a>(is_new: bool, new: &'a mut List, old: &'a mut List) -> &'a mut List {
    if is_new { new } else { old }
}

impl List {
    fn append(&mut self, flow: u16, flows: &mut [Flow]) {
        flows[usize::from(flow)].next = None;
        match self.last.replace(flow) {
            Some(before) => flows[usize::from(before)].next = Some(flow),
            None => self.first = Some(flow),
        }
    }

    fn remove_first(&mut self, flows: &mut [Flow]) {
        let Some(flow) = self.first else { return };
        self.first = flows[usize::from(flow)].next.take();
        if self.first.is_none() {
            self.last = None;
        }
    }
}

/// Flows whose hashes fall together share a queue.
const FLOWS: usize = 256;
/// What a flow may send in its turn, in bytes: a long packet takes several turns' worth.
const QUANTUM: i64 = 8 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;
    const LONG: usize = 60_000;

    /// A queue beside the numbers of the packets that lie in its slots.
    struct Rig {
        queue: FairQueue,
        numbers: Vec<u32>,
        next: u32,
    }

    impl Rig {
        fn new(bytes_max: usize) -> Self {
            Self { queue: FairQueue::new(64, bytes_max), numbers: vec![0; 64], next: 0 }
        }

        fn push(&mut self, flow: u64, bytes: usize, now: u64) -> u32 {
            let slot = self.queue.room().unwrap();
            self.next += 1;
            self.numbers[slot] = self.next;
            self.queue.push(flow, bytes, now);
            self.next
        }

        fn pop(&mut self, now: u64) -> Option<u32> {
            let slot = self.queue.pop(now, |_| false)?;
            self.queue.release(slot);
            Some(self.numbers[slot])
        }

        fn rest(&mut self) -> Vec<u32> {
            std::iter::from_fn(|| self.pop(0)).collect()
        }
    }

    #[test]
    fn who_sends_little_does_not_wait_for_who_sends_much() {
        let mut rig = Rig::new(usize::MAX);
        let bulk: Vec<u32> = (0..20).map(|_| rig.push(1, LONG, 0)).collect();
        assert_eq!(rig.pop(0), Some(bulk[0]));
        let small = rig.push(2, 100, 0);
        assert_eq!(rig.pop(0), Some(small));
        assert_eq!(rig.rest(), bulk[1..]);
    }

    #[test]
    fn flows_that_send_much_share_by_bytes() {
        let mut rig = Rig::new(usize::MAX);
        let long: Vec<u32> = (0..4).map(|_| rig.push(1, 16 * 1024, 0)).collect();
        for _ in 0..48 {
            rig.push(2, 1024, 0);
        }
        let order = rig.rest();
        let beside: Vec<usize> = (0..3)
            .map(|turn| {
                let at = |number| order.iter().position(|found| *found == number).unwrap();
                at(long[turn + 1]) - at(long[turn]) - 1
            })
            .collect();
        assert!(beside.iter().all(|count| (8..=24).contains(count)), "{beside:?}");
    }

    #[test]
    fn a_flow_that_pauses_after_each_packet_does_not_starve_others() {
        let mut rig = Rig::new(usize::MAX);
        let other = rig.push(1, LONG, 0);
        rig.push(2, LONG, 0);
        let mut served = 0;
        while rig.pop(0).unwrap() != other {
            served += 1;
            rig.push(2, LONG, 0);
            assert!(served < 4);
        }
    }

    #[test]
    fn a_queue_that_stands_is_marked_or_made_shorter() {
        for understands in [true, false] {
            let mut rig = Rig::new(usize::MAX);
            let mut marked = 0;
            let mut left = 0;
            for now in 0..400 {
                while rig.queue.room().is_some() && left < 2000 {
                    rig.push(1, 1500, now * MS);
                    left += 1;
                }
                if let Some(slot) = rig.queue.pop(now * MS, |_| {
                    marked += u64::from(understands);
                    understands
                }) {
                    rig.queue.release(slot);
                }
            }
            let dropped = rig.queue.take_dropped();
            assert!(
                if understands { marked > 3 && dropped == 0 } else { marked == 0 && dropped > 3 },
                "{marked} {dropped}"
            );
        }
    }

    #[test]
    fn what_is_too_much_is_taken_from_the_flow_that_has_most() {
        let mut rig = Rig::new(10_000);
        let small = rig.push(2, 100, 0);
        let bulk: Vec<u32> = (0..5).map(|_| rig.push(1, 4000, 0)).collect();
        assert_eq!(rig.queue.take_dropped(), 3);
        let mut left = rig.rest();
        left.sort_unstable();
        assert_eq!(left, [small, bulk[3], bulk[4]]);
    }

    proptest! {
        #[test]
        fn every_packet_leaves_once_and_each_flow_in_its_order(
            steps in prop::collection::vec((0u64..6, 1usize..70_000, any::<bool>()), 1..300)
        ) {
            let mut rig = Rig::new(usize::MAX);
            let mut flow_of = vec![0];
            let mut left = Vec::new();
            for (flow, bytes, pops) in steps {
                if rig.queue.room().is_some() {
                    rig.push(flow, bytes, 0);
                    flow_of.push(flow);
                }
                if pops {
                    left.extend(rig.pop(0));
                }
            }
            left.extend(rig.rest());
            for flow in 0..6 {
                let numbers: Vec<u32> = left.iter().copied().filter(|n| flow_of[*n as usize] == flow).collect();
                prop_assert!(numbers.is_sorted());
            }
            left.sort_unstable();
            prop_assert_eq!(left, (1..=rig.next).collect::<Vec<_>>());
            prop_assert_eq!((rig.queue.bytes, rig.queue.free.len()), (0, 64));
        }
    }
}
