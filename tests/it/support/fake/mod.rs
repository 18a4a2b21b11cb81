//! A cloud that holds state: what was executed is what is read next. It refuses what S3 and IAM refuse, fails where a test says so, and
//! records all calls.

mod effects;
mod inspect;
mod read;
mod replicator;
mod write;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use s3_kms_replication::model::{
    Access, Account, ApiError, BucketLocation, BucketName, Job, RecordedRequest,
    ReplicationConfiguration, Retry, Role, RoleName,
};
use tokio::time::{Instant, sleep};

pub use replicator::Replicator;

use super::{ACCOUNT, Bucket, Call, Kind, Object, State};

/// How long a request takes in tests about rounds.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// A job, as S3 Batch Operations knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct StartedJob {
    /// The token of the request that started it.
    pub token: String,
    /// The name of its role.
    pub role: String,
    pub region: String,
    pub job: Job,
}

impl StartedJob {
    pub fn has_ended(&self) -> bool {
        ["Cancelled", "Complete", "Failed"].contains(&self.job.status.as_str())
    }

    fn can_be_cancelled(&self) -> bool {
        !self.has_ended()
            && !["Cancelling", "Completing", "Failing"].contains(&self.job.status.as_str())
    }
}

/// How one call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// AWS refuses the call, with this code.
    Refused(&'static str, Retry),
    /// The call takes effect, and its answer is lost.
    AnswerLost,
    /// The call takes effect, its answer is lost, and the SDK's second try is refused because of the first, with this code.
    DoneAlready(&'static str),
    /// The code panics.
    Panic,
    /// The call takes effect after three seconds.
    Slow,
    /// The call never ends.
    Hangs,
}

/// Each of so many calls, with each way of failing after which a later request must end in the same state.
pub fn fault_points(calls: usize) -> impl Iterator<Item = (Fault, usize)> {
    let faults = [
        Fault::Refused("AccessDenied", Retry::Never),
        Fault::Refused("SlowDown", Retry::NextInvocation),
        Fault::Refused("OperationAborted", Retry::Soon),
        Fault::AnswerLost,
        Fault::DoneAlready("EntityAlreadyExists"),
        Fault::Hangs,
    ];
    faults.into_iter().flat_map(move |fault| (0..calls).map(move |index| (fault, index)))
}

/// An operation whose calls are refused for a while: what it needs is not visible yet.
#[derive(Debug)]
struct Late {
    operation: &'static str,
    time: Duration,
    code: &'static str,
    first: Option<Instant>,
}

/// Calls of an operation that AWS refuses.
#[derive(Debug, Clone, Copy)]
struct Refusals {
    operation: &'static str,
    /// How many calls succeed before.
    skip: usize,
    times: usize,
    code: &'static str,
    retry: Retry,
}

#[derive(Debug, Default)]
pub struct Fake {
    pub state: RefCell<State>,
    pub calls: RefCell<Vec<Call>>,
    /// The answers that CloudFormation got.
    pub answers: RefCell<Vec<String>>,
    /// The messages in the function's own queue, with their delays.
    pub messages: RefCell<Vec<(String, Duration)>>,
    /// Reads of a replication configuration that still return the one before the last write.
    pub stale_reads: Cell<usize>,
    /// How the next answers to CloudFormation fail, the last one first.
    pub answer_failures: RefCell<Vec<Retry>>,
    /// When each lease expired that was released.
    pub released: RefCell<BTreeMap<String, u64>>,
    /// What is recorded of the requests about each custom resource.
    pub generations: RefCell<BTreeMap<String, RecordedRequest>>,
    /// What the process remembers, and since when.
    pub remembered: RefCell<BTreeMap<String, (Instant, String)>>,
    /// SSM's parameters.
    pub parameters: RefCell<BTreeMap<String, String>>,
    pub replicator: RefCell<Replicator>,
    /// Why the role in the destination's account cannot be assumed.
    lost_role: RefCell<Option<ApiError>>,
    fault: Cell<Option<(usize, Fault)>>,
    refusals: Cell<Option<Refusals>>,
    late: RefCell<Option<Late>>,
    /// The calls and when each was sent, in tests about rounds; each takes a [`ROUND_TRIP`] then.
    sent: RefCell<Option<Vec<(Instant, Call)>>>,
    earlier_replication: RefCell<Option<ReplicationConfiguration>>,
}

impl Fake {
    pub fn new(state: State) -> Self {
        Self { state: RefCell::new(state), ..Self::default() }
    }

    /// Lets the call with this number fail, counted from 0 since the fake was made or cleared.
    pub fn fail_call(&self, index: usize, fault: Fault) {
        self.fault.set(Some((index, fault)));
    }

    /// Lets no call fail any more.
    pub fn stop_failing(&self) {
        self.fault.set(None);
        self.refusals.set(None);
    }

    /// Refuses the next calls of an operation, so many times.
    pub fn refuse(&self, operation: &'static str, times: usize, code: &'static str, retry: Retry) {
        self.refusals.set(Some(Refusals { operation, skip: 0, times, code, retry }));
    }

    /// Refuses all calls of an operation but so many first ones, as it refuses what it has no right to.
    pub fn deny_after(&self, skip: usize, operation: &'static str) {
        let (times, code, retry) = (usize::MAX, "AccessDenied", Retry::Never);
        self.refusals.set(Some(Refusals { operation, skip, times, code, retry }));
    }

    /// Refuses the calls of an operation until so much time after the first of them has passed.
    pub fn refuse_for(&self, operation: &'static str, time: Duration, code: &'static str) {
        self.late.replace(Some(Late { operation, time, code, first: None }));
    }

    /// From now on, the role in the destination's account cannot be assumed, for this reason.
    pub fn lose_destination_role(&self, failure: Option<ApiError>) {
        self.lost_role.replace(failure);
    }

    /// All versions of objects in all buckets.
    pub fn objects(&self) -> Vec<Object> {
        let state = self.state.borrow();
        state.buckets.values().flat_map(|bucket| bucket.objects.clone()).collect()
    }

    /// Forgets calls and answers.
    pub fn clear(&self) {
        self.calls.borrow_mut().clear();
        self.answers.borrow_mut().clear();
    }

    fn of_kind(&self, kind: Kind) -> Vec<Call> {
        self.calls.borrow().iter().filter(|call| call.kind == kind).cloned().collect()
    }

    /// The calls that changed something, or tried to.
    pub fn writes(&self) -> Vec<Call> {
        self.of_kind(Kind::Write)
    }

    /// The calls that read.
    pub fn reads(&self) -> Vec<Call> {
        self.of_kind(Kind::Read)
    }

    /// How often an operation was called.
    pub fn count(&self, operation: &str) -> usize {
        self.calls.borrow().iter().filter(|call| call.operation == operation).count()
    }

    /// The number of the first call of an operation.
    pub fn position(&self, operation: &str) -> usize {
        let position = self.calls.borrow().iter().position(|call| call.operation == operation);
        position.unwrap_or_else(|| panic!("no {operation} among {:#?}", self.calls.borrow()))
    }

    /// The number of the first write.
    pub fn first_write(&self) -> usize {
        self.calls.borrow().iter().position(|call| call.kind == Kind::Write).unwrap()
    }

    /// From now on, records when each call was sent.
    pub fn record_times(&self) {
        self.sent.replace(Some(Vec::new()));
    }

    /// The calls of each round: a round's are on their way together, and the next round waits for an answer to them.
    pub fn rounds(&self) -> String {
        let mut rounds: BTreeMap<Instant, Vec<Call>> = BTreeMap::new();
        for (at, call) in self.sent.take().unwrap() {
            rounds.entry(at).or_default().push(call);
        }
        let numbered = rounds.into_values().zip(1..).map(|(mut calls, number)| {
            calls.sort();
            format!("{number:>2}. {}", super::lines(&calls).replace('\n', "\n    "))
        });
        numbered.collect::<Vec<_>>().join("\n")
    }

    /// When each call of an operation was sent.
    pub fn times_of(&self, operation: &str) -> Vec<Instant> {
        let sent = self.sent.borrow();
        let calls = sent.iter().flatten().filter(|(_, call)| call.operation == operation);
        calls.map(|(at, _)| *at).collect()
    }

    async fn send(&self, call: &Call) {
        let takes = match &mut *self.sent.borrow_mut() {
            None => Duration::ZERO,
            Some(sent) => {
                sent.push((Instant::now(), call.clone()));
                ROUND_TRIP
            }
        };
        if takes.is_zero() {
            // Gives the calls of one stage their chance to overlap.
            tokio::task::yield_now().await;
        } else {
            sleep(takes).await;
        }
    }

    /// Makes a call. A denial names the operation and its resource, as the SDK's errors do.
    async fn call<T>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut State) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (operation, resource) = (call.operation, call.resource.clone());
        let result = self.call_once(call, effect).await;
        let is_unnamed = |failure: &ApiError| failure.operation == UNNAMED && failure.is_denied();
        result.map_err(|failure| match is_unnamed(&failure) {
            true => ApiError { operation, resource, ..failure },
            false => failure,
        })
    }

    async fn call_once<T>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut State) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let index = self.calls.borrow().len();
        self.calls.borrow_mut().push(call.clone());
        self.send(&call).await;
        if let Some(late) =
            self.late.borrow_mut().as_mut().filter(|late| late.operation == call.operation)
        {
            let first = *late.first.get_or_insert_with(Instant::now);
            if first.elapsed() < late.time {
                return Err(error(late.code, Retry::Never));
            }
        }
        if let Some(refusals) = self.refusals.get()
            && refusals.times > 0
            && refusals.operation == call.operation
        {
            if refusals.skip == 0 {
                self.refusals.set(Some(Refusals { times: refusals.times - 1, ..refusals }));
                return Err(error(refusals.code, refusals.retry));
            }
            self.refusals.set(Some(Refusals { skip: refusals.skip - 1, ..refusals }));
        }
        let fault = self.fault.get().filter(|(at, _)| *at == index).map(|(_, fault)| fault);
        match fault {
            None => effect(&mut self.state.borrow_mut()),
            Some(Fault::Refused(code, retry)) => Err(error(code, retry)),
            Some(Fault::AnswerLost) => effect(&mut self.state.borrow_mut())
                .and(Err(error("TimedOut", Retry::NextInvocation))),
            Some(Fault::DoneAlready(code)) => {
                effect(&mut self.state.borrow_mut()).and(Err(error(code, Retry::Replan)))
            }
            Some(Fault::Panic) => panic!("call {index} panics"),
            Some(Fault::Slow) => {
                sleep(Duration::from_secs(3)).await;
                effect(&mut self.state.borrow_mut())
            }
            Some(Fault::Hangs) => std::future::pending().await,
        }
    }

    async fn of_bucket<T>(
        &self,
        operation: &'static str,
        location: &BucketLocation,
        read: impl FnOnce(&Bucket) -> T,
    ) -> Result<T, ApiError> {
        self.call(Call::read(operation, format!("bucket `{}`", location.bucket)), |state| {
            bucket(state, location).map(|bucket| read(bucket))
        })
        .await
    }
}

