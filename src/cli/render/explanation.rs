//! What a recording says about a thing: each input, and what came of it.

use serde_json::{Map, Value};

use super::page::Page;
use super::quantity::{moment, moment_ms, span};
use crate::api::recording::explain::{Explanation, IncidentTold, SceneTold};

pub(in crate::cli) fn explanation(explained: &Explanation) -> String {
    let mut page = Page::default();
    let Explanation { node, recorded_by, run_unix_ms, incident, scenes, left_out, notes } = explained;
    page.line(&format!("node      {node}"));
    page.line(&format!("run       {}, recorded by version {recorded_by}", moment(*run_unix_ms)));
    if let Some(told) = incident {
        raised(told, *run_unix_ms, &mut page);
    }
    if *left_out > 0 {
        page.line(&format!("{left_out} older inputs are left out; --most tells more"));
    }
    for told in scenes {
        scene(told, incident.as_ref(), *run_unix_ms, &mut page);
    }
    if scenes.is_empty() {
        page.line("nothing in this recording concerns it");
    }
    notes.iter().for_each(|note| page.line(&format!("note      {note}")));
    page.into_text()
}

fn raised(told: &IncidentTold, run_unix_ms: u64, page: &mut Page) {
    let IncidentTold { id, raised, opened_ns, cleared_ns, root } = told;
    let kind = raised.get("kind").map_or_else(String::new, brief);
    let opened = moment_ms(run_unix_ms + opened_ns / 1_000_000);
    let over = match cleared_ns {
        Some(cleared) => format!("over after {}", span(cleared.saturating_sub(*opened_ns) / 1_000_000)),
        None => "not over within the recording".to_owned(),
    };
    page.line(&format!("incident  #{id} {kind}"));
    page.line(&format!("opened    {opened}, {over}"));
    if let Some(root) = root {
        page.line(&format!("cause     it follows from #{root}: `prunella explain incident {root}` tells of that one"));
    }
}

/// Times are told from the beginning of the incident, or as they stand on a clock.
fn scene(told: &SceneTold, incident: Option<&IncidentTold>, run_unix_ms: u64, page: &mut Page) {
    let SceneTold { at_ns, role: _, actor, entry: _, heard, like_it, effects, panicked } = told;
    let at = match incident {
        Some(incident) => format!("{:+9.3} s", (*at_ns as f64 - incident.opened_ns as f64) / 1e9),
        None => moment_ms(run_unix_ms + at_ns / 1_000_000),
    };
    let heard = heard.as_ref().map_or_else(|| "woken by its timer".to_owned(), brief);
    let like_it = if *like_it > 0 { format!(" (and {like_it} before it, without effect)") } else { String::new() };
    page.line(&format!("{at}  {actor:<16}  {}{like_it}", cut(heard)));
    let indent = " ".repeat(at.chars().count());
    effects.iter().for_each(|effect| page.line(&format!("{indent}    -> {}", cut(brief(effect)))));
    if *panicked {
        page.line(&format!("{indent}    -> the role panicked"));
    }
}

/// A value as people read it: variants by name, fields as `name=value`, peer ids by their beginning.
fn brief(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if is_peer(text) => text[..PEER_CHARACTERS].to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(brief).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => object(fields),
    }
}

fn object(fields: &Map<String, Value>) -> String {
    if let Some(seconds) = duration(fields) {
        return format!("{} s", (seconds * 1e6).round() / 1e6);
    }
    let mut each = fields.iter();
    match (each.next(), each.next()) {
        (Some((variant, inner)), None) if variant.starts_with(|c: char| c.is_ascii_uppercase()) => match inner {
            Value::Object(inner) if duration(inner).is_none() => format!("{variant} {}", fields_of(inner)),
            inner => format!("{variant} {}", brief(inner)),
        },
        _ => format!("{{{}}}", fields_of(fields)),
    }
}

fn fields_of(fields: &Map<String, Value>) -> String {
    // The field of something that is not there says nothing.
    let told = fields.iter().filter(|(_, value)| !value.is_null());
    told.map(|(name, value)| format!("{name}={}", brief(value))).collect::<Vec<_>>().join(" ")
}

/// The seconds in a length of time, as serde writes it.
fn duration(fields: &Map<String, Value>) -> Option<f64> {
    let (seconds, nanos) = (fields.get("secs")?.as_u64()?, fields.get("nanos")?.as_u64()?);
    (fields.len() == 2).then_some(seconds as f64 + nanos as f64 / 1e9)
}

fn is_peer(text: &str) -> bool {
    text.parse::<crate::api::PeerId>().is_ok()
}

/// Records hold more than anybody reads; `--json` tells all.
fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(LINE_CHARACTERS_MAX) {
        text.truncate(at);
        text.push_str(" ...");
    }
    text
}

/// The longest text of an input or an effect.
const LINE_CHARACTERS_MAX: usize = 400;
/// As many characters of a peer id as other commands show.
const PEER_CHARACTERS: usize = 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_told_in_the_words_of_the_core() {
        let peer = crate::api::PeerId::from_public_key([1; 32]);
        let value = json!({"Raise": {"id": 3, "kind": {"LinkDown": {"peer": peer}}, "evidence": "Silence",
            "for": {"secs": 1, "nanos": 250_000_000}, "root": null, "seen": [1, 2]}});
        let told = brief(&value);
        assert!(told.starts_with("Raise "), "{told}");
        for part in
            ["id=3", &format!("kind=LinkDown peer={}", peer.short()), "evidence=Silence", "for=1.25 s", "seen=[1, 2]"]
        {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        assert!(!told.contains("root"), "{told}");
        assert_eq!(brief(&json!("QuorumLost")), "QuorumLost");
        assert_eq!(cut("x".repeat(500)).len(), LINE_CHARACTERS_MAX + 4);
    }
}
