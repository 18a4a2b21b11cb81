//! The policy document or statement of an action.
//!
//! It owns which document that is, and its text on lines. It must not know which parts of the document change.

use super::Action;
use crate::iam_policy::{RolePolicyDocument, Statement};

/// A policy, as far as an action concerns it.
enum Policy<'a> {
    /// The document that is written.
    Document(&'a RolePolicyDocument),
    /// The statement that is written.
    Statement(&'a Statement),
    /// What is removed, as JSON text.
    Removed(&'a str),
}

impl Action {
    fn policy(&self) -> Option<Policy<'_>> {
        match self {
            Self::CreateRole { trust: document, .. }
            | Self::UpdateAssumeRolePolicy { trust: document, .. }
            | Self::PutRolePolicy { document, .. } => Some(Policy::Document(document)),
            Self::PutStatement { statement, .. } => Some(Policy::Statement(statement)),
            Self::DeleteRolePolicy { before, .. }
            | Self::DeleteRole { before, .. }
            | Self::RemoveStatement { before, .. } => Some(Policy::Removed(before)),
            Self::CreateBucket { .. }
            | Self::EnableVersioning { .. }
            | Self::EncryptBucket { .. }
            | Self::BlockPublicAccess { .. }
            | Self::KeepForNow { .. }
            | Self::PutRolePermissionsBoundary { .. }
            | Self::PutAlarm { .. }
            | Self::DeleteAlarm { .. }
            | Self::StartJob { .. }
            | Self::CancelJob { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. }
            | Self::PutReplication { .. }
            | Self::DeleteReplication { .. } => None,
        }
    }

    /// The policy document that the action writes.
    pub fn document(&self) -> Option<&RolePolicyDocument> {
        match self.policy()? {
            Policy::Document(document) => Some(document),
            Policy::Statement(_) | Policy::Removed(_) => None,
        }
    }

    /// The policy document or statement that the action writes or removes, in full.
    pub(in crate::plan) fn document_text(&self) -> Option<String> {
        Some(match self.policy()? {
            Policy::Document(document) => pretty(&document.to_string()),
            Policy::Statement(statement) => pretty(&statement.to_string()),
            Policy::Removed(text) => pretty(text),
        })
    }
}

/// A document or a statement on lines. Only those in the form of ours have their members in the usual order.
fn pretty(text: &str) -> String {
    let ours = RolePolicyDocument::parse(text)
        .map(|document| serde_json::to_string_pretty(&document))
        .or_else(|| {
            Some(serde_json::to_string_pretty(&serde_json::from_str::<Statement>(text).ok()?))
        });
    let parsed = || serde_json::from_str::<serde_json::Value>(text);
    let pretty = ours.unwrap_or_else(|| serde_json::to_string_pretty(&parsed()?));
    pretty.unwrap_or_else(|_| text.to_owned())
}
