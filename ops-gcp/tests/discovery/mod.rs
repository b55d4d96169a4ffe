//! Checks requests and answers against a Google API discovery document.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

/// The vendor's own description of an API: methods, parameters, schemas.
#[derive(Debug)]
pub(crate) struct Discovery(Value);

/// One method of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiMethod<'a> {
    api: &'a Discovery,
    document: &'a Value,
}

/// Which way a body goes: a request must not depend on what only the vendor writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Request,
    Response,
}

impl Discovery {
    /// Reads `name` from the folder that `OPS_CONTRACTS_DIR` names; `None`, said loudly, where the variable is not set.
    ///
    /// # Panics
    /// If the variable is set and the file cannot be read.
    pub(crate) fn open(name: &str) -> Option<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "whether the vendor's schemas are there is decided by the caller's environment"
        )]
        let folder = std::env::var("OPS_CONTRACTS_DIR");
        let Ok(folder) = folder else {
            eprintln!(
                "\n*** LEFT OUT: OPS_CONTRACTS_DIR is not set, nothing was checked against {name} ***\n"
            );
            return None;
        };
        let path = Path::new(&folder).join("gcp").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        Some(Self(serde_json::from_str(&text).unwrap()))
    }

    /// The method of `verb` at `path` (without host and query).
    pub(crate) fn method(&self, verb: &str, path: &str) -> Option<ApiMethod<'_>> {
        let found = find(&self.0, &self.0, verb, path.trim_start_matches('/'))?;
        Some(ApiMethod {
            api: self,
            document: found,
        })
    }

    pub(crate) fn schema(&self, name: &str) -> &Map<String, Value> {
        self.0["schemas"][name]["properties"]
            .as_object()
            .unwrap_or_else(|| panic!("no schema {name}"))
    }

    /// Every way in which `body` is no `schema`.
    pub(crate) fn faults(&self, schema: &str, body: &Value, way: Way) -> Vec<String> {
        let mut faults = Vec::new();
        self.check_object(&self.0["schemas"][schema], body, way, schema, &mut faults);
        faults
    }

    fn check(&self, kind: &Value, value: &Value, way: Way, at: &str, faults: &mut Vec<String>) {
        if way == Way::Request && kind["readOnly"] == true {
            faults.push(format!("{at} is read-only"));
        }
        if let Some(name) = kind["$ref"].as_str() {
            return self.check_object(&self.0["schemas"][name], value, way, at, faults);
        }
        let good = match (kind["type"].as_str(), kind["format"].as_str()) {
            (Some("any"), _) => true,
            (Some("object"), _) => return self.check_object(kind, value, way, at, faults),
            (Some("array"), _) => match value.as_array() {
                Some(items) => {
                    for (position, item) in items.iter().enumerate() {
                        self.check(&kind["items"], item, way, &format!("{at}[{position}]"), faults);
                    }
                    true
                }
                None => false,
            },
            (Some("boolean"), _) => value.is_boolean(),
            (Some("integer"), _) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            (Some("number"), _) => value.is_number(),
            (Some("string"), Some("int64")) => value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
            (Some("string"), Some("google-datetime")) => value.as_str().is_some_and(is_time),
            (Some("string"), Some("google-duration")) => value
                .as_str()
                .and_then(|text| text.strip_suffix('s'))
                .is_some_and(|seconds| seconds.parse::<f64>().is_ok()),
            (Some("string"), _) => {
                value.is_string() && kind["enum"].as_array().is_none_or(|names| names.contains(value))
            }
            other => panic!("{at}: the checker does not know {other:?}"),
        };
        if !good {
            faults.push(format!("{at} has a wrong type or value"));
        }
    }

    fn check_object(&self, kind: &Value, value: &Value, way: Way, at: &str, faults: &mut Vec<String>) {
        let Some(members) = value.as_object() else {
            faults.push(format!("{at} is no object"));
            return;
        };
        for (name, member) in members {
            let at = format!("{at}.{name}");
            match (&kind["properties"][name], &kind["additionalProperties"]) {
                (Value::Null, Value::Null) => faults.push(format!("{at} is unknown")),
                (Value::Null, more) => self.check(more, member, way, &at, faults),
                (known, _) => self.check(known, member, way, &at, faults),
            }
        }
    }

    /// A mask names fields of the schema by their path, in lowerCamelCase.
    fn has_path(&self, schema: &str, path: &str) -> bool {
        let (first, rest) = path
            .split_once('.')
            .map_or((path, None), |(first, rest)| (first, Some(rest)));
        let property = &self.0["schemas"][schema]["properties"][first];
        match (property, rest) {
            (Value::Null, _) => false,
            (_, None) => true,
            (property, Some(rest)) => property["$ref"]
                .as_str()
                .is_some_and(|schema| self.has_path(schema, rest)),
        }
    }
}

