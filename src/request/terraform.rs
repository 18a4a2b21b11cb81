//! The life of a resource of Terraform or Pulumi: `aws_lambda_invocation` with `lifecycle_scope = "CRUD"`.
//!
//! Follows <https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lambda_invocation>: the provider sends the resource's
//! input, and in it one more object that says what becomes of the resource. This module owns the form of that object, and what an input of a
//! resource may have. It must not know how a request is executed and answered.

use serde_json::{Map, Value};

use super::command::Arguments;
use crate::model::{Access, RuleAddress};
use crate::spec::{Invalid, Spec};

/// A request about a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceChange {
    /// The resource is created or updated.
    Apply {
        /// The rule that should exist.
        spec: Box<Spec>,
        /// The rule of the input before, if the update is to another source or name.
        earlier: Option<EarlierRule>,
    },
    /// The resource is deleted.
    Delete(EarlierRule),
}

/// A rule that an input named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierRule {
    /// The rule.
    pub rule: RuleAddress,
    /// The credentials with which the destination's account is accessed.
    pub access: Access,
}

/// The members of the object that the provider adds, and all that it has.
const MEMBERS: [&str; 2] = ["action", "prev_input"];

/// The only property whose value can be an object; its members are free.
const TAGS: &str = "Tags";

/// Reads a request about a resource; `None` for another payload. The provider's object is known by its members, since the argument
/// `terraform_key` gives it any name.
pub(super) fn read(payload: &Map<String, Value>) -> Result<Option<ResourceChange>, Invalid> {
    let mut added = payload.iter().filter(|(name, value)| *name != TAGS && is_added(value));
    let Some((key, change)) = added.next() else {
        return Ok(None);
    };
    if let Some((second, _)) = added.next() {
        return Err(Invalid::new(
            second,
            format!("has exactly `action` and `prev_input`, as `{key}` has; only one object may"),
        ));
    }
    let input = payload.iter().filter(|(name, _)| *name != key);
    let input: Map<String, Value> =
        input.map(|(name, value)| (name.clone(), value.clone())).collect();
    let before = input_before(key, change)?;
    let action = change.get("action").unwrap_or(&Value::Null);
    match action.as_str() {
        Some("create") => applied(&input, None).map(Some),
        Some("update") => applied(&input, before).map(Some),
        Some("delete") => Ok(Some(ResourceChange::Delete(named_rule(&input)?))),
        Some(_) | None => {
            let problem = format!("is {action}; allowed are create, update, delete");
            Err(Invalid::new(format!("{key}.action"), problem))
        }
    }
}

fn is_added(value: &Value) -> bool {
    let has_members = |object: &Map<String, Value>| {
        object.len() == MEMBERS.len() && MEMBERS.iter().all(|member| object.contains_key(*member))
    };
    value.as_object().is_some_and(has_members)
}

/// The input that the resource had before. A resource that is new, or was imported, had none.
fn input_before<'a>(
    key: &str,
    change: &'a Value,
) -> Result<Option<&'a Map<String, Value>>, Invalid> {
    match change.get("prev_input") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(input)) => Ok(Some(input)),
        Some(other) => {
            let problem = format!("is `{other}`; it must be an object or null");
            Err(Invalid::new(format!("{key}.prev_input"), problem))
        }
    }
}

fn applied(
    input: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Result<ResourceChange, Invalid> {
    let spec = arguments(input)?.spec()?;
    // An input that is refused has never made a rule. Terraform keeps it all the same when an update failed with it.
    let earlier = before.and_then(|before| named_rule(before).ok());
    let earlier = earlier.filter(|earlier| earlier.rule != spec.rule);
    Ok(ResourceChange::Apply { spec: Box::new(spec), earlier })
}

/// The rule that an input names. The values of properties that do not name it are not checked: a resource must be deletable with them.
fn named_rule(input: &Map<String, Value>) -> Result<EarlierRule, Invalid> {
    let arguments = arguments(input)?;
    Ok(EarlierRule { rule: arguments.rule()?, access: arguments.access()? })
}

fn arguments(input: &Map<String, Value>) -> Result<Arguments, Invalid> {
    let arguments = Arguments::read(input)?;
    match arguments.action.as_deref() {
        None | Some("Apply") => {}
        Some(other) => {
            let problem = format!("is `{other}`; a resource has `Apply` or no `Action`");
            return Err(Invalid::new("Action", problem));
        }
    }
    if arguments.dry_run() {
        return Err(Invalid::new(
            "DryRun",
            "cannot be true in a resource, which would count as applied; use the command `Plan`",
        ));
    }
    Ok(arguments)
}
