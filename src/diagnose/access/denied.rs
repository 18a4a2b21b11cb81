//! The calls that are denied, as findings: one for each meaning of a denial, and for each bucket or key.
//!
//! It must not know how it came to a denial.

use std::collections::{BTreeMap, BTreeSet};

use super::is_on_key;
use crate::diagnose::calls::{Call, Objects, Target};
use crate::diagnose::denial::{code, join, reasons, subject};
use crate::diagnose::evidence::{Evidence, KeyEvidence, RuleEvidence};
use crate::diagnose::finding::{Code, Finding, Severity};
use crate::diagnose::fix::Fixes;
use crate::diagnose::objects::severity_of;
use crate::iam_policy::evaluate::Denial;
use crate::model::SampledObject;

/// A call that is denied, and why.
pub(super) struct Denied {
    pub call: Call,
    pub denial: Denial,
    pub whose: Whose,
}

/// For which objects a call is denied.
#[derive(Debug, Clone)]
pub(super) enum Whose {
    /// For every object that the call is made for.
    Every,
    /// For objects like that of the call.
    Example,
    /// For objects of the sample.
    Sampled {
        /// Their keys.
        keys: BTreeSet<String>,
        /// What it means for them.
        severity: Severity,
    },
}

impl Whose {
    pub fn sampled(objects: &[&SampledObject]) -> Self {
        let keys = objects.iter().map(|object| object.key.clone()).collect();
        Self::Sampled { keys, severity: severity_of(objects.iter().copied()) }
    }

    fn sampled_keys(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Every | Self::Example => None,
            Self::Sampled { keys, .. } => Some(keys),
        }
    }
}

impl Denied {
    /// Whether this denial for every object is one of the same call.
    pub fn covers(&self, call: &Call) -> bool {
        let Call { action, resource, context, objects, .. } = &self.call;
        matches!(self.whose, Whose::Every)
            && *objects == Objects::All
            && (action, resource, context) == (&call.action, &call.resource, &call.context)
    }

    fn severity(&self) -> Severity {
        let severity = match self.call.objects {
            Objects::All => Severity::FailsNow,
            Objects::Tagged | Objects::Locked | Objects::DeleteMarkers => Severity::FailsForSome,
            Objects::PerhapsAll | Objects::OtherBucketKey => Severity::WillFail,
            Objects::Annotated | Objects::OwnerEnforced => Severity::Note,
        };
        match &self.whose {
            Whose::Every => severity,
            Whose::Example => severity.max(Severity::FailsForSome),
            Whose::Sampled { severity, .. } => *severity,
        }
    }

    /// The key of the object, if the denial is an example.
    fn example(&self) -> Option<&str> {
        let values = self.call.context.iter().filter_map(|(_, value)| value.as_ref());
        let names = std::iter::once(&self.call.resource).chain(values);
        let mut objects = names.filter_map(|name| {
            let name = name.known().strip_prefix("arn:")?;
            name.contains(":s3:::").then(|| name.split_once('/'))?
        });
        let (_, key) = objects.next()?;
        matches!(self.whose, Whose::Example).then_some(key)
    }
}

/// The denied calls of one rule, grouped into findings.
struct Findings<'a> {
    evidence: &'a Evidence,
    rule: &'a RuleEvidence,
    boundary: Option<String>,
}

/// What the denials of one finding have in common: their meaning, and the bucket or the key.
type Group = (Code, Target, Option<String>);

/// The findings from the denials of all calls.
pub(super) fn findings(
    evidence: &Evidence,
    rule: &RuleEvidence,
    boundary: Option<String>,
    denied: Vec<Denied>,
) -> Vec<Finding> {
    let findings = Findings { evidence, rule, boundary };
    // Of objects that cannot be read, annotations are no news.
    let reads_fail = denied
        .iter()
        .any(|Denied { call, .. }| call.target == Target::Source && call.objects == Objects::All);
    let mut groups: BTreeMap<Group, Vec<Denied>> = BTreeMap::new();
    for denied in denied {
        if reads_fail && denied.call.objects == Objects::Annotated {
            continue;
        }
        let key = is_on_key(&denied.call).then(|| denied.call.resource.to_string());
        let group = (findings.code(&denied), denied.call.target, key);
        groups.entry(group).or_default().push(denied);
    }
    groups.into_iter().filter_map(|(group, denied)| findings.finding(&group, &denied)).collect()
}