impl ApiMethod<'_> {
    pub(crate) fn id(&self) -> &str {
        self.document["id"].as_str().unwrap()
    }

    /// Every fault of a request: query and body.
    pub(crate) fn request_faults(&self, query: &[(String, String)], body: Option<&Value>) -> Vec<String> {
        let mut faults = Vec::new();
        let schema = self.document["request"]["$ref"].as_str();
        for (name, value) in query {
            let parameter = &self.document["parameters"][name];
            let parameter = if parameter.is_null() {
                &self.api.0["parameters"][name]
            } else {
                parameter
            };
            if parameter["location"] != "query" {
                faults.push(format!("query {name} is unknown"));
                continue;
            }
            let good = match (parameter["type"].as_str(), parameter["format"].as_str()) {
                (Some("boolean"), _) => value == "true" || value == "false",
                (Some("integer"), _) => value.parse::<i32>().is_ok(),
                (_, Some("google-fieldmask")) => {
                    let schema = schema.expect("a mask speaks of a body");
                    value.split(',').all(|path| self.api.has_path(schema, path))
                }
                _ => true,
            };
            if !good {
                faults.push(format!("query {name} has a wrong value"));
            }
        }
        let parameters = self.document["parameters"].as_object().into_iter().flatten();
        for (name, parameter) in parameters {
            let required = parameter["required"] == true && parameter["location"] == "query";
            if required && !query.iter().any(|(given, _)| given == name) {
                faults.push(format!("query {name} is missing"));
            }
        }
        match (schema, body) {
            (Some(schema), Some(body)) => faults.extend(self.api.faults(schema, body, Way::Request)),
            (None, None) => {}
            (Some(_), None) => faults.push("the body is missing".to_owned()),
            (None, Some(_)) => faults.push("there must be no body".to_owned()),
        }
        faults
    }

    /// Every fault of a successful answer.
    pub(crate) fn response_faults(&self, body: &Value) -> Vec<String> {
        let schema = self.document["response"]["$ref"].as_str().unwrap();
        self.api.faults(schema, body, Way::Response)
    }
}

fn find<'a>(api: &Value, node: &'a Value, verb: &str, path: &str) -> Option<&'a Value> {
    let methods = node["methods"].as_object().into_iter().flatten();
    let found = methods.map(|(_, method)| method).find(|method| {
        method["httpMethod"] == verb && places(api, method).iter().any(|place| matches(place, path))
    });
    let mut deeper = node["resources"].as_object().into_iter().flatten();
    found.or_else(|| deeper.find_map(|(_, resource)| find(api, resource, verb, path)))
}

/// Where a method is called. An older form of description says it below the path of the service; bytes are uploaded at another place.
fn places(api: &Value, method: &Value) -> Vec<String> {
    let mut places: Vec<String> = method["flatPath"]
        .as_str()
        .map(str::to_owned)
        .into_iter()
        .collect();
    if let (true, Some(below)) = (places.is_empty(), method["path"].as_str()) {
        places.push(format!(
            "{}{below}",
            api["servicePath"].as_str().unwrap_or_default()
        ));
    }
    let media = method["mediaUpload"]["protocols"].as_object();
    let media = media
        .into_iter()
        .flatten()
        .filter_map(|(_, protocol)| protocol["path"].as_str());
    places.extend(media.map(|place| place.trim_start_matches('/').to_owned()));
    places
}

/// `v2/projects/{projectsId}/locations` against a path: same parts, none empty, a verb after a colon only where stated.
fn matches(flat: &str, path: &str) -> bool {
    let (flat, path): (Vec<_>, Vec<_>) = (flat.split('/').collect(), path.split('/').collect());
    flat.len() == path.len()
        && flat.iter().zip(path).all(|(flat, part)| {
            let Some(rest) = flat.strip_prefix('{') else {
                return *flat == part;
            };
            let (_, suffix) = rest.split_once('}').unwrap();
            part.strip_suffix(suffix)
                .is_some_and(|id| !id.is_empty() && !id.contains(':'))
        })
}

fn is_time(text: &str) -> bool {
    text.parse::<ops_core::model::Timestamp>().is_ok()
}
