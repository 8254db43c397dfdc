//! The faults in force.

use super::page::Page;
use super::quantity::span;
use super::table::{Column, Table};
use crate::api::chaos::InForce;

pub(super) fn faults(faults: &[InForce], page: &mut Page) {
    let mut table = Table::new([Column::Left("WHAT"), Column::Left("DOES"), Column::Right("ENDS IN")]);
    for fault in faults {
        table.row([fault.subject.clone(), fault.does.clone(), span(fault.left_ms)]);
    }
    table.write(page, "no fault is in force");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_tells_when_it_ends() {
        let mut page = Page::default();
        faults(&[], &mut page);
        let does = "loses 100 %".to_owned();
        faults(&[InForce { subject: "link b sent".to_owned(), does, left_ms: 4200 }], &mut page);
        let expected = "no fault is in force\n\
            WHAT         DOES         ENDS IN\n\
            link b sent  loses 100 %    4.2 s\n";
        assert_eq!(page.into_text(), expected);
    }
}
