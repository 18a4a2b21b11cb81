//! One value of a request held against one value of a policy.

use super::address::Network;
use super::date;
use super::operator::Test;
use crate::iam_policy::evaluate::decision::Cause;
use crate::iam_policy::evaluate::document::Version;
use crate::iam_policy::evaluate::layers::Request;
use crate::iam_policy::evaluate::pattern::Pattern;
use crate::iam_policy::evaluate::template::{Resolved, Syntax, resolve};
use crate::iam_policy::evaluate::text::Text;
use crate::iam_policy::evaluate::truth::Truth;

/// Whether `actual` passes the test; `None` if one of the values is not of the test's type, so that neither the test nor its negation holds.
pub(super) fn equals(
    test: Test,
    wanted: &str,
    actual: &Text,
    version: Version,
    request: &Request,
) -> Option<Truth> {
    let text = |wildcards, is_like: &dyn Fn(&Pattern) -> Option<Truth>| match resolve(
        wanted,
        Syntax { version, wildcards },
        request,
    ) {
        Resolved::Pattern(pattern) => is_like(&pattern),
        Resolved::Nothing => Some(Truth::No),
        Resolved::Unknown(cause) => Some(Truth::unknown(cause)),
    };
    let value = |is_passed: &dyn Fn(&str) -> Option<bool>| match actual {
        Text::Exact(actual) => is_passed(actual).map(Truth::from),
        Text::Open(_) => Some(Truth::unknown(Cause::EndOfName)),
    };
    match test {
        Test::StringEquals => text(false, &|wanted| Some(wanted.matches(actual))),
        Test::StringEqualsIgnoreCase => {
            text(false, &|wanted| Some(wanted.to_lowercase().matches(&actual.to_lowercase())))
        }
        Test::StringLike => text(true, &|wanted| Some(wanted.matches(actual))),
        Test::Arn => text(true, &|wanted| arn(wanted, actual)),
        Test::Binary => value(&|actual| Some(wanted == actual)),
        Test::Bool => value(&|actual| Some(boolean(wanted)? == boolean(actual)?)),
        Test::Numeric(order) => {
            value(&|actual| Some(order.holds(number(actual)?, number(wanted)?)))
        }
        Test::Date(order) => {
            value(&|actual| Some(order.holds(date::parse(actual)?, date::parse(wanted)?)))
        }
        Test::IpAddress => {
            value(&|actual| Some(Network::parse(wanted)?.contains(actual.parse().ok()?)))
        }
        Test::Null => None,
    }
}

fn boolean(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether a text matches whatever it is compared with.
pub(super) fn is_everything(wanted: &str, version: Version, request: &Request) -> bool {
    match resolve(wanted, Syntax { version, wildcards: true }, request) {
        Resolved::Pattern(pattern) => pattern.is_everything(),
        Resolved::Nothing | Resolved::Unknown(_) => false,
    }
}

/// The six parts of an ARN are compared one by one.
fn arn(wanted: &Pattern, actual: &Text) -> Option<Truth> {
    let wanted = wanted.split(':', 6);
    let parts = actual.split(':', 6);
    match (wanted.len(), parts.len(), actual) {
        (6, 6, _) => {
            Some(Truth::all(wanted.iter().zip(&parts).map(|(wanted, part)| wanted.matches(part))))
        }
        (6, _, Text::Open(_)) => Some(Truth::unknown(Cause::EndOfName)),
        _ => None,
    }
}
