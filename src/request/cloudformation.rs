//! Requests of CloudFormation for a custom resource.
//!
//! Follows <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html>. A request with a place to answer is
//! always read: what is wrong with the rest of it is part of the request, so that CloudFormation can be told.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::{Environment, Error};
use crate::model::{Access, BucketName, ResponseUrl, RuleAddress, RuleId};
use crate::spec::{Invalid, Object, Properties, Spec, destination_access, read_properties};

/// A request for a custom resource.
#[derive(Debug)]
pub struct Request {
    /// Where and with which ids it is answered.
    pub reply: ReplyTo,
    /// Time in which CloudFormation waits for the answer, when the template says so.
    pub service_timeout: Option<Duration>,
    /// The resource's id so far; `None` on Create.
    pub physical_id: Option<String>,
    /// What is asked, or what is wrong with it.
    pub operation: Result<ResourceOperation, Error>,
}

/// How long CloudFormation waits for an answer when the template does not say.
const USUAL_TIMEOUT: Duration = Duration::from_secs(3_600);

/// The most that Lambda waits before it delivers a request again that has ended with an error.
const REDELIVERY: Duration = Duration::from_secs(120);

impl Request {
    /// Whether the request is sure to be delivered again, and early enough to be answered then, when this invocation, which has `left`, uses
    /// that up and ends with an error.
    ///
    /// Lambda delivers it three times at most, one minute after the first and two after the second, and does not say which time this is. The
    /// second begins one invocation and a minute after the request was signed, the third no earlier than two and three minutes: what begins in
    /// the first half of the time between them is not the third.
    pub fn will_be_redelivered(&self, now: SystemTime, left: Duration) -> bool {
        let Some(age) = self.reply.url.age(now) else {
            return false;
        };
        age < left * 3 / 2 + REDELIVERY
            && age + left + REDELIVERY + left <= self.service_timeout.unwrap_or(USUAL_TIMEOUT)
    }
}

/// What is asked for a custom resource.
#[derive(Debug)]
pub enum ResourceOperation {
    /// Create or Update.
    Apply {
        /// What should be.
        spec: Box<Spec>,
        /// The rule in the source bucket of an Update that failed and that this one takes back: a part of it may be there.
        abandoned: Option<RuleAddress>,
    },
    /// Delete of a rule of ours.
    Delete {
        /// The rule.
        rule: RuleAddress,
        /// With whose credentials the destination's account is accessed.
        access: Access,
        /// Plan only.
        dry_run: bool,
    },
    /// Delete of what is not known to have been created.
    Cleanup {
        /// The rule.
        rule: RuleAddress,
        /// With whose credentials the destination's account is accessed.
        access: Access,
        /// Plan only.
        dry_run: bool,
    },
    /// Delete of what was never created.
    Nothing,
}

/// Where and with which ids a request is answered.
#[derive(Debug, Clone)]
pub struct ReplyTo {
    /// Where the answer is put.
    pub url: ResponseUrl,
    /// Copied to the answer.
    pub stack_id: String,
    /// Copied to the answer.
    pub request_id: String,
    /// Copied to the answer.
    pub logical_id: String,
}

pub(super) fn read(
    object: &Map<String, Value>,
    environment: Environment<'_>,
) -> Result<Request, Error> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let url = ResponseUrl::parse(text("ResponseURL"), environment.allows_loopback)
        .ok_or(Error::ForeignResponseUrl)?;
    let reply = ReplyTo {
        url,
        stack_id: text("StackId").to_owned(),
        request_id: text("RequestId").to_owned(),
        logical_id: text("LogicalResourceId").to_owned(),
    };
    let nothing = Map::new();
    let properties =
        object.get("ResourceProperties").and_then(Value::as_object).unwrap_or(&nothing);
    let physical_id = object.get("PhysicalResourceId").and_then(Value::as_str).map(str::to_owned);
    let old_source = object
        .get("OldResourceProperties")
        .and_then(|old| old.get("SourceBucket"))
        .and_then(Value::as_str);
    let operation =
        operation(text("RequestType"), &reply, physical_id.as_deref(), properties, old_source)
            .map_err(Error::from);
    Ok(Request {
        reply,
        service_timeout: service_timeout(properties).ok().flatten(),
        physical_id,
        operation,
    })
}

