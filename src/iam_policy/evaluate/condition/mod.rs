//! Conditions: one operator, one key, and the values that a statement demands.
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>.

mod address;
mod compare;
mod date;
mod operator;

use super::context::Known;
use super::document::Version;
use super::layers::Request;
use super::statement::Mismatch;
use super::text::Text;
use super::truth::Truth;
use compare::equals;
use operator::{Operator, Set, Test};

/// One key of a `Condition` element under one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    operator: Operator,
    operator_text: String,
    key: String,
    values: Vec<String>,
}

impl Condition {
    pub fn read(operator: &str, key: &str, values: Vec<String>) -> Result<Self, String> {
        Ok(Self {
            operator: Operator::parse(operator)?,
            operator_text: operator.to_owned(),
            key: key.to_owned(),
            values,
        })
    }

    /// The values that the statement demands, as written.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether the condition holds for a request.
    pub fn holds(&self, version: Version, request: &Request) -> Truth {
        match request.key(&self.key) {
            Known::Values(values) => self.holds_for(values, version, request),
            Known::Absent => self.holds_if_absent().into(),
            Known::Unknown => match self.holds_if_present(version, request) {
                Some(present) if present == self.holds_if_absent() => present.into(),
                _ => Truth::unknown_key(&self.key),
            },
        }
    }

    fn holds_if_absent(&self) -> bool {
        if self.operator.test == Test::Null {
            return self.has_value("true");
        }
        match self.operator.set {
            Some(Set::ForAllValues) => true,
            // Also with IfExists: <https://repost.aws/questions/QU9HFmDzP0QGuU-fd7rS6B7w>.
            Some(Set::ForAnyValue) => false,
            None => self.operator.negated || self.operator.if_exists,
        }
    }

    /// Whether the condition holds for every value, or for none; `None` if that depends on the value.
    fn holds_if_present(&self, version: Version, request: &Request) -> Option<bool> {
        match self.operator.test {
            Test::Null => Some(self.has_value("false")),
            Test::StringLike => {
                let everything = |value: &String| compare::is_everything(value, version, request);
                self.values.iter().any(everything).then_some(!self.operator.negated)
            }
            Test::StringEquals
            | Test::StringEqualsIgnoreCase
            | Test::Numeric(_)
            | Test::Date(_)
            | Test::Bool
            | Test::Binary
            | Test::IpAddress
            | Test::Arn => None,
        }
    }

    fn holds_for(&self, actual: &[Text], version: Version, request: &Request) -> Truth {
        if self.operator.test == Test::Null {
            return self.has_value("false").into();
        }
        let mut each = actual.iter().map(|actual| self.holds_for_one(actual, version, request));
        match (self.operator.set, actual) {
            (Some(Set::ForAllValues), _) => Truth::all(each),
            (Some(Set::ForAnyValue), _) => Truth::any(each),
            (None, [_]) => each.next().unwrap_or(Truth::No),
            // A key with several values matches no operator without a set operator.
            (None, _) => Truth::No,
        }
    }

    fn holds_for_one(&self, actual: &Text, version: Version, request: &Request) -> Truth {
        let wanted = self.values.iter();
        let results =
            wanted.map(|wanted| equals(self.operator.test, wanted, actual, version, request));
        if self.operator.negated {
            Truth::all(results.map(|result| result.map_or(Truth::No, std::ops::Not::not)))
        } else {
            Truth::any(results.map(|result| result.unwrap_or(Truth::No)))
        }
    }

    fn has_value(&self, value: &str) -> bool {
        self.values.iter().any(|own| own.eq_ignore_ascii_case(value))
    }

    /// The condition as one that does not hold for a request.
    pub fn mismatch(&self, request: &Request) -> Mismatch {
        Mismatch::Condition {
            operator: self.operator_text.clone(),
            key: self.key.clone(),
            wanted: self.values.clone(),
            actual: match request.key(&self.key) {
                Known::Values(values) => values.iter().map(Text::to_string).collect(),
                Known::Absent | Known::Unknown => Vec::new(),
            },
        }
    }
}
