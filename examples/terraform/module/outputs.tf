output "id" {
  description = "The rule, as <source bucket>/<rule id>."
  value       = jsondecode(aws_lambda_invocation.rule.result).Id
}

output "rule_id" {
  description = "Id of the replication rule."
  value       = jsondecode(aws_lambda_invocation.rule.result).RuleId
}

output "role_arn" {
  description = "ARN of the role that S3 assumes."
  value       = jsondecode(aws_lambda_invocation.rule.result).RoleArn
}

output "destination_bucket_arn" {
  description = "ARN of the destination bucket."
  value       = jsondecode(aws_lambda_invocation.rule.result).DestinationBucketArn
}

output "status" {
  description = "Configured; with verify, Verified."
  value       = jsondecode(aws_lambda_invocation.rule.result).Status
}

output "plan" {
  description = "What to invoke the function with to see what it would do about the rule: the command Plan, as JSON."
  value       = jsonencode(merge(local.input, { Action = "Plan" }))
}
