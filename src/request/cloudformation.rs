//! Requests of CloudFormation for a custom resource.
//!
//! Follows <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html>.
//!
//! It owns the request's form and the ids of the resource and its rule. It must not know how the request is executed and answered.
//! A request with a valid `ResponseURL` is always read: an error in the rest is part of the request, so that CloudFormation gets an answer.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::{Environment, Error};
use crate::model::{Access, BucketName, ResponseBucket, ResponseUrl, RuleAddress, RuleId};
use crate::spec::{Invalid, Object, Properties, Spec, destination_access, read_properties};

/// A request for a custom resource.
#[derive(Debug)]
pub struct Request {
    /// The URL and the ids of the answer.
    pub reply: ReplyTo,
    /// How long CloudFormation waits for the answer, if the template sets it.
    pub service_timeout: Option<Duration>,
    /// The resource's id before the request; `None` on Create.
    pub physical_id: Option<String>,
    /// The requested operation, or why the request cannot be accepted.
    pub operation: Result<ResourceOperation, Error>,
}

/// How long CloudFormation waits for an answer if the template does not set it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// How long Lambda waits after an error before it delivers a request for the second time.
const SECOND_DELIVERY_DELAY: Duration = Duration::from_secs(60);

/// How long Lambda waits after the second error before it delivers a request for the third and last time.
const THIRD_DELIVERY_DELAY: Duration = Duration::from_secs(120);

impl Request {
    /// How long CloudFormation still waits for the answer, if the template sets `ServiceTimeout`. It waits since it made the request, which
    /// is when it signed the `ResponseURL`.
    pub fn time_left(&self, now: SystemTime) -> Option<Duration> {
        let age = self.reply.url.age(now).unwrap_or_default();
        self.service_timeout.map(|timeout| timeout.saturating_sub(age))
    }

    /// Whether this invocation may end with an error instead of an answer, since Lambda certainly delivers the request again and the next
    /// delivery is in time for an answer. Each invocation of the request is taken to last `remaining`, the rest of this one's time.
    ///
    /// Lambda delivers a request at most three times, and does not say which delivery this is, so the age of the request has to show it: a
    /// delivery with an age below the middle between those of the second and the third is not the third.
    pub fn next_delivery_can_answer(&self, now: SystemTime, remaining: Duration) -> bool {
        let Some(age) = self.reply.url.age(now) else {
            return false;
        };
        let second_delivery = remaining + SECOND_DELIVERY_DELAY;
        let third_delivery = second_delivery + remaining + THIRD_DELIVERY_DELAY;
        let may_be_last = age >= (second_delivery + third_delivery) / 2;
        let end_of_next_delivery = age + remaining + THIRD_DELIVERY_DELAY + remaining;
        !may_be_last && end_of_next_delivery <= self.service_timeout.unwrap_or(DEFAULT_TIMEOUT)
    }
}

/// The operation on a custom resource.
#[derive(Debug)]
pub enum ResourceOperation {
    /// Create or Update.
    Apply {
        /// The rule that should exist.
        spec: Box<Spec>,
        /// The rule of a failed Update that this Update rolls back. The failed Update may have left parts of the rule in its source bucket.
        abandoned: Option<RuleAddress>,
    },
    /// Delete of our rule.
    Delete {
        /// The rule.
        rule: RuleAddress,
        /// The credentials with which the destination's account is accessed.
        access: Access,
        /// Whether to plan without changing anything.
        dry_run: bool,
    },
    /// Delete of a failed Create, or of a resource whose id is not ours. It removes only what is remembered of a request that failed or was
    /// not answered.
    Cleanup {
        /// The rule.
        rule: RuleAddress,
        /// The generation of the failed Create; `None` if the id is not ours.
        failed_create: Option<u64>,
        /// The credentials with which the destination's account is accessed.
        access: Access,
        /// Whether to plan without changing anything.
        dry_run: bool,
    },
    /// Delete of a resource for which nothing was created, or which names no rule.
    Nothing {
        /// The rule that the resource would have had; `None` if its properties name no bucket.
        rule: Option<RuleAddress>,
    },
}

/// The URL and the ids of the answer to a request.
#[derive(Debug, Clone)]
pub struct ReplyTo {
    /// The URL to which the answer is sent.
    pub url: ResponseUrl,
    /// Copied to the answer.
    pub stack_id: String,
    /// Copied to the answer.
    pub request_id: String,
    /// Copied to the answer.
    pub logical_id: String,
}

