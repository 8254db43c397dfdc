//! How a node's store does.

use super::actor::short;
use super::page::Page;
use super::quantity::{bytes, span};
use super::table::{Column, Table};
use crate::api::vocabulary::{StoreInfo, TreeInfo};

pub(super) fn store(info: &StoreInfo, page: &mut Page) {
    let fact = |page: &mut Page, title: &str, fact: String| page.line(&format!("{title:<10} {fact}"));
    let ago = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| format!("{} ago", span(ms)));
    fact(page, "state", info.state.clone());
    fact(page, "directory", info.directory.clone());
    fact(page, "on disk", format!("{}, weighed {}", bytes(info.disk_bytes), ago(info.weighed_ms)));
    let writing = info.writing_ms.map(|ms| format!(", writing for {}", span(ms))).unwrap_or_default();
    fact(page, "waiting", format!("{} changes{writing}", info.waiting));
    fact(page, "last write", format!("{}, took {}", ago(info.wrote_ms), short(info.took_us as f64)));
    let at_most = |us: Option<f64>| us.map_or("-".to_owned(), short);
    let (p50, p99, longest) = (at_most(info.took_p50_us), at_most(info.took_p99_us), short(info.longest_us as f64));
    fact(page, "writes", format!("{}, half within {p50}, 99 of 100 within {p99}, the slowest {longest}", info.writes));
    match &info.failure {
        Some(failure) => {
            fact(page, "failures", format!("{}, the last {}: {failure}", info.failures, ago(info.failed_ms)))
        }
        None => fact(page, "failures", "none".to_owned()),
    }
    page.line("");
    let mut table = Table::new([Column::Left("TREE"), Column::Right("ENTRIES"), Column::Right("SIZE")]);
    for TreeInfo { tree, entries, bytes: size } in &info.trees {
        let entries = entries.map(|entries| entries.to_string()).unwrap_or_default();
        table.row([tree.clone(), entries, size.map(bytes).unwrap_or_default()]);
    }
    table.write(page, "");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_fails_is_told_with_the_reason() {
        let info = StoreInfo {
            state: "failing".into(),
            directory: "/d/store".into(),
            disk_bytes: 3 << 20,
            trees: vec![
                TreeInfo { tree: "records".into(), entries: Some(12), bytes: Some(4096) },
                TreeInfo { tree: "meta".into(), entries: None, bytes: None },
            ],
            weighed_ms: Some(4_000),
            waiting: 3,
            writing_ms: Some(250),
            writes: 9,
            failures: 2,
            wrote_ms: Some(61_000),
            took_us: 800,
            took_p50_us: Some(1024.0),
            took_p99_us: None,
            longest_us: 3000,
            failed_ms: Some(100),
            failure: Some("no space left on device".into()),
        };
        let mut page = Page::default();
        store(&info, &mut page);
        let text = page.into_text();
        for line in [
            "state      failing",
            "on disk    3.0 MiB, weighed 4.0 s ago",
            "waiting    3 changes, writing for 250 ms",
            "failures   2, the last 100 ms ago: no space left on device",
            "records       12  4.0 KiB",
            "meta           -        -",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }
}
