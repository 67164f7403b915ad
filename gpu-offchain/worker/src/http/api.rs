//! Routes and what is written about them, in one place: a route cannot be there without its description.

use crate::state::Worker;
use axum::{
    extract::DefaultBodyLimit,
    handler::Handler,
    routing::{self, MethodRouter},
    Router,
};
use schemars::{generate::SchemaSettings, JsonSchema, SchemaGenerator};
use serde_json::{json, Map, Value};
use std::sync::Arc;

/// What every path may answer: a slow or too frequent caller, a fault of the worker, a chain that does not answer.
const ALWAYS: [u16; 5] = [405, 408, 429, 500, 503];

/// The description of one operation.
pub(super) struct Op {
    summary: &'static str,
    keyed: bool,
    headers: Vec<(&'static str, &'static str)>,
    query: Vec<(&'static str, Value, &'static str)>,
    body: Option<Kind>,
    body_limit: Option<usize>,
    answers: Vec<(u16, Vec<(&'static str, Kind)>)>,
    fails: Vec<u16>,
}

/// What a body is.
enum Kind {
    /// A type of the code.
    Type(fn(&mut SchemaGenerator) -> Value),
    /// A schema.
    Schema(Value),
}

impl Kind {
    fn of<T: JsonSchema>() -> Self {
        Self::Type(|generator| generator.subschema_for::<T>().to_value())
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Value {
        match self {
            Self::Type(of) => of(generator),
            Self::Schema(schema) => schema.clone(),
        }
    }
}

impl Op {
    /// An operation, in a few words.
    pub(super) fn new(summary: &'static str) -> Self {
        Self {
            summary,
            keyed: false,
            headers: Vec::new(),
            query: Vec::new(),
            body: None,
            body_limit: None,
            answers: Vec::new(),
            fails: Vec::new(),
        }
    }

    /// Only for who shows the operator's key.
    pub(super) fn keyed(mut self) -> Self {
        self.keyed = true;
        self.fails.push(401);
        self
    }

    /// A header that is read, optional.
    pub(super) fn header(mut self, name: &'static str, what: &'static str) -> Self {
        self.headers.push((name, what));
        self
    }

    /// A number behind the question mark, optional.
    pub(super) fn query(mut self, name: &'static str, what: &'static str) -> Self {
        self.query
            .push((name, json!({ "type": "integer", "minimum": 0 }), what));
        self
    }

    /// The body is JSON of this type.
    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Kind::of::<T>());
        self.fails.extend([400, 413]);
        self
    }

    /// The body is bytes, at most so many.
    pub(super) fn takes_bytes(mut self, most: usize) -> Self {
        self.body = Some(Kind::Schema(Value::Bool(true)));
        self.body_limit = Some(most);
        self.fails.extend([400, 413]);
        self
    }

    fn gives_kind(mut self, status: u16, media: &'static str, kind: Kind) -> Self {
        match self.answers.iter_mut().find(|(other, _)| *other == status) {
            Some((_, bodies)) => bodies.push((media, kind)),
            None => self.answers.push((status, vec![(media, kind)])),
        }
        self
    }

    /// Answers with JSON of this type.
    pub(super) fn gives<T: JsonSchema>(self, status: u16) -> Self {
        self.gives_kind(status, "application/json", Kind::of::<T>())
    }

    /// Answers with JSON of this schema.
    pub(super) fn gives_like(self, status: u16, schema: Value) -> Self {
        self.gives_kind(status, "application/json", Kind::Schema(schema))
    }

    /// Answers with server-sent events, the data of each of this type.
    pub(super) fn streams<T: JsonSchema>(self) -> Self {
        let kind = Kind::Type(|generator| {
            let each = generator.subschema_for::<T>().to_value();
            json!({ "type": "string", "description": "server-sent events", "contentMediaType": "application/json", "contentSchema": each })
        });
        self.gives_kind(200, "text/event-stream", kind)
    }

    /// Answers with text.
    pub(super) fn gives_text(self, status: u16, media: &'static str) -> Self {
        self.gives_kind(status, media, Kind::Schema(json!({ "type": "string" })))
    }

    /// Answers with bytes.
    pub(super) fn gives_bytes(self, status: u16) -> Self {
        self.gives_kind(
            status,
            "application/octet-stream",
            Kind::Schema(Value::Bool(true)),
        )
    }

    /// Refusals beside those of every path.
    pub(super) fn fails(mut self, statuses: &[u16]) -> Self {
        self.fails.extend_from_slice(statuses);
        self
    }

    fn write(&self, path: &str, error: &Value, generator: &mut SchemaGenerator) -> Value {
        let mut parameters: Vec<Value> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| {
                let schema = match name {
                    "hash" | "receipt" | "voucher" | "member" => {
                        json!({ "type": "string", "pattern": "^0x[0-9a-f]{64}$" })
                    }
                    "contribution" | "index" | "case" => number(),
                    "id" if !path.starts_with("/v1/models") => number(),
                    _ => any_text(),
                };
                json!({ "name": name, "in": "path", "required": true, "schema": schema })
            })
            .collect();
        for (name, schema, what) in &self.query {
            parameters.push(json!({ "name": name, "in": "query", "description": what, "schema": schema }));
        }
        for (name, what) in &self.headers {
            parameters.push(
                json!({ "name": name, "in": "header", "description": what, "schema": { "type": "string" } }),
            );
        }
        let mut responses = Map::new();
        for (status, bodies) in &self.answers {
            let mut content = Map::new();
            for (media, kind) in bodies {
                content.insert((*media).into(), json!({ "schema": kind.schema(generator) }));
            }
            responses.insert(
                status.to_string(),
                json!({ "description": if *status < 300 { "done" } else { "refused" }, "content": content }),
            );
        }
        let has_parameter = path.contains('{') || !self.query.is_empty();
        let readable: &[u16] = if has_parameter { &[400] } else { &[] };
        for status in self.fails.iter().chain(&ALWAYS).chain(readable) {
            responses.entry(status.to_string()).or_insert_with(|| {
                json!({ "description": "refused", "content": { "application/json": { "schema": error } } })
            });
        }
        let mut operation =
            json!({ "summary": self.summary, "parameters": parameters, "responses": responses });
        if let Some(kind) = &self.body {
            let media = match self.body_limit {
                Some(_) => "application/octet-stream",
                None => "application/json",
            };
            operation["requestBody"] =
                json!({ "required": true, "content": { media: { "schema": kind.schema(generator) } } });
        }
        if self.keyed {
            operation["security"] = json!([{ "operator": [] }]);
        }
        operation
    }
}

