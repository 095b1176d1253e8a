package workflow

import (
	"regexp"
	"strconv"

	"github.com/convox-ci/convox-ci/internal/options"
)

// AWSRole are the inputs about who a run is on AWS, by the names that AWS's own
// Action for credentials has for them.
type AWSRole struct {
	Role     string         `env:"role-to-assume" usage:"ARN of the role that a run has on AWS, by the token that the CI system gives to the job (default: the credentials of AWS that are found here)"`
	Region   string         `env:"aws-region" usage:"region of AWS where nothing else names one (default: that of AWS_REGION or the profile)"`
	Session  string         `env:"role-session-name" usage:"name of the session, in which AWS's own records have the run (default: from the repository and the run)"`
	Duration int            `env:"role-duration-seconds" usage:"how long credentials last before new ones are asked for, 900 to 43200 seconds (default: 3600)"`
	Audience string         `env:"audience" usage:"whom the token of the job is for (default: on GitHub sts.amazonaws.com, elsewhere whom it was made for)"`
	Token    options.Secret `env:"web-identity-token" usage:"token of the job, of CI systems that have to be told to make one (default: that of GitHub or CircleCI)"`
}

// AWS says who a run is on AWS.
func (a AWSRole) AWS() AWSRole { return a }

var (
	// roleARN is a role in any part of AWS.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
	roleARN = regexp.MustCompile(`^arn:aws(?:-[a-z]+)*:iam::\d{12}:role/(?:[\x21-\x7e]{1,510}/)?[\w+=,.@-]{1,64}$`)
	// sessionName is what STS takes.
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	regionName  = regexp.MustCompile(`^[a-z]{2,4}(?:-[a-z]+)+-\d+$`)
)

// Bounds of the duration of a session, in seconds.
const (
	shortestSession = 900
	longestSession  = 43_200
)

// IsRegion tells whether a text is of the form of a region of AWS.
func IsRegion(text string) bool { return regionName.MatchString(text) }

// Wrong finds what is wrong with the inputs.
func (a AWSRole) Wrong() (found []options.Problem) {
	if a.Role != "" && !roleARN.MatchString(a.Role) {
		found = append(found, options.Problem{Input: "role-to-assume", Value: a.Role, Message: "is not the ARN of a role", Accepted: []string{"arn:aws:iam::ACCOUNT:role/NAME"}})
	}
	if a.Region != "" && !IsRegion(a.Region) {
		found = append(found, options.Problem{Input: "aws-region", Value: a.Region, Message: "is not a region of AWS", Accepted: []string{"us-east-1", "eu-central-1"}})
	}
	if a.Session != "" && !sessionName.MatchString(a.Session) {
		found = append(found, options.Problem{Input: "role-session-name", Value: a.Session, Message: "is not the name of a session", Accepted: []string{"2 to 64 letters, digits, _ + = , . @ and -"}})
	}
	if a.Duration != 0 && (a.Duration < shortestSession || a.Duration > longestSession) {
		found = append(found, options.Problem{Input: "role-duration-seconds", Value: strconv.Itoa(a.Duration), Message: "is not a duration that AWS has for sessions", Accepted: []string{"900 to 43200"}})
	}
	return append(found, a.useless()...)
}

// useless are inputs about a role that there is none of.
func (a AWSRole) useless() (found []options.Problem) {
	if a.Role != "" {
		return nil
	}
	for _, in := range []struct {
		name  string
		given bool
	}{{"role-session-name", a.Session != ""}, {"role-duration-seconds", a.Duration != 0}, {"audience", a.Audience != ""}, {"web-identity-token", a.Token != ""}} {
		if in.given {
			found = append(found, options.Problem{Input: in.name, Message: "is of no use without role-to-assume", Accepted: []string{"role-to-assume beside it"}})
		}
	}
	return found
}
