//! The OpenAPI document, from the same table and schema that serve the API.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::door::scope;
use super::operation::{OPERATIONS, Operation, Place, definitions};

/// The document (OpenAPI 3.1, whose schemas are JSON Schema 2020-12), as text; written when it is first asked for.
pub(super) static DOCUMENT: LazyLock<String> = LazyLock::new(|| document(&OPERATIONS));

fn document(operations: &[Operation]) -> String {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        // Templates of OpenAPI have no star: a name with slashes is sent percent-encoded or as it is.
        let path = operation.route.path.replace("{*", "{");
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[operation.route.method.name()] = described(operation);
    }
    for (path, described) in besides() {
        paths.insert(path.to_owned(), json!({ "get": described }));
    }
    let mut schemas = definitions();
    schemas.insert("Problem".to_owned(), problem());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Prunella",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A node of a self-healing, zero-trust mesh. Times are in the unit that their name ends with.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "security": [{ "token": [] }, { "certificate": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Made by `prunella token create`." },
                "certificate": { "type": "mutualTLS" },
            },
        },
    });
    let text = serde_json::to_string_pretty(&document).expect("BUG: a document of values has a JSON form");
    // What was referred to within one schema is a component of this document.
    text.replace("\"#/$defs/", "\"#/components/schemas/")
}

fn described(operation: &Operation) -> Value {
    let required = match operation.route.command.from_afar() {
        Ok(kind) => format!("Needs the scope `{}`.", scope(kind).name()),
        Err(_) => "Only for the node's own user, at its socket.".to_owned(),
    };
    let of = |place: Place| operation.fields.iter().filter(move |(_, field)| field.place == place);
    let parameter = |(name, field): (&String, &super::operation::Field), place: &str| {
        json!({
            "name": name,
            "in": place,
            "required": field.required || place == "path",
            "description": field.schema["description"],
            "schema": field.schema,
        })
    };
    let parameters: Vec<Value> = of(Place::Path)
        .map(|field| parameter(field, "path"))
        .chain(of(Place::Query).map(|field| parameter(field, "query")))
        .collect();
    let mut described = json!({
        "operationId": operation.route.request,
        "summary": operation.summary,
        "description": required,
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done.", "content": { "application/json": { "schema": operation.response } } },
            "default": {
                "description": "Not done.",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            },
        },
    });
    let body: Map<String, Value> = of(Place::Body).map(|(name, field)| (name.clone(), field.schema.clone())).collect();
    if !body.is_empty() {
        let required: Vec<&String> =
            of(Place::Body).filter(|(_, field)| field.required).map(|(name, _)| name).collect();
        let schema =
            json!({ "type": "object", "properties": body, "required": required, "additionalProperties": false });
        described["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    described
}

/// Paths that are no request of the vocabulary.
fn besides() -> Vec<(&'static str, Value)> {
    let plain = |summary: &str, statuses: &[(&str, &str)], kind: &str| {
        let response = |(status, words): &(&str, &str)| {
            (status.to_string(), json!({ "description": words, "content": { kind: {} } }))
        };
        let responses: Map<String, Value> = statuses.iter().map(response).collect();
        json!({ "summary": summary, "security": [], "responses": responses })
    };
    let mut stream = plain(
        "Events as they happen, over a WebSocket (subprotocol `prunella.events.v1`)",
        &[("101", "One event a message; a message with `missed` says that what came before is not told any more.")],
        "application/json",
    );
    stream["security"] = json!([{ "token": [] }, { "certificate": [] }]);
    stream["description"] =
        "Needs the scope `read`. A browser offers the token as a second subprotocol, `bearer.TOKEN`.".into();
    stream["parameters"] = json!([{
        "name": "after",
        "in": "query",
        "required": false,
        "description": "Where to go on, as the cursor of an event says; absent: from now on.",
        "schema": { "$ref": "#/components/schemas/Cursor" },
    }]);
    vec![
        ("/v1/events/stream", stream),
        ("/health", plain("Whether the node lives", &[("200", "It does.")], "application/json")),
        (
            "/ready",
            plain(
                "Whether the node is ready",
                &[("200", "It is."), ("503", "It is not; the checks say why.")],
                "application/json",
            ),
        ),
        (
            "/metrics",
            plain(
                "Metrics for Prometheus; for whoever asks, unless `http.open_metrics` is false",
                &[("200", "They.")],
                "text/plain",
            ),
        ),
        ("/openapi.json", plain("This document", &[("200", "It.")], "application/json")),
    ]
}

fn problem() -> Value {
    json!({
        "description": "What went wrong (RFC 9457).",
        "type": "object",
        "required": ["title", "status", "detail", "kind"],
        "properties": {
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What was wrong, where, and what to do." },
            "kind": { "$ref": "#/components/schemas/ErrorKind" },
            "field": { "type": "string", "description": "The parameter or the field of the body that is wrong." },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
        let text = DOCUMENT.as_str();
        let document: Value = serde_json::from_str(text).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let references = text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for name in references {
            assert!(schemas.contains_key(name), "{name} is referred to and not there");
        }
        assert!(!text.contains("$defs"));
        let ids: Vec<&str> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|methods| methods.as_object().unwrap().values())
            .filter_map(|operation| operation["operationId"].as_str())
            .collect();
        assert_eq!(ids.len(), OPERATIONS.len());
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }

    #[test]
    fn the_document_says_what_is_asked_how() {
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        let ping = &document["paths"]["/v1/ping"]["post"];
        let body = &ping["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["required"], json!(["destination", "timeout_ms"]));
        assert_eq!(ping["description"], "Needs the scope `read`.");
        let paths = &document["paths"]["/v1/paths/{destination}"]["get"]["parameters"];
        assert_eq!((&paths[0]["in"], &paths[1]["in"]), (&json!("path"), &json!("query")));
    }
}
