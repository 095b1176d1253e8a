package dynamodb

// Where a permission is needed.
const (
	OnBuilds   = "builds"   // the table of builds
	OnReleases = "releases" // the table of releases
	OnRecords  = "records"  // the table of all else
	OnIndexes  = "indexes"  // the index app.created of the first two
)

// Permission is one action that an IAM policy has to allow.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
type Permission struct {
	Action string
	On     []string // of OnBuilds, OnReleases, OnRecords, OnIndexes
	For    string   // what it is needed for
}

// Permissions are all that a rack needs which has its records in DynamoDB. Who makes
// the tables needs the last one, and the rack itself does not.
func Permissions() []Permission {
	all := []string{OnBuilds, OnReleases, OnRecords}
	return []Permission{
		{"dynamodb:DescribeTable", all, "the start, and `rack init`"},
		{"dynamodb:GetItem", all, "everything"},
		{"dynamodb:Query", []string{OnRecords, OnIndexes}, "lists, and manifests of more than 350 KiB"},
		{"dynamodb:PutItem", all, "new records"},
		{"dynamodb:UpdateItem", []string{OnBuilds, OnRecords}, "changes, and `keep-builds`"},
		{"dynamodb:DeleteItem", all, "`keep-builds`, and apps that are deleted"},
		{"dynamodb:CreateTable", all, "`rack init`, tables that are not there yet"},
	}
}