/// Reads a request of CloudFormation.
pub(super) fn read(
    object: &Map<String, Value>,
    environment: Environment<'_>,
) -> Result<Request, Error> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let required = |name: &str| text(name).unwrap_or_default().to_owned();
    let url = text("ResponseURL").unwrap_or_default();
    let bucket = ResponseBucket { region: environment.region, partition: environment.partition };
    let reply = ReplyTo {
        url: ResponseUrl::parse(url, bucket, environment.allows_loopback)
            .ok_or(Error::ForeignResponseUrl)?,
        stack_id: required("StackId"),
        request_id: required("RequestId"),
        logical_id: required("LogicalResourceId"),
    };
    let no_properties = Map::new();
    let properties =
        object.get("ResourceProperties").and_then(Value::as_object).unwrap_or(&no_properties);
    let old_properties = object.get("OldResourceProperties");
    let old_source = old_properties.and_then(|old| old.get("SourceBucket")).and_then(Value::as_str);
    let physical_id = text("PhysicalResourceId");
    let resource = Resource { reply: &reply, physical_id, properties, old_source };
    let operation = match required("RequestType").as_str() {
        "Create" | "Update" => resource.apply(),
        "Delete" => Ok(resource.delete()),
        other => Err(Invalid::new(
            "RequestType",
            format!("is `{other}`; allowed are Create, Update, Delete"),
        )),
    };
    Ok(Request {
        service_timeout: service_timeout(properties).ok().flatten(),
        physical_id: physical_id.map(str::to_owned),
        operation: operation.map_err(Error::from),
        reply,
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

/// The resource's id after a Create that changed nothing. After a success, the id, and the resource's `Ref`, is the rule's [`RuleAddress`].
pub const NOTHING_CREATED: &str = "nothing-was-created";

/// What the id of a failed Create has between the rule and the generation. No rule's id has a slash.
const FAILED_CREATE: &str = "/failed-create/";

/// The resource's id after a Create that failed and may have changed something.
///
/// It is not the rule's id: after the next Create has succeeded, CloudFormation deletes the resource of the failed one.
pub fn failed_create_id(rule: &RuleAddress, generation: u64) -> String {
    format!("{rule}{FAILED_CREATE}{generation}")
}

/// Reads the id of a failed Create.
fn parse_failed_create_id(id: &str) -> Option<(RuleAddress, u64)> {
    let (rule, generation) = id.split_once(FAILED_CREATE)?;
    Some((RuleAddress::parse(rule)?, generation.parse().ok()?))
}

/// The custom resource of a request.
struct Resource<'a> {
    reply: &'a ReplyTo,
    physical_id: Option<&'a str>,
    properties: &'a Map<String, Value>,
    /// The source bucket before an Update.
    old_source: Option<&'a str>,
}

impl Resource<'_> {
    fn rule_id(&self) -> RuleId {
        RuleId::for_resource(&self.reply.stack_id, &self.reply.logical_id)
    }

    fn apply(&self) -> Result<ResourceOperation, Invalid> {
        for (name, value) in [
            ("StackId", &self.reply.stack_id),
            ("LogicalResourceId", &self.reply.logical_id),
            ("RequestId", &self.reply.request_id),
        ] {
            if value.is_empty() {
                return Err(Invalid::new(name, "is required"));
            }
        }
        service_timeout(self.properties)?;
        let spec = Spec::new(self.rule_id(), &read_properties(self.properties, &[])?)?;
        let abandoned = self.abandoned_rule(&spec.rule);
        Ok(ResourceOperation::Apply { spec: Box::new(spec), abandoned })
    }

    /// The rule of the failed Update that this Update rolls back to `rule`.
    ///
    /// If the resource's id already names `rule`, this Update does not move the rule from another bucket. A different source bucket in the old
    /// properties is then the bucket of the Update that failed.
    fn abandoned_rule(&self, rule: &RuleAddress) -> Option<RuleAddress> {
        let is_rollback = self.physical_id == Some(rule.to_string().as_str());
        let old_source = self.old_source.filter(|_| is_rollback)?;
        let source = BucketName::parse(old_source).ok().filter(|old| *old != rule.source)?;
        Some(RuleAddress { source, id: rule.id.clone() })
    }

    /// Reads only what names the rule: a resource must be deletable even if its other properties are wrong.
    fn delete(&self) -> ResourceOperation {
        if self.physical_id == Some(NOTHING_CREATED) {
            return ResourceOperation::Nothing { rule: self.rule_of_properties() };
        }
        let dry_run = Object::new(self.properties).boolean("DryRun").ok().flatten();
        let dry_run = dry_run.unwrap_or(false);
        let access = |source: &BucketName| self.access(source).unwrap_or_default();
        if let Some(rule) = self.physical_id.and_then(RuleAddress::parse) {
            return ResourceOperation::Delete { access: access(&rule.source), rule, dry_run };
        }
        let failed_create = self.physical_id.and_then(parse_failed_create_id);
        let (rule, failed_create) = match failed_create {
            Some((rule, generation)) => (Some(rule), Some(generation)),
            None => (self.rule_of_properties(), None),
        };
        match rule {
            Some(rule) => ResourceOperation::Cleanup {
                access: access(&rule.source),
                rule,
                failed_create,
                dry_run,
            },
            None => ResourceOperation::Nothing { rule: None },
        }
    }

    /// The rule of a resource whose id does not name it. CloudFormation makes up an id if it gets no answer to Create, and after an Update
    /// from another function's resource it deletes that function's id. The rule's id depends on the stack and the resource, so the rule
    /// belongs to no other resource; it may belong to a later request about this one.
    fn rule_of_properties(&self) -> Option<RuleAddress> {
        let source = BucketName::parse(self.properties.get("SourceBucket")?.as_str()?).ok()?;
        let has_ids = !self.reply.stack_id.is_empty() && !self.reply.logical_id.is_empty();
        has_ids.then(|| RuleAddress { source, id: self.rule_id() })
    }

    fn access(&self, source: &BucketName) -> Result<Access, Invalid> {
        let mut object = Object::new(self.properties);
        let properties = Properties {
            destination_role_arn: object.text("DestinationRoleArn")?,
            destination_role_external_id: object.text("DestinationRoleExternalId")?,
            ..Properties::default()
        };
        destination_access(&properties, source)
    }
}