/// What has been written about paths.
#[derive(Default)]
pub(super) struct Paths {
    all: Vec<(&'static str, &'static str, Op)>,
}

impl Paths {
    /// Adds another's.
    pub(super) fn merge(&mut self, other: Self) {
        self.all.extend(other.all);
    }

    /// The OpenAPI document.
    pub(super) fn document(&self, title: &str) -> Value {
        let mut generator = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into())
            .into_generator();
        let error = generator.subschema_for::<super::ErrorBody>().to_value();
        let mut paths = Map::new();
        for (method, path, op) in &self.all {
            let operation = op.write(path, &error, &mut generator);
            let entry = paths.entry(*path).or_insert_with(|| json!({}));
            entry[*method] = operation;
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": title,
                "version": env!("CARGO_PKG_VERSION"),
                "description": "See docs/worker-api.md. Every path answers 404 beside those here with the same error object.",
            },
            "paths": paths,
            "components": {
                "schemas": generator.take_definitions(true),
                "securitySchemes": { "operator": { "type": "http", "scheme": "bearer" } },
            },
        })
    }
}

/// Routes with their descriptions.
#[derive(Default)]
pub(super) struct Api {
    router: Router<Arc<Worker>>,
    paths: Paths,
}

impl Api {
    fn on(
        mut self,
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<Arc<Worker>>,
        op: Op,
    ) -> Self {
        let handler = match op.body_limit {
            Some(most) => handler.layer(DefaultBodyLimit::max(most)),
            None => handler,
        };
        self.router = self.router.route(path, handler);
        self.paths.all.push((method, path, op));
        self
    }

    /// A path that is read.
    pub(super) fn get<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, Arc<Worker>>,
        op: Op,
    ) -> Self {
        self.on("get", path, routing::get(handler), op)
    }

    /// A path that is posted to.
    pub(super) fn post<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, Arc<Worker>>,
        op: Op,
    ) -> Self {
        self.on("post", path, routing::post(handler), op)
    }

    /// A path that is put to.
    pub(super) fn put<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, Arc<Worker>>,
        op: Op,
    ) -> Self {
        self.on("put", path, routing::put(handler), op)
    }

    /// A path that can be deleted.
    pub(super) fn delete<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, Arc<Worker>>,
        op: Op,
    ) -> Self {
        self.on("delete", path, routing::delete(handler), op)
    }

    /// The routes, and what is written about them.
    pub(super) fn finish(self) -> (Router<Arc<Worker>>, Paths) {
        (self.router, self.paths)
    }
}

/// An object with these properties, all of them there.
pub(super) fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let all: Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({ "type": "object", "required": required, "properties": all })
}

/// A list.
pub(super) fn list(each: Value) -> Value {
    json!({ "type": "array", "items": each })
}

/// `0x` and lower-case digits.
pub(super) fn hex() -> Value {
    json!({ "type": "string", "pattern": "^0x[0-9a-f]*$" })
}

/// Planck.
pub(super) fn planck() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+$" })
}

/// A number of something.
pub(super) fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// Any text.
pub(super) fn any_text() -> Value {
    json!({ "type": "string" })
}

/// Yes or no.
pub(super) fn yes_or_no() -> Value {
    json!({ "type": "boolean" })
}

/// The same, or null.
pub(super) fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}
