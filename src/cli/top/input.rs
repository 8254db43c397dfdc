//! Keys, and what they ask for.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::View;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Leave.
    Quit,
    /// Show a view.
    Show(View),
    /// Show the view after this one, or before it.
    Turn {
        /// Whether it is the one after.
        onwards: bool,
    },
    /// Go so many rows down; up if it is negative.
    Move(isize),
    /// Go to the first row.
    First,
    /// Go to the last row.
    Last,
    /// Look closer at the chosen row.
    Open,
    /// Back to where one came from.
    Back,
    /// Order the rows by something else.
    Sort,
    /// Begin to type a filter.
    Filter,
    /// A character of the filter.
    Type(char),
    /// Take the filter's last character back.
    Erase,
    /// The filter is typed.
    Accept,
    /// Explain the keys, or no longer.
    Help,
    /// Ask no more, or again.
    Pause,
}

/// What a key asks for; `typing`: while a filter is typed.
pub(super) fn action(key: KeyEvent, typing: bool) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return matches!(key.code, KeyCode::Char('c')).then_some(Action::Quit);
    }
    if typing {
        return match key.code {
            KeyCode::Char(c) => Some(Action::Type(c)),
            KeyCode::Backspace => Some(Action::Erase),
            KeyCode::Enter => Some(Action::Accept),
            KeyCode::Esc => Some(Action::Back),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Char(c @ '1'..='5') => Action::Show(View::ALL[c as usize - '1' as usize]),
        KeyCode::Tab | KeyCode::Right => Action::Turn { onwards: true },
        KeyCode::BackTab | KeyCode::Left => Action::Turn { onwards: false },
        KeyCode::Down | KeyCode::Char('j') => Action::Move(1),
        KeyCode::Up | KeyCode::Char('k') => Action::Move(-1),
        KeyCode::PageDown => Action::Move(PAGE),
        KeyCode::PageUp => Action::Move(-PAGE),
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Enter => Action::Open,
        KeyCode::Esc | KeyCode::Backspace => Action::Back,
        KeyCode::Char('s') => Action::Sort,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char('?') => Action::Help,
        KeyCode::Char('p') => Action::Pause,
        _ => return None,
    })
}

/// Rows of a page, roughly.
const PAGE: isize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    #[test]
    fn letters_are_commands_until_a_filter_is_typed() {
        assert_eq!(action(key(KeyCode::Char('q')), false), Some(Action::Quit));
        assert_eq!(action(key(KeyCode::Char('q')), true), Some(Action::Type('q')));
        assert_eq!(action(key(KeyCode::Char('3')), false), Some(Action::Show(View::Actors)));
        assert_eq!(action(key(KeyCode::Esc), true), Some(Action::Back));
        assert_eq!(action(key(KeyCode::Char('x')), false), None);
    }

    #[test]
    fn control_c_leaves_whatever_is_typed_and_no_other_control_key_does_anything() {
        for typing in [false, true] {
            let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
            assert_eq!(action(control('c'), typing), Some(Action::Quit));
            assert_eq!(action(control('q'), typing), None);
        }
    }
}
