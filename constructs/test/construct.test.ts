import assert from "node:assert/strict";
import { test } from "node:test";

import { App, Duration, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";

import { S3KmsReplication, S3KmsReplicationProps } from "../src";

const REQUIRED = {
  sourceBucket: "orders",
  destinationBucket: "orders-replica",
  replicaKmsKeyArn: "arn:aws:kms:us-west-2:111122223333:alias/dr",
};

/** The properties of the one resource that the construct makes. */
function properties(props: S3KmsReplicationProps): Record<string, unknown> {
  const stack = new Stack(new App(), "Stack");
  new S3KmsReplication(stack, "Replication", props);
  const resources = Object.values(Template.fromStack(stack).findResources("Custom::S3KmsReplication"));
  assert.equal(resources.length, 1);
  return resources[0]!.Properties;
}

test("required properties alone take the exported token and five minutes", () => {
  assert.deepEqual(properties(REQUIRED), {
    ServiceToken: { "Fn::ImportValue": "s3-kms-replication-ServiceToken" },
    ServiceTimeout: "300",
    SourceBucket: "orders",
    DestinationBucket: "orders-replica",
    ReplicaKmsKeyArn: "arn:aws:kms:us-west-2:111122223333:alias/dr",
  });
});

test("properties have the function's names, and tags keep their keys", () => {
  const serviceToken = "arn:aws:lambda:us-east-1:111122223333:function:replication";
  const given = properties({
    ...REQUIRED,
    serviceToken,
    serviceTimeout: Duration.minutes(10),
    tags: { project: "x" },
    sourceKmsKeyArns: ["arn:aws:kms:us-east-1:111122223333:alias/orders"],
    storageClass: "GLACIER_IR",
    priority: 3,
    verify: true,
  });
  assert.deepEqual(
    { ...given, SourceBucket: undefined, DestinationBucket: undefined, ReplicaKmsKeyArn: undefined },
    {
      ServiceToken: serviceToken,
      ServiceTimeout: "600",
      SourceBucket: undefined,
      DestinationBucket: undefined,
      ReplicaKmsKeyArn: undefined,
      Tags: { project: "x" },
      SourceKmsKeyArns: ["arn:aws:kms:us-east-1:111122223333:alias/orders"],
      StorageClass: "GLACIER_IR",
      Priority: 3,
      Verify: true,
    },
  );
});

test("the compiler refuses unknown names, wrong values and missing properties", () => {
  // @ts-expect-error an unknown name
  properties({ ...REQUIRED, prefx: "Tax" });
  // @ts-expect-error a value that S3 does not have
  properties({ ...REQUIRED, storageClass: "COLD" });
  // @ts-expect-error no key
  properties({ sourceBucket: "orders", destinationBucket: "orders-replica" });
});
