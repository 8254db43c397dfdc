//! Colors, or none: everything is told by words and signs as well.

use ratatui::style::{Color, Modifier, Style};

use crate::cli::top::rows::Mark;

/// How things are set off.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli::top) struct Theme {
    has_color: bool,
}

impl Theme {
    /// In color or not.
    pub(in crate::cli::top) const fn new(has_color: bool) -> Self {
        Self { has_color }
    }

    /// As the environment says (<https://no-color.org>).
    pub(in crate::cli::top) fn of_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// How good or bad something is.
    pub(super) fn of(self, mark: Mark) -> Style {
        Style::new().fg(self.color(mark))
    }

    /// The color of a line.
    pub(super) fn color(self, mark: Mark) -> Color {
        match mark {
            _ if !self.has_color => Color::Reset,
            Mark::Plain => Color::Reset,
            Mark::Good => Color::Green,
            Mark::Doubtful => Color::Yellow,
            Mark::Bad => Color::Red,
        }
    }

    /// What has nothing to set off.
    pub(super) fn of_text(self) -> Style {
        Style::new()
    }

    /// A title.
    pub(super) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is chosen.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What is old, or of less weight.
    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}
