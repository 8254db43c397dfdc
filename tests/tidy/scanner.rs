//! Splits source text into what matters: no parser, but it knows comments, strings and braces.

#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    Word(String),
    PathSeparator,
    Mark(char),
    /// An outer documentation comment.
    Doc,
}

#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub(crate) fn is_path_separator(&self) -> bool {
        self.kind == Kind::PathSeparator
    }
}

/// Splits Rust source into words and marks; comments, strings, characters, numbers and lifetimes are left out.
pub(crate) fn scan(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let (kind, end) = token(&chars, at);
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

/// What begins here, if it matters, and where it ends.
pub(crate) fn token(chars: &[char], at: usize) -> (Option<Kind>, usize) {
    let next = |ahead: usize| chars.get(at + ahead).copied().unwrap_or('\0');
    match chars[at] {
        '/' if next(1) == '/' => {
            let outer = next(2) == '/' && next(3) != '/';
            let end = (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len());
            (outer.then_some(Kind::Doc), end)
        }
        '/' if next(1) == '*' => (None, after_block_comment(chars, at)),
        '"' => (None, after_string(chars, at + 1)),
        '\'' => (None, after_quote(chars, at)),
        ':' if next(1) == ':' => (Some(Kind::PathSeparator), at + 2),
        c if c.is_alphabetic() || c == '_' => word(chars, at),
        c if c.is_ascii_digit() => (None, (at..chars.len()).find(|i| !is_word(chars[*i])).unwrap_or(chars.len())),
        c if c.is_whitespace() => (None, at + 1),
        c => (Some(Kind::Mark(c)), at + 1),
    }
}

/// A word, unless it is the prefix of a string or character.
pub(crate) fn word(chars: &[char], at: usize) -> (Option<Kind>, usize) {
    let end = (at..chars.len()).find(|i| !is_word(chars[*i])).unwrap_or(chars.len());
    let word: String = chars[at..end].iter().collect();
    let hashes = chars[end..].iter().take_while(|c| **c == '#').count();
    let quote = chars.get(end + hashes).copied();
    match (word.as_str(), quote) {
        ("r" | "br" | "cr", Some('"')) => (None, after_raw_string(chars, end + hashes + 1, hashes)),
        ("b" | "c", Some('"')) if hashes == 0 => (None, after_string(chars, end + 1)),
        ("b", Some('\'')) if hashes == 0 => (None, after_quote(chars, end)),
        ("r", Some(_)) if hashes == 1 => (None, end + 1),
        _ => (Some(Kind::Word(word)), end),
    }
}

pub(crate) fn after_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

pub(crate) fn after_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

pub(crate) fn after_raw_string(chars: &[char], from: usize, hashes: usize) -> usize {
    let closes = |at: &usize| chars[*at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    (from..chars.len()).find(closes).map_or(chars.len(), |at| at + 1 + hashes)
}

/// Behind a character, or behind the quote that begins a lifetime.
pub(crate) fn after_quote(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => (at + 3..chars.len()).find(|i| chars[*i] == '\'').map_or(chars.len(), |end| end + 1),
        (Some(_), Some('\'')) => at + 3,
        _ => (at + 1..chars.len()).find(|i| !is_word(chars[*i])).unwrap_or(chars.len()),
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the line has the word by itself; a word in small letters is found in any case.
pub(crate) fn contains_word(line: &str, word: &str) -> bool {
    let shouted = word.chars().any(char::is_uppercase);
    let line = if shouted { line.to_owned() } else { line.to_lowercase() };
    line.match_indices(word).any(|(at, _)| {
        let free = |neighbor: Option<char>| !neighbor.is_some_and(is_word);
        free(line[..at].chars().next_back()) && (word.ends_with('!') || free(line[at + word.len()..].chars().next()))
    })
}

/// The words that follow, up to the first mark.
pub(crate) fn words_after(tokens: &[Token], at: usize) -> String {
    let words: Vec<&str> = tokens[at..].iter().map_while(Token::word).take(3).collect();
    words.join(" ")
}

/// A relative link's target as a path from the root.
pub(crate) fn normal(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
