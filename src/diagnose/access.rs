//! Findings about policies: S3's calls held against the role's policies, and those of both buckets and the keys.
//!
//! This module owns what a denial means. It must not know which calls S3 makes and how policies are evaluated: [`super::calls`] and
//! [`crate::iam_policy::evaluate`] know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::calls::{Call, Objects, Replicated, Side, Target};
use super::denial::{code, describe, join, reasons, subject};
use super::evidence::{Evidence, KeyEvidence, RoleEvidence, RuleEvidence, Seen, Unread};
use super::finding::{Code, Finding, Severity};
use super::fix::Fixes;
use super::policies::{ABSENT, InFront, RolePolicies};
use crate::iam_policy::evaluate::{
    Context, Decision, Denial, DenialReason, Layer, Policies, PolicySource, Principal, Request,
    ResourcePolicy, decide,
};
use crate::model::{Account, Encryption, KeyReference, Region, RoleArn, SimulatedCall};

/// The most object keys that calls are evaluated with.
const MAX_OBJECTS: usize = 50;

/// The name that S3 gives to its sessions of the role. AWS does not document it, and no policy of a role depends on it.
const SESSION: &str = "s3-replication";

/// What the evaluation of a rule's calls shows.
#[derive(Default)]
pub(super) struct Access {
    pub findings: Vec<Finding>,
    pub undecided: Vec<Unread>,
    /// ARNs of the keys whose grants decide and were not read.
    pub keys_by_grants: BTreeSet<String>,
}

/// A call that is denied, and why.
struct Denied {
    call: Call,
    denial: Denial,
}

/// Evaluates the calls of a rule.
pub(super) struct Evaluator<'a> {
    evidence: &'a Evidence,
    rule: &'a RuleEvidence,
    principal: Principal,
    role: RolePolicies,
    source: InFront,
    destination: InFront,
    destination_account: Account,
    destination_region: Option<Region>,
    /// The keys by their ARNs.
    keys: BTreeMap<String, InFront>,
    context: Context,
    undecided: Vec<Unread>,
}

impl<'a> Evaluator<'a> {
    /// Reads the policies of a rule; `None` if the role's ARN is none.
    pub fn new(
        evidence: &'a Evidence,
        rule: &'a RuleEvidence,
        role: &RoleEvidence,
    ) -> Option<Self> {
        let arn = RoleArn::parse(&role.role.arn).ok()?;
        let mut undecided = Vec::new();
        let policies = RolePolicies::read(role, &mut undecided);
        let source = InFront::bucket(
            PolicySource::Bucket(evidence.source.location.bucket.to_string()),
            &evidence.source.policy,
            &mut undecided,
        );
        let settings = rule.destination.settings.as_ref();
        let name = rule.destination_bucket().map(|bucket| bucket.to_string()).unwrap_or_default();
        let destination = match settings {
            Some(settings) => {
                InFront::bucket(PolicySource::Bucket(name), &settings.policy, &mut undecided)
            }
            None => InFront { is_unread: true, ..InFront::default() },
        };
        let (destination_account, destination_region) = match &rule.destination.location {
            Ok(Some(location)) => (location.owner.clone(), Some(location.region.clone())),
            // A replica key is of the destination's Region.
            Ok(None) | Err(_) => {
                let key = rule.replica_key.as_ref().and_then(KeyEvidence::arn);
                let key = key.and_then(|arn| KeyReference::parse(arn).ok());
                (evidence.identity.account.clone(), key.map(|key| key.region().clone()))
            }
        };
        let mut context = Context::new()
            .with("aws:SecureTransport", "true")
            .with("aws:PrincipalType", "AssumedRole")
            .with("kms:CallerAccount", evidence.identity.account.to_string());
        for key in ABSENT {
            context = context.without(key);
        }
        for (key, value) in &role.role.tags {
            context = context.with(&format!("aws:PrincipalTag/{key}"), value.clone());
        }
        let sampled = match &rule.sample {
            Some(Ok(sample)) => Some(sample.keys.values()),
            Some(Err(_)) | None => None,
        };
        let keys = evidence.default_key.iter().chain(&rule.replica_key);
        let keys = keys.chain(sampled.into_iter().flatten());
        let keys =
            keys.filter_map(|key| Some((key.arn()?.to_owned(), InFront::key(key, &mut undecided))));
        let keys = keys.collect();
        let principal = Principal::RoleSession { role: arn, session: SESSION.to_owned() };
        Some(Self {
            evidence,
            rule,
            principal,
            role: policies,
            source,
            destination,
            destination_account,
            destination_region,
            keys,
            context,
            undecided,
        })
    }

