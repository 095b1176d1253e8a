package ecr

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Registry is the registry on ECR in which a rack keeps what it builds. The
// repositories of its apps are made when they are pushed to.
type Registry struct {
	service *Service
	host    string
	path    string // that the repositories of apps are below
	at      place
}

// repositoryName is what ECR takes, less the bounds of its length.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
var repositoryName = regexp.MustCompile(`^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// Open finds a registry by its host, or that of the credentials in the region that
// is set if the host is "", and signs in to it: credentials that are of no use are
// found out here. path is where the repositories of apps are; the registry has it
// in no other use.
func (s *Service) Open(ctx context.Context, host, path string) (*Registry, error) {
	if !repositoryName.MatchString(path) {
		return nil, fmt.Errorf("%q cannot be the beginning of a repository's name on ECR", path)
	}
	at, ok := parseHost(host)
	if !ok && host != "" {
		return nil, fmt.Errorf("%q is not the host of a registry on ECR", host)
	}
	t, err := s.ask(ctx, scope{place: at})
	if err != nil {
		return nil, err
	}
	if host == "" {
		if host = t.endpoint; host == "" {
			return nil, &Error{Kind: ErrRegion, Text: "ECR has not said which registry is that of the credentials: name its host"}
		}
		if at, ok = parseHost(host); !ok { // a stand-in for AWS
			c, err := s.load(ctx)
			if err != nil {
				return nil, err
			}
			at = place{region: c.Region}
		}
	}
	r := &Registry{s, host, path, at}
	s.mu.Lock()
	s.own[host] = r
	s.mu.Unlock()
	s.keep(scope{place: at}, t)
	return r, nil
}

// Name is what the names of the repositories of apps begin with: the host and the
// path.
func (r *Registry) Name() string { return r.host + "/" + r.path }

// Host is where images are pushed to and pulled from.
func (r *Registry) Host() string { return r.host }

// Repository is one beside those of apps.
func (r *Registry) Repository(name string) (*Repository, error) {
	if !repositoryName.MatchString(name) {
		return nil, fmt.Errorf("%q cannot be the name of a repository on ECR", name)
	}
	return &Repository{r, name}, nil
}

// Prepare implements [registry.Cloud]: what is to be pushed to must be there, as
// far as it is the repository of an app in a registry that was opened. Others are
// made by whoever wants them: see [Repository].
func (s *Service) Prepare(ctx context.Context, repository name.Repository) error {
	host, path := repository.RegistryStr(), repository.RepositoryStr()
	s.mu.Lock()
	r, own := s.own[host]
	done := s.known[host+"/"+path]
	s.mu.Unlock()
	if !own || done || !strings.HasPrefix(path, r.path+"/") {
		return nil
	}
	if _, err := (&Repository{r, path}).make(ctx, true); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[host+"/"+path] = true
	return nil
}

// forget has a repository looked for again before it is pushed to.
func (s *Service) forget(host, repository string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, host+"/"+strings.Trim(repository, "/"))
}