/// The operation of an error that does not depend on the operation.
const UNNAMED: &str = "AnyAction";

fn error(code: &'static str, retry: Retry) -> ApiError {
    let (resource, code, message) = ("anything".to_owned(), code.to_owned(), "as told".to_owned());
    ApiError { operation: UNNAMED, resource, code, message, missing_right: None, retry }
}

fn bucket<'a>(state: &'a mut State, location: &BucketLocation) -> Result<&'a mut Bucket, ApiError> {
    check_reach(state, &location.bucket, &location.access)?;
    let found = state.buckets.get_mut(location.bucket.as_str());
    let bucket = found.ok_or_else(|| error("NoSuchBucket", Retry::Never))?;
    if bucket.region != location.region.as_str() {
        return Err(error("PermanentRedirect", Retry::Never));
    }
    // Requests name the owner that they expect.
    if bucket.owner == location.owner.as_str() {
        Ok(bucket)
    } else {
        Err(error("AccessDenied", Retry::Never))
    }
}

/// Refuses a bucket of another account than the one whose credentials are used.
fn check_reach(state: &State, bucket: &BucketName, access: &Access) -> Result<(), ApiError> {
    let reached = access.account().map_or(ACCOUNT, Account::as_str);
    let is_out_of_reach =
        state.buckets.get(bucket.as_str()).is_some_and(|bucket| bucket.owner != reached);
    if is_out_of_reach && !state.readable.contains(bucket.as_str()) {
        Err(error("HTTP 403", Retry::Never))
    } else {
        Ok(())
    }
}

/// Refuses a key of another account than the one whose credentials are used.
fn check_key_reach(state: &State, id: &str, access: &Access) -> Result<(), ApiError> {
    let reached = access.account().map_or(ACCOUNT, Account::as_str);
    let is_out_of_reach = id.split(':').nth(4).is_some_and(|account| account != reached);
    if is_out_of_reach && !state.readable.contains(id) {
        Err(error("AccessDeniedException", Retry::Never))
    } else {
        Ok(())
    }
}

fn role<'a>(state: &'a mut State, name: &RoleName) -> Result<&'a mut Role, ApiError> {
    state.roles.get_mut(name.as_str()).ok_or_else(|| error("NoSuchEntity", Retry::Replan))
}