impl Findings<'_> {
    fn code(&self, denied: &Denied) -> Code {
        let default = self.evidence.default_key.as_ref().and_then(KeyEvidence::arn);
        let is_other_key = denied.call.target == Target::SourceKey
            && denied.whose.sampled_keys().is_some()
            && denied.call.resource.exact() != default;
        if is_other_key { Code::SampledKeyNotGranted } else { code(&denied.call, &denied.denial) }
    }

    fn finding(&self, group: &Group, denied: &[Denied]) -> Option<Finding> {
        let worst = denied.iter().min_by_key(|denied| denied.severity())?;
        let mut finding =
            Finding::new(group.0, worst.severity(), self.message(group, denied, worst));
        for line in denied.iter().flat_map(|denied| reasons(&denied.denial.reason)) {
            if !finding.evidence.contains(&line) {
                finding.evidence.push(line);
            }
        }
        finding.s3_failure_code = worst.call.failure_code;
        let fixes = Fixes { evidence: self.evidence, rule: self.rule };
        finding.fix = fixes.of_denial(&worst.call, &worst.denial, self.boundary.as_deref());
        Some(finding)
    }

    fn message(&self, group: &Group, denied: &[Denied], worst: &Denied) -> String {
        let (code, target, key) = group;
        let on = self.name_of(*target, key.as_deref());
        if *code == Code::SampledKeyNotGranted {
            let sampled = denied.iter().filter_map(|denied| denied.whose.sampled_keys());
            let keys: BTreeSet<&String> = sampled.flatten().collect();
            let use_it = self.of_sample(keys.len());
            return format!("{use_it} use {on}, which the role may not decrypt");
        }
        let actions = self.actions(denied);
        let like = worst.example().map(|key| format!(", for objects like `{key}`"));
        format!("{} {} on {on}{}", subject(*code), join(&actions), like.unwrap_or_default())
    }

    /// The actions with the objects that they are denied for, each once.
    fn actions(&self, denied: &[Denied]) -> Vec<String> {
        let mut actions: Vec<String> = Vec::new();
        for Denied { call, whose, .. } in denied {
            let objects = match whose.sampled_keys() {
                Some(keys) => format!(" of {}", self.of_sample(keys.len())),
                None => of_objects(call).to_owned(),
            };
            let action = format!("`{}`{objects}", call.action);
            // A call that is denied for every object is denied for those with another Bucket Key setting.
            let is_said = call.objects == Objects::OtherBucketKey
                && actions.contains(&format!("`{}`", call.action));
            if !is_said && !actions.contains(&action) {
                actions.push(action);
            }
        }
        actions
    }

    fn of_sample(&self, count: usize) -> String {
        format!("{count} of {} sampled objects", self.rule.sampled_objects().len())
    }

    fn name_of(&self, target: Target, key: Option<&str>) -> String {
        match target {
            Target::Source => format!("bucket `{}`", self.evidence.source.location.bucket),
            Target::Destination => {
                let bucket = self.rule.destination_bucket().map(|bucket| bucket.to_string());
                format!("bucket `{}`", bucket.as_deref().unwrap_or(&self.rule.destination.name))
            }
            Target::SourceKey => format!("source key `{}`", key.unwrap_or_default()),
            Target::ReplicaKey => format!("replica key `{}`", key.unwrap_or_default()),
        }
    }
}

/// For which objects a call is made, as an addition to its action.
fn of_objects(call: &Call) -> &'static str {
    match call.objects {
        Objects::All => "",
        Objects::PerhapsAll => " (AWS's pages disagree whether every object needs it)",
        Objects::Tagged => " of objects with tags",
        Objects::Locked => " of objects with a retention or legal hold",
        Objects::DeleteMarkers => " of delete markers",
        Objects::Annotated => " of objects with annotations",
        Objects::OwnerEnforced => " (which a destination with `BucketOwnerEnforced` does not need)",
        Objects::OtherBucketKey if call.has_bucket_context() => " of objects with an S3 Bucket Key",
        Objects::OtherBucketKey => " of objects without an S3 Bucket Key",
    }
}
