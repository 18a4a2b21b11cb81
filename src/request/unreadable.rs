//! Payloads that are not JSON that can be read as a whole.
//!
//! A request of CloudFormation is answered even if its properties have too many levels, half of a surrogate pair, or a number that is too
//! large: without an answer, the stack waits for an hour. It must not know the properties.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::cloudformation::{self, Request};
use super::{Environment, Error, Invocation, read};

/// The names outside the properties, unread. Values of other names are skipped without being read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Names<'a> {
    #[serde(borrow)]
    request_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "ResponseURL")]
    response_url: Option<&'a RawValue>,
    #[serde(borrow)]
    stack_id: Option<&'a RawValue>,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    logical_resource_id: Option<&'a RawValue>,
    #[serde(borrow)]
    physical_resource_id: Option<&'a RawValue>,
}

/// Reads a payload as [`read`] does. A request of CloudFormation that cannot be read as a whole is read without its properties.
///
/// # Errors
/// As [`read`], and a payload that is not JSON and has no valid `ResponseURL`.
pub fn read_text(payload: &str, environment: Environment<'_>) -> Result<Invocation, Error> {
    match serde_json::from_str::<Value>(payload) {
        Ok(payload) => read(&payload, environment),
        Err(error) => {
            let problem = Error::UnknownPayload(format!("is not JSON that can be read: {error}"));
            match request_without_properties(payload, &problem, environment)? {
                Some(request) => Ok(Invocation::CloudFormation(Box::new(request))),
                None => Err(problem),
            }
        }
    }
}

/// The request with `problem` as its error; `None` for another payload. A Delete has no error: it needs no properties.
fn request_without_properties(
    payload: &str,
    problem: &Error,
    environment: Environment<'_>,
) -> Result<Option<Request>, Error> {
    let Some(object) = names(payload) else {
        return Ok(None);
    };
    let mut request = cloudformation::read(&object, environment)?;
    if object.get("RequestType").and_then(Value::as_str) != Some("Delete") {
        request.operation = Err(problem.clone());
    }
    Ok(Some(request))
}

/// The texts of a request outside its properties; `None` if there is no `ResponseURL`.
fn names(payload: &str) -> Option<Map<String, Value>> {
    let names: Names<'_> = serde_json::from_str(payload).ok()?;
    let texts = [
        ("RequestType", names.request_type),
        ("ResponseURL", names.response_url),
        ("StackId", names.stack_id),
        ("RequestId", names.request_id),
        ("LogicalResourceId", names.logical_resource_id),
        ("PhysicalResourceId", names.physical_resource_id),
    ];
    names.response_url?;
    let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    let texts = texts.into_iter().filter_map(|(name, raw)| Some((name, text(raw?)?)));
    Some(texts.map(|(name, text)| (name.to_owned(), Value::String(text))).collect())
}
