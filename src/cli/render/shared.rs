//! Shared keys and their values.

use super::called;
use super::page::Page;
use super::quantity::span;
use super::table::{Column, Table};
use crate::api::vocabulary::{SharedInfo, SharedValue};

/// One key: its value and nothing else, so that a script can use it; all of them if there is a conflict.
pub(super) fn one(info: &SharedInfo, now_unix_ms: u64, page: &mut Page) {
    if let [value] = info.values.as_slice() {
        return page.line(&value.value);
    }
    let mut table = Table::new(["VALUE", "WRITTEN BY", "AGO"].map(Column::Left));
    for value in &info.values {
        table.row([value.value.clone(), writers(value), age(value, now_unix_ms)]);
    }
    table.write(page, "no value");
    page.line(&format!(
        "{} values, written without knowing of each other; `prunella shared set {} VALUE` decides",
        info.values.len(),
        info.key
    ));
}

pub(super) fn list(shared: &[SharedInfo], now_unix_ms: u64, page: &mut Page) {
    let mut table = Table::new(["KEY", "VALUE", "WRITTEN BY", "AGO", "NOTE"].map(Column::Left));
    for info in shared {
        let note = if info.values.len() > 1 { "conflict" } else { "" };
        for value in &info.values {
            let (by, ago) = (writers(value), age(value, now_unix_ms));
            table.row([info.key.clone(), value.value.clone(), by, ago, note.to_owned()]);
        }
    }
    table.write(page, "no shared keys; `prunella shared set KEY VALUE` writes one");
}

fn writers(value: &SharedValue) -> String {
    let name = |(i, writer)| called(value.writer_names.get(i).map_or("", String::as_str), writer);
    value.writers.iter().copied().enumerate().map(name).collect::<Vec<_>>().join(" ")
}

fn age(value: &SharedValue, now_unix_ms: u64) -> String {
    span(now_unix_ms.saturating_sub(value.written_unix_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerId;

    fn value(text: &str, writer: u8, name: &str, written_unix_ms: u64) -> SharedValue {
        let writers = vec![PeerId::from_public_key([writer; 32])];
        SharedValue { value: text.into(), writers, writer_names: vec![name.into()], written_unix_ms }
    }

    fn drawn(draw: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::default();
        draw(&mut page);
        page.into_text()
    }

    #[test]
    fn a_single_value_is_shown_bare() {
        let info = SharedInfo { key: "color".into(), values: vec![value("deep blue", 1, "a", 0)] };
        assert_eq!(drawn(|page| one(&info, 9000, page)), "deep blue\n");
    }

    #[test]
    fn a_conflict_is_shown_with_all_values_and_how_to_decide_it() {
        let values = vec![value("blue", 2, "", 7_500), value("red", 1, "a", 0)];
        let info = SharedInfo { key: "color".into(), values };
        let expected = "\
VALUE  WRITTEN BY  AGO
blue   aibaeaqcai  1.5 s
red    a           9.0 s
2 values, written without knowing of each other; `prunella shared set color VALUE` decides
";
        assert_eq!(drawn(|page| one(&info, 9_000, page)), expected);
    }

    #[test]
    fn a_list_marks_conflicts() {
        let all = [
            SharedInfo { key: "a".into(), values: vec![value("1", 1, "n", 0)] },
            SharedInfo { key: "b".into(), values: vec![value("2", 1, "n", 0), value("3", 2, "m", 0)] },
        ];
        let expected = "\
KEY  VALUE  WRITTEN BY  AGO   NOTE
a    1      n           5 ms  -
b    2      n           5 ms  conflict
b    3      m           5 ms  conflict
";
        assert_eq!(drawn(|page| list(&all, 5, page)), expected);
        let none = "no shared keys; `prunella shared set KEY VALUE` writes one\n";
        assert_eq!(drawn(|page| list(&[], 0, page)), none);
    }
}
