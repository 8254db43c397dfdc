//! Destinations without an installed route: asking for one, and answering on the way that the other side used.
//!
//! A learned way rests on a source tag that nobody has proved. It is only where packets go, never who reads them: the
//! session's handshake decides that. A neighbor that forges tags can misdirect answers until a route is installed.

use prunella_core::frame::Frame;
use prunella_core::{LinkId, Tag};

use super::event::Event;
use super::port::Port;
use super::tables::{Destination, Tables, Way};

impl Port {
    /// Data from `source` arrived on `link`.
    pub(super) fn data_arrived(&self, tables: &Tables, source: Tag, link: LinkId, frame: &Frame<'_>, now: u64) {
        self.packet_arrived(tables, source, Way { path: NO_PATH_OF_MINE, first: link, labels: frame.way_back() }, now);
    }

    /// Data from `source` arrived, which could be answered on this way.
    pub(super) fn packet_arrived(&self, tables: &Tables, source: Tag, way: Way, now: u64) {
        let known = tables.destinations.get(&source);
        if let Some(destination) = known {
            destination.touch(now);
            if tables.has_route(destination) {
                return;
            }
        }
        let is_lesson = match known {
            Some(destination) => destination.learned != Some(way) && destination.activity.lessons.allows(now),
            None => self.newcomers.allows(now),
        };
        if is_lesson {
            self.update_destination(source, now, |destination| destination.learned = Some(way));
        }
        self.want_route(source, now);
    }

    /// Asks for a route, now and then.
    pub(super) fn want_route(&self, tag: Tag, now: u64) {
        if !self.tables.load().destinations.contains_key(&tag) {
            if !self.newcomers.allows(now) {
                return;
            }
            self.update_destination(tag, now, |_| ());
        }
        let tables = self.tables.load();
        if tables.destinations.get(&tag).is_some_and(|destination| destination.activity.wants.allows(now)) {
            self.emit(Event::RouteWanted { destination: tag });
        }
    }

    pub(super) fn update_destination(&self, tag: Tag, now: u64, update: impl FnOnce(&mut Destination)) {
        self.change(|tables| {
            if !tables.destinations.contains_key(&tag) {
                tables.make_room();
            }
            update(tables.destinations.entry(tag).or_insert_with(|| Destination::new(now)));
        });
    }
}

/// The path number in frames on a learned way: a path error for it says nothing about an installed route.
const NO_PATH_OF_MINE: u32 = 0;
