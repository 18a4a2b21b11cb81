//! The presigned URL that takes the answer to a custom resource's request.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::Uri;

/// The presigned URL that takes the answer. It is a credential: neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct ResponseUrl(Uri);

impl ResponseUrl {
    /// Accepts the hosts that CloudFormation uses, over HTTPS; and, where AWS itself is emulated on this machine, the loopback ones.
    pub fn parse(text: &str, allow_loopback: bool) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host();
        let of_cloudformation = uri.scheme_str() == Some("https")
            && authority.port().is_none()
            && is_cloudformation_host(host);
        (of_cloudformation || (allow_loopback && is_loopback(host))).then_some(Self(uri))
    }

    /// When CloudFormation signed the URL, as the number that its `X-Amz-Date` makes without letters: requests of one resource have an order,
    /// however late and however often each of them is delivered.
    pub fn signed_at(&self) -> Option<u64> {
        let mut parameters =
            self.0.query()?.split('&').filter_map(|parameter| parameter.split_once('='));
        let (_, date) = parameters.find(|(name, _)| *name == "X-Amz-Date")?;
        let digits = date.strip_suffix('Z')?.replacen('T', "", 1);
        let well_formed = digits.len() == 14 && digits.bytes().all(|byte| byte.is_ascii_digit());
        well_formed.then(|| digits.parse().ok()).flatten()
    }

    /// How long ago that was; not at all by a clock that is behind CloudFormation's.
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

    /// The URL itself, for the one call that needs it.
    pub fn expose(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ResponseUrl(redacted)")
    }
}

/// `cloudformation-custom-resource-response-<region without dashes>.s3[.-]<region>.amazonaws.com[.cn]`, or without the Region in the middle.
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
    let plausible = !compact_region.is_empty()
        && compact_region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    plausible
        && (service == "s3"
            || region.is_some_and(|region| region.replace('-', "") == compact_region))
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
