package ecr

import "strings"

// Where a permission is needed.
const (
	AnyRegistry = "*"     // of what has no resource
	OfApps      = "apps"  // the repositories of apps
	OfCache     = "cache" // the repository of the build cache
)

// Permission is one action that an IAM policy has to allow.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
type Permission struct {
	Action string
	On     []string // of AnyRegistry, OfApps, OfCache
	For    string   // what it is needed for
}

// Pulls tells whether pulling images needs the permission.
func (p Permission) Pulls() bool { return p.For == "everything" || strings.HasPrefix(p.For, "pulls") }

// Permissions are all that a rack on ECR needs, with the builds and the parameters
// that need some of them only.
func Permissions() []Permission {
	both, apps, cache := []string{OfApps, OfCache}, []string{OfApps}, []string{OfCache}
	return []Permission{
		{"ecr:GetAuthorizationToken", []string{AnyRegistry}, "everything"},
		{"ecr:DescribeRepositories", both, "the first push to a repository, `BuildCache=Yes`"},
		{"ecr:CreateRepository", both, "a repository that is not there yet"},
		{"ecr:BatchCheckLayerAvailability", both, "pushes"},
		{"ecr:InitiateLayerUpload", both, "pushes"},
		{"ecr:UploadLayerPart", both, "pushes"},
		{"ecr:CompleteLayerUpload", both, "pushes"},
		{"ecr:PutImage", both, "pushes"},
		{"ecr:BatchGetImage", both, "pulls, and pushes of what is there"},
		{"ecr:GetDownloadUrlForLayer", both, "pulls"},
		{"ecr:ListImages", apps, "`keep-builds`"},
		{"ecr:BatchDeleteImage", apps, "`keep-builds`"},
		{"ecr:DescribeImages", cache, "`BuildCache=Yes`"},
		{"ecr:DeleteRepository", cache, "`BuildCache=No`"},
		{"ecr:PutLifecyclePolicy", cache, "`BuildCacheCleanup=Yes`"},
		{"ecr:DeleteLifecyclePolicy", cache, "`BuildCacheCleanup=No`"},
	}
}
