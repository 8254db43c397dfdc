//! A list of rows with columns, of which one is chosen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::theme::Theme;
use crate::api::harmless;
use crate::cli::top::rows::Listing;

/// Draws a list; `chosen` is the row's number, and `none` stands there when there is no row.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, theme: Theme, listing: &Listing, chosen: usize, none: &str) {
    let widths = widths(listing);
    let titles = listing.titles.iter().map(|title| title.trim_start_matches('>').to_owned());
    let head = line(&titles.collect::<Vec<_>>(), listing.titles, &widths);
    let wide = usize::from(area.width);
    buffer.set_stringn(area.x, area.y, head, wide, theme.title());
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    if listing.rows.is_empty() {
        buffer.set_stringn(area.x, area.y + 1, none, wide, theme.faint());
    }
    // Page by page, so that a list stands still while the choice moves.
    let first = chosen / height * height;
    for (number, row) in listing.rows.iter().enumerate().skip(first).take(height) {
        let y = area.y + 1 + (number - first) as u16;
        let text = line(&row.cells, listing.titles, &widths);
        buffer.set_stringn(area.x, y, text, wide, theme.of(row.mark));
        if number == chosen {
            buffer.set_style(Rect { y, height: 1, ..area }, theme.chosen());
        }
    }
}

fn widths(listing: &Listing) -> Vec<usize> {
    let title = |at: usize| listing.titles[at].trim_start_matches('>').len();
    let cells =
        |at: usize| listing.rows.iter().filter_map(move |row| row.cells.get(at)).map(|cell| columns(cell)).max();
    (0..listing.titles.len()).map(|at| title(at).max(cells(at).unwrap_or(0))).collect()
}

fn line(cells: &[String], titles: &[&str], widths: &[usize]) -> String {
    let mut line = String::new();
    for ((cell, title), width) in cells.iter().zip(titles).zip(widths) {
        let cell = if cell.is_empty() { "-".to_owned() } else { harmless(cell) };
        let blanks = " ".repeat(width.saturating_sub(columns(&cell)));
        let [before, after] = if title.starts_with('>') { [blanks.as_str(), ""] } else { ["", blanks.as_str()] };
        line.push_str(&format!("{before}{cell}{after}  "));
    }
    line
}

fn columns(text: &str) -> usize {
    Span::raw(text).width()
}
