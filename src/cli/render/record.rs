//! Signed records.

use super::called;
use super::page::Page;
use super::quantity::{bytes, span};
use super::table::{Column, Table};
use crate::api::vocabulary::{RecordDetail, RecordInfo};

pub(super) fn list(records: &[RecordInfo], now_unix_ms: u64, page: &mut Page) {
    let mut table = Table::new([
        Column::Left("OF"),
        Column::Left("KIND"),
        Column::Left("KEY"),
        Column::Right("VERSION"),
        Column::Right("AGE"),
        Column::Right("LEFT"),
        Column::Right("SIZE"),
        Column::Right("SIGNED"),
    ]);
    for info in records {
        let kind = if info.withdrawn { format!("{} (withdrawn)", info.id.kind) } else { info.id.kind.clone() };
        table.row([
            called(&info.name, info.id.origin),
            kind,
            info.id.key.clone(),
            info.version.to_string(),
            span(now_unix_ms.saturating_sub(info.issued_unix_ms)),
            span(info.expires_unix_ms.saturating_sub(now_unix_ms)),
            bytes(info.bytes as u64),
            signed(info),
        ]);
    }
    table.write(page, "no such record is held");
}

pub(super) fn one(detail: &RecordDetail, now_unix_ms: u64, page: &mut Page) {
    let RecordDetail { info, body, item, .. } = detail;
    page.line(&format!("{}  (of {})", info.id, called(&info.name, info.id.origin)));
    let age = span(now_unix_ms.saturating_sub(info.issued_unix_ms));
    let left = span(info.expires_unix_ms.saturating_sub(now_unix_ms));
    page.line(&format!("version {}, said {age} ago, ends in {left}", info.version));
    page.line(&format!("item {item}, {}, signed {}", bytes(info.bytes as u64), signed(info)));
    let text = serde_json::to_string_pretty(body).expect("BUG: a value has a JSON form");
    text.lines().for_each(|line| page.line(line));
}

/// How often, and whether with others.
fn signed(info: &RecordInfo) -> String {
    format!("{}{}", info.signatures, if info.in_batch { ", in a batch" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerId;
    use crate::api::vocabulary::RecordName;

    #[test]
    fn records_are_told_with_age_size_and_signatures() {
        let origin = PeerId::from_public_key([1; 32]);
        let info = |kind: &str, key: &str, signatures, withdrawn| RecordInfo {
            id: RecordName { origin, kind: kind.into(), key: key.into() },
            name: "a".into(),
            version: 7,
            issued_unix_ms: 1_000_000,
            expires_unix_ms: 1_080_000,
            bytes: 300,
            signatures,
            in_batch: withdrawn,
            withdrawn,
        };
        let expected = "\
OF  KIND                 KEY  VERSION   AGE  LEFT   SIZE         SIGNED
a   node                 -          7  30 s  50 s  300 B              2
a   service (withdrawn)  web        7  30 s  50 s  300 B  1, in a batch
";
        let mut page = Page::default();
        list(&[info("node", "", 2, false), info("service", "web", 1, true)], 1_030_000, &mut page);
        assert_eq!(page.into_text(), expected);
        let detail = RecordDetail {
            info: info("node", "", 2, false),
            body: serde_json::json!({ "Node": { "name": "a\u{1b}[2J" } }),
            item: "0a".into(),
            signed: "00".into(),
            signature: "00".into(),
            path: serde_json::Value::Null,
        };
        let mut page = Page::default();
        one(&detail, 1_030_000, &mut page);
        let text = page.into_text();
        assert!(text.contains("/node  (of a)") && text.contains("item 0a, 300 B, signed 2"), "{text}");
        assert!(text.contains("\"name\"") && !text.contains('\u{1b}'), "{text}");
    }
}
