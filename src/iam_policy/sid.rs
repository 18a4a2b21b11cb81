//! The `Sid` of each statement of our inline policies, by which a statement is found again.
//!
//! It must not know what a statement allows.

/// Reads the configuration of the source bucket.
pub(crate) const SOURCE_BUCKET: &str = "SourceBucket";
/// Reads the objects of the source bucket.
pub(crate) const SOURCE_OBJECTS: &str = "SourceObjects";
/// Uses the keys of the source's objects.
pub(crate) const DECRYPT_SOURCE: &str = "DecryptSourceObjects";
/// Writes replicas to the destination bucket.
pub(crate) const WRITE_REPLICAS: &str = "Replicas";
/// Uses the key of the replicas.
pub(crate) const ENCRYPT_REPLICAS: &str = "EncryptReplicas";

/// Lets a job replicate the source's objects.
pub(crate) const JOB_OBJECTS: &str = "ExistingObjects";
/// Lets a job make the list of these objects.
pub(crate) const JOB_MANIFEST: &str = "Manifest";
/// Lets a job write its report.
pub(crate) const JOB_REPORT: &str = "Report";

/// Marks the `Sid` of a statement that an earlier form of a document left.
pub(crate) const EARLIER: &str = "Earlier";
