#!/usr/bin/env bash
# The commands of s3-crr-with-kms-encryption, in order. Names, Regions and the paths of the documents are environment variables.
set -euo pipefail

aws s3api create-bucket --bucket "$src_bkt" --region "$src_bkt_region"
aws s3api put-bucket-versioning --bucket "$src_bkt" --versioning-configuration Status=Enabled
aws s3api create-bucket --bucket "$dest_bkt" --region "$dest_bkt_region" \
  --create-bucket-configuration LocationConstraint="$dest_bkt_region"
aws s3api put-bucket-versioning --bucket "$dest_bkt" --versioning-configuration Status=Enabled

cat > "$trust_policy" << "EOF"
{
   "Version":"2012-10-17",
   "Statement":[
      {
         "Effect":"Allow",
         "Principal":{
            "Service":"s3.amazonaws.com"
         },
         "Action":"sts:AssumeRole"
      }
   ]
}
EOF

iam_role_arn=$(aws iam create-role --role-name "$iam_role_name" --assume-role-policy-document "file://$trust_policy" \
  --output text --query 'Role.Arn')
aws iam put-role-policy --role-name "$iam_role_name" --policy-document "file://$permissions_policy" \
  --policy-name "s3-crr-with-kms-role-permissions-policy"

echo '{
   "Role":"'"$iam_role_arn"'",
   "Rules":[
      {
         "Status":"Enabled",
         "Prefix": "",
         "Destination":{
            "Bucket":"arn:aws:s3:::'"$dest_bkt"'",
            "EncryptionConfiguration":{
               "ReplicaKmsKeyID":"'"$dest_kms_arn"'"
            }
         },
         "SourceSelectionCriteria":{
            "SseKmsEncryptedObjects":{
               "Status":"Enabled"
            }
         }
      }
   ]
}' > "$bkt_replication_config"

aws s3api put-bucket-replication --replication-configuration "file://$bkt_replication_config" --bucket "$src_bkt"
