//! Snapshots for the pure planner, taken of a [`State`] without the reader of the product, and plans as text.

use s3_kms_replication::model::{
    Access, Account, BucketLocation, BucketName, Encryption, Identity, Job, OWNER_TAG, Partition,
    Region, ResourcePolicyTarget, RuleAddress,
};
use s3_kms_replication::plan::{
    self, ApplySnapshot, Created, DeleteSnapshot, Destination, Plan, Refusal,
    ResourcePolicySnapshot, Roles, Source,
};
use s3_kms_replication::ports::Execute;
use s3_kms_replication::request::{self, Command, Invocation};
use s3_kms_replication::spec::{RoleSettings, SourceKeys, Spec};
use serde_json::Value;

use super::{ACCOUNT, Bucket, Fake, State, merged, request_environment, sample};

/// The spec of the walk-through's command with these changes of its properties.
pub fn spec(changes: Value) -> Spec {
    let command = merged(sample("command-apply"), changes);
    let Invocation::Command(Command::Apply(spec)) =
        request::read(&command, request_environment()).unwrap()
    else {
        panic!("{command} is no Apply")
    };
    *spec
}

/// The role settings of a function without parameters.
pub fn role_settings() -> RoleSettings {
    RoleSettings { path: "/s3-kms-replication/".to_owned(), boundary: None, shared: None }
}

/// The plan for a spec in this state, with [`role_settings`].
pub fn plan_apply(state: &State, spec: &Spec) -> Result<Plan, Refusal> {
    plan::apply(spec, &apply_snapshot(state, spec), &role_settings()).map(|(plan, _)| plan)
}

/// The state after the plan for each of these specs was executed.
pub async fn applied(mut state: State, specs: &[&Spec]) -> State {
    for spec in specs {
        let plan = plan_apply(&state, spec).unwrap();
        state = executed(state, &plan).await;
    }
    state
}

/// The state after all actions of a plan, in order.
pub async fn executed(state: State, plan: &Plan) -> State {
    let fake = Fake::new(state);
    for action in plan.actions() {
        fake.execute(action).await.unwrap();
    }
    fake.state.take()
}

fn location(state: &State, bucket: &BucketName, access: &Access) -> Option<BucketLocation> {
    let found = state.buckets.get(bucket.as_str())?;
    Some(BucketLocation {
        bucket: bucket.clone(),
        region: Region::parse(found.region).unwrap(),
        owner: Account::parse(&found.owner).unwrap(),
        access: access.clone(),
    })
}

fn roles(state: &State, source: &BucketName) -> Roles {
    let own_name = format!("s3-crr-{source}");
    let replication =
        state.buckets.get(source.as_str()).and_then(|found| found.replication.as_ref());
    let serving = replication.and_then(|configuration| {
        state.roles.values().find(|role| role.arn == configuration.role())
    });
    Roles {
        with_own_name: state.roles.get(&own_name).cloned(),
        serving: serving.filter(|role| role.name.as_str() != own_name).cloned(),
    }
}

/// The rule's job, when the role has an inline policy for it.
fn job(state: &State, rule: &RuleAddress) -> Option<Job> {
    let role = state.roles.get(&format!("s3-crr-{}", rule.source))?;
    role.policies.keys().find(|name| name.starts_with("s3-kms-replication-job."))?;
    let is_noted = |id: &str| role.tags.values().any(|note| note.ends_with(&format!("/{id}")));
    let job = state
        .jobs
        .iter()
        .find(|(id, started)| is_noted(id) && started.job.description == rule.to_string());
    job.map(|(_, started)| started.job.clone())
}

fn resource_policies(state: &State, spec: &Spec) -> Vec<ResourcePolicySnapshot> {
    if spec.destination_access == Access::Own {
        return Vec::new();
    }
    let (access, region) = (&spec.destination_access, spec.destination_region.clone());
    let bucket = location(state, &spec.destination, access).map(ResourcePolicyTarget::Bucket);
    let arn = spec.replica_key.to_string();
    let key = ResourcePolicyTarget::Key { arn, region, access: access.clone() };
    bucket
        .into_iter()
        .chain([key])
        .map(|target| {
            let policy = state.policies.get(&target.to_string()).cloned();
            ResourcePolicySnapshot { target, policy }
        })
        .collect()
}

