//! `ALLOWED_DESTINATIONS`: the bound on where objects may be replicated to, whoever asks.
//!
//! It owns the form of the list and the check of one destination. It must not know when destinations are checked.

use wildmatch::WildMatch;

use crate::model::{Account, BucketName};
use crate::spec::Invalid;

const VARIABLE: &str = "ALLOWED_DESTINATIONS";

/// The buckets and accounts that may be destinations. An empty list of patterns allows every name, and an empty list of accounts every account.
#[derive(Debug, Clone, Default)]
pub struct AllowedDestinations {
    text: String,
    names: Vec<WildMatch>,
    accounts: Vec<Account>,
}

impl AllowedDestinations {
    /// Reads a list with commas: items of twelve digits are accounts, all others are patterns of bucket names.
    ///
    /// # Errors
    /// An item that is neither an account nor a pattern that a bucket's name can match.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let mut allowed = Self { text: text.to_owned(), ..Self::default() };
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let is_of_name = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.*?".contains(&byte)
            };
            if let Ok(account) = Account::parse(item) {
                allowed.accounts.push(account);
            } else if item.bytes().all(is_of_name) {
                allowed.names.push(WildMatch::new(item));
            } else {
                let problem = format!(
                    "has `{item}`; allowed are accounts of 12 digits, and patterns of bucket names, in which `*` stands for any characters and `?` for one"
                );
                return Err(Invalid::new(VARIABLE, problem));
            }
        }
        Ok(allowed)
    }

    /// Refuses a destination that the list does not allow.
    ///
    /// # Errors
    /// The destination, with the list.
    pub fn check(&self, destination: &BucketName, account: &Account) -> Result<(), Invalid> {
        let is_allowed_name = self.names.is_empty()
            || self.names.iter().any(|pattern| pattern.matches(destination.as_str()));
        let is_allowed_account = self.accounts.is_empty() || self.accounts.contains(account);
        if is_allowed_name && is_allowed_account {
            return Ok(());
        }
        Err(Invalid::new(
            "DestinationBucket",
            format!(
                "is `{destination}` of account {account}; `AllowedDestinations` allows only {}",
                self.text
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destination_is_allowed_by_its_name_and_by_its_account() {
        let (ours, theirs) = ("111122223333", "444455556666");
        for (list, bucket, account, expected) in [
            ("", "any", theirs, true),
            (" , ", "any", theirs, true),
            ("*-replica", "orders-replica", theirs, true),
            ("*-replica", "orders", ours, false),
            ("dr-?,*-replica", "dr-1", ours, true),
            ("dr-?,*-replica", "dr-10", ours, false),
            ("111122223333", "any", ours, true),
            ("111122223333", "any", theirs, false),
            ("111122223333, *-replica", "orders-replica", ours, true),
            ("111122223333, *-replica", "orders", ours, false),
            ("111122223333, *-replica", "orders-replica", theirs, false),
        ] {
            let allowed = AllowedDestinations::parse(list).unwrap();
            let bucket = BucketName::parse(bucket).unwrap();
            let checked = allowed.check(&bucket, &Account::parse(account).unwrap());
            assert_eq!(checked.is_ok(), expected, "{list}: {bucket} of {account}");
        }
        for bad in ["arn:aws:s3:::x", "Orders", "a b", "[a-z]", "^orders$"] {
            assert_eq!(AllowedDestinations::parse(bad).unwrap_err().property, VARIABLE, "{bad}");
        }
    }
}
