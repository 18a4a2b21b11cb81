# Two shell functions for the commands of the documents: `. docs/functions.sh`. They need the AWS CLI (version 1 or 2) and jq.

# Prints one output of the application's stack: `output FunctionName`. STACK is the stack's name if it is another than s3-kms-replication;
# further arguments, such as a profile, are the AWS CLI's.
output() {
  aws cloudformation describe-stacks --stack-name "${STACK:-s3-kms-replication}" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text "${@:2}"
}

# Sends the JSON on standard input to the function, and prints the answer's text, or the answer if it has none. Fails as the function does.
ask() (
  function=$(output FunctionName) || exit
  answer=$(mktemp) && trap 'rm -f "$answer"' EXIT
  # The function has five minutes, and the CLI waits for one unless it is told.
  error=$(aws --cli-read-timeout 310 lambda invoke --function-name "$function" --payload fileb:///dev/stdin \
    --query FunctionError --output text "$answer") || exit
  jq -r '.Text // .errorMessage // (.Rules // empty | map(.Text // .Error) | join("\n")) // .Skipped // .' "$answer"
  [ "$error" = None ]
)
