# One replication rule: https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lambda_invocation

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.82" # earlier versions keep the result of an earlier input
    }
  }
}

locals {
  optional = {
    Name                      = var.name
    DestinationRegion         = var.destination_region
    SourceKmsKeyArns          = var.source_kms_key_arns
    Prefix                    = var.prefix
    Tags                      = var.tags
    Priority                  = var.priority
    DeleteMarkerReplication   = var.delete_marker_replication
    ReplicaModifications      = var.replica_modifications
    ReplicationTimeControl    = var.replication_time_control
    Metrics                   = var.metrics
    StorageClass              = var.storage_class
    DestinationAccount        = var.destination_account
    DestinationRoleArn        = var.destination_role_arn
    DestinationRoleExternalId = var.destination_role_external_id
    ReplicaOwner              = var.replica_owner
    CreateDestinationBucket   = var.create_destination_bucket
    ExistingDestination       = var.existing_destination
    ExistingRole              = var.existing_role
    AlarmTopicArn             = var.alarm_topic_arn
    Verify                    = var.verify
    ReplicateExistingObjects  = var.replicate_existing_objects
    ReportBucket              = var.report_bucket
    ReportPrefix              = var.report_prefix
  }
  # The required ones are apart, since a value that is not known yet would make all that is filtered unknown.
  input = merge({ for name, value in local.optional : name => value if value != null }, {
    SourceBucket      = var.source_bucket
    DestinationBucket = var.destination_bucket
    ReplicaKmsKeyArn  = var.replica_kms_key_arn
  })
}

# What names the rule. Terraform counts a failed update as done, so another rule is a replacement, which Terraform repeats until it succeeds.
resource "terraform_data" "rule" {
  input = {
    source_bucket = var.source_bucket
    name          = var.name != null ? var.name : replace(var.destination_bucket, "/^arn:[^:]*:s3:::/", "")
  }
}

resource "aws_lambda_invocation" "rule" {
  function_name   = var.function_name
  lifecycle_scope = "CRUD"
  input           = jsonencode(local.input)

  lifecycle {
    replace_triggered_by = [terraform_data.rule]
  }
}
