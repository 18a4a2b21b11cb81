//! KMS keys.

use aws_sdk_kms::types::KeyState;

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's ARN, never an alias.
    pub arn: String,
    /// Its state; `Enabled` is the one in which it can be used.
    pub state: KeyState,
    /// Whether it is a symmetric key for encryption and decryption.
    pub symmetric: bool,
    /// Whether AWS manages it, so that its policy cannot be changed.
    pub aws_managed: bool,
}
