//! Findings about policies: S3's calls held against the role's policies, and those of both buckets and the keys.
//!
//! This module owns which calls are judged: for any object that is written now, for single objects where that leaves a call undecided, and
//! for the objects of the sample. It must not know which calls S3 makes and how policies are evaluated: [`super::calls`] and
//! [`crate::iam_policy::evaluate`] know.

mod denied;
mod judge;
mod objects;

use std::collections::BTreeSet;

use denied::{Denied, Whose};
use judge::Judge;
use objects::{RuleCalls, SampledKind};

use super::calls::{Call, Objects, Target};
use super::denial::describe;
use super::evidence::{Evidence, RuleEvidence, Unread};
use super::finding::Finding;
use crate::iam_policy::evaluate::{Cause, Decision, Denial, DenialReason, Undecided};
use crate::model::SimulatedCall;

/// The most objects that a call is judged for, if it is not decided for all objects at once.
const MAX_EXAMPLES: usize = 50;

/// What the evaluation of a rule's calls shows.
#[derive(Default)]
pub(super) struct Access {
    pub findings: Vec<Finding>,
    pub undecided: Vec<Unread>,
    /// ARNs of the keys whose grants decide and were not read.
    pub keys_by_grants: BTreeSet<String>,
}

/// Evaluates the calls of a rule.
pub(super) fn access(evidence: &Evidence, rule: &RuleEvidence) -> Access {
    let Ok(Some(role)) = &evidence.role else { return Access::default() };
    let mut undecided = Vec::new();
    let Some(judge) = Judge::new(evidence, rule, role, &mut undecided) else {
        return Access::default();
    };
    let calls = RuleCalls { evidence, rule };
    let mut examination =
        Examination { judge, denied: Vec::new(), undecided, keys_by_grants: BTreeSet::new() };
    for call in calls.written_now() {
        examination.judge_for_all(&call);
    }
    for kind in calls.sampled_kinds() {
        for call in calls.of_kind(&kind) {
            examination.judge_for_sample(&call, &kind);
        }
    }
    let Examination { judge, denied, undecided, keys_by_grants } = examination;
    let findings = denied::findings(evidence, rule, judge.boundary_name(), denied);
    Access { findings, undecided, keys_by_grants }
}

/// The calls that S3 makes for every object, in the form in which IAM's simulator is asked about them.
pub(super) fn simulated_calls(evidence: &Evidence, rule: &RuleEvidence) -> Vec<SimulatedCall> {
    let calls = RuleCalls { evidence, rule }.written_now().into_iter();
    let calls = calls.filter(|call| call.objects == Objects::All).map(|call| any_object(&call));
    calls
        .map(|call| SimulatedCall {
            action: call.action.to_owned(),
            resource: call.resource.to_string(),
            context: call
                .context
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.to_string())))
                .collect(),
        })
        .collect()
}

/// A call for one object that no policy singles out.
fn any_object(call: &Call) -> Call {
    match call.open_name() {
        Some(start) => call.for_name(&format!("{start}any-object")),
        None => call.clone(),
    }
}

/// The judging of a rule's calls, one by one.
struct Examination<'a> {
    judge: Judge<'a>,
    denied: Vec<Denied>,
    undecided: Vec<Unread>,
    keys_by_grants: BTreeSet<String>,
}

