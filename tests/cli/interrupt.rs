//! How the program ends when a signal ends it: the exit code, what it says, and that a canary is removed.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::fake_aws::{Answer, FakeAws, empty_account, ok};
use crate::program;

const CANARY: &str = ".s3-kms-replication-verify/orders/s3-kms-replication.copy";
const VERIFY: &str = "verify --source-bucket orders --destination-bucket copy";

/// The request that is never answered, so that the signal arrives during it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unanswered {
    /// Reading the source bucket.
    FirstRead,
    /// Polling the canary's status.
    Poll,
    /// Removing the canary, after S3 has reported that it was not replicated.
    Removal,
}

/// An account in which `orders` replicates to `copy`. A canary exists from its PUT to its DELETE.
fn account(unanswered: Unanswered, removal_fails: bool) -> FakeAws {
    let (exists, deletions) = (AtomicBool::new(false), AtomicUsize::new(0));
    FakeAws::start(move |request| -> Option<Answer> {
        let configuration = "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Role>arn:aws:iam::111122223333:role/r</Role>\
            <Rule><ID>s3-kms-replication.copy</ID><Priority>1</Priority><Filter/><Status>Enabled</Status>\
            <Destination><Bucket>arn:aws:s3:::copy</Bucket></Destination></Rule></ReplicationConfiguration>";
        let is_canary = request.contains("s3-kms-replication-verify");
        let is_source = request.contains(" /orders");
        if is_source && unanswered == Unanswered::FirstRead {
            None
        } else if request.contains("GetCallerIdentity") || request.contains("?object-lock") {
            empty_account(request)
        } else if request.starts_with("GET") && request.contains("?replication") {
            ok(configuration)
        } else if request.contains("?versions") {
            let version = if is_source && exists.load(Ordering::SeqCst) {
                format!("<Version><Key>{CANARY}</Key><VersionId>v1</VersionId></Version>")
            } else {
                String::new()
            };
            ok(&format!(
                "<ListVersionsResult><IsTruncated>false</IsTruncated>{version}</ListVersionsResult>"
            ))
        } else if request.starts_with("PUT") {
            exists.store(true, Ordering::SeqCst);
            Some((200, "x-amz-version-id: v1\r\n", Vec::new()))
        } else if request.starts_with("DELETE") {
            let earlier = deletions.fetch_add(1, Ordering::SeqCst);
            if unanswered == Unanswered::Removal && earlier == 0 {
                return None;
            }
            if removal_fails {
                return Some((
                    403,
                    "",
                    b"<Error><Code>AccessDenied</Code><Message>m</Message></Error>".to_vec(),
                ));
            }
            exists.store(false, Ordering::SeqCst);
            Some((204, "", Vec::new()))
        } else if request.starts_with("HEAD") && is_canary {
            (unanswered != Unanswered::Poll)
                .then(|| (200, "x-amz-replication-status: FAILED\r\n", Vec::new()))
        } else if request.starts_with("HEAD") {
            ok("")
        } else {
            None
        }
    })
}

/// Runs the program, sends the signal once a request that contains `until` has arrived, and returns the exit code and what it said.
fn end_with(aws: &FakeAws, arguments: &str, until: &str, signals: &[&str]) -> (i32, String) {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let mut command =
        std::process::Command::new(assert_cmd::cargo::cargo_bin("s3-kms-replication"));
    for (name, value) in program(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let child = command
        .args(arguments)
        .env("AWS_ENDPOINT_URL", &aws.endpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    aws.wait_for(until);
    for (index, signal) in signals.iter().enumerate() {
        if index > 0 {
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        let pid = child.id().to_string();
        assert!(
            std::process::Command::new("kill").args([*signal, &pid]).status().unwrap().success()
        );
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn signals_end_every_command_with_their_exit_code_and_say_what_is_left() {
    let plan = "plan --source-bucket orders --destination-bucket copy --replica-kms-key-arn arn:aws:kms:us-west-2:111122223333:key/replica";
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        for (arguments, expected) in [
            (plan.to_owned(), "nothing was changed"),
            (plan.replacen("plan", "apply --yes", 1), "the same command does the rest"),
            (
                "delete --source-bucket orders --name copy --yes".to_owned(),
                "the same command does the rest",
            ),
            (
                "delete --source-bucket orders --name copy --dry-run".to_owned(),
                "nothing was changed",
            ),
        ] {
            let aws = account(Unanswered::FirstRead, false);
            let ended = end_with(&aws, &arguments, " /orders", &[signal]);
            assert_eq!(ended.0, code, "{signal} {arguments}: {}", ended.1);
            assert!(ended.1.contains(expected), "{signal} {arguments}: {}", ended.1);
        }
    }
}

#[test]
fn ended_verify_leaves_no_canary() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        for (unanswered, until) in
            [(Unanswered::Poll, "HEAD /orders/.s3-kms"), (Unanswered::Removal, "DELETE /orders")]
        {
            let aws = account(unanswered, false);
            let (ended, said) = end_with(&aws, VERIFY, until, &[signal]);
            let removed = aws.requests().iter().any(|request| {
                request.starts_with("DELETE /orders/.s3-kms") && request.contains("versionId=v1")
            });
            assert_eq!((ended, removed), (code, true), "{signal} {unanswered:?}: {said}");
            assert!(
                said.contains("no object of the verification is left"),
                "{signal} {unanswered:?}: {said}"
            );
        }
    }
}

#[test]
fn invariant_11_ended_verify_says_that_the_canary_remains_when_it_could_not_be_removed() {
    let (code, said) =
        end_with(&account(Unanswered::Poll, true), VERIFY, "HEAD /orders/.s3-kms", &["-TERM"]);
    assert_eq!(code, 143, "{said}");
    assert!(said.contains("the object is still in bucket `orders`"), "{said}");
}

#[test]
fn second_signal_ends_the_cleanup_at_once() {
    let started = std::time::Instant::now();
    let aws = account(Unanswered::FirstRead, false);
    let (code, said) = end_with(&aws, VERIFY, " /orders", &["-TERM", "-INT"]);
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("a second signal ended"), "{said}");
    assert!(started.elapsed().as_secs() < 8, "{said}");
}
