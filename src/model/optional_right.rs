//! The rights that the template gives the function only where a parameter says so.
//!
//! It owns the names of those parameters. It must not know which call needs which right.

/// A right that a deployed function may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionalRight {
    /// Assuming a role in the destination's account.
    AssumeDestinationRole,
    /// Looking for objects that a rule has missed.
    CatchUp,
    /// Creating destination buckets.
    CreateDestinationBucket,
    /// Adding an inline policy to a foreign role.
    ExtendForeignRole,
    /// Starting jobs that replicate existing objects.
    ReplicateExistingObjects,
    /// Writing canaries.
    Verify,
}

impl OptionalRight {
    /// The template's parameter that gives the right.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::AssumeDestinationRole => "DestinationRoleArns",
            Self::CatchUp => "AllowCatchUp",
            Self::CreateDestinationBucket => "AllowCreateDestinationBuckets",
            Self::ExtendForeignRole => "ExtendableRoleArns",
            Self::ReplicateExistingObjects => "AllowReplicateExistingObjects",
            Self::Verify => "AllowVerify",
        }
    }
}
