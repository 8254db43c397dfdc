//! A line's words: separated by blanks, kept together by quotes or a backslash, up to a `#` that begins a word.

/// The line cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quote or backslash is left open at the end of the line")]
pub(super) struct LeftOpen;

/// Splits a line into words.
pub(super) fn split(line: &str) -> Result<Vec<String>, LeftOpen> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().push(chars.next().ok_or(LeftOpen)?),
            (_, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (_, None) if c.is_whitespace() => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(LeftOpen) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_blanks_outside_of_quotes() {
        assert_eq!(split(r#" ping  "a b"'c' d\ e '' # rest"#).unwrap(), ["ping", "a bc", "d e", ""]);
        assert_eq!(split(r#"a#b "x\"y" 'x\y'"#).unwrap(), ["a#b", "x\"y", "x\\y"]);
        assert_eq!(split("# only a comment").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_left_open_is_refused() {
        assert_eq!(split("a 'b"), Err(LeftOpen));
        assert_eq!(split("a \\"), Err(LeftOpen));
    }
}
