//! Services and forwards.

use super::called;
use super::page::Page;
use super::table::{Column, Table};
use crate::api::vocabulary::{ForwardInfo, ServiceInfo};

pub(super) fn list(services: &[ServiceInfo], forwards: &[ForwardInfo], page: &mut Page) {
    let mut table = Table::new(["SERVICE", "PROVIDER", "PEER", "TARGET"].map(Column::Left));
    for info in services {
        let target = info.target.clone().unwrap_or_default();
        table.row([info.name.clone(), called(&info.provider_name, info.provider), info.provider.short(), target]);
    }
    table.write(page, "no services; `prunella expose NAME tcp://HOST:PORT` publishes one");
    if forwards.is_empty() {
        return;
    }
    page.line("");
    let mut table =
        Table::new([Column::Left("FORWARD"), Column::Left("LISTEN"), Column::Right("OPEN"), Column::Right("TOTAL")]);
    for info in forwards {
        table.row([info.name.clone(), info.listen.to_string(), info.open.to_string(), info.total.to_string()]);
    }
    table.write(page, "");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerId;

    #[test]
    fn services_and_forwards_are_two_tables() {
        let service = ServiceInfo {
            name: "web".into(),
            provider: PeerId::from_public_key([2; 32]),
            provider_name: "b".into(),
            target: None,
        };
        let forward = ForwardInfo { name: "web".into(), listen: "127.0.0.1:80".parse().unwrap(), open: 1, total: 9 };
        let mut page = Page::default();
        list(&[service], &[forward], &mut page);
        let expected = "\
SERVICE  PROVIDER  PEER        TARGET
web      b         aibaeaqcai  -

FORWARD  LISTEN        OPEN  TOTAL
web      127.0.0.1:80     1      9
";
        assert_eq!(page.into_text(), expected);
    }
}
