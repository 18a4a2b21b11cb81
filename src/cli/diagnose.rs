//! The command that diagnoses one bucket, or all buckets of the account.
//!
//! It must not know what a diagnosis looks at.

use futures_util::stream::{self, StreamExt};
use s3_kms_replication::diagnose::{Diagnosis, NOT_EXAMINED, Verdict};
use s3_kms_replication::error::Error;
use s3_kms_replication::model::{Access, BucketName, ListedBucket};
use s3_kms_replication::ports::Read;
use s3_kms_replication::reconcile::{DiagnosisReads, DiagnosisRequest};
use s3_kms_replication::request::Command;
use serde::Serialize;

use crate::options::{self, Common, Deployment, Diagnose, Output};
use crate::progress::Progress;
use crate::rule::wrong_command;
use crate::session::{CHANGE_TIME, Session};
use crate::{DONE, FAILED, FAILS, Failure, UNKNOWN, error_message, screen};

pub async fn diagnose(
    args: &Diagnose,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
    let settings = Deployment::default().settings(common.region.as_ref())?;
    // A diagnosis of all buckets has the credentials of one: the bucket's name is only the session's.
    let mut request = args.clone();
    if args.all {
        request.source_bucket = Some(ANY_BUCKET.to_owned());
    }
    let Command::Diagnose { source, rule, access } = options::command("Diagnose", &request)? else {
        return Err(wrong_command("Diagnose"));
    };
    progress.print_log(false);
    let mut session = Session::new(common, settings).await?;
    let access =
        session.add_destination_profile(args.destination_profile.as_deref(), access).await?;
    if args.all {
        return diagnose_all(args, &session, &access, common, progress).await;
    }
    let region = &session.settings.region;
    let request = DiagnosisRequest {
        source: &source,
        region,
        region_is_known: false,
        rule: rule.as_deref(),
        sample: args.sample,
        ask_iam: args.ask_iam,
        access: &access,
    };
    let reads = DiagnosisReads::default();
    let engine = session.engine(CHANGE_TIME);
    let diagnosis =
        progress.show_during("Reading the bucket", engine.diagnose(&request, &reads)).await?;
    match common.output {
        Output::Text => screen::print(&diagnosis.text)?,
        Output::Json => screen::print_json(&diagnosis)?,
    }
    Ok(exit_code(diagnosis.verdict))
}

/// The name of sessions in the destination's account for a diagnosis of all buckets.
const ANY_BUCKET: &str = "s3-kms-replication";

/// The diagnosis of one bucket among all, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Row {
    Diagnosed(Diagnosis),
    #[serde(rename_all = "PascalCase")]
    Failed {
        source_bucket: String,
        error: String,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    buckets: Vec<Row>,
}

async fn diagnose_all(
    args: &Diagnose,
    session: &Session,
    access: &Access,
    common: &Common,
    progress: &Progress,
) -> Result<i32, Failure> {
    let listed = progress.show_during("Listing the account's buckets", session.aws.buckets()).await;
    let listed = listed.map_err(|failure| Failure::from(Error::from(failure)))?;
    progress.show_bar(listed.len(), "Diagnosing buckets");
    let reads = DiagnosisReads::default();
    let rows = stream::iter(listed).map(async |bucket| {
        let row = diagnose_listed(&bucket, args, session, access, &reads).await;
        progress.advance();
        row
    });
    let mut buckets: Vec<Row> =
        rows.buffer_unordered(usize::from(args.concurrency)).collect().await;
    progress.clear();
    buckets.sort_by(|left, right| left.bucket().cmp(right.bucket()));
    let answer = Answer { buckets };
    match common.output {
        Output::Text => screen::print(&answer.table())?,
        Output::Json => screen::print_json(&answer)?,
    }
    Ok(answer.exit_code())
}

async fn diagnose_listed(
    bucket: &ListedBucket,
    args: &Diagnose,
    session: &Session,
    access: &Access,
    reads: &DiagnosisReads,
) -> Row {
    let failed = |error: String| Row::Failed { source_bucket: bucket.name.clone(), error };
    let source = match BucketName::parse(&bucket.name) {
        Ok(source) => source,
        Err(problem) => return failed(format!("the name {problem}")),
    };
    let request = DiagnosisRequest {
        source: &source,
        region: bucket.region.as_ref().unwrap_or(&session.settings.region),
        region_is_known: bucket.region.is_some(),
        rule: None,
        sample: args.sample,
        ask_iam: args.ask_iam,
        access,
    };
    match session.engine(CHANGE_TIME).diagnose(&request, reads).await {
        Ok(diagnosis) => Row::Diagnosed(diagnosis),
        Err(error) => failed(error_message(error.into())),
    }
}

impl Row {
    fn bucket(&self) -> &str {
        match self {
            Self::Diagnosed(diagnosis) => &diagnosis.source_bucket,
            Self::Failed { source_bucket, .. } => source_bucket,
        }
    }

    /// Bucket, rule, verdict and first finding of each rule. A bucket without rules has no line.
    fn lines(&self) -> Vec<[String; 4]> {
        let line = |rule: &str, verdict: String, finding: String| {
            [self.bucket().to_owned(), rule.to_owned(), verdict, finding]
        };
        match self {
            Self::Failed { error, .. } => vec![line("", "failed".to_owned(), error.clone())],
            Self::Diagnosed(diagnosis) if diagnosis.rules.is_empty() => {
                let unread = diagnosis.unread.iter();
                let unknown = |reason: String| line("", Verdict::Unknown.to_string(), reason);
                unread.map(|unread| unknown(unread.to_string())).collect()
            }
            Self::Diagnosed(diagnosis) => diagnosis
                .rules
                .iter()
                .map(|rule| line(&rule.rule_id, rule.verdict.to_string(), rule.summary()))
                .collect(),
        }
    }
}

impl Answer {
    fn table(&self) -> String {
        let lines: Vec<[String; 4]> = self.buckets.iter().flat_map(Row::lines).collect();
        let table = screen::table(["BUCKET", "RULE", "VERDICT", "FIRST FINDING"], &lines);
        let has_rules = |row: &&Row| !row.lines().is_empty();
        let replicating = self.buckets.iter().filter(has_rules).count();
        let others = self.buckets.len() - replicating;
        let not_examined = self.not_examined().join(", ");
        format!(
            "{table}\nbuckets without a replication rule: {others}\nnot examined: {not_examined}\n"
        )
    }

    /// What the diagnosis of at least one bucket did not examine.
    fn not_examined(&self) -> &'static [&'static str] {
        let diagnosed = self.buckets.iter().filter_map(|row| match row {
            Row::Diagnosed(diagnosis) if !diagnosis.rules.is_empty() => {
                Some(diagnosis.not_examined)
            }
            Row::Diagnosed(_) | Row::Failed { .. } => None,
        });
        diagnosed.max_by_key(|items| items.len()).unwrap_or(&NOT_EXAMINED)
    }

    fn exit_code(&self) -> i32 {
        if self.buckets.iter().any(|row| matches!(row, Row::Failed { .. })) {
            return FAILED;
        }
        let verdicts = self.buckets.iter().filter_map(|row| match row {
            Row::Diagnosed(diagnosis) => diagnosis.verdict,
            Row::Failed { .. } => None,
        });
        exit_code(verdicts.min())
    }
}

fn exit_code(verdict: Option<Verdict>) -> i32 {
    match verdict {
        Some(Verdict::Fails) => FAILS,
        Some(Verdict::Unknown) => UNKNOWN,
        Some(Verdict::Works) | None => DONE,
    }
}
