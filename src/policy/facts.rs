//! What is known of nodes: the attributes that policies may ask for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a policy learns what is known of a node.
pub trait Facts {
    /// A number that is another one whenever [`Facts::node`] would say something else of this node. It is asked for each
    /// verdict, the remembered ones included, so it must be cheap; whoever cannot tell nodes apart gives the same for all.
    ///
    /// Ages pass without anybody doing anything: this number must also change as often as they are to be told anew.
    fn generation(&self, about: &PeerId) -> u64;

    /// What is known of this node now.
    fn node(&self, about: &PeerId) -> NodeFacts;
}

/// What is known of one node. The default is what is said of a node of which nothing is known: nothing good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct NodeFacts {
    /// What the node calls itself.
    pub name: String,
    /// The region that it names; empty: none.
    pub region: String,
    /// How far it is believed, in thousandths.
    pub reputation: u16,
    /// How long ago its certificate was issued.
    #[serde(rename = "certificate_age_s", serialize_with = "in_seconds", deserialize_with = "of_seconds")]
    pub certificate_age: Duration,
    /// Whether it is in quarantine here.
    pub quarantined: bool,
    /// The kind of the worst open incident about it; empty: none is open.
    pub incident: String,
    /// The SPIFFE trust domain on whose word it was admitted.
    pub trust_domain: String,
    /// The SPIFFE ID of the workload as which it was admitted; empty: on an invitation.
    #[serde(default)]
    pub spiffe_id: String,
    /// Whether that trust domain is another one than the mesh's own.
    #[serde(default)]
    pub federated: bool,
}

impl NodeFacts {
    /// A node in good standing about which nothing else is known.
    pub fn sound() -> Self {
        Self { reputation: 1000, ..Self::default() }
    }

    /// Sets the fact that is called `key`, as attributes are called in the schema, from its text.
    ///
    /// # Errors
    /// A sentence that says which keys there are, or what the key's value must be.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "name" => value.clone_into(&mut self.name),
            "region" => value.clone_into(&mut self.region),
            "incident" => value.clone_into(&mut self.incident),
            "trust_domain" => value.clone_into(&mut self.trust_domain),
            "spiffe_id" => value.clone_into(&mut self.spiffe_id),
            "federated" => {
                self.federated = value.parse().map_err(|_| format!("{value:?} is neither true nor false"))?;
            }
            "reputation" => self.reputation = permille(value)?,
            "certificate_age_s" => {
                let seconds = value.parse().map_err(|_| format!("{value:?} is not a whole number of seconds"))?;
                self.certificate_age = Duration::from_secs(seconds);
            }
            "quarantined" => {
                self.quarantined = value.parse().map_err(|_| format!("{value:?} is neither true nor false"))?;
            }
            _ => return Err(format!("there is no fact {key:?}; there are {}", Self::KEYS.join(", "))),
        }
        Ok(())
    }

    /// What [`NodeFacts::set`] takes.
    pub const KEYS: [&str; 9] = [
        "name",
        "region",
        "reputation",
        "certificate_age_s",
        "quarantined",
        "incident",
        "trust_domain",
        "spiffe_id",
        "federated",
    ];
}

/// The same facts about everybody; for questions that are asked without a running node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SameFacts(pub NodeFacts);

impl Facts for SameFacts {
    /// Their hash, so that an engine that is asked with other facts does not remember the first.
    fn generation(&self, _about: &PeerId) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn node(&self, _about: &PeerId) -> NodeFacts {
        self.0.clone()
    }
}

/// A share of one as people write it, in thousandths.
pub(super) fn permille(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is not a number from 0 to 1 with at most three decimals");
    let share: f64 = text.parse().map_err(|_| wrong())?;
    let thousandths = (share * 1000.0).round();
    if !(0.0..=1000.0).contains(&thousandths) || (share * 1000.0 - thousandths).abs() > 1e-6 {
        return Err(wrong());
    }
    Ok(thousandths as u16)
}

fn in_seconds<S: serde::Serializer>(age: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(age.as_secs())
}

fn of_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_can_be_set_from_its_text() {
        let mut facts = NodeFacts::default();
        let values = ["n", "eu", "0.455", "7", "true", "link-down", "p.example", "spiffe://p.example/a", "true"];
        for (key, value) in NodeFacts::KEYS.into_iter().zip(values) {
            facts.set(key, value).unwrap();
        }
        let expected = NodeFacts {
            name: "n".into(),
            region: "eu".into(),
            reputation: 455,
            certificate_age: Duration::from_secs(7),
            quarantined: true,
            incident: "link-down".into(),
            trust_domain: "p.example".into(),
            spiffe_id: "spiffe://p.example/a".into(),
            federated: true,
        };
        assert_eq!(facts, expected);
        for (key, value) in [
            ("reputation", "1.1"),
            ("reputation", "-0.1"),
            ("reputation", "NaN"),
            ("reputation", "0.0001"),
            ("quarantined", "yes"),
            ("federated", "no"),
            ("certificate_age_s", "-1"),
            ("color", "red"),
        ] {
            assert!(facts.set(key, value).is_err(), "{key}={value}");
        }
        assert_eq!(facts, expected, "what is refused changes nothing");
    }
}
