//! The configuration in force.

use super::page::Page;
use super::table::{Column, Table};
use crate::api::vocabulary::SettingInfo;

pub(super) fn settings(settings: &[SettingInfo], page: &mut Page) {
    let mut table = Table::new(["KEY", "VALUE", "FROM", "AFTER A RESTART"].map(Column::Left));
    for setting in settings {
        let live = if setting.live { " (live)" } else { "" };
        let pending = setting.pending.clone().unwrap_or_default();
        table.row([format!("{}{live}", setting.key), setting.value.clone(), setting.origin.clone(), pending]);
    }
    table.write(page, "no key begins so; `prunella config show` lists all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_restart_would_change_stands_beside_what_is_in_force() {
        let setting = |key: &str, origin: &str, pending: Option<&str>, live| SettingInfo {
            key: key.into(),
            value: "1".into(),
            origin: origin.into(),
            pending: pending.map(str::to_owned),
            live,
        };
        let told = [setting("a", "default", None, true), setting("b.c", "/x/config.toml:3:1", Some("2"), false)];
        let mut page = Page::default();
        settings(&told, &mut page);
        let expected = "\
KEY       VALUE  FROM                AFTER A RESTART
a (live)  1      default             -
b.c       1      /x/config.toml:3:1  2
";
        assert_eq!(page.into_text(), expected);
    }
}
