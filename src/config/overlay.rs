//! Lays the user's file over the defaults and keeps where everything was written, for errors that say so.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::check::Broken;
use super::error::{ConfigError, Place};
use super::nearest::nearest;

/// The user's file, still knowing where each key stands.
pub(super) struct UserFile<'a> {
    file: &'a Path,
    text: &'a str,
    table: DeTable<'a>,
}

/// Parses `text` over `defaults`. Both spell out every key, so a key that `defaults` lacks does not exist.
pub(super) fn read<'a, T: DeserializeOwned>(
    defaults: &str,
    text: &'a str,
    file: &'a Path,
) -> Result<(T, UserFile<'a>), ConfigError> {
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: Place::at(file, text, error.span().map_or(0, |span| span.start)),
        reason: one_line(error.message()),
    })?;
    let user = UserFile { file, text, table: table.into_inner() };
    let mut merged = DeTable::parse(defaults).expect("BUG: the compiled-in defaults are tested to be TOML");
    user.compare(&user.table, merged.get_ref(), "", &known_keys(merged.get_ref(), ""))?;
    lay_over(merged.get_mut(), user.table.clone());
    // The defaults deserialize, so a failure lies in what the user wrote, and so does its span.
    let config = T::deserialize(Deserializer::from(merged)).map_err(|error| user.wrong_value(&error))?;
    Ok((config, user))
}

impl UserFile<'_> {
    /// The error for a value that deserialized but is not allowed.
    pub(super) fn out_of_range(&self, broken: Broken) -> ConfigError {
        let wrote = broken.keys.iter().find_map(|key| self.span_of(key));
        ConfigError::OutOfRange {
            place: self.place(wrote.map_or(0, |span| span.start)),
            key: broken.keys[0].to_owned(),
            found: broken.found,
            allowed: broken.allowed,
        }
    }

    fn wrong_value(&self, error: &toml::de::Error) -> ConfigError {
        let start = error.span().map_or(0, |span| span.start);
        ConfigError::WrongValue {
            place: self.place(start),
            key: key_at(&self.table, start, "").unwrap_or_default(),
            reason: one_line(error.message()),
        }
    }

    fn compare(&self, user: &DeTable, known: &DeTable, section: &str, all: &[String]) -> Result<(), ConfigError> {
        for (name, value) in user {
            let key = join(section, name.get_ref());
            let place = || self.place(name.span().start);
            match known.get(name.get_ref().as_ref()).map(Spanned::get_ref) {
                None => return Err(ConfigError::UnknownKey { place: place(), nearest: nearest(&key, all), key }),
                Some(DeValue::Table(known)) => match value.get_ref() {
                    DeValue::Table(user) => self.compare(user, known, &key, all)?,
                    _ => return Err(self.not_a_section(value.span(), key)),
                },
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn not_a_section(&self, span: Range<usize>, key: String) -> ConfigError {
        let reason = format!("it is a section, not a value; write `[{key}]` and its keys below");
        ConfigError::WrongValue { place: self.place(span.start), key, reason }
    }

    fn span_of(&self, key: &str) -> Option<Range<usize>> {
        let mut names = key.split('.');
        let mut value = self.table.get(names.next()?)?;
        for name in names {
            value = value.get_ref().as_table()?.get(name)?;
        }
        Some(value.span())
    }

    fn place(&self, offset: usize) -> Place {
        Place::at(self.file, self.text, offset)
    }
}

fn known_keys(table: &DeTable, section: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in table {
        let key = join(section, name.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            keys.extend(known_keys(inner, &key));
        }
        keys.push(key);
    }
    keys
}

fn lay_over<'a>(below: &mut DeTable<'a>, above: DeTable<'a>) {
    for (name, value) in above {
        let (span, value) = (value.span(), value.into_inner());
        match (below.get_mut(name.get_ref().as_ref()).map(Spanned::get_mut), value) {
            (Some(DeValue::Table(below)), DeValue::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.remove(name.get_ref().as_ref());
                below.insert(name, Spanned::new(span, value));
            }
        }
    }
}

/// The key whose value covers the byte `offset`.
fn key_at(table: &DeTable, offset: usize, section: &str) -> Option<String> {
    table.iter().find_map(|(name, value)| {
        let key = join(section, name.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => key_at(inner, offset, &key),
            _ => value.span().contains(&offset).then_some(key),
        }
    })
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

fn one_line(message: &str) -> String {
    message.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
