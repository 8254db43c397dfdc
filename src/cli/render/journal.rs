//! The recording of what roles hear.

use super::page::Page;
use super::quantity::{bytes, span};
use super::table::{Column, Table};
use crate::api::vocabulary::{JournalInfo, JournalRole};

pub(super) fn journal(info: &JournalInfo, now_unix_ms: u64, page: &mut Page) {
    let fact = |page: &mut Page, title: &str, fact: String| page.line(&format!("{title:<10} {fact}"));
    let since = info.since_unix_ms.map(|since| span(now_unix_ms.saturating_sub(since)));
    fact(
        page,
        "recording",
        match (info.recording, since) {
            (true, Some(since)) => format!("for {since}"),
            (false, Some(since)) => format!("no more: begun {since} ago, and the disk took nothing any more"),
            (_, None) => "no (`journal.inputs` in config.toml turns it on)".to_owned(),
        },
    );
    fact(page, "directory", info.run.clone().unwrap_or_else(|| info.directory.clone()));
    fact(page, "files", format!("{}, each at most {}", bytes(info.bytes), bytes(info.file_bytes_max)));
    if info.earlier_runs > 0 {
        fact(page, "earlier", format!("{} runs, {}", info.earlier_runs, bytes(info.earlier_bytes)));
    }
    if info.roles.is_empty() {
        return;
    }
    page.line("");
    let mut table = Table::new([
        Column::Left("ROLE"),
        Column::Right("FILES"),
        Column::Right("SIZE"),
        Column::Right("HELD"),
        Column::Right("ENTRIES"),
        Column::Right("DROPPED"),
        Column::Right("GAPS"),
    ]);
    for JournalRole { role, files, bytes: size, held_ms, entries, dropped, gaps } in &info.roles {
        let held = held_ms.map(span).unwrap_or_default();
        let counts = [entries, dropped, gaps].map(u64::to_string);
        let [entries, dropped, gaps] = counts;
        table.row([role.clone(), files.to_string(), bytes(*size), held, entries, dropped, gaps]);
    }
    table.write(page, "");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_and_since_when_is_told_with_gaps_by_role() {
        let role = JournalRole {
            role: "gossip".into(),
            files: 2,
            bytes: 2048,
            held_ms: Some(90_000),
            entries: 700,
            dropped: 3,
            gaps: 1,
        };
        let info = JournalInfo {
            recording: true,
            directory: "/d/journal".into(),
            run: Some("/d/journal/1000".into()),
            since_unix_ms: Some(1_000),
            file_bytes_max: 64 << 20,
            bytes: 2048,
            earlier_bytes: 100,
            earlier_runs: 1,
            roles: vec![role],
        };
        let expected = "\
recording  for 1 min 30 s
directory  /d/journal/1000
files      2.0 KiB, each at most 64.0 MiB
earlier    1 runs, 100 B

ROLE    FILES     SIZE        HELD  ENTRIES  DROPPED  GAPS
gossip      2  2.0 KiB  1 min 30 s      700        3     1
";
        let text = |info: &JournalInfo| {
            let mut page = Page::default();
            journal(info, 91_000, &mut page);
            page.into_text()
        };
        assert_eq!(text(&info), expected);
        let none = JournalInfo { recording: false, run: None, since_unix_ms: None, roles: vec![], ..info };
        assert!(text(&none).starts_with("recording  no ("));
    }
}
