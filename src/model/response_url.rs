//! The presigned URL to which the answer to a custom resource's request is sent.
//!
//! This module owns the check of the URL's host and the date of its signature. It must not know how the answer is sent.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::Uri;

/// The presigned URL to which the answer is sent. It is a credential: `Debug` does not show it, and there is no `Display`.
#[derive(Clone)]
pub struct ResponseUrl(Uri);

impl ResponseUrl {
    /// Accepts CloudFormation's hosts over HTTPS and, with `allow_loopback`, hosts on this machine, where AWS may be emulated.
    pub fn parse(text: &str, allow_loopback: bool) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host();
        let is_cloudformation = uri.scheme_str() == Some("https")
            && authority.port().is_none()
            && is_cloudformation_host(host);
        (is_cloudformation || (allow_loopback && is_loopback(host))).then_some(Self(uri))
    }

    /// When CloudFormation signed the URL, as the digits of `X-Amz-Date`. The time orders the requests of one resource, even if they are
    /// delivered late or more than once.
    pub fn signed_at(&self) -> Option<u64> {
        let mut parameters =
            self.0.query()?.split('&').filter_map(|parameter| parameter.split_once('='));
        let (_, date) = parameters.find(|(name, _)| *name == "X-Amz-Date")?;
        let digits = date.strip_suffix('Z')?.replacen('T', "", 1);
        let well_formed = digits.len() == 14 && digits.bytes().all(|byte| byte.is_ascii_digit());
        well_formed.then(|| digits.parse().ok()).flatten()
    }

    /// The time since CloudFormation signed the URL; zero if this machine's clock is behind CloudFormation's.
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        let digits = self.signed_at()?;
        let part = |place: u32| digits / 100_u64.pow(place) % 100;
        let year = digits / 100_u64.pow(5);
        let text = format!(
            "{year:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            part(4),
            part(3),
            part(2),
            part(1),
            part(0)
        );
        let signed_at =
            SystemTime::try_from(DateTime::from_str(&text, Format::DateTime).ok()?).ok()?;
        Some(now.duration_since(signed_at).unwrap_or_default())
    }

    /// The URL, for the one call that sends the answer.
    pub fn expose(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ResponseUrl(redacted)")
    }
}

/// Whether a host has the form `cloudformation-custom-resource-response-<region without dashes>.s3[.-]<region>.amazonaws.com[.cn]`, or the
/// same form without `[.-]<region>`.
fn is_cloudformation_host(host: &str) -> bool {
    let Some(rest) = host.strip_prefix("cloudformation-custom-resource-response-") else {
        return false;
    };
    let Some((compact_region, endpoint)) = rest.split_once('.') else {
        return false;
    };
    let Some(service) = endpoint
        .strip_suffix(".amazonaws.com")
        .or_else(|| endpoint.strip_suffix(".amazonaws.com.cn"))
    else {
        return false;
    };
    let region = service.strip_prefix("s3.").or_else(|| service.strip_prefix("s3-"));
    let is_region = !compact_region.is_empty()
        && compact_region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_region
        && (service == "s3"
            || region.is_some_and(|region| region.replace('-', "") == compact_region))
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
