//! The authorities that a node trusts.

use super::page::Page;
use super::quantity;
use super::table::{Column, Table};
use crate::api::authority::TrustedInfo;

/// A second since the Unix epoch.
pub(in crate::cli) fn moment(unix: u64) -> String {
    quantity::moment(unix * 1000)
}

pub(in crate::cli) fn json(trusted: &[TrustedInfo]) -> serde_json::Value {
    let one = |info: &TrustedInfo| {
        let TrustedInfo { fingerprint, until_unix, has_key } = info;
        serde_json::json!({ "fingerprint": fingerprint, "until_unix": until_unix, "has_key": has_key })
    };
    serde_json::json!({ "authorities": trusted.iter().map(one).collect::<Vec<_>>() })
}

pub(in crate::cli) fn text(trusted: &[TrustedInfo]) -> String {
    let mut table = Table::new(["AUTHORITY", "ENDS", "KEY"].map(Column::Left));
    for TrustedInfo { fingerprint, until_unix, has_key } in trusted {
        let key = if *has_key { "here" } else { "elsewhere" };
        table.row([fingerprint[..16].to_owned(), moment(*until_unix), key.to_owned()]);
    }
    let mut page = Page::default();
    table.write(&mut page, "no authority");
    page.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_where_the_key_is() {
        let info = |has_key| TrustedInfo { fingerprint: "ab".repeat(32), until_unix: 1_800_000_000, has_key };
        let expected = "\
AUTHORITY         ENDS                  KEY
abababababababab  2027-01-15 08:00:00Z  here
abababababababab  2027-01-15 08:00:00Z  elsewhere
";
        assert_eq!(text(&[info(true), info(false)]), expected);
    }
}
