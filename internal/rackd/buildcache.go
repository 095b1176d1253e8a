package rackd

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
)

// BuildCache is the repository in the rack's registry in which builds leave their
// layers for later ones. A method that fails leaves the repository as it is.
type BuildCache interface {
	// Create makes the repository if it is not there, and tells whether it did.
	Create(ctx context.Context) (made bool, err error)
	// Delete removes the repository with its images if it is there.
	Delete(ctx context.Context) error
	// Tags lists its tags, the latest pushed first.
	Tags(ctx context.Context) ([]string, error)
	// Retain has images removed within a day of when they were pushed some days
	// ago, if it is called each day; 0 keeps all from now on.
	Retain(ctx context.Context, days int) error
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

// tendCache does what is to be done from time to time. A repository that is not
// wanted was deleted when that was said: to look for one here could hit what
// another rack of that name has in the same registry.
func (s *Server) tendCache(ctx context.Context) {
	s.updating.Lock()
	defer s.updating.Unlock()
	all, err := s.parameters(ctx)
	if err == nil {
		if k := kept(all); k.on {
			_, err = s.Cache.Create(ctx)
			if err == nil && k.days > 0 {
				err = s.Cache.Retain(ctx, k.days)
			}
		}
	}
	if err != nil {
		s.say("the build cache was not looked after: %v", err)
	}
}

// keeping is what parameters say of the build cache.
type keeping struct {
	on   bool
	days int // that images are kept for; 0 for ever
}

// kept reads parameters, which were checked when they were set.
func kept(parameters map[string]string) (k keeping) {
	if k.on = parameters[buildCache] == yes; k.on && parameters[buildCleanup] == yes {
		k.days, _ = strconv.Atoi(parameters[buildRetention])
	}
	return k
}

// settleCache makes the build cache what parameters are going to say. undo takes
// that back where they come not to be stored, as far as it can be: what was deleted
// comes back empty.
func (s *Server) settleCache(ctx context.Context, from, to keeping) (undo func(), err error) {
	if s.Cache == nil || from == to {
		return func() {}, nil
	}
	if !to.on {
		return func() { s.restore(ctx, from, false) }, s.Cache.Delete(ctx)
	}
	made, err := s.Cache.Create(ctx)
	if err == nil && from.days != to.days {
		err = s.Cache.Retain(ctx, to.days)
	}
	undo = func() { s.restore(ctx, from, made) }
	if err != nil && made {
		undo()
	}
	return undo, err
}

// restore makes the build cache what it was. One that was there before and was not
// to be is not for this rack to delete.
func (s *Server) restore(ctx context.Context, to keeping, made bool) {
	var err error
	switch {
	case to.on:
		if made, err = s.Cache.Create(ctx); err == nil && (to.days > 0 || !made) {
			err = s.Cache.Retain(ctx, to.days)
		}
	case made:
		err = s.Cache.Delete(ctx)
	}
	if err != nil {
		s.say("the build cache is not as the parameters of the rack say: %v", err)
	}
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
	if persists && o.Manifest.Builds() && !s.canCache(ctx) {
		fmt.Fprintln(log, withoutCache)
		persists = false
	}
	if !persists {
		o.NoCache = o.NoCache || away
		return o
	}
	o.Cache.Repository = s.host() + "/" + BuildCacheName(s.Name)
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

func (s *Server) canCache(ctx context.Context) bool {
	c, ok := s.Baker.Builder.(image.Cacher)
	return s.Cache != nil && ok && c.Caches(ctx)
}
