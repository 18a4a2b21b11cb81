// Two buckets with keys of their own, and the replication from one to the other.

import { App, CfnOutput, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as kms from "aws-cdk-lib/aws-kms";
import * as s3 from "aws-cdk-lib/aws-s3";

import { S3KmsReplication } from "../src";

const app = new App();
const stack = new Stack(app, "ReplicatedBucket");

function bucket(id: string): s3.Bucket {
  return new s3.Bucket(stack, id, {
    encryption: s3.BucketEncryption.KMS,
    encryptionKey: new kms.Key(stack, `${id}Key`, { removalPolicy: RemovalPolicy.RETAIN }),
    bucketKeyEnabled: true,
    versioned: true,
    removalPolicy: RemovalPolicy.RETAIN,
  });
}

const source = bucket("Source");
const replica = bucket("Replica");
const replication = new S3KmsReplication(stack, "Replication", {
  sourceBucket: source.bucketName,
  destinationBucket: replica.bucketName,
  replicaKmsKeyArn: replica.encryptionKey!.keyArn,
  prefix: app.node.tryGetContext("prefix"),
});

new CfnOutput(stack, "SourceBucket", { value: source.bucketName });
new CfnOutput(stack, "ReplicaBucket", { value: replica.bucketName });
new CfnOutput(stack, "RoleArn", { value: replication.roleArn });
