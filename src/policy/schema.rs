//! The compiled-in schema, and the names of its types.

use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

/// What policies may speak of.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let (schema, _) =
        Schema::from_cedarschema_str(include_str!("schema.cedarschema")).expect("BUG: the schema is compiled in");
    schema
});

static NODE: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Node"));
static REGION: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Region"));
static SERVICE: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Service"));
static AGENT: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Agent"));
static ACTION: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Action"));

/// The node of this id. As with all of these, the id is taken as it is: nothing in it is ever parsed.
pub(super) fn node(id: &str) -> EntityUid {
    uid(&NODE, id)
}

/// The region of this name.
pub(super) fn region(name: &str) -> EntityUid {
    uid(&REGION, name)
}

/// The service of this name.
pub(super) fn service(name: &str) -> EntityUid {
    uid(&SERVICE, name)
}

/// The agent of this name.
pub(super) fn agent(name: &str) -> EntityUid {
    uid(&AGENT, name)
}

/// The action of this name.
pub(super) fn action(name: &str) -> EntityUid {
    uid(&ACTION, name)
}

fn uid(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

fn type_name(name: &str) -> EntityTypeName {
    name.parse().expect("BUG: a word is a type's name")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policy::ActionName;

    #[test]
    fn the_schema_has_the_actions_that_there_are() {
        let known: BTreeSet<String> = SCHEMA.actions().map(|action| action.id().unescaped().to_owned()).collect();
        assert_eq!(known, ActionName::ALL.map(|name| name.to_string()).into());
    }
}
