//! Invariant 7: answers go to CloudFormation's own bucket only. Invariant 5: they go there in every partition.

use s3_kms_replication::model::{Partition, Region, ResponseBucket, ResponseUrl, Retry};
use serde_json::json;

use crate::support::*;

/// A Region of each partition, and the partition's DNS suffix.
const REGIONS: [(&str, &str); 10] = [
    ("us-east-1", "amazonaws.com"),
    ("eu-central-1", "amazonaws.com"),
    ("cn-north-1", "amazonaws.com.cn"),
    ("us-gov-west-1", "amazonaws.com"),
    ("eusc-de-east-1", "amazonaws.eu"),
    ("us-iso-east-1", "c2s.ic.gov"),
    ("us-isob-east-1", "sc2s.sgov.gov"),
    ("eu-isoe-west-1", "cloud.adc-e.uk"),
    ("us-isof-south-1", "csp.hci.ic.gov"),
    ("ap-southeast-5", "amazonaws.com"),
];

fn accepts(region: &str, url: &str) -> bool {
    let region = Region::parse(region).unwrap();
    let bucket = ResponseBucket { region: &region, partition: Partition::of_region(&region) };
    ResponseUrl::parse(url, bucket, false).is_some()
}

fn bucket(region: &str) -> String {
    format!("cloudformation-custom-resource-response-{}", region.replace('-', ""))
}

#[test]
fn invariant_5_response_bucket_is_accepted_at_every_endpoint_of_its_region() {
    let mut accepted = 0;
    for (region, suffix) in REGIONS {
        let bucket = bucket(region);
        for endpoint in [
            format!("s3.{suffix}"),
            format!("s3.{region}.{suffix}"),
            format!("s3-{region}.{suffix}"),
            format!("s3.dualstack.{region}.{suffix}"),
            format!("s3-fips.{region}.{suffix}"),
            format!("s3-fips-{region}.{suffix}"),
            format!("s3-fips.dualstack.{region}.{suffix}"),
        ] {
            for port in ["", ":443"] {
                for url in [
                    format!("https://{bucket}.{endpoint}{port}/a%7Cb?X-Amz-Signature=x"),
                    format!("https://{endpoint}{port}/{bucket}/a%7Cb?X-Amz-Signature=x"),
                    format!("HTTPS://{bucket}.{}{port}/a", endpoint.to_uppercase()),
                ] {
                    assert!(accepts(region, &url), "{region}: {url}");
                    accepted += 1;
                }
            }
        }
    }
    let first = format!("https://{}.s3-external-1.amazonaws.com/x", bucket("us-east-1"));
    assert!(accepts("us-east-1", &first));
    print_count(accepted + 1, "response URLs of CloudFormation were accepted");
}

#[test]
fn invariant_7_every_other_host_bucket_scheme_and_port_is_refused() {
    let mut refused = 0;
    for (region, suffix) in REGIONS {
        let bucket = bucket(region);
        let endpoint = format!("s3.{region}.{suffix}");
        let other_suffix = if suffix == "amazonaws.eu" { "amazonaws.com" } else { "amazonaws.eu" };
        for url in [
            String::new(),
            "not a URL".to_owned(),
            format!("http://{bucket}.{endpoint}/x"),
            format!("https://{bucket}-evil.{endpoint}/x"),
            format!("https://{bucket}-evil.s3.{suffix}/x"),
            format!("https://{bucket}1.{endpoint}/x"),
            format!("https://{bucket}.evil.{endpoint}/x"),
            format!("https://evil-{bucket}.{endpoint}/x"),
            format!("https://cloudformation-custom-resource-response-.{endpoint}/x"),
            format!("https://cloudformation-custom-resource-response-saeast9.s3.{suffix}/x"),
            format!("https://{bucket}.s3.sa-east-9.{suffix}/x"),
            format!("https://{bucket}.s3.{region}.{other_suffix}/x"),
            format!("https://{bucket}.{endpoint}.evil.example/x"),
            format!("https://{bucket}.{endpoint}@evil.example/x"),
            format!("https://user@{bucket}.{endpoint}/x"),
            format!("https://{bucket}.{endpoint}./x"),
            format!("https://{bucket}.s3evil.{suffix}/x"),
            format!("https://{bucket}.s3-accelerate.{suffix}/x"),
            format!("https://{bucket}.s3-website-{region}.{suffix}/x"),
            format!("https://{bucket}.s3-external-2.{suffix}/x"),
            format!("https://{bucket}.{endpoint}:8443/x"),
            format!("https://{bucket}.{endpoint}:/x"),
            format!("https://{bucket}.{endpoint}:x/x"),
            format!("https://{bucket}.{endpoint}:99999/x"),
            format!("https://{bucket}.{endpoint}:443:443/x"),
            format!("https://{bucket}.{endpoint}:0443/x"),
            format!("https://{endpoint}/{bucket}-evil/x"),
            format!("https://{endpoint}/{bucket}"),
            format!("https://{endpoint}/x/{bucket}/x"),
            format!("https://{endpoint}//{bucket}/x"),
            format!("https://other-bucket.{endpoint}/{bucket}/x"),
            format!("https://{bucket}/x"),
            "http://localhost:4566/x".to_owned(),
            "http://169.254.169.254/x".to_owned(),
        ] {
            assert!(!accepts(region, &url), "{region}: {url}");
            refused += 1;
        }
    }
    print_count(refused, "other URLs were refused");
}

