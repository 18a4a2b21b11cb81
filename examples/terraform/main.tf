# One bucket, replicated by the application that is deployed in this account and Region. The buckets and the key exist already.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.82"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

variable "prefix" {
  description = "Replicates only objects whose keys begin with this prefix."
  type        = string
  default     = null
}

# The application's stack exports its function's ARN.
data "aws_cloudformation_export" "function" {
  name = "s3-kms-replication-ServiceToken"
}

module "orders_replication" {
  source = "./module"

  function_name       = data.aws_cloudformation_export.function.value
  source_bucket       = "orders"
  destination_bucket  = "orders-replica"
  replica_kms_key_arn = "arn:aws:kms:us-west-2:111122223333:alias/dr"
  prefix              = var.prefix
}

output "replication" {
  description = "The rule, as the function reports it."
  value       = module.orders_replication
}
