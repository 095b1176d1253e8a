package estate

// Where a permission is needed.
const (
	Anywhere     = "anywhere"     // of what has no resource
	OnRackStack  = "rack stack"   // the stack of the rack
	OnAppStack   = "app stack"    // that of the app
	OnBuilds     = "builds"       // the table of builds
	OnReleases   = "releases"     // that of releases
	OnIndex      = "index"        // the index of that
	OnLogs       = "logs"         // objects in the bucket of the app
	OnSecrets    = "environments" // likewise
	OnRepository = "repository"   // that of the app
	OnCache      = "build cache"  // the repository of the rack's build cache
	OnKey        = "key"          // that seals environments
	OnBucketKey  = "bucket key"   // that S3 itself encrypts with, for whoever asks it
	OnTopic      = "topic"        // that the rack tells of builds
	OnRackBucket = "rack bucket"  // that of the rack
	OnLogins     = "logins"       // objects in it: the registries that were added to the rack
)

// Permission is one action that an IAM policy has to allow.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
type Permission struct {
	Action string
	On     []string // of the places above
	For    string   // what it is needed for
	// Optional says that a build is made without it too, and says what is missing.
	Optional bool
}

// Permissions are all that it takes to record a build.
func Permissions() []Permission {
	return []Permission{
		{"cloudformation:DescribeStacks", []string{OnRackStack, OnAppStack}, "finding the rack and the app", false},
		{"cloudformation:ListStackResources", []string{OnAppStack}, "finding the repository and the bucket", false},
		{"dynamodb:GetItem", []string{OnBuilds, OnReleases}, "records as they are now", false},
		{"dynamodb:PutItem", []string{OnBuilds, OnReleases}, "the build and its release", false},
		{"dynamodb:UpdateItem", []string{OnBuilds}, "the end of the build", false},
		{"dynamodb:Query", []string{OnIndex}, "the newest release, whose environment counts", false},
		{"kms:GenerateDataKey", []string{OnKey, OnBucketKey}, "sealing the environment, and what S3 stores", false},
		{"kms:Decrypt", []string{OnKey, OnBucketKey}, "reading the environment, and what S3 has stored", false},
		{"s3:GetObject", []string{OnSecrets}, "the environment of the newest release", false},
		{"s3:PutObject", []string{OnSecrets, OnLogs}, "the environment of the release, and the log", false},
		{"ecr:GetAuthorizationToken", []string{Anywhere}, "pushes", false},
		{"ecr:BatchCheckLayerAvailability", []string{OnRepository}, "pushes", false},
		{"ecr:InitiateLayerUpload", []string{OnRepository}, "pushes", false},
		{"ecr:UploadLayerPart", []string{OnRepository}, "pushes", false},
		{"ecr:CompleteLayerUpload", []string{OnRepository}, "pushes", false},
		{"ecr:BatchGetImage", []string{OnRepository}, "pushes of what is there", false},
		{"ecr:PutImage", []string{OnRepository}, "pushes", false},
		{"ecr:DescribeImages", []string{OnCache}, "the build cache of a Rack with `BuildCache=Yes`", true},
		{"ecr:BatchGetImage", []string{OnCache}, "reading it", true},
		{"ecr:GetDownloadUrlForLayer", []string{OnCache}, "the same", true},
		{"ecr:BatchCheckLayerAvailability", []string{OnCache}, "writing it", true},
		{"ecr:InitiateLayerUpload", []string{OnCache}, "the same", true},
		{"ecr:UploadLayerPart", []string{OnCache}, "the same", true},
		{"ecr:CompleteLayerUpload", []string{OnCache}, "the same", true},
		{"ecr:PutImage", []string{OnCache}, "the same", true},
		{"sns:Publish", []string{OnTopic}, "telling those who listen to the rack", true},
		{"s3:ListBucket", []string{OnRackBucket}, "private registries that were added to the rack", true},
		{"s3:GetObject", []string{OnLogins}, "the same", true},
	}
}