/// What the planner is given about a rule to apply.
pub fn apply_snapshot(state: &State, spec: &Spec) -> ApplySnapshot {
    let source_bucket = &state.buckets[spec.rule.source.as_str()];
    let found = |key: &String| (key.clone(), state.keys.get(key).cloned());
    let source_keys = match (&spec.source_keys, &source_bucket.encryption) {
        (SourceKeys::Given(keys), _) => keys.iter().map(|key| found(&key.to_string())).collect(),
        (SourceKeys::BucketDefault, Encryption::Kms { key, .. }) => key.iter().map(found).collect(),
        (SourceKeys::BucketDefault, Encryption::S3) => Vec::new(),
    };
    let tag = |bucket: &Bucket| bucket.tags.get(OWNER_TAG).cloned();
    let destination = state.buckets.get(spec.destination.as_str()).map(|bucket| Destination {
        tagged_for: tag(bucket),
        location: location(state, &spec.destination, &spec.destination_access).unwrap(),
        versioning: bucket.versioning,
        object_lock: bucket.object_lock,
        created: (bucket.tags.get(OWNER_TAG).map(String::as_str)
            == Some(spec.rule.source.as_str()))
        .then(|| Created {
            encryption: bucket.encryption.clone(),
            public_access_blocked: bucket.public_access_blocked,
        }),
    });
    let report = spec.existing_objects.as_ref();
    ApplySnapshot {
        identity: Identity { account: Account::parse(ACCOUNT).unwrap(), partition: Partition::Aws },
        source: Source {
            location: location(state, &spec.rule.source, &Access::Own).unwrap(),
            versioning: source_bucket.versioning,
            object_lock: source_bucket.object_lock,
            replication: source_bucket.replication.clone(),
        },
        destination,
        replica_key: state.keys.get(&spec.replica_key.to_string()).cloned(),
        source_keys,
        unread_source_keys: Vec::new(),
        roles: roles(state, &spec.rule.source),
        shared_role: None,
        alarm: state.alarms.get(&spec.rule.to_string()).cloned(),
        denied_reads: Vec::new(),
        resource_policies: resource_policies(state, spec),
        job: job(state, &spec.rule),
        has_no_versions: false,
        catch_up_follows: false,
        report_missing: report
            .is_some_and(|report| !state.buckets.contains_key(report.bucket.as_str())),
    }
}

/// What the planner is given about the rule of a spec to delete.
pub fn delete_snapshot(state: &State, spec: &Spec) -> DeleteSnapshot {
    let replication =
        |bucket: &BucketLocation| state.buckets[bucket.bucket.as_str()].replication.clone();
    DeleteSnapshot {
        source: location(state, &spec.rule.source, &Access::Own)
            .map(|location| (location.clone(), replication(&location))),
        roles: roles(state, &spec.rule.source),
        alarm: state.alarms.get(&spec.rule.to_string()).cloned(),
        resource_policies: resource_policies(state, spec),
        job: job(state, &spec.rule),
    }
}

/// A plan as text: its stages, the operations of each, and what is kept or warned of.
pub fn plan_text(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for stage in &plan.stages {
        lines.extend(stage.actions.iter().map(|action| format!("{}: {action}", stage.name)));
    }
    lines.extend(plan.kept.iter().map(|kept| format!("kept: {kept}")));
    lines.extend(plan.warnings.iter().map(|warning| format!("warning: {warning}")));
    if lines.is_empty() { "nothing to do".to_owned() } else { lines.join("\n") }
}

/// The changes of the actions of a plan, as `path: before => after`.
pub fn changes_text(plan: &Plan) -> String {
    let changes = plan.actions().flat_map(|action| action.changes());
    changes.map(|change| change.to_string()).collect::<Vec<_>>().join("\n")
}

/// Rows of a table, each a case and its result.
#[derive(Default)]
pub struct Table(Vec<String>);

impl Table {
    pub fn add(&mut self, case: &str, result: &str) {
        let row = format!("{case}\n    {}", result.replace('\n', "\n    "));
        self.0.push(row);
    }

    pub fn text(&self) -> String {
        self.0.join("\n")
    }
}
