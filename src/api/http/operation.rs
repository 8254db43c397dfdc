//! From a path, a query and a body to a request of the vocabulary, by the vocabulary's own schema.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::schema_for;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::table::{Route, TABLE};
use crate::api::{PeerId, Request, Response};

/// Every operation, in the order of the table. Worked out for the first request: it takes megabytes for a moment, and most
/// nodes are never asked over HTTP.
pub(super) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(all);

/// A route with all that the schema says of it.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// Where it is, and what it asks for.
    pub(super) route: Route,
    /// What it does, in one sentence.
    pub(super) summary: String,
    /// The request's fields by name.
    pub(super) fields: BTreeMap<String, Field>,
    /// The schema of the response.
    pub(super) response: Value,
}

/// A field of a request.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Where it stands.
    pub(super) place: Place,
    /// Whether it must be given.
    pub(super) required: bool,
    /// Its schema.
    pub(super) schema: Value,
    form: Form,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Body,
}

/// What a field may hold, as far as an error should say it before the vocabulary's own reader does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Integer,
    Boolean,
    Text,
    /// One of these words.
    Words(Vec<String>),
    /// Whatever the reader takes.
    Any,
}

/// The definitions that both schemas refer to.
pub(super) fn definitions() -> Map<String, Value> {
    let mut all = Map::new();
    for schema in [schema_for!(Request), schema_for!(Response)] {
        if let Some(Value::Object(definitions)) = schema.get("$defs") {
            all.extend(definitions.clone());
        }
    }
    all
}

fn all() -> Vec<Operation> {
    let definitions = definitions();
    let (requests, responses) =
        (variants(&schema_for!(Request), "request"), variants(&schema_for!(Response), "response"));
    TABLE
        .iter()
        .map(|route| {
            let request = requests.get(route.request).expect("BUG: the table names requests of the vocabulary");
            let response = responses.get(route.response).expect("BUG: the table names responses of the vocabulary");
            let place = |name: &str| match route.path.contains(&format!("{{{name}}}"))
                || route.path.contains(&format!("{{*{name}}}"))
            {
                true => Place::Path,
                false if route.method.has_body() => Place::Body,
                false => Place::Query,
            };
            let fields = fields(request, &definitions).into_iter().map(|(name, required, schema)| {
                let field = Field { place: place(&name), required, form: form(&schema, &definitions), schema };
                (name, field)
            });
            Operation { route: *route, summary: summary(request), fields: fields.collect(), response: response.clone() }
        })
        .collect()
}

impl Operation {
    /// The request that this asks for.
    ///
    /// # Errors
    /// [`Problem`] with the field that is wrong, missing or unknown.
    pub(super) fn request(
        &self,
        path: &[(String, String)],
        query: &[(String, String)],
        body: Option<Map<String, Value>>,
    ) -> Result<Request, Problem> {
        let mut given = Map::new();
        for (place, pairs) in [(Place::Path, path), (Place::Query, query)] {
            for (name, text) in pairs {
                let field = self.field(name, place)?;
                if given.insert(name.clone(), field.read(name, text)?).is_some() {
                    return Err(Problem::field(name, format!("{name} is given twice")));
                }
            }
        }
        for (name, value) in body.unwrap_or_default() {
            self.field(&name, Place::Body)?.check(&name, &value)?;
            given.insert(name, value);
        }
        if let Some((name, _)) = self.fields.iter().find(|(name, field)| field.required && !given.contains_key(*name)) {
            return Err(Problem::field(name, format!("{name} is missing")));
        }
        given.insert("request".to_owned(), self.route.request.into());
        serde_json::from_value(Value::Object(given.clone()))
            .map_err(|error| Problem::field(&self.culprit(given).unwrap_or_default(), error.to_string()))
    }

    /// The field without which the reader would be content: it complains of values, and does not say whose.
    fn culprit(&self, given: Map<String, Value>) -> Option<String> {
        let can_be_read = |values: Map<String, Value>| serde_json::from_value::<Request>(values.into()).is_ok();
        self.fields.keys().filter(|name| given.contains_key(*name)).find_map(|name| {
            let mut others = given.clone();
            // What a text of any kind may be: a name, an address, a peer id, or nothing at all.
            let stand_ins = [Value::Null, "127.0.0.1:1".into(), PeerId::from_public_key([0; 32]).to_string().into()];
            stand_ins
                .into_iter()
                .any(|stand_in| {
                    others.insert(name.clone(), stand_in);
                    can_be_read(others.clone())
                })
                .then(|| name.clone())
        })
    }

