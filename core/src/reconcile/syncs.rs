//! A full sync: both sides walk down their trees, and list what differs by the items' full names.
//!
//! It takes more bytes than a round over the sketch, but nothing can be hidden from it without a collision of BLAKE3.
//! The side that begins it lists, message by message, what it holds in the buckets that differ; each is answered before
//! the next is sent. Nothing has to stay the same meanwhile: every message is compared with what is held then.

use std::cmp::Ordering;

use super::message::BucketSummary;
use super::session::{Life, Serving, Synced, Syncing};
use super::tree::{BUCKETS_PER_GROUP, GROUPS, Hash};
use super::{ItemSet, Message, Outcome, Part, Reconciler};
use crate::limits::{SYNC_ITEMS_MAX, SYNC_PARTS_MAX, SYNCS_MAX};
use crate::{Instant, ItemId, Rejected};

impl<P: Copy + Ord> Reconciler<P> {
    /// Begins a full sync with `peer`; `false` if there may be none now.
    pub(super) fn begin_sync(&mut self, peer: P, now: Instant, out: &mut Vec<Outcome<P>>) -> bool {
        let root = self.set.root();
        self.sessions.values_mut().for_each(|session| session.expire(now));
        let others = self.sessions.values().filter(|session| session.syncing.is_some()).count();
        let Ok(session) = self.session(peer) else { return false };
        let synced = session.theirs.is_some_and(|theirs| session.is_synced(root, theirs, now));
        if others >= SYNCS_MAX || session.is_engaged() || !session.may_ask(now) || synced {
            return false;
        }
        session.asked_at = Some(now);
        session.ours = Some(root);
        session.syncing = Some(Syncing {
            root,
            life: Life::begin(now),
            compared: false,
            pending: Vec::new(),
            after: None,
            listed: 0,
        });
        let hashes = self.set.groups().to_vec();
        out.push(Outcome::Send { to: peer, message: Message::Groups { root, hashes } });
        true
    }

    /// A neighbor that begins a full sync. If both did at once, the one whose root is less goes on with it.
    pub(super) fn on_groups(
        &mut self,
        from: P,
        root: [u8; 32],
        hashes: &[Hash],
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let own = self.set.root();
        self.sessions.values_mut().for_each(|session| session.expire(now));
        let others = self.sessions.iter().filter(|(peer, session)| **peer != from && session.serving.is_some()).count();
        let session = self.session(from)?;
        if !session.may_be_asked(now) {
            return Err(Rejected::OverLimit);
        }
        session.served_at = Some(now);
        session.theirs = Some(root);
        if session.syncing.as_ref().is_some_and(|syncing| syncing.compared || syncing.root < root) {
            return Ok(());
        }
        session.syncing = None;
        if others >= SYNCS_MAX {
            out.push(Outcome::Send { to: from, message: Message::Busy });
            return Ok(());
        }
        session.ours = Some(own);
        session.serving = Some(Serving { life: Life::begin(now), reached: (0, None) });
        let message = compare_groups(&mut self.set, hashes);
        out.push(Outcome::Send { to: from, message });
        Ok(())
    }

    /// The answer to `Groups`: now this node knows which buckets differ.
    pub(super) fn on_buckets(
        &mut self,
        from: P,
        (root, groups, buckets): ([u8; 32], u32, Vec<BucketSummary>),
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let session = self.session(from)?;
        let Some(syncing) = session.syncing.as_mut().filter(|syncing| !syncing.compared) else {
            return Err(Rejected::Stale);
        };
        syncing.compared = true;
        syncing.life.hear(now);
        session.theirs = Some(root);
        let mut pending = Vec::new();
        let told = (0..GROUPS).filter(|group| groups >> group & 1 == 1);
        let numbers = told.flat_map(|group| group * BUCKETS_PER_GROUP..(group + 1) * BUCKETS_PER_GROUP);
        for (number, theirs) in numbers.zip(&buckets) {
            if self.set.bucket(number).0 != theirs.hash {
                pending.push((number as u16, theirs.items));
            }
        }
        pending.reverse();
        if let Some(syncing) = &mut self.session(from)?.syncing {
            syncing.pending = pending;
        }
        self.list_more(from, out);
        Ok(())
    }

    /// What the neighbor that began a full sync holds in a part of the set.
    pub(super) fn on_items(
        &mut self,
        from: P,
        parts: &[Part],
        last: bool,
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let session = self.session(from)?;
        let Some(serving) = &mut session.serving else { return Err(Rejected::Stale) };
        if let (Some(first), Some(end)) = (parts.first(), parts.last()) {
            if first.bounds().0 < serving.reached {
                return Err(Rejected::Malformed);
            }
            serving.reached = end.bounds().1;
        }
        serving.life.hear(now);
        if last {
            session.serving = None;
        }
        let (mut gives, mut wants) = (Vec::new(), Vec::new());
        for part in parts {
            compare(self.set.range(usize::from(part.bucket), part.after, part.until), &part.items, |ours, item| {
                if ours { gives.push(item) } else { wants.push(item) }
            });
        }
        // The neighbor takes care that there are not more; if it does not, a later round finds the rest.
        gives.truncate(SYNC_ITEMS_MAX);
        if !gives.is_empty() {
            out.push(Outcome::Give { to: from, items: gives });
        }
        out.push(Outcome::Send { to: from, message: Message::WantItems(wants) });
        Ok(())
    }

