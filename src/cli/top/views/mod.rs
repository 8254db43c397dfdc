//! What is drawn of the model. Each view is a function of it: the same model gives the same picture.

mod help;
mod list;
mod map;
mod theme;

#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) use self::theme::Theme;
use super::model::{Detail, Model, View};
use super::rows::Mark;
use crate::api::harmless;
use crate::api::vocabulary::{MemberCounts, Status};
use crate::cli::render::quantity::span;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!("{}x{} is too small: {WIDTH_MIN}x{HEIGHT_MIN} at least; q leaves", area.width, area.height);
        buffer.set_stringn(area.x, area.y, text, usize::from(area.width), theme.title());
        return;
    }
    let line = |row: u16| Rect { y: area.y + row, height: 1, ..area };
    head(buffer, line(0), theme, model);
    tabs(buffer, line(1), theme, model);
    let body = Rect { y: area.y + 3, height: area.height - 4, ..area };
    match (&model.detail, model.view) {
        _ if model.help => help::draw(buffer, body, theme),
        (Some(detail), _) => closer(buffer, body, theme, detail, model.now_unix_ms),
        (None, View::Map) => map::draw(buffer, body, theme, model),
        (None, _) => rows(buffer, body, theme, model),
    }
    foot(buffer, line(area.height - 1), theme, model);
}

/// The node at a glance.
fn head(buffer: &mut Buffer, area: Rect, theme: Theme, model: &Model) {
    let text = match (model.status.last(), &model.far) {
        (Some(status), _) => glance(status),
        (None, Some(far)) => format!("prunella  {far}"),
        (None, None) => "prunella".to_owned(),
    };
    buffer.set_stringn(area.x, area.y, harmless(&text), usize::from(area.width), theme.title());
}

fn glance(status: &Status) -> String {
    let Status { links_up, peers_reachable, incidents_open, .. } = status;
    let name = super::rows::called(&status.name, status.peer);
    let MemberCounts { alive, suspect, down } = status.members;
    let others = status.peers_known.saturating_sub(1);
    let quorum = if status.has_quorum { "" } else { "  NO QUORUM" };
    format!(
        "{name}  up {}  {links_up} links  {peers_reachable}/{others} reachable  \
         {alive} alive {suspect} suspect {down} down  {incidents_open} open{quorum}",
        span(status.uptime_ms)
    )
}

/// The views, and what is shown of this one.
fn tabs(buffer: &mut Buffer, area: Rect, theme: Theme, model: &Model) {
    let mut x = area.x;
    for (number, view) in View::ALL.into_iter().enumerate() {
        let style = if view == model.view { theme.chosen() } else { theme.of_text() };
        let text = format!(" {} {} ", number + 1, view.title());
        (x, _) = buffer.set_stringn(x, area.y, text, usize::from(area.right() - x), style);
    }
    let mut told = Vec::new();
    // What matters most comes first: a small screen cuts the rest.
    if let Some(age) = model.age() {
        told.push(format!("STALE: {} s old", age.as_secs()));
    }
    if model.paused {
        told.push("PAUSED".to_owned());
    }
    if let Some(detail) = &model.detail {
        told.push(detail.title.clone());
    } else if let Some(listing) = model.listing().filter(|_| !model.help) {
        told.push(format!("{} rows {}", listing.rows.len(), listing.order));
    }
    if !model.filter.is_empty() && !model.typing {
        told.push(format!("with {:?}", model.filter));
    }
    let text = harmless(&told.join("  "));
    buffer.set_stringn(x + 2, area.y, text, usize::from(area.right().saturating_sub(x + 2)), theme.title());
}

fn rows(buffer: &mut Buffer, area: Rect, theme: Theme, model: &Model) {
    let Some(listing) = model.listing() else { return };
    let none = match model.view {
        _ if !model.filter.is_empty() => "nothing has that text in it",
        _ if !model.has_rows() => "the node has not answered yet",
        View::Incidents => "no incidents",
        View::Links => "no links",
        _ => "no other nodes are known",
    };
    list::draw(buffer, area, theme, &listing, model.at(&listing.rows), none);
}

/// One thing, line by line.
fn closer(buffer: &mut Buffer, area: Rect, theme: Theme, detail: &Detail, now_unix_ms: u64) {
    let lines = detail.lines(now_unix_ms);
    if lines.is_empty() {
        buffer.set_stringn(area.x, area.y, "waiting for the node", usize::from(area.width), theme.faint());
    }
    let first = detail.scroll.min(lines.len().saturating_sub(1));
    for (row, line) in lines.iter().skip(first).take(usize::from(area.height)).enumerate() {
        buffer.set_stringn(area.x, area.y + row as u16, line, usize::from(area.width), theme.of_text());
    }
}

/// What is wrong, or which keys there are.
fn foot(buffer: &mut Buffer, area: Rect, theme: Theme, model: &Model) {
    let (text, style) = match model.trouble() {
        _ if model.typing => (format!("/{}_", model.filter), theme.title()),
        Some(trouble) => (trouble, theme.of(Mark::Bad)),
        None => (hint(model).to_owned(), theme.faint()),
    };
    buffer.set_stringn(area.x, area.y, harmless(&text), usize::from(area.width), style);
}

fn hint(model: &Model) -> &'static str {
    match (&model.detail, model.view) {
        (Some(_), _) => "Esc back  up/down scroll  p pause  ? help  q leave",
        (None, View::Map) => "Tab next view  p pause  ? help  q leave",
        (None, View::Links | View::Actors) => {
            "Enter closer  s order  / filter  Tab next view  p pause  ? help  q leave"
        }
        (None, _) => "Enter closer  / filter  Tab next view  p pause  ? help  q leave",
    }
}

/// The smallest screen.
const WIDTH_MIN: u16 = 80;
const HEIGHT_MIN: u16 = 24;
