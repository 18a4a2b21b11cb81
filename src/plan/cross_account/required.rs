//! The statements that a rule needs in other accounts, which own the destination or the replica key.
//!
//! It owns which statements these are, and which of them a person has to add. It must not know what the policies contain.

use crate::iam_policy::{Grants, Statement, Statements};
use crate::model::{Access, BucketLocation, Identity, KeyReference, ResourcePolicyTarget};
use crate::plan::refusal::{StatementToAdd, texts};
use crate::plan::role::ServingRole;
use crate::plan::shared_role::SidAndStatements;
use crate::plan::{ApplySnapshot, Refusal};
use crate::spec::Spec;

/// A statement that a rule needs, and the bucket or key whose policy needs the statement.
pub(super) struct RequiredStatement {
    pub target: ResourcePolicyTarget,
    pub statement: Statement,
}

/// The statements that a rule needs in other accounts, which own the destination or the replica key.
pub(in crate::plan) struct RequiredStatements {
    pub(super) sid: String,
    pub(super) required: Vec<RequiredStatement>,
    identity: Identity,
    read_access: Statements,
}

impl RequiredStatements {
    pub fn new(
        spec: &Spec,
        snapshot: &ApplySnapshot,
        grants: &Grants<'_>,
        destination: &BucketLocation,
        role: &ServingRole<'_>,
    ) -> Self {
        let own = &snapshot.identity.account;
        let of_all_buckets = match role {
            ServingRole::Shared { role, .. } => role.statements(&spec.rule.id, &spec.destination),
            ServingRole::Own { .. } | ServingRole::Foreign(_) => None,
        };
        let SidAndStatements { sid, statements: Statements { bucket, key } } = of_all_buckets
            .unwrap_or_else(|| {
                let sid = spec.rule.sid();
                let statements = grants.statements(&sid, role.arn());
                SidAndStatements { sid, statements }
            });
        let read_access = grants.read_access(&format!("{sid}ReadAccess"), own);
        let mut required = Vec::new();
        if destination.owner != *own {
            let target = ResourcePolicyTarget::Bucket(destination.clone());
            required.push(RequiredStatement { target, statement: bucket });
        }
        let replica_key =
            KeyReference::parse(grants.replica_key).unwrap_or_else(|_| spec.replica_key.clone());
        if replica_key.account() != own && !grants.source_keys.is_empty() {
            let access = spec.destination_access.for_account(replica_key.account());
            let (arn, region) = (replica_key.to_string(), replica_key.region().clone());
            required.push(RequiredStatement {
                target: ResourcePolicyTarget::Key { arn, region, access },
                statement: key,
            });
        }
        Self { sid, required, identity: snapshot.identity.clone(), read_access }
    }

    /// The refusal of a destination that could not be read.
    pub fn not_readable(&self, snapshot: &ApplySnapshot) -> Refusal {
        let failures = snapshot.denied_reads.iter().map(ToString::to_string).collect();
        Refusal::DestinationNotReadable { failures, statements: self.manual_statements(true) }
    }

    /// The statements to add by hand to policies that the caller cannot read, as one sentence.
    pub(super) fn manual(&self) -> Option<String> {
        let statements = self.manual_statements(false);
        let problem =
            "cannot be read from this account and need these statements, which `Verify` can check";
        (!statements.is_empty()).then(|| {
            format!("policies of the destination's account {problem}: {}", texts(&statements))
        })
    }

    /// The statements that the caller cannot write; `with_read_access` adds the statements that allow the caller to read the
    /// destination.
    fn manual_statements(&self, with_read_access: bool) -> Vec<StatementToAdd> {
        let Identity { partition, account } = &self.identity;
        let manual =
            self.required.iter().filter(|required| required.target.access() == &Access::Own);
        let statements = manual.flat_map(|RequiredStatement { target, statement }| {
            let read_access = match target {
                ResourcePolicyTarget::Bucket(_) => &self.read_access.bucket,
                ResourcePolicyTarget::Key { .. } => &self.read_access.key,
            };
            let read_access = with_read_access.then(|| read_access.clone());
            let statement = statement.clone().for_future_role(*partition, account);
            std::iter::once(statement)
                .chain(read_access)
                .map(|statement| StatementToAdd { target: target.to_string(), statement })
        });
        statements.collect()
    }
}
