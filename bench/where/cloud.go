//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/estate/estatetest"
	"github.com/convox-ci/convox-ci/internal/rackd/kms/kmstest"
	"github.com/convox-ci/convox-ci/internal/rackd/s3/s3test"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// What the stacks name.
const (
	stack      = "office"
	appBucket  = "office-shop-settings"
	rackBucket = "office-settings"
)

// cloud is what stands for AWS, with the stacks of a v2 rack and of its app. A rack on
// it stands for the v2 rack: it has the same tables, bucket, repository and key.
type cloud struct {
	environ []string // with which the SDK gets there
	rack    []string // arguments of a rack on it
	servers []*httptest.Server
	ecr     string   // address of what stands for ECR
	apis    []string // addresses of all others
	end     func() error
}

// newCloud starts one without images or records, which keeps images below a directory.
func newCloud(ctx context.Context, dir string) (c *cloud, err error) {
	none := filepath.Join(dir, "none")
	c = &cloud{environ: []string{"AWS_REGION=" + ecrtest.Region, "AWS_ACCESS_KEY_ID=" + ecrtest.AccessKey, "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=",
		"AWS_PROFILE=", "AWS_CONFIG_FILE=" + none, "AWS_SHARED_CREDENTIALS_FILE=" + none, "AWS_EC2_METADATA_DISABLED=true"}}
	images, objects, keys, stacks := ecrtest.New(ctx, filepath.Join(dir, "ecr"), time.Now), s3test.New(), kmstest.New(ecrtest.Region), estatetest.New(ecrtest.Region)
	for _, bucket := range []string{appBucket, rackBucket} {
		if err := objects.Make(bucket, ecrtest.Region, true); err != nil {
			return nil, err
		}
	}
	key, topic := keys.Make("convox-"+stack), stacks.MakeTopic(stack+"-notifications")
	stacks.Put(estatetest.Stack{Name: stack, Tags: map[string]string{"System": "convox", "Type": "rack"}, Outputs: map[string]string{
		"DynamoBuilds": stack + "-builds", "DynamoReleases": stack + "-releases", "SettingsBucket": rackBucket, "EncryptionKey": key,
		"NotificationTopic": topic, "Version": "20260421000000"}})
	stacks.Put(estatetest.Stack{Name: stack + "-" + app, Tags: map[string]string{"System": "convox", "Type": "app", "Rack": stack, "Name": app, "Generation": "2"},
		Resources: [][2]string{{"Settings", appBucket}, {"Registry", stack + "/" + app}}})
	images.Make(stack+"/"+app, false)
	c.rack = []string{"--name", stack, "--records", "dynamodb://?kms-key=" + key, "--objects", "s3://" + appBucket + "?app=" + app}
	tables, end, err := dynalite(ctx)
	if err != nil {
		return nil, err
	}
	c.end = end
	c.ecr = c.serve(images, "ECR")
	c.apis = []string{c.serve(objects, "S3", "STS"), c.serve(keys, "KMS"), c.serve(stacks, "CLOUDFORMATION", "SNS"), tables}
	c.environ = append(c.environ, "AWS_ENDPOINT_URL_DYNAMODB=http://"+tables)
	return c, nil
}

// serve serves what stands for services, and gives its address.
func (c *cloud) serve(h http.Handler, services ...string) (address string) {
	s := httptest.NewServer(h)
	c.servers = append(c.servers, s)
	for _, service := range services {
		c.environ = append(c.environ, "AWS_ENDPOINT_URL_"+service+"="+s.URL)
	}
	return strings.TrimPrefix(s.URL, "http://")
}

// stop ends it.
func (c *cloud) stop() error {
	for _, s := range c.servers {
		s.CloseClientConnections() // which clients that are gone may have left to a bridge
		s.Close()
	}
	return c.end()
}

// dynalite starts what stands for DynamoDB, which ends with end or this process.
func dynalite(ctx context.Context) (address string, end func() error, err error) {
	module, err := filepath.Abs("bin/tools/dynalite/node_modules/dynalite")
	if err != nil {
		return "", nil, err
	}
	const program = `const server = require(process.argv[1])({createTableMs: 0, deleteTableMs: 0})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
process.stdin.on("end", () => process.exit()).resume()`
	cmd := exec.CommandContext(ctx, "node", "-e", program, module)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return "", nil, err
	}
	end = func() error { return errors.Join(in.Close(), cmd.Wait()) }
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("dynalite does not start; scripts/need dynalite installs it, and this runs at the root of the project: %w", err), end())
	}
	return "127.0.0.1:" + strings.TrimSpace(port), end, nil
}
