variable "function_name" {
  description = "Name or ARN of the application's function, which its stack exports as <stack>-ServiceToken."
  type        = string
}

variable "name" {
  description = "Name of the rule, which is then called s3-kms-replication.<name>. The default is the destination bucket's name."
  type        = string
  default     = null

  validation {
    condition     = var.name == null ? true : can(regex("^[A-Za-z0-9_+=,.@-]{1,109}$", var.name))
    error_message = "A rule's name has 1 to 109 letters, digits and _+=,.@-."
  }
}

variable "source_bucket" {
  description = "Name of the bucket whose objects are replicated."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.source_bucket))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

variable "destination_bucket" {
  description = "Name or ARN of the bucket that receives the replicas."
  type        = string

  validation {
    condition     = can(regex("^(arn:[a-z-]+:s3:::)?[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.destination_bucket))
    error_message = "It is a bucket's name or ARN."
  }
}

variable "destination_region" {
  description = "Region of the destination. The default is the replica key's Region."
  type        = string
  default     = null
}

variable "replica_kms_key_arn" {
  description = "ARN, or alias ARN, of the customer managed key that encrypts the replicas, in the destination's Region."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/.+$", var.replica_kms_key_arn))
    error_message = "It is the ARN of a KMS key or of an alias."
  }
}

variable "source_kms_key_arns" {
  description = "ARNs, or alias ARNs, of the keys that encrypt the source's objects. The default is the key of the bucket's default encryption."
  type        = list(string)
  default     = null
}

variable "prefix" {
  description = "Replicates only objects whose keys begin with this prefix."
  type        = string
  default     = null
}

variable "tags" {
  description = "Replicates only objects with all of these tags."
  type        = map(string)
  default     = null
}

variable "priority" {
  description = "The rule's priority, 0 or more. The default is the highest priority of the bucket's rules plus one."
  type        = number
  default     = null

  validation {
    condition     = var.priority == null ? true : var.priority >= 0 && floor(var.priority) == var.priority
    error_message = "A priority is a whole number, 0 or more."
  }
}

variable "delete_marker_replication" {
  description = "Whether delete markers are replicated (false)."
  type        = bool
  default     = null
}

variable "replica_modifications" {
  description = "Whether changes of metadata on replicas are replicated back (false)."
  type        = bool
  default     = null
}

variable "replication_time_control" {
  description = "Whether S3 Replication Time Control is on (false)."
  type        = bool
  default     = null
}

variable "metrics" {
  description = "Whether S3 Replication metrics are on (true)."
  type        = bool
  default     = null
}

variable "storage_class" {
  description = "Storage class of the replicas. The default is the source object's storage class."
  type        = string
  default     = null

  validation {
    condition     = var.storage_class == null ? true : contains(["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE", "REDUCED_REDUNDANCY"], var.storage_class)
    error_message = "It is one of STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER, DEEP_ARCHIVE, REDUCED_REDUNDANCY."
  }
}

variable "destination_account" {
  description = "Account of the destination bucket, if it is not the source's. The default is the account of `DestinationRoleArn`."
  type        = string
  default     = null

  validation {
    condition     = var.destination_account == null ? true : can(regex("^[0-9]{12}$", var.destination_account))
    error_message = "An account has 12 digits."
  }
}

variable "destination_role_arn" {
  description = "ARN of a role in the destination's account. It is assumed for all calls to that account."
  type        = string
  default     = null
}

variable "destination_role_external_id" {
  description = "External id with which `DestinationRoleArn` is assumed."
  type        = string
  default     = null
}

variable "replica_owner" {
  description = "Which account owns replicas in another account's bucket (Source)."
  type        = string
  default     = null

  validation {
    condition     = var.replica_owner == null ? true : contains(["Source", "Destination"], var.replica_owner)
    error_message = "It is one of Source, Destination."
  }
}

variable "create_destination_bucket" {
  description = "Whether a missing destination bucket is created (false)."
  type        = bool
  default     = null
}

variable "existing_destination" {
  description = "What to do with a destination that exists and was not created for this source (Use)."
  type        = string
  default     = null

  validation {
    condition     = var.existing_destination == null ? true : contains(["Use", "Refuse"], var.existing_destination)
    error_message = "It is one of Use, Refuse."
  }
}

variable "existing_role" {
  description = "What to do if the bucket already replicates with a foreign role (Refuse)."
  type        = string
  default     = null

  validation {
    condition     = var.existing_role == null ? true : contains(["Refuse", "Extend"], var.existing_role)
    error_message = "It is one of Refuse, Extend."
  }
}

variable "alarm_topic_arn" {
  description = "ARN of an SNS topic in the source's Region. It is notified when S3 fails to replicate an object."
  type        = string
  default     = null
}

variable "verify" {
  description = "Whether replication is checked with a canary: an object that is written, and removed once it is replicated (false)."
  type        = bool
  default     = null
}

variable "replicate_existing_objects" {
  description = "Whether an S3 Batch Replication job is started for existing objects (false)."
  type        = bool
  default     = null
}

variable "report_bucket" {
  description = "Name or ARN of the bucket for the job's report. The bucket must be in the source's account."
  type        = string
  default     = null
}

variable "report_prefix" {
  description = "Prefix of the report's objects."
  type        = string
  default     = null
}
