//! The configuration key by key, with where each value comes from.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{MeshConfig, Place, load};

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The key, with its section.
    pub key: String,
    /// Its value in force, as TOML.
    pub value: String,
    /// Where the file sets it, if the value in force is from there.
    pub place: Option<Place>,
    /// What the file says by now, if that is something else.
    pub pending: Option<String>,
}

impl MeshConfig {
    /// Every key with its value and, if the node in `dir` was started with `file`, the line that sets it. The file is read
    /// anew: what it says by now and the node does not know is pending.
    pub fn settings(&self, dir: &Path, file: Option<&Path>) -> Vec<Setting> {
        let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let places = file.map(|file| places(&text, file)).unwrap_or_default();
        let by_now = file.and_then(|file| load(dir, Some(file)).ok()).map(|config| flat(&config)).unwrap_or_default();
        let setting = |(key, value): (String, String)| {
            let pending = by_now.get(&key).filter(|by_now| **by_now != value).cloned();
            let place = places.get(&key).filter(|_| pending.is_none()).cloned();
            Setting { key, value, place, pending }
        };
        flat(self).into_iter().map(setting).collect()
    }
}

/// Every key with its value as TOML.
fn flat(config: &MeshConfig) -> BTreeMap<String, String> {
    fn walk(table: &Table, section: &str, all: &mut BTreeMap<String, String>) {
        for (name, value) in table {
            let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
            match value {
                Value::Table(inner) => walk(inner, &key, all),
                value => _ = all.insert(key, value.to_string()),
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(&Table::try_from(config).expect("BUG: every configuration is a table"), "", &mut all);
    all
}

/// Where the file sets each key. One that cannot be read sets nothing.
fn places(text: &str, file: &Path) -> BTreeMap<String, Place> {
    fn walk(table: &DeTable, section: &str, found: &mut dyn FnMut(String, usize)) {
        for (name, value) in table {
            let name_text = name.get_ref();
            let key = if section.is_empty() { name_text.to_string() } else { format!("{section}.{name_text}") };
            match value.get_ref() {
                DeValue::Table(inner) => walk(inner, &key, found),
                _ => found(key, name.span().start),
            }
        }
    }
    let mut places = BTreeMap::new();
    if let Ok(table) = DeTable::parse(text) {
        walk(table.get_ref(), "", &mut |key, at| _ = places.insert(key, Place::at(file, text, at)));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_told_with_its_origin_and_what_a_restart_would_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "name = \"a\"\n\n[paths]\ncount = 4\n").unwrap();
        let config = load(dir.path(), Some(&file)).unwrap();
        std::fs::write(&file, "name = \"b\"\n\n[paths]\ncount = 4\n").unwrap();
        let settings = config.settings(dir.path(), Some(&file));
        let of = |key: &str| settings.iter().find(|setting| setting.key == key).unwrap();
        assert_eq!(of("paths.count").place.as_ref().map(|place| place.line), Some(4));
        assert_eq!((of("paths.count").value.as_str(), &of("paths.count").pending), ("4", &None));
        assert_eq!((of("name").value.as_str(), of("name").pending.as_deref()), ("\"a\"", Some("\"b\"")));
        assert_eq!((&of("paths.warm").place, of("paths.warm").value.as_str()), (&None, "2"));
        assert!(config.settings(dir.path(), None).iter().all(|setting| setting.place.is_none()));
    }
}
