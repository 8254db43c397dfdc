//! Tokens of the HTTP API.

use super::page::Page;
use super::quantity::moment;
use super::table::{Column, Table};
use crate::api::tokens::{Scope, TokenInfo};

pub(in crate::cli) fn tokens(tokens: &[TokenInfo], now_unix_ms: u64) -> String {
    let mut table = Table::new(["NAME", "SCOPES", "MADE", "ENDS"].map(Column::Left));
    for token in tokens {
        let scopes: Vec<&str> = token.scopes.iter().copied().map(Scope::name).collect();
        let ends = match token.expires_unix {
            None => "never".to_owned(),
            Some(end) if end * 1000 <= now_unix_ms => "ENDED".to_owned(),
            Some(end) => moment(end * 1000),
        };
        table.row([token.name.clone(), scopes.join(" "), moment(token.created_unix * 1000), ends]);
    }
    let mut page = Page::default();
    table.write(&mut page, "no tokens; `prunella token create NAME` makes one");
    page.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_without_what_would_open_anything() {
        let token = |name: &str, expires_unix| TokenInfo {
            name: name.into(),
            scopes: vec![Scope::Read, Scope::Grave],
            created_unix: 1_700_000_000,
            expires_unix,
            digest: "secret".into(),
        };
        let shown = tokens(&[token("a", None), token("b", Some(1_700_000_060))], 1_700_000_060_000);
        let expected = "\
NAME  SCOPES      MADE                  ENDS
a     read grave  2023-11-14 22:13:20Z  never
b     read grave  2023-11-14 22:13:20Z  ENDED
";
        assert_eq!(shown, expected);
    }
}
