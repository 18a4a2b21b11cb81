//! Grants of a KMS key.
//!
//! Follows <https://docs.aws.amazon.com/kms/latest/developerguide/grants.html>.

use std::collections::BTreeMap;

use super::context::Known;
use super::decision::Cause;
use super::layers::Request;
use super::text::Text;
use super::truth::Truth;

const ENCRYPTION_CONTEXT: &str = "kms:encryptioncontext:";

/// A grant of a KMS key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The ARN of the principal that may use the key.
    pub grantee: String,
    /// The operations, as KMS names them, such as `Decrypt`.
    pub operations: Vec<String>,
    /// Pairs that the encryption context must have.
    pub context_subset: BTreeMap<String, String>,
    /// The encryption context itself; `None` if the grant does not demand one.
    pub context_equals: Option<BTreeMap<String, String>>,
}

impl Grant {
    pub(super) fn allows(&self, request: &Request) -> Truth {
        let is_grantee = request.principal.naming(&self.grantee).any();
        let is_granted = request.action.strip_prefix("kms:").is_some_and(|action| {
            self.operations.iter().any(|operation| operation.eq_ignore_ascii_case(action))
        });
        if !is_granted {
            return Truth::No;
        }
        let has = |(name, wanted): (&String, &String)| {
            let key = format!("{ENCRYPTION_CONTEXT}{name}");
            match request.key(&key) {
                Known::Values([Text::Exact(value)]) => Truth::from(value == wanted),
                Known::Values([Text::Open(_)]) => Truth::unknown(Cause::EndOfName),
                Known::Values(_) | Known::Absent => Truth::No,
                Known::Unknown => Truth::unknown_key(&key),
            }
        };
        let subset = self.context_subset.iter().map(has);
        let equals = self.context_equals.iter().flatten().map(has);
        let no_other = self.context_equals.as_ref().is_none_or(|wanted| {
            request.context.present_keys(ENCRYPTION_CONTEXT).all(|key| {
                let name = key.strip_prefix(ENCRYPTION_CONTEXT);
                wanted.keys().any(|wanted| Some(wanted.to_ascii_lowercase().as_str()) == name)
            })
        });
        Truth::all(subset.chain(equals)).and(no_other.into()).and(is_grantee)
    }
}
