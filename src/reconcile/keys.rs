//! Reads of keys, which many buckets share.
//!
//! It must not know what a key is read for.
//!
//! # Guarantees
//! - Only a key that S3 can use is remembered. So a refused key that was made usable is accepted at once, and one that has lost its use is refused
//!   by the first request after [`MAX_AGE`].
//! - Only events and walks of `RoleScope` Policy remember keys. Requests of CloudFormation and of persons see each key as it is.

use aws_sdk_kms::types::KeyState;

use super::shared_role::MAX_AGE;
use super::snapshot::SnapshotReader;
use crate::model::{Access, ApiError, Key, Region};
use crate::ports::Read;

impl<R: Read> SnapshotReader<'_, R> {
    /// Reads a key; `None` if it does not exist.
    pub(super) async fn key(
        &self,
        id: &str,
        region: &Region,
        access: &Access,
    ) -> Result<Option<Key>, ApiError> {
        if !self.remembers_keys {
            return self.cloud.key(id, region, access).await;
        }
        // An id or alias without Region and account stands for another key in each Region.
        let subject = format!("keys/{region}/{id}");
        if let Some(key) = self.cloud.remembered(&subject, MAX_AGE).and_then(|text| parse(&text)) {
            return Ok(Some(key));
        }
        let key = self.cloud.key(id, region, access).await?;
        if let Some(text) = key.as_ref().and_then(text) {
            self.cloud.remember(&subject, text);
        }
        Ok(key)
    }
}

/// A usable key as one text; `None` for any other key.
fn text(key: &Key) -> Option<String> {
    let Key { arn, state, symmetric, aws_managed } = key;
    (*state == KeyState::Enabled && *symmetric).then(|| format!("{aws_managed} {arn}"))
}

fn parse(text: &str) -> Option<Key> {
    let (aws_managed, arn) = text.split_once(' ')?;
    let aws_managed = aws_managed.parse().ok()?;
    Some(Key { arn: arn.to_owned(), state: KeyState::Enabled, symmetric: true, aws_managed })
}