    fn field(&self, name: &str, place: Place) -> Result<&Field, Problem> {
        self.fields.get(name).filter(|field| field.place == place).ok_or_else(|| {
            let known: Vec<&str> =
                self.fields.iter().filter(|(_, field)| field.place == place).map(|(name, _)| name.as_str()).collect();
            let known =
                if known.is_empty() { "there are none".to_owned() } else { format!("known: {}", known.join(", ")) };
            Problem::field(name, format!("{name} is not known here; {known}"))
        })
    }
}

impl Field {
    /// The value that a text in a path or a query means.
    fn read(&self, name: &str, text: &str) -> Result<Value, Problem> {
        let value = match self.form {
            Form::Integer => text.parse::<u64>().map(Value::from).unwrap_or_else(|_| text.into()),
            Form::Boolean => text.parse::<bool>().map(Value::from).unwrap_or_else(|_| text.into()),
            _ => text.into(),
        };
        self.check(name, &value)?;
        Ok(value)
    }

    fn check(&self, name: &str, value: &Value) -> Result<(), Problem> {
        let expected = match &self.form {
            Form::Integer if !value.is_u64() => "a whole number, 0 or more".to_owned(),
            Form::Boolean if !value.is_boolean() => "true or false".to_owned(),
            Form::Text if !value.is_string() => "a text".to_owned(),
            Form::Words(words) if !value.as_str().is_some_and(|value| words.iter().any(|word| word == value)) => {
                format!("one of {}", words.join(", "))
            }
            _ => return Ok(()),
        };
        // What may be left out may be null as well.
        if value.is_null() && !self.required {
            return Ok(());
        }
        Err(Problem::field(name, format!("{name} must be {expected}")))
    }
}

/// The variants of a tagged enum's schema by the value of its tag.
fn variants(schema: &schemars::Schema, tag: &str) -> BTreeMap<String, Value> {
    let all = schema.get("oneOf").and_then(Value::as_array).expect("BUG: a tagged enum is one of its variants");
    let name = |variant: &Value| variant["properties"][tag]["const"].as_str().map(str::to_owned);
    all.iter().filter_map(|variant| Some((name(variant)?, variant.clone()))).collect()
}

/// Name, whether it is required, and schema of each field; a variant that is another type has that one's.
fn fields(variant: &Value, definitions: &Map<String, Value>) -> Vec<(String, bool, Value)> {
    let whole = [Some(variant), variant.get("$ref").and_then(|to| resolve(to, definitions))];
    let mut fields = Vec::new();
    for schema in whole.into_iter().flatten() {
        let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|r| r == name));
        let properties = schema["properties"].as_object().into_iter().flatten();
        let own = properties.filter(|(name, _)| *name != "request");
        fields.extend(own.map(|(name, schema)| (name.clone(), required(name), schema.clone())));
    }
    fields
}

fn resolve<'a>(reference: &Value, definitions: &'a Map<String, Value>) -> Option<&'a Value> {
    definitions.get(reference.as_str()?.strip_prefix("#/$defs/")?)
}

fn form(schema: &Value, definitions: &Map<String, Value>) -> Form {
    if let Some(of) = schema.get("$ref").and_then(|to| resolve(to, definitions)) {
        return form(of, definitions);
    }
    if let Some(either) = schema.get("anyOf").and_then(Value::as_array) {
        return either.iter().find(|one| one["type"] != "null").map_or(Form::Any, |one| form(one, definitions));
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let words: Option<Vec<String>> =
            choices.iter().map(|one| Some(one.get("const")?.as_str()?.to_owned())).collect();
        return words.map_or(Form::Any, Form::Words);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Form::Words(words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect());
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default(),
        kind => kind.clone(),
    };
    match kind.as_str() {
        Some("integer") => Form::Integer,
        Some("boolean") => Form::Boolean,
        Some("string") => Form::Text,
        _ => Form::Any,
    }
}

