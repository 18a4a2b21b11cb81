//! Invariant 4, when CloudFormation deletes the id of an earlier request after a later one has succeeded: in every order of requests, the
//! later one's rule stays, and in the end nothing else does.

use s3_kms_replication::model::Retry;
use serde_json::{Value, json};

use crate::support::*;

const MADE_UP_ID: &str = "demo-Replication-1ABCDEF";

/// The source buckets of the resource: the first one, and the one that an Update names.
const SOURCES: [&str; 2] = ["demo-source", "prod-orders"];

/// What CloudFormation or its user does next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// A Create that fails after it has changed something.
    FailedCreate,
    /// A Create that fails after it has made the rule, since its success cannot be recorded.
    UnrecordedCreate,
    /// A Create whose answer does not arrive, so that CloudFormation makes an id up.
    UnansweredCreate,
    Create,
    /// An Update to the other source bucket.
    Move,
    /// An Update to the other source bucket that fails, and the Update that rolls it back.
    FailedMove,
    /// The Delete of the oldest id that a later one has replaced.
    DeleteReplaced,
    DeleteLive,
}

const STEPS: [Step; 8] = [
    Step::FailedCreate,
    Step::UnrecordedCreate,
    Step::UnansweredCreate,
    Step::Create,
    Step::Move,
    Step::FailedMove,
    Step::DeleteReplaced,
    Step::DeleteLive,
];

/// An id, and the source bucket of the properties that CloudFormation sends with it.
#[derive(Debug, Clone, PartialEq)]
struct Resource {
    id: String,
    source: &'static str,
}

/// CloudFormation's view of the stack.
#[derive(Debug, Default)]
struct Stack {
    fake: Fake,
    minute: u32,
    live: Option<Resource>,
    replaced: Vec<Resource>,
}

impl Stack {
    fn new() -> Self {
        Self { fake: Fake::new(two_buckets()), ..Self::default() }
    }

    fn allows(&self, step: Step) -> bool {
        match step {
            Step::FailedCreate | Step::UnrecordedCreate | Step::UnansweredCreate | Step::Create => {
                self.live.is_none()
            }
            Step::Move | Step::DeleteLive => self.live.is_some(),
            // Before an Update that fails, CloudFormation has deleted what earlier Updates replaced.
            Step::FailedMove => self.live.is_some() && self.configured().len() == 1,
            Step::DeleteReplaced => !self.replaced.is_empty(),
        }
    }

    fn request(&mut self, request_type: &str, source: &str, resource: Option<&Resource>) -> Value {
        self.minute += 1;
        let date = format!("20261122T08{:02}00Z", self.minute);
        let properties = json!({"SourceBucket": source});
        let mut request = signed(custom_resource(request_type, properties), &date);
        if let Some(resource) = resource {
            request["PhysicalResourceId"] = json!(resource.id);
            request["OldResourceProperties"]["SourceBucket"] = json!(resource.source);
        }
        request
    }

    async fn answer(&self, request: &Value) -> Value {
        self.fake.answers.borrow_mut().clear();
        invoke(&self.fake, request).await.unwrap();
        self.fake.stop_failing();
        only_answer(&self.fake)
    }

    async fn create_that_fails(&mut self, operation: &'static str, succeeds_before: usize) {
        let mut request = self.request("Create", SOURCES[0], None);
        request["ResourceProperties"]["Prefix"] = json!(format!("failed-{}/", self.minute));
        self.fake.deny_after(succeeds_before, operation);
        let answer = self.answer(&request).await;
        assert_eq!(
            answer["Status"], "FAILED",
            "{operation} {succeeds_before} {:#?}",
            self.fake.calls
        );
        let id = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
        self.replaced.push(Resource { id, source: SOURCES[0] });
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::FailedCreate => self.create_that_fails("PutBucketReplication", 0).await,
            Step::UnrecordedCreate => self.create_that_fails("RecordGeneration", 1).await,
            Step::UnansweredCreate => {
                let request = self.request("Create", SOURCES[0], None);
                self.fake.answer_failures.borrow_mut().push(Retry::Never);
                invoke(&self.fake, &request).await.unwrap_err();
                self.replaced.push(Resource { id: MADE_UP_ID.to_owned(), source: SOURCES[0] });
            }
            Step::Create => {
                let request = self.request("Create", SOURCES[0], None);
                self.succeed(&request, SOURCES[0]).await;
            }
            Step::Move => {
                let live = self.live.take().unwrap();
                let source = if live.source == SOURCES[0] { SOURCES[1] } else { SOURCES[0] };
                let request = self.request("Update", source, Some(&live));
                self.replaced.push(live);
                self.succeed(&request, source).await;
            }
            Step::FailedMove => {
                let live = self.live.clone().unwrap();
                let source = if live.source == SOURCES[0] { SOURCES[1] } else { SOURCES[0] };
                let request = self.request("Update", source, Some(&live));
                self.fake.refuse("PutBucketReplication", usize::MAX, "MalformedXML", Retry::Never);
                assert_eq!(self.answer(&request).await["PhysicalResourceId"], live.id);
                let failed = Resource { id: live.id.clone(), source };
                let request = self.request("Update", live.source, Some(&failed));
                self.succeed(&request, live.source).await;
            }
            Step::DeleteReplaced => {
                let replaced = self.replaced.remove(0);
                self.delete(&replaced).await;
            }
            Step::DeleteLive => {
                let live = self.live.take().unwrap();
                self.delete(&live).await;
            }
        }
    }

    async fn succeed(&mut self, request: &Value, source: &'static str) {
        let answer = self.answer(request).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        let id = answer["PhysicalResourceId"].as_str().unwrap().to_owned();
        let live = Resource { id, source };
        // CloudFormation never deletes the id that it now has.
        self.replaced.retain(|replaced| replaced.id != live.id);
        self.live = Some(live);
    }

    async fn delete(&mut self, resource: &Resource) {
        let request = self.request("Delete", resource.source, Some(resource));
        let answer = self.answer(&request).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    }

    /// The source buckets that have a rule, with its role.
    fn configured(&self) -> Vec<&'static str> {
        let state = self.fake.state.borrow();
        let has_role = |source: &str| state.roles.contains_key(&format!("s3-crr-{source}"));
        let has_both = |source: &&str| !state.rules(source).is_empty() && has_role(source);
        SOURCES.into_iter().filter(has_both).collect()
    }

    /// The source buckets that have a rule or a role.
    fn touched(&self) -> Vec<&'static str> {
        let state = self.fake.state.borrow();
        let has_role = |source: &str| state.roles.contains_key(&format!("s3-crr-{source}"));
        let has_any = |source: &&str| !state.rules(source).is_empty() || has_role(source);
        SOURCES.into_iter().filter(has_any).collect()
    }
}

