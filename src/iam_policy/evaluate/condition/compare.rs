//! One value of a request held against one value of a policy.

use super::address::Network;
use super::date;
use super::operator::Test;
use crate::iam_policy::evaluate::document::Version;
use crate::iam_policy::evaluate::layers::Request;
use crate::iam_policy::evaluate::pattern::Pattern;
use crate::iam_policy::evaluate::template::{Resolved, Syntax, resolve};
use crate::iam_policy::evaluate::truth::Truth;

/// Whether `actual` passes the test; `None` if one of the values is not of the test's type, so that neither the test nor its negation holds.
pub(super) fn equals(
    test: Test,
    wanted: &str,
    actual: &str,
    version: Version,
    request: &Request,
) -> Option<Truth> {
    let text = |wildcards, is_like: &dyn Fn(&Pattern) -> Option<bool>| {
        Some(match resolve(wanted, Syntax { version, wildcards }, request) {
            Resolved::Pattern(pattern) => is_like(&pattern)?.into(),
            Resolved::Nothing => Truth::No,
            Resolved::Unknown(key) => Truth::unknown_key(&key),
        })
    };
    match test {
        Test::StringEquals => text(false, &|wanted| Some(wanted.matches(actual))),
        Test::StringEqualsIgnoreCase => {
            text(false, &|wanted| Some(wanted.to_lowercase().matches(&actual.to_lowercase())))
        }
        Test::StringLike => text(true, &|wanted| Some(wanted.matches(actual))),
        Test::Arn => text(true, &|wanted| arn(wanted, actual)),
        Test::Binary => Some((wanted == actual).into()),
        Test::Bool => Some((boolean(wanted)? == boolean(actual)?).into()),
        Test::Numeric(order) => Some(order.holds(number(actual)?, number(wanted)?).into()),
        Test::Date(order) => Some(order.holds(date::parse(actual)?, date::parse(wanted)?).into()),
        Test::IpAddress => Some(Network::parse(wanted)?.contains(actual.parse().ok()?).into()),
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
fn arn(wanted: &Pattern, actual: &str) -> Option<bool> {
    let wanted = wanted.split(':', 6);
    let actual: Vec<&str> = actual.splitn(6, ':').collect();
    let are_arns = wanted.len() == 6 && actual.len() == 6;
    are_arns.then(|| wanted.iter().zip(actual).all(|(wanted, actual)| wanted.matches(actual)))
}
