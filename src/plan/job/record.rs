//! What our role's tag records of a rule's jobs, and the token by which S3 recognises a repeated request.
//!
//! It must not know when a job is started.

use super::super::Roles;
use crate::model::{BucketLocation, InlinePolicyName, Job, RoleName, RuleAddress, hash};
use crate::spec::{Report, Spec};

/// Digits of the hash of a request.
const REQUEST_LENGTH: usize = 32;

/// S3's limits for the length of a job's id.
const JOB_ID_LENGTHS: std::ops::RangeInclusive<usize> = 5..=36;

/// S3's limit for a token, and the number of digits of a SHA-256.
const TOKEN_LENGTH: usize = 64;

/// What the tag has instead of a job's id, when there was nothing to replicate. It is too short for an id.
pub(super) const NO_JOB: &str = "none";

/// The objects that a job replicates, by S3's replication status of their versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectSelection {
    /// Those that no rule has selected, which are older than the rule or came before S3 noticed it; and those that S3 failed to replicate.
    Unreplicated,
    /// Those that S3 failed to replicate.
    Failed,
}

/// A job to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// The source bucket.
    pub location: BucketLocation,
    /// The rule that replicates the objects.
    pub rule: RuleAddress,
    /// The rule's prefix; empty for all objects.
    pub prefix: String,
    /// The objects that it replicates.
    pub selection: ObjectSelection,
    /// The place of the report.
    pub report: Report,
    /// Our role, which S3 Batch Operations assumes and whose tag records the job.
    pub role: RoleName,
    /// ARN of that role.
    pub role_arn: String,
    /// The hash of the request.
    pub(super) request: String,
    /// The id of the recorded job, which a different request started.
    pub(super) previous: Option<String>,
    /// The time of the latest catch-up that has started a job.
    pub(super) caught_up: Option<u64>,
}

impl NewJob {
    /// The job's description: the address of the rule.
    pub fn description(&self) -> String {
        self.rule.to_string()
    }

    /// The token by which S3 recognises a repeated request: a token with another job is an error, or no new job. So it differs if anything of the
    /// job does, if the role, which has the id `role_id`, was created again, or if another request came between two equal ones.
    pub fn token(&self, role_id: &str) -> String {
        let previous = self.previous.as_deref().unwrap_or_default();
        let selection = match self.selection {
            ObjectSelection::Unreplicated => "unreplicated",
            ObjectSelection::Failed => "failed",
        };
        let Report { bucket, prefix } = &self.report;
        let job = [selection, &self.prefix, bucket.as_str(), prefix];
        let parts = [self.request.as_str(), role_id, previous].into_iter().chain(job);
        hash(&unambiguous(parts), TOKEN_LENGTH)
    }

    /// Key and value of the tag that records the job with this id.
    pub fn tag(&self, id: &str) -> (InlinePolicyName, String) {
        let caught_up = self.caught_up.map(|time| format!("/{time}")).unwrap_or_default();
        (InlinePolicyName::for_job(&self.rule.id), format!("{}/{id}{caught_up}", self.request))
    }
}

/// What the tag of our role records of a rule's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordedJob<'a> {
    /// The hash of the request.
    pub request: &'a str,
    /// The id of the latest job; `None` if there was nothing to replicate.
    pub id: Option<&'a str>,
    /// The time of the latest catch-up that has started a job, in seconds since the epoch.
    pub caught_up: Option<u64>,
}

impl<'a> RecordedJob<'a> {
    /// Reads the tag's value. Others can write the tag, too: a value that this program does not write records no job.
    fn parse(tag: &'a str) -> Option<Self> {
        let mut parts = tag.splitn(3, '/');
        let (request, id) = (parts.next()?, parts.next()?);
        let caught_up = parts.next().map(str::parse).transpose().ok()?;
        let is_hash = request.len() == REQUEST_LENGTH
            && request.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let id = Some(id).filter(|id| *id != NO_JOB);
        (is_hash && id.is_none_or(is_job_id)).then_some(Self { request, id, caught_up })
    }
}

/// The hash of the request to replicate existing objects; `None` if there is no such request.
pub(super) fn request_hash(spec: &Spec) -> Option<String> {
    let Report { bucket, prefix } = spec.existing_objects.as_ref()?;
    let tags = spec.filter.tags.iter().flat_map(|(key, value)| [key.as_str(), value]);
    let parts = [
        spec.rule.source.as_str(),
        spec.rule.id.as_str(),
        spec.destination.as_str(),
        spec.replica_key.as_str(),
        bucket.as_str(),
        prefix,
    ]
    .into_iter()
    .chain([spec.filter.prefix.as_str()])
    .chain(tags);
    Some(hash_of(parts))
}

/// The hash that the tag records for a rule whose existing objects no request has asked for. It differs from every [`request_hash`].
pub(super) fn hash_without_request(rule: &RuleAddress) -> String {
    hash_of([rule.source.as_str(), rule.id.as_str()].into_iter())
}

/// A hash of texts.
fn hash_of<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    hash(&unambiguous(parts), REQUEST_LENGTH)
}

/// Texts one after the other. Their lengths make the concatenation unambiguous.
fn unambiguous<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.map(|part| format!("{} {part}", part.len())).collect()
}

impl Roles {
    /// What the tag of our role records of the rule's jobs.
    pub(super) fn recorded_job(&self, rule: &RuleAddress) -> Option<RecordedJob<'_>> {
        let tag = self.own(&rule.source)?.tags.get(InlinePolicyName::for_job(&rule.id).as_str())?;
        RecordedJob::parse(tag)
    }

    /// Whether a job was started by the catch-up of this time, or by a later one.
    pub fn has_caught_up(&self, rule: &RuleAddress, time: u64) -> bool {
        let caught_up = self.recorded_job(rule).and_then(|recorded| recorded.caught_up);
        caught_up.is_some_and(|latest| latest >= time)
    }

    /// Whether a request has asked to replicate the rule's existing objects.
    pub fn asks_for_job(&self, rule: &RuleAddress) -> bool {
        let recorded = self.recorded_job(rule);
        recorded.is_some_and(|recorded| recorded.request != hash_without_request(rule))
    }

    /// Whether a job was started for the rule's existing objects.
    pub fn has_had_job(&self, rule: &RuleAddress) -> bool {
        let has_id = self.recorded_job(rule).is_some_and(|recorded| recorded.id.is_some());
        has_id && self.asks_for_job(rule)
    }

    /// The id of the rule's job, while the job has rights.
    pub fn job_with_rights(&self, rule: &RuleAddress) -> Option<&str> {
        let has_rights = self
            .own(&rule.source)?
            .policies
            .contains_key(InlinePolicyName::for_job(&rule.id).as_str());
        self.recorded_job(rule).filter(|_| has_rights).and_then(|recorded| recorded.id)
    }

    /// Whether `spec` requests a job that the tag does not record.
    pub fn needs_new_job(&self, spec: &Spec) -> bool {
        request_hash(spec).is_some_and(|request| {
            self.recorded_job(&spec.rule).is_none_or(|recorded| recorded.request != request)
        })
    }
}

/// Whether a text has the form of a job's id. Follows <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_DescribeJob.html>.
fn is_job_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    JOB_ID_LENGTHS.contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Whether a job was started for the rule.
pub fn is_job_of(rule: &RuleAddress, job: &Job) -> bool {
    job.description == rule.to_string()
}
