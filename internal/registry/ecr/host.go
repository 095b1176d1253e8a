package ecr

import (
	"regexp"
	"strings"
)

// hostName is the host of a registry. The whole of it counts, since tokens are
// sent there.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
var hostName = regexp.MustCompile(`^(\d+)\.dkr\.ecr\.([^.:/@]+)\.amazonaws\.com(?:\.cn)?$`)

// IsHost tells whether a host is that of a registry on ECR.
func IsHost(host string) bool { return hostName.MatchString(host) }

func parseHost(host string) (place, bool) {
	m := hostName.FindStringSubmatch(host)
	if m == nil {
		return place{}, false
	}
	return place{account: m[1], region: m[2]}, true
}

// partition is that part of AWS which a region belongs to.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}
