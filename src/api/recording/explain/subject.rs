//! What an explanation is about, and whether an input or an effect concerns it.

use serde_json::Value;

/// What an explanation is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// The incident's number.
    incident: Option<u64>,
    /// Peer ids and names, in full.
    names: Vec<String>,
    /// The beginning of a peer id.
    beginning: Option<String>,
    /// Whether a name is that of an actor of this node, of which everything is told.
    is_one_actor: bool,
}

impl Subject {
    /// An incident, and whom or what it is about.
    pub(super) fn incident(id: u64, raised: &Value) -> Self {
        let mut names = Vec::new();
        if let Some(Value::Object(kind)) = raised.get("kind") {
            kind.values().for_each(|fields| texts(fields, &mut names));
        }
        Self { incident: Some(id), names, ..Self::default() }
    }

    /// A node, by the beginning of its peer id.
    pub(super) fn node(beginning: &str) -> Self {
        Self { beginning: Some(beginning.to_owned()), ..Self::default() }
    }

    /// An actor.
    pub(super) fn actor(name: &str) -> Self {
        Self { names: vec![name.to_owned()], is_one_actor: true, ..Self::default() }
    }

    /// Whether everything that this actor hears concerns it: the actor itself, or the one for the neighbor that is meant.
    pub(super) fn is_actor(&self, actor: &str) -> bool {
        if self.is_one_actor {
            return self.names.iter().any(|name| name == actor);
        }
        let Some(short) = actor.strip_prefix("peer/").map(|id| id.trim_end_matches('…')) else { return false };
        let begins = |beginning: &String| beginning.starts_with(short) || short.starts_with(beginning.as_str());
        self.names.iter().any(|name| name.starts_with(short)) || self.beginning.as_ref().is_some_and(begins)
    }

    /// Whether a value speaks of it.
    pub(super) fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_named(text),
            Value::Array(values) => values.iter().any(|value| self.is_in(value)),
            Value::Object(fields) => {
                // Only an incident itself has both.
                let is_incident = fields.contains_key("severity") && fields.contains_key("evidence");
                fields.iter().any(|(key, value)| {
                    let is_number = key == "incident" || key == "root" || (key == "id" && is_incident);
                    (is_number && self.incident.is_some() && value.as_u64() == self.incident)
                        || self.is_named(key)
                        || self.is_in(value)
                })
            }
            _ => false,
        }
    }

    fn is_named(&self, text: &str) -> bool {
        self.names.iter().any(|name| name == text)
            || self.beginning.as_ref().is_some_and(|beginning| text.starts_with(beginning.as_str()))
    }

    /// The value without those entries of long lists that do not speak of it, and without keys and signatures.
    pub(super) fn gist(&self, value: Value) -> Value {
        match value {
            Value::Array(values) if values.len() > LIST_MAX => {
                let before = values.len();
                if values.iter().all(Value::is_number) {
                    return Value::String(format!("{before} numbers"));
                }
                let mut kept: Vec<Value> = values.into_iter().filter(|value| self.is_in(value)).collect();
                kept.truncate(LIST_MAX);
                let others = before - kept.len();
                kept.push(Value::String(format!("{others} others")));
                Value::Array(kept)
            }
            Value::Array(values) => values.into_iter().map(|value| self.gist(value)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(key, value)| (key, self.gist(value))).collect())
            }
            other => other,
        }
    }
}

/// All texts in a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// A list with so many entries is told whole.
const LIST_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_incident_is_known_by_its_number_and_by_whom_it_is_about() {
        let raised =
            json!({"id": 3, "kind": {"LinkDown": {"peer": "abcdefghijkl"}}, "evidence": "None", "severity": "Major"});
        let subject = Subject::incident(3, &raised);
        for concerned in [
            json!({"Raise": raised}),
            json!({"Cleared": {"incident": 3}}),
            json!({"Explained": {"incident": 9, "root": 3}}),
            json!({"LinkReported": {"peer": "abcdefghijkl"}}),
            json!({"paths": {"abcdefghijkl": 1}}),
        ] {
            assert!(subject.is_in(&concerned), "{concerned}");
        }
        for other in [json!({"Cleared": {"incident": 4}}), json!({"id": 3}), json!({"peer": "abcdefghijkm"}), json!(3)]
        {
            assert!(!subject.is_in(&other), "{other}");
        }
        assert!(
            subject.is_actor("peer/abcdefghij") && !subject.is_actor("peer/bbcdefghij") && !subject.is_actor("monitor")
        );
    }

    #[test]
    fn a_node_is_known_by_a_beginning_and_an_actor_by_its_whole_name() {
        let node = Subject::node("abcdef");
        assert!(node.is_in(&json!(["abcdefgh"])) && !node.is_in(&json!(["abcde"])));
        assert!(node.is_actor("peer/abcdefghij") && !node.is_actor("peer/abcdeghijk"));
        let actor = Subject::actor("gossip");
        assert!(actor.is_actor("gossip") && !actor.is_actor("gossip2") && actor.is_in(&json!({"actor": "gossip"})));
    }

    #[test]
    fn of_long_lists_only_what_concerns_it_is_told() {
        let list: Vec<Value> = (0..9).map(|n| json!({"peer": format!("peer{n}"), "n": n})).collect();
        let told = Subject::node("peer7").gist(json!({"all": list, "key": [1, 2, 3, 4, 5], "few": [1, 2]}));
        assert_eq!(told, json!({"all": [{"peer": "peer7", "n": 7}, "8 others"], "key": "5 numbers", "few": [1, 2]}));
    }
}
