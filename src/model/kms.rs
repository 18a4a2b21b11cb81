//! KMS keys.

use aws_sdk_kms::types::KeyState;

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's ARN, never an alias.
    pub arn: String,
    /// Its state. S3 can use the key only when it is `Enabled`.
    pub state: KeyState,
    /// Whether it is a symmetric key for encryption and decryption.
    pub symmetric: bool,
    /// Whether AWS manages the key. The policy of such a key cannot be changed.
    pub aws_managed: bool,
}
