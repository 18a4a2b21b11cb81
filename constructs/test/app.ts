// What tests/local/test_cdk.py deploys: one rule of buckets that exist.

import { App, CfnOutput, Stack } from "aws-cdk-lib";

import { S3KmsReplication } from "../src";

const app = new App();
const stack = new Stack(app, "Rule");
const replication = new S3KmsReplication(stack, "Replication", {
  serviceToken: app.node.getContext("serviceToken"),
  sourceBucket: app.node.getContext("sourceBucket"),
  destinationBucket: app.node.getContext("destinationBucket"),
  replicaKmsKeyArn: app.node.getContext("replicaKmsKeyArn"),
  prefix: app.node.tryGetContext("prefix"),
});

const { ref, ruleId, roleArn, roleName, replicaKmsKeyArn, destinationBucketArn, destinationRegion } = replication;
const attributes = { ref, ruleId, roleArn, roleName, replicaKmsKeyArn, destinationBucketArn, destinationRegion };
for (const [name, value] of Object.entries(attributes)) {
  new CfnOutput(stack, name, { value });
}
