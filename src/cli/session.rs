//! AWS with the credentials, the Region and the settings that were asked for.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region as SdkRegion};
use s3_kms_replication::aws::{self, Aws};
use s3_kms_replication::config::Settings;
use s3_kms_replication::error::Error;
use s3_kms_replication::model::{Access, Region};
use s3_kms_replication::reconcile::Engine;
use s3_kms_replication::spec::Invalid;
use tokio::time::Instant;

use crate::Failure;
use crate::options::Common;

/// How long changes may take, as for the function.
pub const CHANGES: Duration = Duration::from_secs(300);
/// How long S3 may take to replicate an object.
pub const TRIAL: Duration = Duration::from_secs(900);
/// How long giving a lease back and answering may take after either.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Session {
    pub aws: Aws,
    pub settings: Settings,
}

impl Session {
    pub async fn new(common: &Common, mut settings: Settings) -> Result<Self, Failure> {
        let region = region(common, &settings.region).await;
        settings.region = Region::parse(region.as_ref())
            .map_err(|problem| Invalid::new("AWS_REGION", problem))?;
        let aws = Aws::load(loader(common.profile.as_deref(), region), &settings).await;
        Ok(Self { aws, settings })
    }

    /// With the credentials of another profile for the destination's account: the access that they give, in place of `access`.
    pub async fn reach(
        &mut self,
        profile: Option<&str>,
        access: Access,
    ) -> Result<Access, Failure> {
        let Some(profile) = profile else {
            return Ok(access);
        };
        let loader = loader(Some(profile), SdkRegion::new(self.settings.region.to_string()));
        let config = loader.http_client(aws::http_client(aws::connector())).load().await;
        let given =
            self.aws.add_credentials(config).await.map_err(|failure| Failure::from(Error::from(failure)));
        given.map_err(|failure| Failure {
            message: format!("--destination-profile {profile}: {}", failure.message),
            ..failure
        })
    }

    /// The engine, with so much time from now on.
    pub fn engine(&self, time: Duration) -> Engine<'_, Aws> {
        let deadline = Instant::now() + time;
        Engine {
            cloud: &self.aws,
            settings: &self.settings,
            deadline,
            end: deadline + ANSWER,
            signed_at: None,
        }
    }
}

/// The Region that is asked for, else that of the environment, of the profile, or the one that all accounts have.
async fn region(common: &Common, last: &Region) -> SdkRegion {
    let of_profile = ProfileFileRegionProvider::builder();
    let of_profile = match &common.profile {
        Some(profile) => of_profile.profile_name(profile),
        None => of_profile,
    };
    let sdk_region = |region: &Region| SdkRegion::new(region.to_string());
    let asked = RegionProviderChain::first_try(common.region.as_ref().map(sdk_region));
    let found = asked
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(of_profile.build())
        .region()
        .await;
    found.unwrap_or_else(|| sdk_region(last))
}

fn loader(profile: Option<&str>, region: SdkRegion) -> ConfigLoader {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(region.clone());
    match profile {
        Some(profile) => {
            loader.profile_name(profile).credentials_provider(credentials(profile, region))
        }
        None => loader,
    }
}

/// The credentials of a profile, which go before those of the environment, as with the AWS CLI: it is named on purpose.
fn credentials(profile: &str, region: SdkRegion) -> ProfileFileCredentialsProvider {
    let config = ProviderConfig::default()
        .with_http_client(aws::http_client(aws::connector()))
        .with_region(Some(region));
    ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&config).build()
}
