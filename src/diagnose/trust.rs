//! Whether S3 may assume the role, by its trust policy.

use super::denial::reasons;
use super::evidence::{Evidence, RoleEvidence, Unread};
use super::finding::{Code, Finding, Severity};
use super::policies::{ABSENT, parse};
use crate::iam_policy::evaluate::{
    Cause, Context, Decision, Denial, Owner, Policies, Policy, PolicySource, Principal, Request,
    ResourcePolicy, Text, decide,
};
use crate::model::{Account, shell};

/// The finding about the role's trust policy.
///
/// AWS does not document whether S3 sends `aws:SourceAccount` and `aws:SourceArn` when it assumes a role for replication, as it does for
/// other deliveries. So the policy must allow S3 with these keys, whose values would be those of the source bucket, and without them.
pub(super) fn examine(
    evidence: &Evidence,
    role: &RoleEvidence,
    undecided: &mut Vec<Unread>,
) -> Option<Finding> {
    let account = &evidence.identity.account;
    let trust = TrustPolicy { policy: read(role, undecided)?, role, account };
    let bucket = evidence.source.location.bucket.arn(evidence.identity.partition);
    let with_keys =
        Context::new().with("aws:SourceAccount", account.as_str()).with("aws:SourceArn", bucket);
    let decisions =
        [with_keys, without_keys()].map(|context| trust.decision("s3.amazonaws.com", context));
    match decisions {
        [Decision::Allowed, Decision::Allowed] => None,
        [Decision::Denied(denials), Decision::Denied(_)] => Some(not_trusted(role, &denials)),
        decisions => {
            undecided.push(depends(role, &decisions));
            None
        }
    }
}

/// Whether a service certainly may assume the role, also if it does not say for which bucket.
pub(super) fn trusts(
    role: &RoleEvidence,
    account: &Account,
    service: &str,
    undecided: &mut Vec<Unread>,
) -> bool {
    read(role, undecided).is_some_and(|policy| {
        let trust = TrustPolicy { policy, role, account };
        trust.decision(service, without_keys()) == Decision::Allowed
    })
}

fn without_keys() -> Context {
    ABSENT.into_iter().fold(Context::new(), Context::without)
}

/// The role's trust policy; `None` if it cannot be read.
fn read(role: &RoleEvidence, undecided: &mut Vec<Unread>) -> Option<Policy> {
    let source = PolicySource::Trust(role.role.name.to_string());
    parse(source, Some(&role.role.trust), undecided).ok()?
}

/// A trust policy that is asked about services.
struct TrustPolicy<'a> {
    policy: Policy,
    role: &'a RoleEvidence,
    account: &'a Account,
}

impl TrustPolicy<'_> {
    fn decision(&self, service: &str, context: Context) -> Decision {
        let principal = Principal::Service(service.to_owned());
        let request = Request {
            principal: &principal,
            action: "sts:AssumeRole",
            resource: &Text::from(self.role.role.arn.as_str()),
            owner: Owner::Account(self.account),
            context: &context.with("aws:SecureTransport", "true"),
        };
        let resource = ResourcePolicy::Trust(Some(&self.policy));
        decide(&request, &Policies { resource, ..Policies::default() })
    }
}

fn not_trusted(role: &RoleEvidence, denials: &[Denial]) -> Finding {
    let message = format!("S3 may not assume role `{}`", role.role.arn);
    let mut finding = Finding::new(Code::RoleNotTrusted, Severity::FailsNow, message)
        .s3("AssumeRoleNotPermitted")
        .fix(shell::line(&[
            "aws",
            "iam",
            "update-assume-role-policy",
            "--role-name",
            role.role.name.as_str(),
            "--policy-document",
            &crate::iam_policy::trust().to_string(),
        ]));
    finding.evidence = denials.iter().flat_map(|denial| reasons(&denial.reason)).collect();
    finding
}

/// What decides and is not known.
fn depends(role: &RoleEvidence, decisions: &[Decision]) -> Unread {
    let unknown = decisions.iter().filter_map(|decision| match decision {
        Decision::Undecided(undecided) => Some(&undecided.causes),
        Decision::Allowed | Decision::Denied(_) => None,
    });
    let keys: Vec<String> = unknown
        .flatten()
        .filter_map(|cause| match cause {
            Cause::ConditionKey(key) => Some(format!("`{key}`")),
            Cause::EndOfName
            | Cause::ResourceAccount
            | Cause::SessionName
            | Cause::CanonicalUser
            | Cause::NotPrincipal
            | Cause::Unread(_) => None,
        })
        .collect();
    let reason = if keys.is_empty() {
        "it demands `aws:SourceAccount` or `aws:SourceArn`, and AWS does not document whether S3 sends them to replicate; \
         remove the condition, or see whether an object is replicated"
            .to_owned()
    } else {
        format!("it depends on {}, which is not known of S3's calls", keys.join(" and "))
    };
    Unread::undecided(format!("trust policy of role `{}`", role.role.name), reason)
}
