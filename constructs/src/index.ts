import { CustomResource, Duration, Fn } from "aws-cdk-lib";
import { Construct } from "constructs";

import { ReplicationProperties } from "./properties";

export { ReplicationProperties } from "./properties";

export interface S3KmsReplicationProps extends ReplicationProperties {
  /**
   * ARN of the application's function, in the stack's account and Region.
   *
   * @default - the export `s3-kms-replication-ServiceToken`, which the application's stack has if it is called `s3-kms-replication`
   */
  readonly serviceToken?: string;

  /**
   * How long CloudFormation waits for the function's answer.
   *
   * @default Duration.minutes(5)
   */
  readonly serviceTimeout?: Duration;
}

/** One replication rule, with all that it needs: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html */
export class S3KmsReplication extends Construct {
  /** `<source bucket>/<rule id>`. */
  readonly ref: string;
  /** Id of the replication rule. */
  readonly ruleId: string;
  /** ARN of the role that S3 assumes. */
  readonly roleArn: string;
  /** Name of that role. */
  readonly roleName: string;
  /** ARN of the key that encrypts the replicas, also when the property is an alias. */
  readonly replicaKmsKeyArn: string;
  /** ARN of the destination bucket. */
  readonly destinationBucketArn: string;
  /** Region of the destination bucket. */
  readonly destinationRegion: string;

  constructor(scope: Construct, id: string, props: S3KmsReplicationProps) {
    super(scope, id);
    const { serviceToken, serviceTimeout, ...properties } = props;
    const resource = new CustomResource(this, "Resource", {
      resourceType: "Custom::S3KmsReplication",
      serviceToken: serviceToken ?? Fn.importValue("s3-kms-replication-ServiceToken"),
      serviceTimeout: serviceTimeout ?? Duration.minutes(5),
      properties: capitalized(properties),
    });
    this.ref = resource.ref;
    this.ruleId = resource.getAttString("RuleId");
    this.roleArn = resource.getAttString("RoleArn");
    this.roleName = resource.getAttString("RoleName");
    this.replicaKmsKeyArn = resource.getAttString("ReplicaKmsKeyArn");
    this.destinationBucketArn = resource.getAttString("DestinationBucketArn");
    this.destinationRegion = resource.getAttString("DestinationRegion");
  }
}

/** The names as the function has them. `pascalCaseProperties` of CustomResource would change the keys of tags, too. */
function capitalized(properties: ReplicationProperties): Record<string, unknown> {
  const entries = Object.entries(properties);
  return Object.fromEntries(entries.map(([name, value]) => [`${name.charAt(0).toUpperCase()}${name.slice(1)}`, value]));
}