    /// Evaluates all calls of the rule.
    pub fn access(mut self) -> Access {
        let mut access = Access::default();
        let objects = self.object_keys();
        let mut denied: Vec<(usize, Denied)> = Vec::new();
        for (number, object) in objects.iter().enumerate() {
            for call in self.replicated(object, &self.sides()).calls() {
                for denial in self.evaluate(&call, &mut access) {
                    denied.push((number, Denied { call: call.clone(), denial }));
                }
            }
        }
        access.findings = self.findings(denied, &objects);
        self.sampled_keys(&mut access);
        access.undecided.append(&mut self.undecided);
        access
    }

    /// The calls that S3 makes for every object, in the form in which IAM's simulator is asked about them.
    pub fn simulated_calls(&self) -> Vec<SimulatedCall> {
        let object = self.object_keys().into_iter().next().unwrap_or_default();
        let calls = self.replicated(&object, &self.sides()).calls();
        let calls = calls.into_iter().filter(|call| call.objects == Objects::All);
        calls
            .map(|call| SimulatedCall {
                action: call.action.to_owned(),
                resource: call.resource,
                context: call
                    .context
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                    .collect(),
            })
            .collect()
    }

    /// ARNs of both buckets.
    fn sides(&self) -> [String; 2] {
        let partition = self.evidence.identity.partition;
        let destination = self.rule.destination_bucket().map(|bucket| bucket.arn(partition));
        [
            self.evidence.source.location.bucket.arn(partition),
            destination.unwrap_or_else(|| self.rule.destination.name.clone()),
        ]
    }

