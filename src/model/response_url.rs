//! The presigned URL to which the answer to a custom resource's request is sent.
//!
//! It owns the check of the URL's host and the date of its signature. It must not know how the answer is sent.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::Uri;

use super::{Partition, Region};

/// The presigned URL to which the answer is sent. It is a credential: `Debug` does not show it, and there is no `Display`.
#[derive(Clone)]
pub struct ResponseUrl(Uri);

/// Where CloudFormation of a Region takes answers: one bucket, at any of S3's endpoints in the Region.
#[derive(Debug, Clone, Copy)]
pub struct ResponseBucket<'a> {
    /// The function's Region, which is the stack's.
    pub region: &'a Region,
    /// The Region's partition.
    pub partition: Partition,
}

impl ResponseUrl {
    /// Accepts CloudFormation's bucket over HTTPS and, with `allow_loopback`, hosts on this machine, where AWS may be emulated.
    pub fn parse(text: &str, bucket: ResponseBucket<'_>, allow_loopback: bool) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?;
        let host = authority.host();
        // `Authority::port` is `None` for a port that is no number, so the text is compared.
        let is_default_port =
            authority.as_str() == host || authority.as_str().strip_prefix(host) == Some(":443");
        let is_cloudformation = uri.scheme_str() == Some("https")
            && is_default_port
            && bucket.is_at(&host.to_ascii_lowercase(), uri.path());
        let is_local = allow_loopback && !authority.as_str().contains('@') && is_loopback(host);
        (is_cloudformation || is_local).then_some(Self(uri))
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

impl ResponseBucket<'_> {
    /// Whether a URL with this host, in lower case, and this path is an object of the bucket.
    fn is_at(self, host: &str, path: &str) -> bool {
        let compact_region = self.region.as_str().replace('-', "");
        let bucket = format!("cloudformation-custom-resource-response-{compact_region}");
        let virtual_host = host.strip_prefix(&bucket).and_then(|rest| rest.strip_prefix('.'));
        match virtual_host {
            Some(endpoint) => self.is_endpoint(endpoint),
            None => {
                let path = path.strip_prefix('/').and_then(|path| path.strip_prefix(&bucket));
                self.is_endpoint(host) && path.is_some_and(|rest| rest.starts_with('/'))
            }
        }
    }

    /// Whether a host is an endpoint of S3 that serves the Region. See <https://docs.aws.amazon.com/general/latest/gr/s3.html>.
    fn is_endpoint(self, host: &str) -> bool {
        let suffix = self.partition.dns_suffix();
        let service = host.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('.'));
        let Some(service) = service else {
            return false;
        };
        let region = self.region.as_str();
        let names_region =
            ["s3.", "s3-", "s3.dualstack.", "s3-fips.", "s3-fips-", "s3-fips.dualstack."];
        let is_first_region = region == "us-east-1" && service == "s3-external-1";
        service == "s3"
            || is_first_region
            || names_region.iter().any(|form| service.strip_prefix(form) == Some(region))
    }
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
