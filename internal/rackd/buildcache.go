package rackd

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/manifest"
)

// BuildCache is the repository in the rack's registry in which builds leave their
// layers for later ones.
type BuildCache interface {
	// Create makes the repository if it is not there.
	Create(ctx context.Context) error
	// Delete removes the repository with its images if it is there.
	Delete(ctx context.Context) error
	// Tags lists its tags, the latest pushed first.
	Tags(ctx context.Context) ([]string, error)
	// Expire removes the images that were pushed before a time.
	Expire(ctx context.Context, before time.Time) error
}

// notInRepositories is what the name of a repository is kept free of. The name of
// a real rack has nothing of it but capitals.
var notInRepositories = regexp.MustCompile(`[^a-z0-9]+`)

// BuildCacheName is the name of the repository of a rack's [BuildCache].
func BuildCacheName(rack string) string {
	return strings.TrimLeft(notInRepositories.ReplaceAllString(strings.ToLower(rack), "-")+"-build-cache", "-")
}

// cacheRound is how often images of the build cache are looked through for old
// ones: a real rack's registry promises it within a day.
const cacheRound = 24 * time.Hour

// keepCache makes the build cache what the parameters say, now and each day until
// the rack is closed.
func (s *Server) keepCache(ctx context.Context) {
	if s.Cache == nil {
		return
	}
	s.tendCache(ctx)
	s.busy.Go(func() {
		t := time.NewTicker(cacheRound)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.tendCache(s.work)
			case <-s.work.Done():
				return
			}
		}
	})
}

func (s *Server) tendCache(ctx context.Context) {
	s.updating.Lock()
	defer s.updating.Unlock()
	now, err := s.parameters(ctx)
	if err != nil {
		s.say("the build cache was not looked after: %v", err)
		return
	}
	s.settleCache(ctx, now)
}

// settleCache makes the build cache what parameters say. They are stored already:
// what fails is tried again within a day, and builds go on without.
func (s *Server) settleCache(ctx context.Context, parameters map[string]string) {
	if s.Cache == nil {
		return
	}
	if err := settled(ctx, s.Cache, parameters); err != nil {
		s.say("the build cache is not as the parameters of the rack say: %v", err)
	}
}

func settled(ctx context.Context, c BuildCache, parameters map[string]string) error {
	if parameters[buildCache] != yes {
		return c.Delete(ctx)
	}
	if err := c.Create(ctx); err != nil || parameters[buildCleanup] != yes {
		return err
	}
	days, err := strconv.Atoi(parameters[buildRetention])
	if err != nil {
		return err
	}
	return c.Expire(ctx, now().AddDate(0, 0, -days))
}

// withoutCache is what a real rack says whose builder lacks the program for it.
const withoutCache = "WARNING: docker buildx is not available in the build image, building without the persistent cache"

// caching says in an order what of earlier builds may be used, and what is left
// for later ones, where persists says whether the rack has BuildCache=Yes:
//
//	                      BuildCache=No      BuildCache=Yes
//	ec2                   the engine's own   the engine's own and the repository, written too
//	ec2, no cache         nothing            nothing, but the repository is written
//	fargate               nothing            the repository, written too
//	fargate, no cache     nothing            nothing, and nothing is written
//
// With fargate and layers in the repository the engine's own are used as well:
// they are the same ones.
func (s *Server) caching(ctx context.Context, o bake.Order, persists bool, log io.Writer) bake.Order {
	away := o.Fargate // on a machine that keeps nothing
	persists = persists && !(away && o.NoCache)
	if persists && builds(o.Manifest) && !s.canCache(ctx) {
		fmt.Fprintln(log, withoutCache)
		persists = false
	}
	if !persists {
		o.NoCache = o.NoCache || away
		return o
	}
	o.Cache.Repository = s.Registry + "/" + BuildCacheName(s.Name)
	if o.NoCache {
		return o
	}
	var err error
	if o.Cache.Tags, err = s.Cache.Tags(ctx); err != nil {
		fmt.Fprintf(log, "WARNING: the persistent cache was not read: %v\n", err)
	}
	o.NoCache = away && len(o.Cache.Tags) == 0
	return o
}

// builds tells whether anything is to be built, and not only pulled.
func builds(m *manifest.Manifest) bool {
	return slices.ContainsFunc(m.Services, func(s manifest.Service) bool { return s.Image == "" })
}

func (s *Server) canCache(ctx context.Context) bool {
	c, ok := s.Baker.Builder.(image.Cacher)
	return s.Cache != nil && ok && c.Caches(ctx)
}