    fn replicated<'b>(&'b self, object: &'b str, arns: &'b [String; 2]) -> Replicated<'b> {
        let Evidence { identity, source, default_key, .. } = self.evidence;
        let [source_arn, destination_arn] = arns;
        let rule = &self.rule.rule;
        let kms = rule.selects_kms_objects();
        let uses_two_layers =
            matches!(&source.encryption, Ok(Encryption::Kms { dual_layer: true, .. }));
        // S3 does not support Bucket Keys for DSSE-KMS, and ignores the setting.
        let uses_bucket_key = |encryption: Option<&Seen<Encryption>>| {
            !uses_two_layers
                && matches!(encryption, Some(Ok(Encryption::Kms { bucket_key: true, .. })))
        };
        let source_key = default_key.as_ref().and_then(KeyEvidence::arn);
        let settings = self.rule.destination.settings.as_ref();
        // Replicas of objects that are not KMS-encrypted are not, either.
        let writes_kms = kms && (default_key.is_some() || self.has_kms_sample());
        Replicated {
            partition: identity.partition,
            source: Side {
                arn: source_arn,
                region: Some(&source.location.region),
                kms: Some(kms && default_key.is_some()),
                key: source_key,
                bucket_key: uses_bucket_key(Some(&source.encryption)),
                dual_layer: uses_two_layers,
            },
            destination: Side {
                arn: destination_arn,
                region: self.destination_region.as_ref(),
                kms: source.encryption.is_ok().then_some(writes_kms),
                key: self.rule.replica_key.as_ref().and_then(KeyEvidence::arn),
                bucket_key: uses_bucket_key(settings.map(|settings| &settings.encryption)),
                dual_layer: uses_two_layers,
            },
            object,
            selects_tags: rule.filter().tags().is_some_and(|tags| !tags.is_empty()),
            delete_markers: rule.filter().is_v1()
                || rule.text(&["DeleteMarkerReplication", "Status"]) == Some("Enabled"),
            object_lock: source.object_lock == Ok(true),
            owner_override: rule.overrides_owner(),
        }
    }

    fn has_kms_sample(&self) -> bool {
        matches!(&self.rule.sample, Some(Ok(sample)) if sample.objects.iter().any(|object| object.kms_key.is_some()))
    }

    /// Keys of objects that the rule selects: any one, and one for each pattern that a policy has for objects of either bucket. A statement
    /// about some objects only is found so.
    fn object_keys(&self) -> Vec<String> {
        let prefix = self.rule.rule.filter().prefix().unwrap_or_default();
        let mut keys = vec![format!("{prefix}any-object")];
        let Ok(Some(role)) = &self.evidence.role else { return keys };
        let inline = role.inline.iter().flat_map(BTreeMap::values);
        let managed = role.managed.values().chain(&role.boundary).flatten().flatten();
        let settings = self.rule.destination.settings.as_ref();
        let buckets = [Some(&self.evidence.source.policy), settings.map(|found| &found.policy)];
        let buckets = buckets.into_iter().flatten().flatten().flatten();
        let arns = self.sides().map(|arn| format!("{arn}/"));
        for text in inline.chain(managed).chain(buckets) {
            let Ok(document) = serde_json::from_str::<Value>(text) else { continue };
            let mut texts = Vec::new();
            collect_texts(&document, &mut texts);
            for text in texts {
                let pattern = arns.iter().find_map(|arn| text.strip_prefix(arn.as_str()));
                let Some(pattern) = pattern.filter(|pattern| !pattern.contains("${")) else {
                    continue;
                };
                let key = pattern.replace(['*', '?'], "x");
                if key.starts_with(prefix) && !keys.contains(&key) && keys.len() < MAX_OBJECTS {
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// Evaluates a call: why it is denied, if it is.
    fn evaluate(&mut self, call: &Call, access: &mut Access) -> Vec<Denial> {
        let own = &self.evidence.identity.account;
        let key_account = KeyReference::parse(&call.resource).map(|key| key.account().clone()).ok();
        let account = match call.target {
            Target::Source => own.clone(),
            Target::Destination => self.destination_account.clone(),
            Target::SourceKey | Target::ReplicaKey => key_account.unwrap_or_else(|| own.clone()),
        };
        let key = self.keys.get(&call.resource);
        let (resource, is_unread, layer) = match (call.target, key) {
            (Target::Source, _) => (
                ResourcePolicy::Bucket(self.source.policy.as_ref()),
                self.source.is_unread,
                Layer::BucketPolicy,
            ),
            (Target::Destination, _) => (
                ResourcePolicy::Bucket(self.destination.policy.as_ref()),
                self.destination.is_unread,
                Layer::BucketPolicy,
            ),
            (Target::SourceKey | Target::ReplicaKey, Some(key)) => (
                ResourcePolicy::Key { policy: key.policy.as_ref(), grants: &key.grants },
                key.is_unread,
                Layer::KeyPolicy,
            ),
            (Target::SourceKey | Target::ReplicaKey, None) => {
                (ResourcePolicy::Key { policy: None, grants: &[] }, true, Layer::KeyPolicy)
            }
        };
        let mut unread = self.role.unread.clone();
        if is_unread {
            unread.insert(layer);
        }
        let mut context = self.context.clone();
        // S3 calls KMS on the role's behalf. AWS does not document with which values of these keys.
        if matches!(call.target, Target::Source | Target::Destination) {
            context = context.with("aws:ViaAWSService", "false").without("aws:CalledVia");
        }
        for (key, value) in &call.context {
            context = context.with_values(key, value.clone());
        }
        let request = Request {
            principal: &self.principal,
            action: call.action,
            resource: &call.resource,
            resource_account: &account,
            context: &context,
        };
        let policies = Policies {
            identity: &self.role.identity,
            boundary: self.role.boundary.as_ref(),
            resource,
            unread,
        };
        match decide(&request, &policies) {
            Decision::Allowed => Vec::new(),
            Decision::Denied(denials) => {
                if call.objects == Objects::PerhapsAll {
                    self.undecided.push(Unread::undecided(
                        format!("the role's right `{}` on key `{}`", call.action, call.resource),
                        "AWS's pages disagree whether S3 needs it without an S3 Bucket Key",
                    ));
                }
                let is_explicit =
                    |denial: &Denial| matches!(denial.reason, DenialReason::Explicit(_));
                if key.is_some_and(|key| !key.grants_are_read)
                    && !is_unread
                    && !denials.iter().any(is_explicit)
                {
                    access.keys_by_grants.insert(call.resource.clone());
                }
                denials
            }
            Decision::Undecided(undecided) => {
                // What was not read is listed where it was read.
                if !undecided.keys.is_empty() && call.objects != Objects::Annotated {
                    let statements: Vec<String> =
                        undecided.statements.iter().map(ToString::to_string).collect();
                    let keys: Vec<String> =
                        undecided.keys.iter().map(|key| format!("`{key}`")).collect();
                    let undecided = Unread::undecided(
                        describe(&statements),
                        format!(
                            "whether S3 may call `{}` depends on {}, which is not known of S3's calls",
                            call.action,
                            keys.join(" and ")
                        ),
                    );
                    // The verdict is about the bucket's default encryption.
                    self.undecided.push(match call.objects {
                        Objects::OtherBucketKey => undecided.of_objects(),
                        Objects::All
                        | Objects::PerhapsAll
                        | Objects::Tagged
                        | Objects::Locked
                        | Objects::DeleteMarkers
                        | Objects::Annotated => undecided,
                    });
                }
                Vec::new()
            }
        }
    }

    /// The findings from the denials of all calls, one for each code and target.
    fn findings(&self, denied: Vec<(usize, Denied)>, objects: &[String]) -> Vec<Finding> {
        let mut groups: BTreeMap<(Code, Target), Vec<(usize, Denied)>> = BTreeMap::new();
        // Of objects that cannot be read, annotations are no news.
        let reads_fail = denied.iter().any(|(_, Denied { call, .. })| {
            call.target == Target::Source && call.objects == Objects::All
        });
        for (number, denied) in denied {
            if reads_fail && denied.call.objects == Objects::Annotated {
                continue;
            }
            let code = code(&denied.call, &denied.denial);
            groups.entry((code, denied.call.target)).or_default().push((number, denied));
        }
        groups
            .into_iter()
            .map(|((code, target), denied)| self.finding(code, target, &denied, objects))
            .collect()
    }

    fn finding(
        &self,
        code: Code,
        target: Target,
        denied: &[(usize, Denied)],
        objects: &[String],
    ) -> Finding {
        let fixes = Fixes { evidence: self.evidence, rule: self.rule };
        let severity = denied.iter().map(|(_, denied)| self.severity(&denied.call)).min();
        let severity = severity.unwrap_or(Severity::Note);
        let worst = denied.iter().find(|(_, denied)| self.severity(&denied.call) == severity);
        // The calls on one object only deny that object.
        let is_partial = severity == Severity::FailsNow
            && (0..objects.len()).any(|object| !denied.iter().any(|(of, _)| *of == object));
        let severity = if is_partial { Severity::FailsForSome } else { severity };
        let mut actions: Vec<String> = Vec::new();
        let mut evidence: Vec<String> = Vec::new();
        for (_, Denied { call, denial }) in denied {
            let action = format!("`{}`{}", call.action, self.of_objects(call));
            // A call that is denied for every object is denied for those with another Bucket Key setting.
            let is_said = call.objects == Objects::OtherBucketKey
                && actions.iter().any(|other| *other == format!("`{}`", call.action));
            if !is_said && !actions.contains(&action) {
                actions.push(action);
            }
            for line in reasons(&denial.reason) {
                if !evidence.contains(&line) {
                    evidence.push(line);
                }
            }
        }
        let subject = subject(code);
        let on = self.name_of(target, denied);
        let mut message = format!("{subject} {} on {on}", join(&actions));
        if is_partial && let Some((of, _)) = denied.first() {
            let object = objects.get(*of).map(String::as_str).unwrap_or_default();
            message += &format!(", for objects like `{object}`");
        }
        let mut finding = Finding::new(code, severity, message);
        finding.evidence = evidence;
        if let Some((_, Denied { call, denial })) = worst {
            finding.s3_failure_code = call.failure_code;
            finding.fix = self.fix(&fixes, call, denial);
        }
        finding
    }

    fn fix(&self, fixes: &Fixes<'_>, call: &Call, denial: &Denial) -> Option<String> {
        match (&denial.reason, denial.layer) {
            (DenialReason::Explicit(statement), Layer::Identity | Layer::Boundary) => {
                Some(format!("narrow {statement}, so that it does not deny `{}`", call.action))
            }
            (DenialReason::Explicit(statement), _) => Some(format!(
                "except role `{role}` from {statement}: add the condition \"ArnNotEquals\": {{\"aws:PrincipalArn\": \"{role}\"}}",
                role = self.evidence.role_arn
            )),
            (DenialReason::NoAllow { .. }, Layer::Identity) => fixes.grant(call),
            (DenialReason::NoAllow { .. }, Layer::Boundary) => {
                let boundary =
                    self.role.boundary.as_ref().map(|policy| policy.source().to_string());
                fixes.widen_boundary(call, &boundary.unwrap_or_default())
            }
            (
                DenialReason::NoAllow { .. },
                Layer::BucketPolicy | Layer::KeyPolicy | Layer::TrustPolicy,
            ) => fixes.admit(call),
        }
    }

    fn severity(&self, call: &Call) -> Severity {
        match call.objects {
            Objects::All => Severity::FailsNow,
            Objects::Tagged | Objects::Locked | Objects::DeleteMarkers => Severity::FailsForSome,
            Objects::OtherBucketKey if self.is_sampled(call) => Severity::FailsForSome,
            Objects::PerhapsAll | Objects::OtherBucketKey => Severity::WillFail,
            Objects::Annotated => Severity::Note,
        }
    }

    /// Whether the sample has objects of the default key for which S3 makes this call with the other encryption context.
    fn is_sampled(&self, call: &Call) -> bool {
        let Some(Ok(sample)) = &self.rule.sample else { return false };
        call.target == Target::SourceKey
            && sample.objects.iter().any(|object| {
                object.kms_key.as_deref() == Some(call.resource.as_str())
                    && object.bucket_key == call.has_bucket_context()
            })
    }

    /// For which objects a call is made, as an addition to its action.
    fn of_objects(&self, call: &Call) -> String {
        match call.objects {
            Objects::All => String::new(),
            Objects::PerhapsAll => {
                " (AWS's pages disagree whether every object needs it)".to_owned()
            }
            Objects::Tagged => " of objects with tags".to_owned(),
            Objects::Locked => " of objects with a retention or legal hold".to_owned(),
            Objects::DeleteMarkers => " of delete markers".to_owned(),
            Objects::Annotated => " of objects with annotations".to_owned(),
            Objects::OtherBucketKey => {
                let with = if call.has_bucket_context() { "with" } else { "without" };
                format!(" of objects {with} an S3 Bucket Key")
            }
        }
    }

    fn name_of(&self, target: Target, denied: &[(usize, Denied)]) -> String {
        let resource = denied.first().map(|(_, denied)| denied.call.resource.clone());
        match target {
            Target::Source => format!("bucket `{}`", self.evidence.source.location.bucket),
            Target::Destination => {
                let bucket = self.rule.destination_bucket().map(|bucket| bucket.to_string());
                format!("bucket `{}`", bucket.as_deref().unwrap_or(&self.rule.destination.name))
            }
            Target::SourceKey => format!("source key `{}`", resource.unwrap_or_default()),
            Target::ReplicaKey => format!("replica key `{}`", resource.unwrap_or_default()),
        }
    }

    /// Evaluates `kms:Decrypt` on the other keys that encrypt sampled objects.
    fn sampled_keys(&mut self, access: &mut Access) {
        let Some(Ok(sample)) = &self.rule.sample else { return };
        if !self.rule.rule.selects_kms_objects() {
            return;
        }
        for arn in sample.keys.keys() {
            let objects =
                sample.objects.iter().filter(|object| object.kms_key.as_ref() == Some(arn));
            let forms: BTreeSet<bool> = objects.clone().map(|object| object.bucket_key).collect();
            let arns = self.sides();
            let any = self.object_keys().into_iter().next().unwrap_or_default();
            let mut denials: Vec<(Call, Vec<Denial>)> = Vec::new();
            for bucket_key in &forms {
                let mut replicated = self.replicated(&any, &arns);
                replicated.source.kms = Some(true);
                replicated.source.key = Some(arn);
                replicated.source.bucket_key = *bucket_key;
                let calls = replicated.calls().into_iter();
                let decrypts = calls.filter(|call| {
                    call.target == Target::SourceKey && call.objects == Objects::All
                });
                for call in decrypts.collect::<Vec<_>>() {
                    let denied = self.evaluate(&call, access);
                    if !denied.is_empty() {
                        denials.push((call, denied));
                    }
                }
            }
            let Some((call, denied)) = denials.first() else { continue };
            let bucket_keys: Vec<bool> =
                denials.iter().map(|(call, _)| call.has_bucket_context()).collect();
            let count = objects.filter(|object| bucket_keys.contains(&object.bucket_key)).count();
            let message = format!(
                "{count} of {} sampled objects use key `{arn}`, which the role may not decrypt",
                sample.objects.len()
            );
            let finding = Finding::new(Code::SampledKeyNotGranted, Severity::FailsForSome, message);
            let mut finding = finding.s3("SrcGetObjectNotPermitted");
            finding.evidence = denied.iter().flat_map(|denial| reasons(&denial.reason)).collect();
            let fixes = Fixes { evidence: self.evidence, rule: self.rule };
            finding.fix = denied.first().and_then(|denial| self.fix(&fixes, call, denial));
            access.findings.push(finding);
        }
    }
}

/// All texts in a document.
fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(entries) => entries.values().for_each(|entry| collect_texts(entry, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