impl Examination<'_> {
    /// Judges a call for all objects that are written now.
    fn judge_for_all(&mut self, call: &Call) {
        match self.decide(call) {
            Decision::Allowed => self.judge_for_prefix(call),
            Decision::Denied(denials) => {
                if call.objects == Objects::PerhapsAll {
                    self.undecided.push(Unread::undecided(
                        format!("the role's right `{}` on key `{}`", call.action, call.resource),
                        "AWS's pages disagree whether S3 needs it without an S3 Bucket Key",
                    ));
                }
                self.deny(call, denials, &Whose::Every);
            }
            Decision::Undecided(undecided) => {
                if undecided.causes.contains(&Cause::EndOfName) && self.judge_for_examples(call) {
                    return;
                }
                self.undecided.extend(not_known(call, &undecided));
            }
        }
    }

    /// Judges a call for the object whose key is the rule's prefix itself, such as the folder `logs/`. A call for any object is one for
    /// objects with longer keys.
    fn judge_for_prefix(&mut self, call: &Call) {
        let has_prefix = |name: &&str| name.split_once('/').is_some_and(|(_, key)| !key.is_empty());
        let Some(name) = call.open_name().filter(has_prefix) else { return };
        let folder = call.for_name(name);
        match self.decide(&folder) {
            Decision::Allowed => {}
            Decision::Denied(denials) => self.deny(&folder, denials, &Whose::Example),
            Decision::Undecided(undecided) => {
                self.undecided.extend(not_known(&folder, &undecided));
            }
        }
    }

    /// Judges a call for objects that policies single out, and for one that they do not. Returns whether it is denied for one of them.
    fn judge_for_examples(&mut self, call: &Call) -> bool {
        let Some(start) = call.open_name() else { return false };
        let examples =
            self.judge.examples(call, start).into_iter().map(|name| call.for_name(&name));
        let examples: Vec<Call> = std::iter::once(any_object(call)).chain(examples).collect();
        let mut is_denied = false;
        for example in examples.into_iter().take(MAX_EXAMPLES) {
            if let Decision::Denied(denials) = self.decide(&example) {
                is_denied = true;
                self.deny(&example, denials, &Whose::Example);
            }
        }
        is_denied
    }

    /// Judges a call for the sampled objects of one kind. What is undecided about them decides nothing about objects that are written now.
    fn judge_for_sample(&mut self, call: &Call, kind: &SampledKind<'_>) {
        let is_denied_for_all = self.denied.iter().any(|denied| denied.covers(call));
        if is_denied_for_all {
            return;
        }
        match (self.decide(call), call.open_name()) {
            (Decision::Allowed, _) | (Decision::Undecided(_), None) => {}
            (Decision::Denied(denials), _) => {
                self.deny(call, denials, &Whose::sampled(&kind.objects));
            }
            (Decision::Undecided(_), Some(_)) => {
                for object in &kind.objects {
                    let one = kind.call_for(call, object);
                    if let Decision::Denied(denials) = self.decide(&one) {
                        self.deny(&one, denials, &Whose::sampled(&[object]));
                    }
                }
            }
        }
    }

    fn deny(&mut self, call: &Call, denials: Vec<Denial>, whose: &Whose) {
        let denied = |denial| Denied { call: call.clone(), denial, whose: whose.clone() };
        self.denied.extend(denials.into_iter().map(denied));
    }

    /// Judges a call, and notes the key whose grants might allow it.
    fn decide(&mut self, call: &Call) -> Decision {
        let decision = self.judge.decide(call);
        let is_explicit = |denial: &Denial| matches!(denial.reason, DenialReason::Explicit(_));
        let is_open = match &decision {
            Decision::Allowed => false,
            Decision::Denied(denials) => !denials.iter().any(is_explicit),
            Decision::Undecided(_) => true,
        };
        if is_open && self.judge.has_unread_grants(call) {
            self.keys_by_grants.insert(call.resource.to_string());
        }
        decision
    }
}

/// What decides about a call and is not known. What was not read is listed where it was to be read.
fn not_known(call: &Call, undecided: &Undecided) -> Option<Unread> {
    let causes: Vec<String> = undecided.causes.iter().filter_map(cause).collect();
    if causes.is_empty() {
        return None;
    }
    let statements: Vec<String> = undecided.statements.iter().map(ToString::to_string).collect();
    let reason = format!(
        "whether S3 may call `{}` on `{}` depends on {}, which is not known",
        call.action,
        call.resource,
        causes.join(" and ")
    );
    let unread = Unread::undecided(describe(&statements), reason);
    match call.objects {
        Objects::Annotated | Objects::OwnerEnforced => None,
        // The verdict is about the bucket's default encryption.
        Objects::OtherBucketKey => Some(unread.of_objects()),
        Objects::All
        | Objects::PerhapsAll
        | Objects::Tagged
        | Objects::Locked
        | Objects::DeleteMarkers => Some(unread),
    }
}

fn cause(cause: &Cause) -> Option<String> {
    Some(match cause {
        Cause::ConditionKey(key) => format!("`{key}`"),
        Cause::EndOfName => "the key of the object".to_owned(),
        Cause::ResourceAccount => "the account that owns the bucket".to_owned(),
        Cause::SessionName => "the name of S3's session".to_owned(),
        Cause::CanonicalUser => "the account of a canonical user ID".to_owned(),
        Cause::NotPrincipal => {
            "`NotPrincipal` (AWS \"might\" deny unless it names the account, the role and the session)"
                .to_owned()
        }
        Cause::Unread(_) => return None,
    })
}

/// Whether a call is made on a key.
fn is_on_key(call: &Call) -> bool {
    matches!(call.target, Target::SourceKey | Target::ReplicaKey)
}
