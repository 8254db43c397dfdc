//! Functions and test modules: where they begin and end.

use crate::scanner::{Kind, Token};
use crate::tree::Source;

pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Function {
    pub(crate) fn lines(&self) -> usize {
        self.last - self.first + 1
    }
}

/// Every function with a body.
pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let name = tokens.get(at + 1).and_then(Token::word);
        let (Some("fn"), Some(name)) = (tokens[at].word(), name) else { continue };
        let Some(open) = body(tokens, at + 2) else { continue };
        let last = tokens.get(closing(tokens, open)).map_or(tokens[open].line, |token| token.line);
        found.push(Function { name: name.to_owned(), first: tokens[at].line, last });
    }
    found
}

/// The brace that opens the body, or none when the signature ends with a semicolon.
pub(crate) fn body(tokens: &[Token], mut at: usize) -> Option<usize> {
    loop {
        match tokens.get(at)?.kind {
            Kind::Mark('(' | '[') => at = closing(tokens, at),
            Kind::Mark('{') => return Some(at),
            Kind::Mark(';') => return None,
            _ => {}
        }
        at += 1;
    }
}

/// First and last line of every `#[cfg(test)] mod name { ... }`.
pub(crate) fn test_modules(tokens: &[Token]) -> Vec<(usize, usize)> {
    let written = |token: &Token| match &token.kind {
        Kind::Word(word) => word.clone(),
        Kind::Mark(mark) => mark.to_string(),
        Kind::PathSeparator | Kind::Doc => String::new(),
    };
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let Some(next) = tokens.get(at..at + 10) else { break };
        let head: String = next[..8].iter().map(written).collect();
        if head == "#[cfg(test)]mod" && next[9].is('{') {
            let last = tokens.get(closing(tokens, at + 9)).map_or(next[9].line, |token| token.line);
            found.push((next[0].line, last));
        }
    }
    found
}

pub(crate) fn function_names(source: &Source) -> Vec<String> {
    functions(&source.tokens).into_iter().map(|function| function.name).collect()
}

/// The bracket that closes the one at `open`; past the end when it is never closed.
pub(crate) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}