    /// The answer to `Items`: gives what the neighbor lacks of them, and lists more.
    pub(super) fn on_want_items(
        &mut self,
        from: P,
        items: &[ItemId],
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let session = self.session(from)?;
        let Some(syncing) = session.syncing.as_mut().filter(|syncing| syncing.compared) else {
            return Err(Rejected::Stale);
        };
        if items.len() > syncing.listed {
            return Err(Rejected::OverLimit);
        }
        syncing.listed = 0;
        syncing.life.hear(now);
        let finished = syncing.pending.is_empty();
        let items: Vec<_> = items.iter().copied().filter(|item| self.set.contains(item)).collect();
        if !items.is_empty() {
            out.push(Outcome::Give { to: from, items });
        }
        if finished {
            self.end_sync(from, now)?;
        } else {
            self.list_more(from, out);
        }
        Ok(())
    }

    /// The neighbor cannot serve a full sync now.
    pub(super) fn on_busy(&mut self, from: P) -> Result<(), Rejected> {
        match self.session(from)?.syncing.take_if(|syncing| !syncing.compared) {
            Some(_) => Ok(()),
            None => Err(Rejected::Stale),
        }
    }

    fn end_sync(&mut self, peer: P, now: Instant) -> Result<(), Rejected> {
        let ours = self.set.root();
        let session = self.session(peer)?;
        session.syncing = None;
        session.rounds = 0;
        session.under_way.clear();
        session.synced = session.theirs.map(|theirs| Synced { ours, theirs, at: now });
        Ok(())
    }

    /// Lists what this node holds in the next buckets that differ.
    fn list_more(&mut self, to: P, out: &mut Vec<Outcome<P>>) {
        let Some(syncing) = self.sessions.get_mut(&to).and_then(|session| session.syncing.as_mut()) else { return };
        let (parts, gives) = next_parts(&self.set, syncing);
        syncing.listed = parts.iter().map(|part| part.items.len()).sum();
        let last = syncing.pending.is_empty();
        if !gives.is_empty() {
            out.push(Outcome::Give { to, items: gives });
        }
        out.push(Outcome::Send { to, message: Message::Items { parts, last } });
    }
}

/// The buckets of all groups whose hashes are not `theirs`.
fn compare_groups(set: &mut ItemSet, theirs: &[Hash]) -> Message {
    let root = set.root();
    let own = set.groups();
    let (mut groups, mut buckets) = (0u32, Vec::new());
    for group in (0..GROUPS).filter(|group| theirs.get(*group) != Some(&own[*group])) {
        groups |= 1 << group;
        for number in group * BUCKETS_PER_GROUP..(group + 1) * BUCKETS_PER_GROUP {
            let (hash, items) = set.bucket(number);
            buckets.push(BucketSummary { hash, items: u32::try_from(items).unwrap_or(u32::MAX) });
        }
    }
    Message::Buckets { root, groups, buckets }
}

/// As many of the next buckets as fit a message, and do not make the neighbor give more than fits one: what to list, and
/// what to give right away, because the neighbor has nothing there.
fn next_parts(set: &ItemSet, syncing: &mut Syncing) -> (Vec<Part>, Vec<ItemId>) {
    let (mut parts, mut gives) = (Vec::new(), Vec::new());
    let mut room = SYNC_ITEMS_MAX;
    while let Some((bucket, theirs)) = syncing.pending.last().copied() {
        let held = set.range(usize::from(bucket), syncing.after, None);
        let weight = held.len().max(theirs as usize).clamp(1, SYNC_ITEMS_MAX);
        if weight > room || parts.len() == SYNC_PARTS_MAX {
            break;
        }
        room -= weight;
        let listed = &held[..held.len().min(weight)];
        let until = if listed.len() < held.len() { listed.last().copied() } else { None };
        if theirs == 0 {
            gives.extend_from_slice(listed);
        } else {
            parts.push(Part { bucket, after: syncing.after, until, items: listed.to_vec() });
        }
        syncing.after = until;
        if until.is_none() {
            syncing.pending.pop();
        }
    }
    (parts, gives)
}

/// Calls `differs` for each item that is in one of two ascending lists only; `true` if that is the first one.
fn compare(ours: &[ItemId], theirs: &[ItemId], mut differs: impl FnMut(bool, ItemId)) {
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.cmp(b),
        };
        let a = ours.next_if(|_| order.is_le());
        let b = theirs.next_if(|_| order.is_ge());
        match (a, b) {
            (Some(item), None) => differs(true, *item),
            (None, Some(item)) => differs(false, *item),
            _ => {}
        }
    }
}