/// The first part of what the source says, without the source's own links.
fn summary(variant: &Value) -> String {
    let text = variant["description"].as_str().unwrap_or_default().replace('\n', " ");
    let text = text.split("; [`").next().unwrap_or_default().split("; answered by").next().unwrap_or_default();
    text.trim_end_matches(['.', ';', ' ']).replace(['`', '[', ']'], "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::table::ABSENT;
    use super::*;

    fn ask(request: &str, path: &[(&str, &str)], query: &[(&str, &str)], body: Value) -> Result<Request, Problem> {
        let operation = OPERATIONS.iter().find(|operation| operation.route.request == request).unwrap();
        let owned =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        operation.request(&owned(path), &owned(query), body.as_object().cloned())
    }

    #[test]
    fn every_request_has_a_path_or_a_reason_why_not() {
        let has = |request: &str| TABLE.iter().any(|route| route.request == request);
        for request in variants(&schema_for!(Request), "request").keys() {
            let absent = ABSENT.iter().any(|(name, _)| name == request);
            assert!(has(request) != absent, "{request} must be in the table, or among what is absent");
        }
    }

    #[test]
    fn every_path_asks_for_the_command_whose_scope_it_needs() {
        for operation in &*OPERATIONS {
            // A value of the right form for every required field.
            let value = |field: &Field| match &field.form {
                Form::Integer => json!(1),
                Form::Boolean => json!(true),
                Form::Words(words) => json!(words[0]),
                _ => json!("127.0.0.1:1"),
            };
            let mut all: Map<String, Value> =
                operation.fields.iter().filter(|(_, f)| f.required).map(|(name, f)| (name.clone(), value(f))).collect();
            all.insert("request".to_owned(), operation.route.request.into());
            let request: Request = serde_json::from_value(Value::Object(all)).unwrap();
            assert_eq!(request.command(), operation.route.command, "{}", operation.route.path);
        }
    }

    #[test]
    fn what_is_in_the_path_the_query_and_the_body_makes_a_request() {
        let paths = ask("paths", &[("destination", "b")], &[("why", "true")], Value::Null);
        assert_eq!(paths, Ok(Request::Paths { destination: "b".to_owned(), why: true }));
        let ping = ask("ping", &[], &[], json!({"destination": "b", "timeout_ms": 50}));
        assert_eq!(ping, Ok(Request::Ping { destination: "b".to_owned(), timeout_ms: 50 }));
        let expose = ask("expose", &[("name", "web")], &[], json!({"target": "tcp://127.0.0.1:1"}));
        assert_eq!(expose, Ok(Request::Expose { name: "web".to_owned(), target: "tcp://127.0.0.1:1".to_owned() }));
        assert_eq!(ask("shared-list", &[], &[], Value::Null), Ok(Request::SharedList { after: None }));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_field() {
        let of = |asked: Result<Request, Problem>| asked.unwrap_err().of_field().map(str::to_owned).unwrap();
        assert_eq!(of(ask("ping", &[], &[], json!({"destination": "b"}))), "timeout_ms");
        assert_eq!(of(ask("ping", &[], &[], json!({"destination": "b", "timeout_ms": "soon"}))), "timeout_ms");
        assert_eq!(of(ask("ping", &[], &[], json!({"destination": 7, "timeout_ms": 1}))), "destination");
        assert_eq!(of(ask("ping", &[], &[], json!({"destination": "b", "timeout_ms": 1, "loud": true}))), "loud");
        assert_eq!(of(ask("paths", &[("destination", "b")], &[("why", "perhaps")], Value::Null)), "why");
        assert_eq!(of(ask("paths", &[("destination", "b")], &[("whi", "true")], Value::Null)), "whi");
        assert_eq!(of(ask("paths", &[("destination", "b")], &[("why", "true"), ("why", "true")], Value::Null)), "why");
        assert_eq!(of(ask("incident", &[("id", "-1")], &[], Value::Null)), "id");
        assert_eq!(of(ask("forward", &[], &[], json!({"name": "web", "listen": "here"}))), "listen");
        assert_eq!(of(ask("kill-actor", &[], &[], json!({"actor": "gossip", "how": "gently"}))), "how");
        assert_eq!(of(ask("ledger", &[], &[("last", "3"), ("kind", "rumor")], Value::Null)), "kind");
        assert_eq!(of(ask("events", &[], &[("after", "yesterday")], Value::Null)), "after");
    }
}
