//! The inline policy of a rule, found among the policies of a role.
//!
//! It must not know what a rule needs.

use crate::iam_policy::RolePolicyDocument;
use crate::model::{InlinePolicyName, KeyReference, Region, Role, RuleAddress};

/// A source key in `region` that the inline policy of a rule grants.
pub fn granted_key(address: &RuleAddress, region: &Region, role: &Role) -> Option<KeyReference> {
    let policy = RolePolicyDocument::parse(rule_policy(address, role)?)?;
    let keys = policy.source_keys().into_iter();
    keys.filter_map(|arn| KeyReference::parse(&arn).ok()).find(|key| key.region() == region)
}

/// The inline policy of a rule, under the names that it has in a role of ours and in a foreign one.
pub(super) fn rule_policy<'a>(address: &RuleAddress, role: &'a Role) -> Option<&'a String> {
    let names = [
        InlinePolicyName::for_rule(&address.id),
        InlinePolicyName::for_rule_in_foreign_role(address),
        InlinePolicyName::for_rule_in_foreign_role_of_0_1_0(address),
    ];
    names.iter().find_map(|name| role.policies.get(name.as_str()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{BucketName, RoleName, RuleId};

    #[test]
    fn a_granted_key_is_found_under_every_name_of_the_inline_policy() {
        let source = BucketName::parse("demo-source").unwrap();
        let rule = RuleAddress { source, id: RuleId::named("dr").unwrap() };
        let key = "arn:aws:kms:us-east-1:111122223333:key/source";
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"DecryptSourceObjects","Effect":"Allow","Action":"kms:Decrypt","Resource":"{key}"}}]}}"#
        );
        for name in [
            InlinePolicyName::for_rule(&rule.id),
            InlinePolicyName::for_rule_in_foreign_role(&rule),
            InlinePolicyName::for_rule_in_foreign_role_of_0_1_0(&rule),
        ] {
            let role = Role {
                name: RoleName::for_source(&rule.source),
                arn: String::new(),
                trust: String::new(),
                boundary: None,
                tags: BTreeMap::new(),
                policies: BTreeMap::from([(name.to_string(), policy.clone())]),
                attached: Vec::new(),
            };
            let region = Region::parse("us-east-1").unwrap();
            let found = granted_key(&rule, &region, &role).map(|key| key.to_string());
            assert_eq!(found.as_deref(), Some(key), "{name}");
        }
    }
}
