package s3

// Where a permission is needed.
const (
	OnBucket  = "bucket"  // the bucket itself
	OnObjects = "objects" // what is in it, below the prefix
)

// Permission is one action that an IAM policy has to allow.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
type Permission struct {
	Action string
	On     string // OnBucket or OnObjects
	For    string // what it is needed for
}

// Permissions are all that a rack needs that keeps its objects in S3.
func Permissions() []Permission {
	return []Permission{
		{"s3:ListBucket", OnBucket, "everything: without it S3 does not say of an object that it is not there"},
		{"s3:GetObject", OnObjects, "builds, logs, downloads"},
		{"s3:PutObject", OnObjects, "uploads, logs"},
		{"s3:AbortMultipartUpload", OnObjects, "uploads that fail"},
		{"s3:DeleteObject", OnObjects, "deleted apps, `keep-builds`"},
	}
}

// InitPermissions are what making a bucket needs beside s3:ListBucket.
func InitPermissions() []Permission {
	return []Permission{
		{"s3:CreateBucket", OnBucket, "`rack init`, a bucket that is not there yet"},
		{"s3:GetBucketPublicAccessBlock", OnBucket, "`rack init`"},
		{"s3:PutBucketPublicAccessBlock", OnBucket, "`rack init`, a bucket that has none"},
		{"s3:GetEncryptionConfiguration", OnBucket, "`rack init`"},
		{"s3:PutEncryptionConfiguration", OnBucket, "`rack init`, a bucket that has none"},
		{"s3:GetLifecycleConfiguration", OnBucket, "`rack init`"},
		{"s3:PutLifecycleConfiguration", OnBucket, "`rack init`, a bucket that keeps the parts of what was never finished"},
	}
}