/// Runs the steps, and then the Deletes of all that is replaced. Returns the steps that were possible before these Deletes.
async fn run(steps: &[Step]) -> Vec<Step> {
    let mut stack = Stack::new();
    for step in steps {
        stack.run(*step).await;
        let live: Vec<&str> = stack.live.iter().map(|live| live.source).collect();
        let configured = stack.configured();
        assert!(live.iter().all(|source| configured.contains(source)), "{steps:?}, at {step:?}");
    }
    let next = STEPS.into_iter().filter(|step| stack.allows(*step)).collect();
    while stack.allows(Step::DeleteReplaced) {
        stack.run(Step::DeleteReplaced).await;
    }
    let live: Vec<&str> = stack.live.iter().map(|live| live.source).collect();
    assert_eq!(stack.touched(), live, "{steps:?}, then the Deletes of what is replaced");
    next
}

#[tokio::test(start_paused = true)]
async fn invariant_4_no_order_of_deletes_removes_what_a_later_request_has_made() {
    let (mut orders, mut count) = (vec![Vec::new()], 0);
    for _ in 0..5 {
        let mut longer = Vec::new();
        for order in &orders {
            let next = run(order).await.into_iter();
            longer.extend(next.map(|step| [order.as_slice(), &[step]].concat()));
            count += 1;
        }
        orders = longer;
    }
    for order in &orders {
        run(order).await;
        count += 1;
    }
    print_count(count, "orders of requests about one resource");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_success_that_could_not_be_recorded_is_not_answered_as_one() {
    let create = |date: &str| signed(custom_resource("Create", json!({})), date);
    let mended = create("20261122T080500Z");
    let unanswered_create = async || {
        let fake = Fake::new(two_buckets());
        fake.answer_failures.borrow_mut().push(Retry::Never);
        invoke(&fake, &create("20261122T080000Z")).await.unwrap_err();
        fake.clear();
        fake
    };
    for (fault, status) in [
        (Fault::Refused("ThrottlingException", Retry::NextInvocation), "SUCCESS"),
        (Fault::Refused("AccessDenied", Retry::Never), "FAILED"),
        (Fault::AnswerLost, "SUCCESS"),
        (Fault::Panic, "FAILED"),
        (Fault::Slow, "SUCCESS"),
        (Fault::Hangs, "FAILED"),
    ] {
        let undisturbed = unanswered_create().await;
        invoke(&undisturbed, &mended).await.unwrap();
        let last = undisturbed.calls.borrow().len() - 1;
        assert_eq!(undisturbed.calls.borrow()[last].operation, "RecordGeneration");
        let fake = unanswered_create().await;
        fake.fail_call(last, fault);
        invoke(&fake, &mended).await.unwrap();
        let answer = only_answer(&fake);
        assert_eq!(answer["Status"], status, "{fault:?}: {answer}");

        let delete_of = async |id: &str, date: &str| {
            let mut request = signed(custom_resource("Delete", json!({})), date);
            request["PhysicalResourceId"] = json!(id);
            fake.clear();
            invoke(&fake, &request).await.unwrap();
            assert_eq!(only_answer(&fake)["Status"], "SUCCESS");
            !fake.state.borrow().rules("demo-source").is_empty()
        };
        let stays = delete_of(MADE_UP_ID, "20261122T080600Z").await;
        assert_eq!(stays, status == "SUCCESS", "{fault:?}");
        let id = answer["PhysicalResourceId"].as_str().unwrap();
        assert!(!delete_of(id, "20261122T080700Z").await, "{fault:?}");
        assert_eq!(fake.state.borrow().roles.len(), 0, "{fault:?}");
    }
}
