//! One bucket of a walk.
//!
//! It owns which rows a bucket's outcome gives. It must not know how rows are shown.

use std::collections::BTreeSet;

use s3_kms_replication::model::{BucketName, ListedBucket};
use s3_kms_replication::plan::{Action, Plan};
use s3_kms_replication::reconcile::{self, BucketOutcome, ReconcileRequest, RuleOutcome};

use super::rows::Row;
use super::state::{State, explain};
use crate::error_message;
use crate::session::{CHANGE_TIME, Session};

/// Reconciles the bucket, or plans to.
pub(super) async fn reconcile_bucket(
    bucket: &ListedBucket,
    session: &Session,
    dry_run: bool,
) -> Vec<Row> {
    let name = match BucketName::parse(&bucket.name) {
        Ok(name) => name,
        Err(problem) => {
            return vec![row(&bucket.name, State::Skipped, format!("the name {problem}"))];
        }
    };
    let expected = bucket.region.as_ref().unwrap_or(&session.settings.region);
    let request = ReconcileRequest {
        bucket: &name,
        expected,
        remove_if_gone: false,
        remove_replaced_role: true,
        may_be_invisible: false,
        dry_run,
    };
    match session.engine(CHANGE_TIME).reconcile_bucket(&request).await {
        Ok(BucketOutcome::Skipped(why)) => vec![row(&bucket.name, State::Skipped, why)],
        Ok(BucketOutcome::Retired(plan)) => {
            vec![row(&bucket.name, State::Removed, explain(State::Removed, &plan))]
        }
        Ok(BucketOutcome::Rules(rules)) => {
            // The rules of the reverse direction belong to the other bucket, which has its own rows.
            let rules = rules.into_iter().filter(|rule| rule.source == bucket.name);
            rules.map(|rule| rule_row(rule, dry_run)).collect()
        }
        Err(error) => vec![row(&bucket.name, State::Failed, error_message(error.into()))],
    }
}

/// The row of a bucket, of no rule.
fn row(bucket: &str, state: State, why: String) -> Row {
    let (bucket, rule_id) = (bucket.to_owned(), String::new());
    Row { bucket, rule_id, state, why, new_roles: BTreeSet::new() }
}

fn rule_row(RuleOutcome { source, rule_id, result }: RuleOutcome, dry_run: bool) -> Row {
    let (state, why, new_roles) = match result {
        Ok(outcome) => {
            let state = State::of_outcome(&outcome, dry_run);
            (state, explain(state, &outcome.plan), new_roles(&outcome.plan))
        }
        Err(reconcile::Error::VerifyPending { .. }) => {
            let why = "S3 has not replicated the canary yet".to_owned();
            (State::Unverified, why, BTreeSet::new())
        }
        Err(error) => (State::Failed, error_message(error.into()), BTreeSet::new()),
    };
    Row { rule_id: rule_id.to_string(), new_roles, ..row(&source, state, why) }
}

fn new_roles(plan: &Plan) -> BTreeSet<String> {
    let name = |action: &Action| match action {
        Action::CreateRole { name, .. } => Some(name.to_string()),
        _ => None,
    };
    plan.actions().filter_map(name).collect()
}
