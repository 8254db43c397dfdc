//! Where a file belongs, and what it imports.

use std::fmt;

use crate::functions::closing;
use crate::scanner::{Kind, Token};

/// A file's layer and its module path inside the crate.
pub(crate) struct Place {
    pub(crate) layer: String,
    pub(crate) modules: Vec<String>,
}

impl Place {
    /// None for what no layer binds: integration tests, benches, examples, and the library's root.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let (crate_layer, inside) = [
            ("core/", "core"),
            ("storage/", "storage"),
            ("sim/", "sim"),
            ("bench/", "bench"),
            ("ebpf/common/", "ebpf_common"),
        ]
        .iter()
        .find_map(|(folder, layer)| path.strip_prefix(folder).map(|inside| (Some(*layer), inside)))
        .unwrap_or((None, path));
        let Some(inside) = inside.strip_prefix("src/") else {
            return crate_layer.map(|layer| Self { layer: layer.into(), modules: Vec::new() });
        };
        let mut modules: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        let stem = modules.last().cloned().unwrap_or_default();
        if stem == "mod" || stem == "lib" {
            modules.pop();
        }
        match (crate_layer, modules.first()) {
            (Some(layer), _) => Some(Self { layer: layer.into(), modules }),
            (None, Some(first)) => Some(Self { layer: first.clone(), modules }),
            (None, None) => None,
        }
    }

    pub(crate) fn modules_or_layer(&self) -> String {
        if self.modules.is_empty() { self.layer.clone() } else { self.modules.join("::") }
    }

    /// Whether paths that begin with `crate` stay inside one layer, as in `core`, or name layers, as in `prunella`.
    pub(crate) fn is_one_layer_crate(&self) -> bool {
        matches!(self.layer.as_str(), "core" | "storage" | "sim" | "bench" | "ebpf_common")
    }
}

/// What an import names: another crate of ours, or a module path of the library.
pub(crate) struct Target {
    pub(crate) line: usize,
    /// The crate's layer when it is another crate of ours.
    pub(crate) package: Option<String>,
    pub(crate) modules: Vec<String>,
}

impl Target {
    pub(crate) fn layer(&self) -> &str {
        match (&self.package, self.modules.first()) {
            (Some(package), _) => package,
            (None, Some(first)) => first,
            (None, None) => "the crate's root",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.package {
            Some(package) => write!(f, "the crate {package}"),
            None if self.modules.is_empty() => write!(f, "the crate's root"),
            None => write!(f, "{}", self.modules.join("::")),
        }
    }
}

/// Everything of ours that the tokens name by `crate`, `super`, `prunella` or a sister crate's name.
pub(crate) fn imports(tokens: &[Token], place: &Place) -> Vec<Target> {
    let mut found = Vec::new();
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Mark('{') => {
                if let Some(name) = inline_module(tokens, at) {
                    inline.push((name, depth));
                }
                depth += 1;
            }
            Kind::Mark('}') => {
                depth = depth.saturating_sub(1);
                inline.pop_if(|(_, opened)| *opened == depth);
            }
            Kind::Word(word) => {
                let inner = inline.iter().map(|(name, _)| name.clone());
                let here: Vec<String> = place.modules.iter().cloned().chain(inner).collect();
                found.extend(named_by(word, tokens, at, &here, place));
            }
            _ => {}
        }
    }
    found
}

/// What the path that begins with this word names.
pub(crate) fn named_by(word: &str, tokens: &[Token], at: usize, here: &[String], place: &Place) -> Vec<Target> {
    let begins = at == 0 || !tokens[at - 1].is_path_separator();
    let goes_on = tokens.get(at + 1).is_some_and(Token::is_path_separator);
    let imported = at > 0 && tokens[at - 1].word().is_some_and(|before| before == "use" || before == "crate");
    if !begins || !(goes_on || imported) {
        return Vec::new();
    }
    let line = tokens[at].line;
    let below = |base: &[String], at: usize| {
        let full = |path: Vec<String>| Target { line, package: None, modules: [base.to_vec(), path].concat() };
        use_tree(tokens, at).into_iter().map(full).collect::<Vec<_>>()
    };
    match word {
        "crate" | "prunella" if !place.is_one_layer_crate() => below(&[], at + 2),
        "super" if !place.is_one_layer_crate() => {
            let mut base = here.to_vec();
            let mut at = at;
            while tokens.get(at).and_then(Token::word) == Some("super") {
                base.pop();
                at += 2;
            }
            below(&base, at)
        }
        "prunella" => vec![Target { line, package: Some("prunella".into()), modules: Vec::new() }],
        _ => match word.strip_prefix("prunella_") {
            Some(layer) => vec![Target { line, package: Some(layer.into()), modules: Vec::new() }],
            None => Vec::new(),
        },
    }
}

/// The paths of a use tree that begins here: `a::{b, c::d}` is `a::b` and `a::c::d`; a glob names its parent.
pub(crate) fn use_tree(tokens: &[Token], mut at: usize) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    loop {
        match tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word(word)) => path.push(word.clone()),
            Some(Kind::Mark('{')) => return branches(tokens, at, &path),
            _ => return vec![path],
        }
        if !tokens.get(at + 1).is_some_and(Token::is_path_separator) {
            return vec![path];
        }
        at += 2;
    }
}

/// The branches of a use tree's braces, each behind the path that leads to them.
pub(crate) fn branches(tokens: &[Token], open: usize, path: &[String]) -> Vec<Vec<String>> {
    let end = closing(tokens, open);
    let mut found = Vec::new();
    let mut at = open + 1;
    while at < end {
        found.extend(use_tree(tokens, at).into_iter().map(|branch| [path.to_vec(), branch].concat()));
        while at < end && !tokens[at].is(',') {
            at = if tokens[at].is('{') { closing(tokens, at) + 1 } else { at + 1 };
        }
        at += 1;
    }
    found
}

/// The module's name when this brace opens one.
pub(crate) fn inline_module(tokens: &[Token], brace: usize) -> Option<String> {
    let keyword = brace.checked_sub(2)?;
    (tokens[keyword].word() == Some("mod")).then(|| tokens[brace - 1].word().map(str::to_owned))?
}
