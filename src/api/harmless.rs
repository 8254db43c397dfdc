//! Text from elsewhere, as one line that commands no terminal and no log.

/// The text with everything replaced that could end a line, move a cursor or reverse the writing.
///
/// Whatever repeats what somebody else has said goes through here where it becomes words: what a reader of JSON complains
/// about, and all that is printed.
pub(crate) fn harmless(text: &str) -> String {
    let harms = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if harms(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc\u{202e}d\u{2028}e"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e");
    }
}
