//! An AWS account that holds state behind HTTP: `orders` replicates to `copy` in the same Region, and `abroad` belongs to another account.
//!
//! It can kill the program at any of its requests: the request takes effect, and its answer never arrives.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use crate::fake_aws::{Answer, FakeAws, empty_account, missing, ok};
use crate::program;

pub const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
pub const REPLICA_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/replica";
pub const KEY_ABROAD: &str = "arn:aws:kms:us-east-1:444455556666:key/abroad";

const DAY: i64 = 24 * 60 * 60;

/// A version of an object in `orders`, or its replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub bucket: String,
    pub key: String,
    pub id: String,
    pub is_replicated: bool,
}

#[derive(Default)]
pub struct State {
    replication: Option<String>,
    role: Option<String>,
    inline_policies: BTreeMap<String, String>,
    pub versions: Vec<Version>,
    written: usize,
    /// How many replicas were looked at.
    pub judged: usize,
    /// The generations of DynamoDB's items.
    pub generations: BTreeMap<String, u64>,
    /// Whether replication fails, and every object was written a day ago.
    pub is_broken: bool,
    /// The policies of bucket `abroad` and of its key.
    pub policies: BTreeMap<String, String>,
    /// The answer to every read of this policy but the first, which is whole.
    pub later_policy_answer: Option<(&'static str, u16, String)>,
    policy_reads: BTreeMap<String, usize>,
    requests: usize,
    kill_at: Option<usize>,
    process: Option<u32>,
}

pub struct Account {
    aws: FakeAws,
    state: Arc<Mutex<State>>,
}

impl Account {
    pub fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let aws = FakeAws::start(move |request| {
            let answer = shared.lock().unwrap().answer(request);
            let unknown = || {
                let error = format!(
                    "<Error><Code>NotImplemented</Code><Message>{request}</Message></Error>"
                );
                Some((400, "", error.into_bytes()))
            };
            if kills_now(&shared) { None } else { answer.or_else(unknown) }
        });
        Self { aws, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Runs the program. Returns its exit code, -1 if it was killed, and what it printed.
    pub fn run(&self, arguments: &str) -> (i32, String) {
        self.run_and_kill(arguments, None)
    }

    /// Runs the program, and kills it once so many of its requests have taken effect.
    pub fn run_and_kill(&self, arguments: &str, kill_at: Option<usize>) -> (i32, String) {
        {
            let mut state = self.state();
            (state.requests, state.kill_at, state.process) = (0, kill_at, None);
        }
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("s3-kms-replication"));
        for (name, value) in program(&[]).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let child = command
            .args(arguments.split_whitespace())
            .env("AWS_ENDPOINT_URL", &self.aws.endpoint)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.state().process = Some(child.id());
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8(text).unwrap())
    }

    /// How many requests the last run sent.
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// The requests of all runs that contain a text.
    pub fn count(&self, text: &str) -> usize {
        self.aws.requests().iter().filter(|request| request.contains(text)).count()
    }

    /// The number of the record of verifications: odd while one is open.
    pub fn verification_number(&self) -> u64 {
        let state = self.state();
        let found = state.generations.iter().find(|(id, _)| id.ends_with("/verification"));
        found.map_or(0, |(_, number)| *number)
    }
}

