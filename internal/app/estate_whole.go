//go:build !carrier

package app

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/estate"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// estateOnsite is what a v2 rack has on AWS, for builds that are made on this
// machine.
type estateOnsite struct {
	*estate.Estate
	host   string // of the registry on ECR
	cache  string // the rack's repository for its build cache
	cloud  *ecr.Registry
	images bake.Registry
	accept func()
}

// Accept implements [workflow.Estate].
func (e *estateOnsite) Accept() { e.accept() }

// Images implements [workflow.Estate].
func (e *estateOnsite) Images() bake.Registry { return e.images }

// Cache implements [workflow.Estate].
func (e *estateOnsite) Cache(ctx context.Context) (bake.Cache, error) {
	if !e.Cached {
		return bake.Cache{}, nil
	}
	repository, err := e.cloud.Repository(e.cache)
	if err != nil {
		return bake.Cache{}, err
	}
	tags, err := repository.Tags(ctx)
	return bake.Cache{Repository: e.host + "/" + e.cache, Tags: slices.DeleteFunc(tags, func(t string) bool { return !bake.IsCacheTag(t) })}, err
}

// StartExternal implements [workflow.Estate].
func (e *estateOnsite) StartExternal(ctx context.Context, app string, o rack.BuildOptions) (rack.Build, error) {
	b, err := e.Estate.StartExternal(ctx, app, o)
	b.Repository = e.host + "/" + e.Repository
	return b, err
}

// openEstate finds what a v2 rack has on AWS, with the credentials that the SDK of
// AWS finds. Once it is accepted they are good for what is built as well.
func (p *process) openEstate(ctx context.Context, o workflow.EstateOrder) (workflow.Estate, error) {
	account, err := p.account()
	if err != nil {
		return nil, err
	}
	account.given = !o.Asked
	found, err := account.settled(ctx)
	if err != nil {
		return nil, err
	}
	e, err := estate.Open(ctx, found, o.Rack, o.App)
	if err != nil {
		return nil, err
	}
	cloud := account.ecr()
	opened, err := cloud.Open(ctx, "", e.Repository)
	if err != nil {
		return nil, err
	}
	all := []authn.Keychain{authn.DefaultKeychain, cloud}
	if added, err := e.ListRegistries(ctx); err != nil {
		p.notice(fmt.Sprintf("The registries that were added to the Rack could not be read, so only those count that this machine can sign in to: %v", err))
	} else {
		all = append([]authn.Keychain{addedKeychain{known(added), cloud}}, all...)
	}
	keys := keyring{authn.NewMultiKeychain(all...)}
	images := mounter{&registry.Client{Keychain: authn.NewMultiKeychain(onlyKeychain{opened.Host(), cloud}, keys),
		Transport: cloud.Transport(remote.DefaultTransport), Cloud: standing{cloud}, Sources: &registry.Sources{}}, opened.Host()}
	return &estateOnsite{e, opened.Host(), rackd.BuildCacheName(o.Rack), opened, images, func() { p.keys = keys }}, nil
}

// errRegionUnset is the error where nothing says in which region to look.
var errRegionUnset = errors.New("no region of AWS is set: set aws-region, or AWS_REGION, to that of the Rack")

// errNoCredentials is the error where the SDK finds none. What it says itself is about
// all the places that it has looked at.
var errNoCredentials = errors.New("no credentials of AWS were found: set role-to-assume, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")

// settled is config with a region, and credentials that are there.
func (a *account) settled(ctx context.Context) (aws.Config, error) {
	found, err := a.config(ctx)
	if err != nil {
		return found, err
	}
	if found.Region == "" {
		return found, errRegionUnset
	}
	if _, err := found.Credentials.Retrieve(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return found, cause
		}
		return found, noCredentials(err)
	}
	return found, nil
}

// maxCause is how much of what the SDK says of credentials an error repeats, in bytes.
const maxCause = 300

// address is one in what the SDK says. Those on ECS are secrets themselves.
var address = regexp.MustCompile(`https?://[^\s"]+`)

// answered is an error that a service has answered with.
type answered interface {
	error
	ErrorCode() string
	ErrorMessage() string
}

// noCredentials is errNoCredentials where the SDK has found none at any place, the
// last of which is the machine itself. Else it says what stands in their way.
func noCredentials(err error) error {
	text := err.Error()
	if strings.Contains(text, "no EC2 IMDS role found") {
		return errNoCredentials
	}
	if answer, ok := errors.AsType[answered](err); ok {
		text = strings.Trim(answer.ErrorCode()+": "+answer.ErrorMessage(), ": ")
	} else if failed, ok := errors.AsType[*processcreds.ProviderError](err); ok { // which repeats what was put out, the secrets among it
		text = "credential_process has put out none"
		if exit, ok := errors.AsType[*exec.ExitError](failed); ok {
			text = "credential_process: " + exit.Error()
		}
	}
	text = strings.Join(strings.Fields(address.ReplaceAllString(text, "(address)")), " ")
	return fmt.Errorf("the credentials of AWS that are set up here cannot be used: %s", strings.ToValidUTF8(text[:min(len(text), maxCause)], ""))
}

// mounter is a registry that takes layers from where base images are in it.
type mounter struct {
	*registry.Client
	host string
}

// Note implements [bake.Mounter]. Where the image cannot be looked at, its layers are
// sent.
func (m mounter) Note(ctx context.Context, ref string) {
	if strings.HasPrefix(ref, m.host+"/") {
		m.Image(ctx, ref)
	}
}

// Push implements [bake.Registry].
func (m mounter) Push(ctx context.Context, layout, ref string) (string, error) {
	return ofRack{m.Client, m.host}.Push(ctx, layout, ref)
}

// known are registries with their credentials, as they were when they were read.
type known []rack.Registry

// ListRegistries is for [addedKeychain].
func (k known) ListRegistries(context.Context) ([]rack.Registry, error) { return k, nil }

// standing is ECR where repositories stand already: those of apps belong to their
// stacks.
type standing struct{ *ecr.Service }

// Prepare implements [registry.Cloud].
func (standing) Prepare(context.Context, name.Repository) error { return nil }
