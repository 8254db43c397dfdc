//! A round over the sketch: cells until they suffice, then what differs is given and asked for.

use super::session::{Fetch, Session};
use super::sketch::{Cell, Symbol, first_end, next_end};
use super::{Message, Outcome, Reconciler};
use crate::limits::{RECONCILE_ROUNDS_MAX, SKETCH_CELLS_MAX};
use crate::{Instant, Rejected};

impl<P: Copy + Ord> Reconciler<P> {
    /// A neighbor's greeting. If the roots differ, one of both tells its cells: the one that was greeted, and if both
    /// were at once, the one whose root is less.
    pub(super) fn on_summary(
        &mut self,
        from: P,
        (root, items, fresh): ([u8; 32], u32, bool),
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let (own, held) = (self.set.root(), self.set.len());
        let session = self.session(from)?;
        if fresh {
            session.start_over();
        }
        session.theirs = Some(root);
        let crossed = std::mem::take(&mut session.greeted);
        if root == own {
            session.settle();
            // So that it knows, too. It answers only if it has changed since: it has been told, and so have we.
            if session.ours != Some(own) {
                let message = session.greet(own, held, now);
                out.push(Outcome::Send { to: from, message });
            }
            return Ok(());
        }
        if session.is_engaged() || (crossed && session.ours >= Some(root)) {
            return Ok(());
        }
        let difference = held.abs_diff(items as usize);
        // So many that no sketch holds them.
        if difference > SKETCH_CELLS_MAX && self.begin_sync(from, now, out) {
            return Ok(());
        }
        self.tell_cells(from, 0, first_end(difference), now, out)
    }

    /// Cells of a neighbor that this node has greeted, or asked for more.
    pub(super) fn on_cells(
        &mut self,
        from: P,
        (root, start, cells): ([u8; 32], u16, Vec<Cell>),
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let own = self.set.root();
        let session = self.session(from)?;
        let Some(cells) = collect(session, root, usize::from(start), cells)? else { return Ok(()) };
        session.theirs = Some(root);
        session.greeted = false;
        if root == own {
            session.settle();
            return Ok(());
        }
        if let Some(symbols) = self.set.difference(&cells) {
            self.conclude(from, &symbols, root, now, out);
        } else if cells.len() < SKETCH_CELLS_MAX {
            let message = Message::MoreCells { root, start: cells.len() as u16 };
            self.session(from)?.fetch = Some(Fetch { root, cells, asked_at: now });
            out.push(Outcome::Send { to: from, message });
        } else {
            self.begin_sync(from, now, out);
        }
        Ok(())
    }

    /// A neighbor that needs more cells. If they changed meanwhile it gets all of them anew, and as many as it would
    /// have then: so it comes to an end however often they change.
    pub(super) fn on_more_cells(
        &mut self,
        from: P,
        root: [u8; 32],
        start: u16,
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let own = self.set.root();
        let known = usize::from(start);
        self.tell_cells(from, if root == own { known } else { 0 }, next_end(known), now, out)
    }

    /// A neighbor that asks for items by their symbols: at most as many as it was told cells. What was given to it a
    /// moment ago is on its way.
    pub(super) fn on_want(
        &mut self,
        from: P,
        symbols: &[Symbol],
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let session = self.session(from)?;
        if session.cells_told == 0 {
            return Err(Rejected::Stale);
        }
        session.cells_told = session.cells_told.checked_sub(symbols.len()).ok_or(Rejected::OverLimit)?;
        let due: Vec<Symbol> = symbols.iter().copied().filter(|symbol| session.is_due(symbol, now)).collect();
        if symbols.iter().all(|symbol| self.set.with_symbol(*symbol).is_empty()) {
            return Err(Rejected::Stale);
        }
        self.give_symbols(from, &due, out);
        let session = self.session(from)?;
        for symbol in due {
            if session.under_way.len() < 2 * SKETCH_CELLS_MAX {
                session.under_way.insert(symbol, now);
            }
        }
        Ok(())
    }

    /// The end of a round: what differs is known, unless somebody hides something.
    fn conclude(&mut self, from: P, symbols: &[Symbol], root: [u8; 32], now: Instant, out: &mut Vec<Outcome<P>>) {
        let own = self.set.root();
        let Ok(session) = self.session(from) else { return };
        if session.is_synced(own, root, now) {
            return;
        }
        let due: Vec<Symbol> = symbols.iter().copied().filter(|symbol| session.is_due(symbol, now)).collect();
        let any_new = symbols.iter().any(|symbol| !session.under_way.contains_key(symbol));
        session.under_way.retain(|symbol, _| symbols.binary_search(symbol).is_ok());
        if due.is_empty() && !symbols.is_empty() {
            return;
        }
        session.rounds += 1;
        let doubtful = !any_new || session.rounds > RECONCILE_ROUNDS_MAX;
        if doubtful && self.begin_sync(from, now, out) {
            return;
        }
        let Ok(session) = self.session(from) else { return };
        session.under_way.extend(due.iter().map(|symbol| (*symbol, now)));
        self.give_symbols(from, &due, out);
        let wanted: Vec<Symbol> = due.into_iter().filter(|symbol| self.set.with_symbol(*symbol).is_empty()).collect();
        if !wanted.is_empty() {
            out.push(Outcome::Send { to: from, message: Message::Want(wanted) });
        }
    }

    /// Gives a neighbor the items of this node that have these symbols.
    fn give_symbols(&self, to: P, symbols: &[Symbol], out: &mut Vec<Outcome<P>>) {
        let items = symbols.iter().flat_map(|symbol| self.set.with_symbol(*symbol));
        let items: Vec<_> = items.copied().take(SKETCH_CELLS_MAX).collect();
        if !items.is_empty() {
            out.push(Outcome::Give { to, items });
        }
    }

    fn tell_cells(
        &mut self,
        to: P,
        start: usize,
        end: usize,
        now: Instant,
        out: &mut Vec<Outcome<P>>,
    ) -> Result<(), Rejected> {
        let root = self.set.root();
        let session = self.session(to)?;
        if !session.allowance.take(end - start, now) {
            return Err(Rejected::OverLimit);
        }
        session.ours = Some(root);
        session.cells_told = (session.cells_told + end - start).min(2 * SKETCH_CELLS_MAX);
        let cells = self.set.cells(start, end).to_vec();
        out.push(Outcome::Send { to, message: Message::Cells { root, start: start as u16, cells } });
        Ok(())
    }
}

/// All cells of the neighbor so far, with those that came now; `None` if they answer a question that is no longer of
/// interest.
fn collect(
    session: &mut Session,
    root: [u8; 32],
    start: usize,
    cells: Vec<Cell>,
) -> Result<Option<Vec<Cell>>, Rejected> {
    let Some(fetch) = session.fetch.take() else {
        return if start == 0 && session.take_answer() { Ok(Some(cells)) } else { Err(Rejected::Stale) };
    };
    let asked = next_end(fetch.cells.len());
    if start + cells.len() == asked && start == 0 {
        return Ok(Some(cells));
    }
    if start + cells.len() == asked && start == fetch.cells.len() && root == fetch.root {
        return Ok(Some([fetch.cells, cells].concat()));
    }
    // The answer to an earlier one of two greetings, one that comes too late, or nonsense.
    let earlier = start == 0 && session.take_answer();
    session.fetch = Some(fetch);
    if earlier { Ok(None) } else { Err(Rejected::Stale) }
}
