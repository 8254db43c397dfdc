//! Ledgers: entries, what a walk through one found, and what proves an entry.

use super::called;
use super::page::Page;
use super::quantity::moment;
use super::table::{Column, Table};
use crate::api::vocabulary::{
    LedgerFinding, LedgerInfo, LedgerLine, LedgerProblem, LedgerProofInfo, LedgerRepair, LedgerReport,
};

pub(super) fn show(info: &LedgerInfo, page: &mut Page) {
    let LedgerInfo { head, ready, waiting, refused, rolled_back, trouble, findings, watching, entries, .. } = info;
    let state = if *ready { "" } else { "; NOTHING CAN BE WRITTEN" };
    let others = if *watching == 1 { "ledger" } else { "ledgers" };
    page.line(&format!(
        "{} entries, root {:.16}; {watching} other {others} watched{state}",
        head.size,
        head.root.to_string()
    ));
    if *waiting > 0 || *refused > 0 {
        page.line(&format!("{waiting} events wait to be written, {refused} were refused"));
    }
    if *rolled_back {
        page.line("SET BACK: others have seen of this ledger what it does not have");
    }
    trouble.iter().for_each(|trouble| page.line(&format!("TROUBLE: {trouble}")));
    for LedgerFinding { peer, name, fault } in findings {
        page.line(&format!("FOUND: the ledger of {} was {fault}", called(name, *peer)));
    }
    if !info.damaged.is_empty() {
        let numbers: Vec<String> = info.damaged.iter().map(u64::to_string).collect();
        page.line(&format!("DAMAGED: {}; neighbors are asked for what stood there", numbers.join(", ")));
    }
    if info.repaired > 0 || info.others_given > 0 {
        page.line(&format!(
            "{} damaged entries were put back with the help of neighbors; {} that neighbors gave were refused",
            info.repaired, info.others_given
        ));
    }
    if !info.copies.is_empty() {
        let copies =
            info.copies.iter().map(|copied| format!("{} to {}", called(&copied.name, copied.peer), copied.until));
        page.line(&format!("copies of entries: {}", copies.collect::<Vec<_>>().join(", ")));
    }
    let mut table = Table::new([
        Column::Right("INDEX"),
        Column::Left("TIME"),
        Column::Left("KIND"),
        Column::Left("WHO"),
        Column::Left("SUBJECT"),
        Column::Left("TEXT"),
    ]);
    for entry in entries {
        let from = if entry.from.is_empty() { String::new() } else { format!(" ({})", entry.from) };
        table.row([
            entry.index.to_string(),
            moment(entry.unix_ms),
            entry.kind.name().to_owned(),
            format!("{}{from}", short(&entry.who)),
            short(&entry.subject),
            cut(&entry.text),
        ]);
    }
    table.write(page, "no entry");
}

/// One place of a ledger as a line of JSON.
pub(in crate::cli) fn line(line: &LedgerLine) -> String {
    serde_json::to_string(line).expect("BUG: every entry has a JSON form")
}

pub(in crate::cli) fn report(report: &LedgerReport, page: &mut Page) {
    let LedgerReport { place, entries, head, problems, more_problems, torn_bytes, repairs } = report;
    page.line(&format!("{place}: {entries} entries"));
    if let Some(head) = head {
        page.line(&format!("  ledger  {}", head.ledger));
        page.line(&format!("  root    {}", head.root));
        page.line(&format!("  last    {}", moment(head.unix_ms)));
    }
    if *torn_bytes > 0 {
        page.line(&format!("  {torn_bytes} bytes at the end were never acknowledged: the next start cuts them off"));
    }
    for LedgerRepair { index, what, by } in repairs {
        page.line(&format!("repaired  {what}, with the help of {by} (entry {index})"));
    }
    for LedgerProblem { index, reason } in problems {
        let at = index.map_or_else(|| "ledger".to_owned(), |index| format!("entry {index}"));
        page.line(&format!("BAD {at}: {reason}"));
    }
    if *more_problems > 0 {
        page.line(&format!("BAD and {more_problems} more"));
    }
    if problems.is_empty() {
        page.line("ok  every entry is as it was written, and follows the one before it");
    }
}

pub(in crate::cli) fn proof(proof: &LedgerProofInfo, page: &mut Page) {
    let LedgerProofInfo { entry, inclusion, head, seen } = proof;
    page.line(&format!("entry {} of {}", entry.index, entry.ledger));
    page.line(&format!("  {}  {}  {}", moment(entry.unix_ms), entry.kind.name(), entry.who));
    page.line(&format!("  about {}: {}", entry.subject, cut(&entry.text)));
    let hashes = inclusion.path.len();
    page.line(&format!(
        "ok  it is under the root {:.16} of {} entries, by {hashes} hashes",
        head.head.root.to_string(),
        head.head.size
    ));
    page.line("ok  its node has signed that");
    for witness in seen {
        page.line(&format!("ok  seen by {}", witness.witness));
    }
    if seen.is_empty() {
        page.line("no witness has signed that it was seen");
    }
}

/// The beginning of what may be a peer id or a longer name.
fn short(text: &str) -> String {
    if text.len() > 32 && !text.contains(' ') { text.chars().take(10).collect() } else { text.to_owned() }
}

/// As much of a text as a line has room for.
fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(TEXT_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Characters of a text in a table.
const TEXT_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_is_wrong_with_its_entry() {
        let problem = |index, reason: &str| LedgerProblem { index, reason: reason.to_owned() };
        let report_of = |problems| LedgerReport {
            place: "/d/ledger".to_owned(),
            entries: 7,
            head: None,
            problems,
            more_problems: 0,
            torn_bytes: 0,
            repairs: vec![],
        };
        let shown = |info: &LedgerReport| {
            let mut page = Page::default();
            report(info, &mut page);
            page.into_text()
        };
        let bad = report_of(vec![problem(Some(4), "the entry is damaged"), problem(None, "it was set back")]);
        let expected = "/d/ledger: 7 entries\nBAD entry 4: the entry is damaged\nBAD ledger: it was set back\n";
        assert_eq!(shown(&bad), expected);
        let mut repaired = report_of(vec![]);
        let (what, by) = ("entries of this ledger: 4".to_owned(), "b".to_owned());
        repaired.repairs = vec![LedgerRepair { index: 6, what, by }];
        assert!(
            shown(&repaired).contains("repaired  entries of this ledger: 4, with the help of b (entry 6)\nok  every")
        );
        let good = "/d/ledger: 7 entries\nok  every entry is as it was written, and follows the one before it\n";
        assert_eq!(shown(&report_of(vec![])), good);
    }

    #[test]
    fn long_ids_and_texts_are_cut() {
        assert_eq!(short("lentaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "lentaaaaaa");
        assert_eq!(short("entries of this ledger: 1, 2, 3, 4, 5"), "entries of this ledger: 1, 2, 3, 4, 5");
        assert_eq!(cut(&"ß".repeat(81)).chars().count(), 81);
        assert_eq!(cut("short"), "short");
    }
}
