# Each plan says whether the rule is as it was applied. While this is here, Terraform lists the data source in each plan, to be read again.
check "orders_replication" {
  data "aws_lambda_invocation" "plan" {
    function_name = data.aws_cloudformation_export.function.value
    input         = module.orders_replication.plan
    depends_on    = [module.orders_replication]
  }

  assert {
    condition     = length(jsondecode(data.aws_lambda_invocation.plan.result).Stages) == 0
    error_message = "The rule is not as it was applied. ${jsondecode(data.aws_lambda_invocation.plan.result).Text}"
  }
}
