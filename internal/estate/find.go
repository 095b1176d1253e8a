package estate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// found is where the parts of an estate are.
type found struct {
	repository         string // on ECR
	bucket, rackBucket string
	builds, releases   string // tables
	key                string // of KMS
	topic              string
	cached             bool // the rack has a persistent build cache
}

// Outputs and a parameter of the stack of a Rack, and resources of that of an app.
const (
	buildsOutput   = "DynamoBuilds"
	releasesOutput = "DynamoReleases"
	bucketOutput   = "SettingsBucket"
	keyOutput      = "EncryptionKey"
	topicOutput    = "NotificationTopic"

	cacheParameter = "BuildCache" // "Yes" or "No"; older Racks have none

	repositoryResource = "Registry"
	bucketResource     = "Settings"
)

// stackName is what CloudFormation takes.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
var stackName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)

// finder looks for an estate.
type finder struct {
	api    *cloudformation.Client
	region string
}

func find(ctx context.Context, config aws.Config, rack, app string) (f found, err error) {
	s := finder{cloudformation.NewFromConfig(config), config.Region}
	ofRack, err := s.stack(ctx, rack, map[string]string{"System": "convox", "Type": "rack"})
	if err != nil {
		return f, err
	}
	outputs := map[string]string{}
	for _, o := range ofRack.Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	f = found{bucket: "", rackBucket: outputs[bucketOutput], builds: outputs[buildsOutput], releases: outputs[releasesOutput], key: outputs[keyOutput], topic: outputs[topicOutput]}
	for _, name := range []string{buildsOutput, releasesOutput, bucketOutput, keyOutput} {
		if outputs[name] == "" {
			return f, fmt.Errorf("the stack %s in %s has no output %s: is it that of a v2 Rack?", rack, s.region, name)
		}
	}
	f.cached = slices.ContainsFunc(ofRack.Parameters, func(p types.Parameter) bool {
		return aws.ToString(p.ParameterKey) == cacheParameter && aws.ToString(p.ParameterValue) == "Yes"
	})
	ofApp, err := s.stack(ctx, rack+"-"+app, map[string]string{"System": "convox", "Type": "app", "Rack": rack, "Name": app, "Generation": "2"})
	if err != nil {
		return f, err
	}
	resources, err := s.resources(ctx, *ofApp.StackName)
	if err != nil {
		return f, err
	}
	for _, name := range []string{repositoryResource, bucketResource} {
		if resources[name] == "" {
			return f, fmt.Errorf("the stack %s in %s has no resource %s: has it been created to its end?", *ofApp.StackName, s.region, name)
		}
	}
	f.repository, f.bucket = resources[repositoryResource], resources[bucketResource]
	return f, nil
}

// stack finds a stack by its name, if it has the tags that it has to have: others
// may have stacks of the same name.
func (s finder) stack(ctx context.Context, name string, tags map[string]string) (types.Stack, error) {
	if !stackName.MatchString(name) {
		return types.Stack{}, fmt.Errorf("%q cannot be the name of a stack", name)
	}
	out, err := s.api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	err = explain(ctx, err, "cloudformation:DescribeStacks", "the stack "+name)
	if err == nil && (len(out.Stacks) != 1 || aws.ToString(out.Stacks[0].StackName) != name) {
		err = fmt.Errorf("%w %s", ErrNoStack, name)
	}
	if errors.Is(err, ErrNoStack) {
		err = fmt.Errorf("%w in %s, in the account of the credentials of AWS: are both, and the names of the rack and the app, right?", err, s.region)
	}
	if err != nil {
		return types.Stack{}, err
	}
	has := map[string]string{}
	for _, t := range out.Stacks[0].Tags {
		has[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	for _, tag := range []string{"System", "Type", "Rack", "Name", "Generation"} {
		if want, ok := tags[tag]; ok && has[tag] != want {
			return types.Stack{}, fmt.Errorf("the stack %s in %s has the tag %s=%q, and not %s=%s", name, s.region, tag, has[tag], tag, want)
		}
	}
	return out.Stacks[0], nil
}

// resources are the physical ids of a stack's resources.
func (s finder) resources(ctx context.Context, stack string) (map[string]string, error) {
	ids := map[string]string{}
	for pages := cloudformation.NewListStackResourcesPaginator(s.api, &cloudformation.ListStackResourcesInput{StackName: &stack}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, explain(ctx, err, "cloudformation:ListStackResources", "the stack "+stack)
		}
		for _, r := range page.StackResourceSummaries {
			ids[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
		}
	}
	return ids, nil
}

// ErrNoStack is the kind of the error for a stack that is not there.
var ErrNoStack = errors.New("there is no stack")

// isMissing tells the words in which CloudFormation says that a stack is not there.
func isMissing(code, message string) bool {
	return code == "ValidationError" && strings.Contains(message, "does not exist")
}