/// Follows <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html>.
fn service_timeout(properties: &Map<String, Value>) -> Result<Option<Duration>, Invalid> {
    let name = "ServiceTimeout";
    match Object::new(properties).integer(name)? {
        None => Ok(None),
        Some(seconds @ 1..=3_600) => Ok(Some(Duration::from_secs(seconds.unsigned_abs()))),
        Some(other) => {
            Err(Invalid::new(name, format!("is {other}; allowed are 1 to 3600 seconds")))
        }
    }
}

fn operation(
    request_type: &str,
    reply: &ReplyTo,
    physical_id: Option<&str>,
    properties: &Map<String, Value>,
    old_source: Option<&str>,
) -> Result<ResourceOperation, Invalid> {
    match request_type {
        "Create" | "Update" => {
            for (name, value) in [
                ("StackId", &reply.stack_id),
                ("LogicalResourceId", &reply.logical_id),
                ("RequestId", &reply.request_id),
            ] {
                if value.is_empty() {
                    return Err(Invalid::new(name, "is required"));
                }
            }
            let rule_id = RuleId::of_resource(&reply.stack_id, &reply.logical_id);
            service_timeout(properties)?;
            let spec = Box::new(Spec::new(rule_id, &read_properties(properties, &[])?)?);
            // An Update whose id is already the one that it asks for did not move the rule; its old properties did, and failed.
            let stays = physical_id == Some(spec.rule.to_string().as_str());
            let old_source =
                old_source.filter(|_| stays).and_then(|name| BucketName::parse(name).ok());
            let abandoned = old_source.filter(|old| *old != spec.rule.source);
            let abandoned = abandoned.map(|source| RuleAddress { source, ..spec.rule.clone() });
            Ok(ResourceOperation::Apply { spec, abandoned })
        }
        // Only what names the rule is read: a resource whose other properties are wrong must be deletable, too.
        "Delete" => Ok(
            match physical_id
                .and_then(RuleAddress::parse)
                .or_else(|| rule_of_unknown_id(reply, properties))
            {
                Some(rule) => {
                    let dry_run =
                        Object::new(properties).boolean("DryRun").ok().flatten().unwrap_or(false);
                    let access = access(properties, &rule.source).unwrap_or_default();
                    if physical_id == Some(NOTHING_CREATED) {
                        ResourceOperation::Cleanup { rule, access, dry_run }
                    } else {
                        ResourceOperation::Delete { rule, access, dry_run }
                    }
                }
                None => ResourceOperation::Nothing,
            },
        ),
        other => Err(Invalid::new(
            "RequestType",
            format!("is `{other}`; allowed are Create, Update, Delete"),
        )),
    }
}

/// The resource's id, and its `Ref`, is its [`RuleAddress`]; this one is it after a Create that changed nothing: there is nothing to delete.
pub const NOTHING_CREATED: &str = "nothing-was-created";

/// The rule of a resource whose id CloudFormation made up, because it has had no answer to Create: what Create did, or is still doing, has
/// to be taken back all the same. Stack and resource are part of the rule's id, so this is nobody else's rule.
fn rule_of_unknown_id(reply: &ReplyTo, properties: &Map<String, Value>) -> Option<RuleAddress> {
    let source = BucketName::parse(properties.get("SourceBucket")?.as_str()?).ok()?;
    let named = !reply.stack_id.is_empty() && !reply.logical_id.is_empty();
    named.then(|| RuleAddress {
        source,
        id: RuleId::of_resource(&reply.stack_id, &reply.logical_id),
    })
}

fn access(properties: &Map<String, Value>, source: &BucketName) -> Result<Access, Invalid> {
    let mut object = Object::new(properties);
    let destination_role_arn = object.text("DestinationRoleArn")?;
    let destination_role_external_id = object.text("DestinationRoleExternalId")?;
    destination_access(
        &Properties { destination_role_arn, destination_role_external_id, ..Properties::default() },
        source,
    )
}
