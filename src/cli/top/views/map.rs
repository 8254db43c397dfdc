//! The map, and below it what happened.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line};

use super::theme::Theme;
use crate::api::harmless;
use crate::cli::render::quantity::moment;
use crate::cli::top::map::{Drawn, Map, Spot};
use crate::cli::top::model::Model;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, theme: Theme, model: &Model) {
    let story_height = (area.height / 4).clamp(4, 12);
    let map = Rect { height: area.height - story_height, ..area };
    let story = Rect { y: map.bottom(), height: story_height, ..area };
    draw_map(buffer, map, theme, model);
    buffer.set_stringn(story.x, story.y, "WHAT HAPPENED", usize::from(story.width), theme.title());
    let lines = usize::from(story.height - 1);
    if model.story.newest().next().is_none() {
        buffer.set_stringn(story.x, story.y + 1, "nothing since this view was opened", lines * 80, theme.faint());
    }
    for (row, happened) in model.story.newest().take(lines).enumerate() {
        let text = format!("{}  {}", moment(happened.unix_ms), harmless(&happened.what));
        let y = story.y + 1 + row as u16;
        buffer.set_stringn(story.x, y, text, usize::from(story.width), theme.of(happened.mark));
    }
}

fn draw_map(buffer: &mut Buffer, area: Rect, theme: Theme, model: &Model) {
    let wide = usize::from(area.width);
    let (Some(peers), links) = (model.peers.last(), model.links.last()) else {
        buffer.set_stringn(area.x, area.y, "the node has not answered yet", wide, theme.faint());
        return;
    };
    let map = Map::of(peers, links.map_or(&[], Vec::as_slice), model.topology.last());
    let area = Rect { height: area.height - 1, ..area };
    let drawn = map.drawn(area.width, area.height);
    draw_lines(buffer, area, theme, &drawn);
    for label in &drawn.labels {
        let style = if label.is_me { theme.title() } else { theme.of(label.mark) };
        buffer.set_stringn(area.x + label.at.0, area.y + label.at.1, &label.text, wide, style);
    }
    let hidden =
        if drawn.hidden > 0 { format!(", and {} more that find no room", drawn.hidden) } else { String::new() };
    let legend = format!("[this node]  neighbor  (over relays)  ✗unreachable  {} nodes{hidden}", map.nodes.len());
    buffer.set_stringn(area.x, area.bottom(), legend, wide, theme.faint());
}

fn draw_lines(buffer: &mut Buffer, area: Rect, theme: Theme, drawn: &Drawn) {
    let (width, height) = (f64::from(area.width), f64::from(area.height));
    // Rows are counted from above, and the canvas counts from below.
    let point = |(column, row): Spot| (f64::from(column) + 0.5, height - f64::from(row) - 0.5);
    let canvas = Canvas::default().marker(Marker::Braille).x_bounds([0.0, width]).y_bounds([0.0, height]);
    let canvas = canvas.paint(|context| {
        for (ends, mark) in &drawn.lines {
            let [(x1, y1), (x2, y2)] = ends.map(point);
            context.draw(&Line::new(x1, y1, x2, y2, theme.color(*mark)));
        }
    });
    canvas.render(area, buffer);
}
