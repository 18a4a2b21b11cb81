//! AWS clients and settings for one run, with the credentials and the Region of the options.
//!
//! It must not know the commands.

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

/// Time for changes, as for the function.
pub const CHANGE_TIME: Duration = Duration::from_secs(300);
/// Time for S3 to replicate an object.
pub const VERIFY_TIME: Duration = Duration::from_secs(900);
/// Time after either for releasing a lease.
const RELEASE_TIME: Duration = Duration::from_secs(10);

/// The clients and the settings of one run.
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

    /// Adds the credentials of the profile for the destination's account. Returns the access that uses them, or `access` without
    /// a profile.
    pub async fn add_destination_profile(
        &mut self,
        profile: Option<&str>,
        access: Access,
    ) -> Result<Access, Failure> {
        let Some(profile) = profile else {
            return Ok(access);
        };
        let loader = loader(Some(profile), SdkRegion::new(self.settings.region.to_string()));
        let config = loader.http_client(aws::http_client(aws::connector())).load().await;
        let added = self
            .aws
            .add_credentials(config)
            .await
            .map_err(|failure| Failure::from(Error::from(failure)));
        added.map_err(|failure| Failure {
            message: format!("--destination-profile {profile}: {}", failure.message),
            ..failure
        })
    }

    /// Returns an engine that must end within `time`.
    pub fn engine(&self, time: Duration) -> Engine<'_, Aws> {
        let deadline = Instant::now() + time;
        Engine {
            cloud: &self.aws,
            settings: &self.settings,
            deadline,
            end: deadline + RELEASE_TIME,
            request: None,
        }
    }
}

/// The Region of the option, else of the environment, else of the profile, else `default`.
async fn region(common: &Common, default: &Region) -> SdkRegion {
    let profile_region = ProfileFileRegionProvider::builder();
    let profile_region = match &common.profile {
        Some(profile) => profile_region.profile_name(profile),
        None => profile_region,
    };
    let sdk_region = |region: &Region| SdkRegion::new(region.to_string());
    let option = RegionProviderChain::first_try(common.region.as_ref().map(sdk_region));
    let region = option
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(profile_region.build())
        .region()
        .await;
    region.unwrap_or_else(|| sdk_region(default))
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

/// The credentials of a profile. As in the AWS CLI, a profile option takes precedence over credentials in the environment.
fn credentials(profile: &str, region: SdkRegion) -> ProfileFileCredentialsProvider {
    let config = ProviderConfig::default()
        .with_http_client(aws::http_client(aws::connector()))
        .with_region(Some(region));
    ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&config).build()
}
