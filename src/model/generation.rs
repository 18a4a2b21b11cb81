//! What is remembered of the requests about a custom resource's rule.

/// What the table remembers of the latest request about a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The latest request's generation.
    pub generation: u64,
    /// What the requests until then have left; `None` when they have left nothing, or it is not known.
    pub outcome: Option<RequestOutcome>,
}

/// What requests have left of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// A request may have changed something, and none was answered as a success.
    Open,
    /// A request that made the rule was answered as a success. A request that begins later does not change that.
    Applied,
}

/// How recording a generation changes the remembered outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeChange {
    /// Leave it.
    Keep,
    /// Remember [`RequestOutcome::Open`], unless an outcome is remembered.
    OpenUnlessRemembered,
    /// Remember this outcome.
    Set(RequestOutcome),
    /// Forget it.
    Forget,
}

/// A generation to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRecord {
    /// The DynamoDB table.
    pub table: String,
    /// The custom resource's rule, as `<source bucket>/<rule id>`.
    pub id: String,
    /// The generation.
    pub number: u64,
    /// Whether the record is refused where the same generation is recorded, so that nobody else has it.
    pub is_unique: bool,
    /// What becomes of the remembered outcome.
    pub change: OutcomeChange,
    /// When the record may be deleted, in seconds since the epoch.
    pub forget_at: u64,
}

/// The result of recording a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// It was recorded; this was recorded before.
    Recorded(Option<RecordedRequest>),
    /// A later generation is recorded, or the same one where it must be unique. Nothing was changed.
    Superseded,
}