/// Kills the program if this is the request to kill it at, or a later one.
fn kills_now(state: &Mutex<State>) -> bool {
    loop {
        let (is_due, process) = {
            let state = state.lock().unwrap();
            (state.kill_at.is_some_and(|at| state.requests >= at), state.process)
        };
        match process {
            _ if !is_due => return false,
            Some(process) => {
                // Another request of the same moment may have killed it.
                let mut kill = Command::new("kill");
                kill.args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status().unwrap();
                return true;
            }
            // The program runs, and its id is not known yet.
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn with_headers(headers: String, body: &str) -> Option<Answer> {
    Some((200, headers.leak(), body.into()))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The value of a form or of a query.
fn value(form: &str, name: &str) -> Option<String> {
    let pairs = form.split(['?', '&', ' ']).filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
}

impl State {
    fn answer(&mut self, request: &str) -> Option<Answer> {
        self.requests += 1;
        let (method, rest) = request.split_once(' ')?;
        let (address, body) = rest.split_once(' ').unwrap_or((rest, ""));
        if body.contains("Action=") {
            return self.iam(body).or_else(|| empty_account(request));
        }
        if address.contains("/operation/DescribeAlarms") {
            return empty_account(request);
        }
        if let Some(body) = body.strip_prefix("TrentService.") {
            return self.kms(body);
        }
        if let Some(body) = body.strip_prefix("DynamoDB_20120810.") {
            return self.dynamodb(body);
        }
        let path = address.split('?').next().unwrap_or_default().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if key.is_empty() {
            self.bucket(method, bucket, address, body).or_else(|| empty_account(request))
        } else {
            self.object(method, bucket, &decoded(key), address)
        }
    }

    fn bucket(&mut self, method: &str, bucket: &str, address: &str, body: &str) -> Option<Answer> {
        let asks = |name: &str| address.contains(&format!("?{name}"));
        match method {
            "HEAD" => ok(""),
            "GET" if bucket.is_empty() => ok(
                "<ListAllMyBucketsResult><Buckets><Bucket><Name>orders</Name><BucketRegion>us-east-1</BucketRegion></Bucket></Buckets></ListAllMyBucketsResult>",
            ),
            "GET" if asks("versioning") => {
                ok("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
            }
            "GET" if asks("encryption") => ok(&format!(
                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>\
                 <KMSMasterKeyID>{SOURCE_KEY}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
            )),
            "GET" if asks("replication") => self.replication.clone().and_then(|text| ok(&text)),
            "PUT" if asks("replication") => {
                self.replication = Some(body.trim().to_owned());
                ok("")
            }
            "DELETE" if asks("replication") => {
                self.replication = None;
                Some((204, "", Vec::new()))
            }
            "GET" if asks("tagging") => missing("NoSuchTagSet"),
            "GET" if asks("versions") => self.list_versions(bucket, &value(address, "prefix")?),
            "GET" if asks("policy") => self.read_policy("abroad", str::to_owned),
            "PUT" if asks("policy") => {
                self.policies.insert("abroad".to_owned(), body.trim().to_owned());
                Some((204, "", Vec::new()))
            }
            _ => None,
        }
    }

    /// The policy, in the form that `wrap` gives it.
    fn read_policy(&mut self, name: &str, wrap: impl Fn(&str) -> String) -> Option<Answer> {
        let reads = self.policy_reads.entry(name.to_owned()).or_default();
        *reads += 1;
        match &self.later_policy_answer {
            Some((of, status, body)) if *of == name && *reads > 1 => {
                Some((*status, "", body.clone().into_bytes()))
            }
            _ => ok(&wrap(self.policies.get(name)?)),
        }
    }

    fn list_versions(&self, bucket: &str, key: &str) -> Option<Answer> {
        let of_key = self.versions.iter().filter(|one| one.bucket == bucket && one.key == key);
        let listed: String = of_key
            .map(|Version { key, id, .. }| {
                format!("<Version><Key>{key}</Key><VersionId>{id}</VersionId></Version>")
            })
            .collect();
        ok(&format!(
            "<ListVersionsResult><IsTruncated>false</IsTruncated>{listed}</ListVersionsResult>"
        ))
    }

    fn object(&mut self, method: &str, bucket: &str, key: &str, address: &str) -> Option<Answer> {
        let id = value(address, "versionId");
        let is_this = |one: &Version| one.bucket == bucket && Some(&one.id) == id.as_ref();
        match method {
            "PUT" => {
                self.written += 1;
                let id = format!("version-{}", self.written);
                let is_replicated = !self.is_broken;
                let version = |bucket: &str| Version {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                    id: id.clone(),
                    is_replicated,
                };
                self.versions.push(version(bucket));
                self.versions.extend(is_replicated.then(|| version("copy")));
                with_headers(format!("x-amz-version-id: {id}\r\n"), "")
            }
            "HEAD" => {
                let Some(version) = self.versions.iter().find(|one| is_this(one)) else {
                    return Some((404, "", Vec::new()));
                };
                let (status, kms_key) = match (bucket, version.is_replicated) {
                    ("copy", _) => ("REPLICA", REPLICA_KEY),
                    (_, true) => ("COMPLETED", SOURCE_KEY),
                    (_, false) => ("FAILED", SOURCE_KEY),
                };
                self.judged += usize::from(bucket == "copy");
                let age = if self.is_broken { DAY } else { 0 };
                with_headers(
                    format!(
                        "x-amz-replication-status: {status}\r\nx-amz-server-side-encryption: aws:kms\r\n\
                         x-amz-server-side-encryption-aws-kms-key-id: {kms_key}\r\nlast-modified: {}\r\n",
                        http_date(age)
                    ),
                    "",
                )
            }
            "DELETE" => {
                self.versions.retain(|one| !is_this(one));
                Some((204, "", Vec::new()))
            }
            _ => None,
        }
    }

    fn iam(&mut self, form: &str) -> Option<Answer> {
        let action = value(form, "Action")?;
        let wrapped = |content: &str| {
            ok(&format!(
                "<{action}Response><{action}Result>{content}</{action}Result></{action}Response>"
            ))
        };
        match action.as_str() {
            "AssumeRole" => wrapped(
                "<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>\
                 <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
            ),
            "CreateRole" => {
                let (name, path) = (value(form, "RoleName")?, value(form, "Path")?);
                let trust = encoded(&value(form, "AssumeRolePolicyDocument")?);
                let tags: String = (1..9)
                    .filter_map(|index| {
                        let of_tag = |what| value(form, &format!("Tags.member.{index}.{what}"));
                        let (key, value) = (of_tag("Key")?, of_tag("Value")?);
                        Some(format!("<member><Key>{key}</Key><Value>{value}</Value></member>"))
                    })
                    .collect();
                let role = format!(
                    "<Role><Path>{path}</Path><RoleName>{name}</RoleName><RoleId>AROAEXAMPLE</RoleId>\
                     <Arn>arn:aws:iam::111122223333:role{path}{name}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
                     <AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument><Tags>{tags}</Tags></Role>"
                );
                self.role = Some(role.clone());
                wrapped(&role)
            }
            "DeleteRole" => {
                self.role = None;
                wrapped("")
            }
            "GetRole" => wrapped(self.role.as_ref()?),
            "ListAttachedRolePolicies" => {
                self.role.as_ref()?;
                wrapped("<AttachedPolicies/><IsTruncated>false</IsTruncated>")
            }
            "ListRolePolicies" => {
                self.role.as_ref()?;
                let names = self.inline_policies.keys();
                let names: String = names.map(|name| format!("<member>{name}</member>")).collect();
                wrapped(&format!(
                    "<PolicyNames>{names}</PolicyNames><IsTruncated>false</IsTruncated>"
                ))
            }
            "PutRolePolicy" => {
                let (name, document) = (value(form, "PolicyName")?, value(form, "PolicyDocument")?);
                self.inline_policies.insert(name, document);
                wrapped("")
            }
            "DeleteRolePolicy" => {
                self.inline_policies.remove(&value(form, "PolicyName")?);
                wrapped("")
            }
            "GetRolePolicy" => {
                let (role, name) = (value(form, "RoleName")?, value(form, "PolicyName")?);
                let document = encoded(self.inline_policies.get(&name)?);
                wrapped(&format!(
                    "<RoleName>{role}</RoleName><PolicyName>{name}</PolicyName><PolicyDocument>{document}</PolicyDocument>"
                ))
            }
            _ => None,
        }
    }

    fn kms(&mut self, request: &str) -> Option<Answer> {
        let (operation, body) = request.split_once(' ')?;
        let body: Value = serde_json::from_str(body).unwrap();
        match operation {
            "DescribeKey" => ok(
                &json!({"KeyMetadata": {
                    "KeyId": "key", "Arn": body["KeyId"], "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT",
                    "KeySpec": "SYMMETRIC_DEFAULT", "KeyManager": "CUSTOMER",
                }})
                .to_string(),
            ),
            "GetKeyPolicy" => self.read_policy("key", |policy| json!({"Policy": policy}).to_string()),
            "PutKeyPolicy" => {
                let policy = body["Policy"].as_str().unwrap().to_owned();
                self.policies.insert("key".to_owned(), policy);
                ok("{}")
            }
            _ => None,
        }
    }

    /// Leases are always granted: a killed holder's has expired.
    fn dynamodb(&mut self, request: &str) -> Option<Answer> {
        let (operation, body) = request.split_once(' ')?;
        let body: Value = serde_json::from_str(body).unwrap();
        let id = body["Key"]["BucketName"]["S"].as_str().unwrap_or_default().to_owned();
        let item =
            |number: Option<&u64>| number.map(|number| json!({"Turn": {"N": number.to_string()}}));
        let before = self.generations.get(&id).copied();
        match operation {
            "PutItem" => ok("{}"),
            "GetItem" => ok(&json!({"Item": item(before.as_ref())}).to_string()),
            "UpdateItem" => {
                let number = &body["ExpressionAttributeValues"][":generation"]["N"];
                let number: u64 = number.as_str().unwrap().parse().unwrap();
                let may_be_equal = body["ConditionExpression"].as_str().unwrap().contains("<=");
                if before
                    .is_some_and(|before| before > number || (before == number && !may_be_equal))
                {
                    let refused = json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"});
                    return Some((400, "", refused.to_string().into_bytes()));
                }
                self.generations.insert(id, number);
                ok(&json!({"Attributes": item(before.as_ref())}).to_string())
            }
            _ => None,
        }
    }
}

/// The time so many seconds ago, as HTTP writes it.
fn http_date(age: i64) -> String {
    use aws_smithy_types::{DateTime, date_time::Format};
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then = DateTime::from_secs(i64::try_from(now.as_secs()).unwrap() - age);
    then.fmt(Format::HttpDate).unwrap()
}
