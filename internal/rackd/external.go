package rackd

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// externalLife is how long a build that is made elsewhere may take. Nobody else can
// tell that its maker is gone: a rack that starts calls older ones failed.
const externalLife = 24 * time.Hour

// createExternal records a build that is made elsewhere, as v3 racks do: nothing
// runs here, and the answer has the repository that its images are to be pushed to,
// with the credentials for it. The record keeps the repository without them; a
// build that has one is its maker's to change.
func (s *Server) createExternal(ctx context.Context, w http.ResponseWriter, app string, f url.Values) error {
	if strings.Contains(s.Registry, "/") { // below a path of one that others have too, whose credentials are not the rack's to give
		return fault(http.StatusBadRequest, "the images of this rack are in the registry %s, to which it lends no credentials: send them by import, or with credentials of your own", s.Registry)
	}
	repository := url.URL{Scheme: "http", Host: s.Registry, Path: "/" + app}
	b := rack.Build{
		App: app, Description: f.Get("description"), GitSHA: f.Get("git-sha"), WildcardDomain: f.Get("wildcard-domain") == "true",
		Repository: repository.String(), Status: rack.BuildCreated, Started: now(),
	}
	for {
		b.ID = rack.NewID("B")
		err := s.Stores.Builds.SwapBuild(ctx, rack.Build{}, b)
		if err == nil {
			break
		}
		if !isConflict(err) {
			return err
		}
	}
	repository.User = url.UserPassword("convox", s.Password)
	b.Repository = repository.String()
	return render(w, b)
}

// external tells whether a build is made elsewhere, and not ended.
func external(b rack.Build) bool { return b.Repository != "" && !b.Final() }

// abandoned tells whether the maker of a build must be gone.
func abandoned(b rack.Build) bool { return external(b) && now().Sub(b.Started) > externalLife }
