//! The plans that delete a rule, and the resources of a deleted source bucket.
//!
//! It owns the order of the stages. It must not know why a rule is deleted.

use super::inline_policy::inline_policy_in_foreign_role;
use super::{Action, DeleteSnapshot, Plan, Roles, Stage, StageName, cross_account, job};
use crate::model::{
    Alarm, BucketName, InlinePolicyName, ReplicationConfiguration, ReplicationRule, Role,
    RuleAddress,
};

/// Plans the deletion of `rule` and of the resources that were made for the rule, and nothing else.
pub fn delete(rule: &RuleAddress, snapshot: &DeleteSnapshot) -> Plan {
    let current = snapshot.source.as_ref().and_then(|(_, replication)| replication.as_ref());
    let serving_arn = current.map(ReplicationConfiguration::role);
    let own_role = snapshot.roles.own(&rule.source);

    let job_id = snapshot.roles.job_with_rights(rule);
    let cancel = snapshot
        .source
        .as_ref()
        .and_then(|(location, _)| job::cancel(rule, location, job_id, snapshot.job.as_ref()));
    let alarm = snapshot.alarm.clone().map(|alarm| Action::DeleteAlarm { alarm: Box::new(alarm) });
    // Before the inline policy, since the policy shows where the statements are.
    let statements = cross_account::remove_statements(rule, &snapshot.resource_policies);

    // The role of all buckets has no inline policy that records this rule, so only the rule itself shows that it may have an alarm.
    let is_recorded = serving_arn.is_none_or(|arn| snapshot.roles.with_arn(arn).is_some());
    let (alarm, earlier_alarm) = if is_recorded { (alarm, None) } else { (None, alarm) };
    let mut plan = Plan::new([
        (StageName::CancelJob, Vec::from_iter(cancel)),
        (StageName::Switch, Vec::from_iter(earlier_alarm)),
        (StageName::Switch, remove_rule(rule, snapshot).into_iter().chain(alarm).collect()),
        (StageName::Withdraw, statements),
        (StageName::Tighten, delete_policies(rule, &snapshot.roles, serving_arn)),
    ]);
    plan.note_kept_rules(&rule.id);
    plan.kept.extend(cross_account::foreign_statements(rule, &snapshot.resource_policies));
    if let Some(role) = own_role {
        let serves =
            if serving_arn == Some(&role.arn) { other_rules(rule, current) } else { Vec::new() };
        let own = [InlinePolicyName::for_rule(&rule.id), InlinePolicyName::for_job(&rule.id)];
        let is_removed =
            plan.remove_role(role, |policy| own.iter().any(|own| own.as_str() == policy), &serves);
        let of_job: Vec<Action> = job::remove_trust(role, &rule.id)
            .into_iter()
            .chain(job::remove_tag(role, &rule.id))
            .collect();
        if !is_removed && !of_job.is_empty() {
            plan.stages.push(Stage { name: StageName::Tighten, actions: of_job });
        }
    }
    plan
}

/// Plans the deletion of our role of a source bucket that no longer exists, with the inline policies and the alarms of all rules. `statements`
/// are the actions that remove the rules' statements in other accounts.
pub fn clean_up_deleted_bucket(
    source: &BucketName,
    roles: &Roles,
    alarms: Vec<Alarm>,
    statements: Vec<Action>,
) -> Plan {
    let alarms =
        alarms.into_iter().map(|alarm| Action::DeleteAlarm { alarm: Box::new(alarm) }).collect();
    let Some(role) = roles.own(source) else {
        return Plan::new([(StageName::Switch, alarms)]);
    };
    let policies = role.policies.iter().filter_map(|(name, before)| {
        let policy = InlinePolicyName::parse(name)?;
        Some(Action::DeleteRolePolicy { role: role.name.clone(), policy, before: before.clone() })
    });
    // Policies are deleted last, since they show which rules may have alarms and statements.
    let mut plan = Plan::new([
        (StageName::Switch, alarms),
        (StageName::Withdraw, statements),
        (StageName::Tighten, policies.collect()),
    ]);
    plan.remove_role(role, |policy| InlinePolicyName::parse(policy).is_some(), &[]);
    plan
}

fn other_rules<'a>(
    rule: &RuleAddress,
    current: Option<&'a ReplicationConfiguration>,
) -> Vec<&'a ReplicationRule> {
    let rules = current.into_iter().flat_map(ReplicationConfiguration::rules);
    rules.filter(|other| other.id() != Some(rule.id.as_str())).collect()
}

/// Removes the rule from the replication configuration.
fn remove_rule(rule: &RuleAddress, snapshot: &DeleteSnapshot) -> Option<Action> {
    let (location, replication) = snapshot.source.as_ref()?;
    let before = replication.clone()?;
    before.rule(rule.id.as_str())?;
    let (location, rule) = (location.clone(), rule.id.clone());
    Some(match before.without_rule(rule.as_str()) {
        None => Action::DeleteReplication { location, before, rule },
        Some(configuration) => {
            Action::PutReplication { location, before: Some(before), configuration, rule }
        }
    })
}

/// Deletes the rule's inline policies: in our role, and in the foreign role that serves the bucket.
fn delete_policies(rule: &RuleAddress, roles: &Roles, serving_arn: Option<&str>) -> Vec<Action> {
    let own_role = roles.own(&rule.source);
    let serving = serving_arn.and_then(|arn| roles.with_arn(arn));
    let foreign = serving.filter(|role| own_role.is_none_or(|own| own.arn != role.arn));
    let in_own = own_role.into_iter().flat_map(|role| {
        [InlinePolicyName::for_rule(&rule.id), InlinePolicyName::for_job(&rule.id)]
            .map(|policy| (role, policy))
    });
    let in_foreign = foreign.map(|role| (role, inline_policy_in_foreign_role(role, rule)));
    let delete = |(role, policy): (&Role, InlinePolicyName)| {
        let before = role.policies.get(policy.as_str())?.clone();
        Some(Action::DeleteRolePolicy { role: role.name.clone(), policy, before })
    };
    in_own.chain(in_foreign).filter_map(delete).collect()
}

impl Plan {
    /// Adds the deletion of the role, unless the role has or serves something that the plan does not delete; `true` if the deletion was added.
    /// `is_removed` is true for the inline policies that the plan deletes. `serves` are the other rules that the role serves.
    fn remove_role(
        &mut self,
        role: &Role,
        is_removed: impl Fn(&str) -> bool,
        serves: &[&ReplicationRule],
    ) -> bool {
        let rules = serves.iter().map(|rule| format!("rule `{}`", rule.id().unwrap_or_default()));
        let policies = role.policies.keys().filter(|name| !is_removed(name));
        let policies = policies.map(|name| format!("inline policy `{name}`"));
        let attached = role.attached.iter().map(|arn| format!("attached policy `{arn}`"));
        let dependents: Vec<String> = rules.chain(policies).chain(attached).collect();
        if dependents.is_empty() {
            let (name, before) = (role.name.clone(), role.trust.clone());
            let actions = vec![Action::DeleteRole { name, before }];
            self.stages.push(Stage { name: StageName::RemoveRole, actions });
            return true;
        }
        self.kept.push(format!("role `{}`: it has or serves {}", role.name, dependents.join(", ")));
        false
    }
}
