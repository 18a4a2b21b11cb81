// Written by scripts/generate.mjs from replication-policy.schema.json: do not edit.

/** The properties of a replication rule. */
export interface ReplicationProperties {
  /** Name of the bucket whose objects are replicated. */
  readonly sourceBucket: string;

  /** Whether to plan without changing anything (false). */
  readonly dryRun?: boolean;

  /** Name or ARN of the bucket that receives the replicas. */
  readonly destinationBucket: string;

  /** Region of the destination. The default is the replica key's Region. */
  readonly destinationRegion?: string;

  /** ARN, or alias ARN, of the customer managed key that encrypts the replicas, in the destination's Region. */
  readonly replicaKmsKeyArn: string;

  /** ARNs, or alias ARNs, of the keys that encrypt the source's objects. The default is the key of the bucket's default encryption. */
  readonly sourceKmsKeyArns?: string[];

  /** Replicates only objects whose keys begin with this prefix. */
  readonly prefix?: string;

  /** Replicates only objects with all of these tags. */
  readonly tags?: Record<string, string>;

  /** The rule's priority, 0 or more. The default is the highest priority of the bucket's rules plus one. */
  readonly priority?: number;

  /** Whether delete markers are replicated (false). */
  readonly deleteMarkerReplication?: boolean;

  /** Whether changes of metadata on replicas are replicated back (false). */
  readonly replicaModifications?: boolean;

  /** Whether S3 Replication Time Control is on (false). */
  readonly replicationTimeControl?: boolean;

  /** Whether S3 Replication metrics are on (true). */
  readonly metrics?: boolean;

  /** Storage class of the replicas. The default is the source object's storage class. */
  readonly storageClass?: "STANDARD" | "STANDARD_IA" | "ONEZONE_IA" | "INTELLIGENT_TIERING" | "GLACIER_IR" | "GLACIER" | "DEEP_ARCHIVE" | "REDUCED_REDUNDANCY";

  /** Account of the destination bucket, if it is not the source's. The default is the account of `DestinationRoleArn`. */
  readonly destinationAccount?: string;

  /** ARN of a role in the destination's account. It is assumed for all calls to that account. */
  readonly destinationRoleArn?: string;

  /** External id with which `DestinationRoleArn` is assumed. */
  readonly destinationRoleExternalId?: string;

  /** Which account owns replicas in another account's bucket (Source). */
  readonly replicaOwner?: "Source" | "Destination";

  /** Whether a missing destination bucket is created (false). */
  readonly createDestinationBucket?: boolean;

  /** What to do with a destination that exists and was not created for this source. The default is Use. */
  readonly existingDestination?: "Use" | "Refuse";

  /** What to do if the bucket already replicates with a foreign role (Refuse). */
  readonly existingRole?: "Refuse" | "Extend";

  /** ARN of an SNS topic in the source's Region. It is notified when S3 fails to replicate an object. */
  readonly alarmTopicArn?: string;

  /** Whether replication is checked with a canary: an object that is written, and removed once it is replicated (false). */
  readonly verify?: boolean;

  /** Whether an S3 Batch Replication job is started for existing objects (false). */
  readonly replicateExistingObjects?: boolean;

  /** Name or ARN of the bucket for the job's report. The bucket must be in the source's account. */
  readonly reportBucket?: string;

  /** Prefix of the report's objects. */
  readonly reportPrefix?: string;
}
