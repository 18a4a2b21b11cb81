//! What `delete` says when there is nothing to delete, when the deletion will be undone, and what the deletion leaves.

use insta::assert_snapshot;

use crate::fake_aws::{Answer, FakeAws, empty_account, ok};
use crate::{policy_file, printed, program};

/// A rule to bucket `copy` of this account.
fn rule(id: &str, destination: &str) -> String {
    format!(
        "<Rule><ID>{id}</ID><Priority>1</Priority><Filter/><Status>Enabled</Status><Destination>{destination}</Destination></Rule>"
    )
}

const COPY: &str = "<Bucket>arn:aws:s3:::copy</Bucket>";

/// An account with the bucket `orders`, which has these rules.
fn orders(rules: &str) -> FakeAws {
    let configuration = format!(
        "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Role>arn:aws:iam::111122223333:role/s3-kms-replication/s3-crr-orders</Role>{rules}</ReplicationConfiguration>"
    );
    let has_rules = !rules.is_empty();
    FakeAws::start(move |request| -> Option<Answer> {
        if request.starts_with("HEAD /orders") {
            ok("")
        } else if has_rules && request.starts_with("GET /orders/?replication") {
            ok(&configuration)
        } else if request.starts_with("GET /orders/?tagging") {
            ok("<Tagging><TagSet><Tag><Key>audit</Key><Value>true</Value></Tag></TagSet></Tagging>")
        } else {
            empty_account(request)
        }
    })
}

fn run(aws: &FakeAws, arguments: &str) -> String {
    let mut command = program(&arguments.split_whitespace().collect::<Vec<_>>());
    let printed = printed(command.env("AWS_ENDPOINT_URL", &aws.endpoint));
    let writes = aws.requests().into_iter().filter(|request| {
        !request.starts_with("GET")
            && !request.starts_with("HEAD")
            && !["GetCallerIdentity", "Action=Get", "Action=List", "DescribeAlarms"]
                .iter()
                .any(|read| request.contains(read))
    });
    assert_eq!(writes.collect::<Vec<_>>(), Vec::<String>::new(), "{arguments}: {printed}");
    printed
}

#[test]
fn invariant_11_delete_without_a_rule_fails_and_says_what_there_is() {
    let ours = rule("s3-kms-replication.copy", COPY);
    let theirs = rule("theirs", COPY).replace("<Priority>1", "<Priority>2");
    let many: String = (0..25).map(|index| rule(&format!("theirs-{index:02}"), COPY)).collect();
    let mut said = Vec::new();
    for (rules, arguments) in [
        (String::new(), "--source-bucket nowhere --name dr --yes"),
        (String::new(), "--source-bucket orders --name dr --yes"),
        (String::new(), "--source-bucket orders --name dr --yes --output json"),
        (ours + &theirs, "--source-bucket orders --name dr --yes"),
        (many, "--source-bucket orders --destination-bucket copy --dry-run"),
    ] {
        said.push(format!(
            "$ s3-kms-replication delete {arguments}\n{}\n",
            run(&orders(&rules), &format!("delete {arguments}"))
        ));
    }
    assert_snapshot!(said.join("\n"));
}

#[test]
fn invariant_11_delete_warns_of_what_creates_the_rule_again_and_of_what_remains() {
    let abroad = "<Bucket>arn:aws:s3:::abroad</Bucket><Account>444455556666</Account><EncryptionConfiguration>\
        <ReplicaKmsKeyID>arn:aws:kms:us-west-2:444455556666:key/theirs</ReplicaKmsKeyID></EncryptionConfiguration>";
    let mut said = Vec::new();
    for (id, destination) in
        [("dr", COPY), ("copy", COPY), ("demo-Replication-a6e2a683", COPY), ("abroad", abroad)]
    {
        let aws = orders(&rule(&format!("s3-kms-replication.{id}"), destination));
        let arguments = format!("--source-bucket orders --name {id} --dry-run");
        let printed = run(&aws, &format!("delete {arguments}"));
        let warnings: Vec<&str> = printed
            .lines()
            .filter(|line| line.starts_with("warning") || line.starts_with("exit"))
            .collect();
        said.push(format!("$ s3-kms-replication delete {arguments}\n{}\n", warnings.join("\n")));
    }
    assert_snapshot!(said.join("\n"));
}

#[test]
fn delete_refuses_a_rule_that_the_given_policy_requests_for_the_bucket() {
    let key = "arn:aws:kms:us-west-2:111122223333:key/replica";
    let policy = |name: &str, bucket_match: &str| {
        policy_file(
            &format!("delete-{}.json", name.replace('/', "-")),
            &format!(
                r#"{{"Rules": [{{"Name": "dr", "Match": {bucket_match}, "DestinationBucket": "copy", "ReplicaKmsKeyArn": "{key}"}}]}}"#
            ),
        )
    };
    for (name, bucket_match, is_refused) in [
        ("by-name", r#"{"BucketNames": ["ord*"]}"#, true),
        ("excluded", r#"{"BucketNames": ["ord*"], "ExcludeBucketNames": ["orders"]}"#, false),
        ("other-bucket", r#"{"BucketNames": ["prod-*"]}"#, false),
        ("by-tag", r#"{"BucketTags": {"audit": "true"}}"#, true),
        ("by-lost-tag", r#"{"BucketTags": {"audit": "false"}}"#, false),
    ] {
        let aws = orders(&rule("s3-kms-replication.dr", COPY));
        let file = policy(name, bucket_match);
        let printed = run(
            &aws,
            &format!("delete --source-bucket orders --name dr --policy {file} --dry-run"),
        );
        assert_eq!(printed.contains("--policy requests rule"), is_refused, "{name}: {printed}");
        assert!(!printed.contains("warning:"), "{name}: {printed}");
        let code = if is_refused { 1 } else { 0 };
        assert!(printed.ends_with(&format!("exit code {code}")), "{name}: {printed}");
    }
}
