//! The keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::theme::Theme;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, theme: Theme) {
    buffer.set_stringn(area.x, area.y, "KEYS", usize::from(area.width), theme.title());
    for (row, (keys, what)) in KEYS.iter().enumerate().take(usize::from(area.height.saturating_sub(1))) {
        let text = format!("{keys:<16}{what}");
        buffer.set_stringn(area.x, area.y + 1 + row as u16, text, usize::from(area.width), theme.of_text());
    }
}

const KEYS: [(&str, &str); 13] = [
    ("1 to 5", "map, links, actors, incidents, paths"),
    ("Tab, arrows", "the next view; Shift-Tab or left arrow: the one before"),
    ("up, down, k, j", "choose a row, or scroll; Page Up and Down, Home (g), End (G)"),
    ("Enter", "look closer: the paths of a link, an actor, the story of an incident"),
    ("Esc", "back; takes a filter away"),
    ("s", "order the rows by something else (links and actors)"),
    ("/", "show only rows with this text; Enter keeps it, Esc takes it away"),
    ("p", "pause: ask no more, until p is pressed again"),
    ("?", "this help"),
    ("q, Ctrl-C", "leave"),
    ("", ""),
    ("", "Rates are of the time between the last two answers. BUSY is the share of that time"),
    ("", "for which an actor was busy; P99 is of all its messages, to a factor of two."),
];