#[test]
fn response_bucket_of_a_partition_outside_the_table_has_the_suffix_of_the_template() {
    let variables =
        [("AWS_REGION", "xx-new-1"), ("PARTITION", "aws-new"), ("URL_SUFFIX", "aws.example")];
    let settings = environment(&variables);
    let bucket = ResponseBucket { region: &settings.region, partition: settings.partition };
    let accepts = |url: &str| ResponseUrl::parse(url, bucket, false).is_some();
    let name = "cloudformation-custom-resource-response-xxnew1";
    assert!(accepts(&format!("https://{name}.s3.xx-new-1.aws.example/x")));
    assert!(!accepts(&format!("https://{name}.s3.xx-new-1.amazonaws.com/x")));
}

#[tokio::test(start_paused = true)]
async fn invariant_5_service_timeout_counts_from_the_signature() {
    for (seconds_ago, status) in [(0, "SUCCESS"), (100, "SUCCESS"), (298, "FAILED")] {
        let fake = Fake::new(two_buckets());
        fake.refuse("PutBucketReplication", 6, "InvalidRequest", Retry::Soon);
        let request =
            create_verified(seconds_ago, json!({"Verify": "false", "ServiceTimeout": "300"}));
        invoke(&fake, &request).await.unwrap();
        assert_eq!(only_answer(&fake)["Status"], status, "signed {seconds_ago} s ago");
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_5_request_that_cannot_be_read_as_a_whole_is_answered() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let values = [deep.as_str(), "\"\\ud800\"", "1e999", "-1e999", "{\"\\udfff\": 1}"];
    for value in values {
        for (request_type, status) in
            [("Create", "FAILED"), ("Update", "FAILED"), ("Delete", "SUCCESS")]
        {
            let fake = Fake::new(two_buckets());
            let mut request = custom_resource(request_type, json!({"Prefix": "REPLACED"}));
            if request_type == "Delete" {
                request["PhysicalResourceId"] = json!("nothing-was-created");
            }
            let text = request.to_string().replace("\"REPLACED\"", value);
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_err(), "{value}");
            invoke_text(&fake, &text, &settings()).await.unwrap();
            let answer = only_answer(&fake);
            assert_eq!(answer["Status"], status, "{request_type}: {value}");
            for name in ["StackId", "RequestId", "LogicalResourceId"] {
                assert_eq!(answer[name], request[name], "{request_type}: {value}");
            }
            let id = request.get("PhysicalResourceId").cloned();
            assert_eq!(answer["PhysicalResourceId"], id.unwrap_or(json!("nothing-was-created")));
            assert_eq!(fake.writes(), []);
        }
    }
    let fake = Fake::new(two_buckets());
    let error = invoke_text(&fake, "{\"Action\": 1e999}", &settings()).await.unwrap_err();
    assert!(error.to_string().contains("number out of range"), "{error}");
}
