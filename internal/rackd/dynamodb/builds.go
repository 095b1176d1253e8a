package dynamodb

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var _ rackd.Builds = (*Store)(nil)

// stamp is a time as an attribute, in the order of which texts are in that of time.
func stamp(at time.Time) string { return at.UTC().Format(rack.StampLayout) }

// stamped is the time of an attribute, the zero one if it is none.
func stamped(text string) time.Time {
	at, err := time.Parse(rack.StampLayout, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// buildTexts are the attributes of a build.
func buildTexts(b rack.Build) texts {
	t := texts{"id": b.ID, "app": b.App, "created": stamp(b.Started), "wildcard-domain": strconv.FormatBool(b.WildcardDomain)}
	for name, value := range map[string]string{
		"status": b.Status, "description": b.Description, "git-sha": b.GitSHA, "entrypoint": b.Entrypoint, "manifest": b.Manifest,
		"logs": b.Logs, "release": b.Release, "reason": b.Reason, "process": b.Process, "repository": b.Repository,
	} {
		t.set(name, value)
	}
	if !b.Ended.IsZero() {
		t["ended"] = stamp(b.Ended)
	}
	return t
}

func buildOf(t texts) rack.Build {
	return rack.Build{
		ID: t["id"], App: t["app"], Description: t["description"], Entrypoint: t["entrypoint"], GitSHA: t["git-sha"], Logs: t["logs"],
		Manifest: t["manifest"], Process: t["process"], Release: t["release"], Reason: t["reason"], Repository: t["repository"],
		Status: t["status"], WildcardDomain: t["wildcard-domain"] == "true", Started: stamped(t["created"]), Ended: stamped(t["ended"]),
	}
}

// holdsBuild tells whether a record is that of a build. Others write the same in
// other ways.
func holdsBuild(r stored, b rack.Build) bool {
	return r.exists() && r.item[droppedName] == "" && maps.Equal(buildTexts(buildOf(r.whole)), buildTexts(b))
}

// Build implements [rackd.Builds].
func (s *Store) Build(ctx context.Context, app, id string) (rack.Build, error) {
	r, err := s.load(ctx, s.buildAt(id))
	if err != nil {
		return rack.Build{}, err
	}
	if r.item["app"] != app || r.item[droppedName] != "" {
		return rack.Build{}, rack.ErrNotFound
	}
	return buildOf(r.whole), nil
}

// ListBuilds implements [rackd.Builds].
func (s *Store) ListBuilds(ctx context.Context, app string, limit int) ([]rack.Build, error) {
	return list(ctx, s.buildsOf(app), limit, func(ctx context.Context, e entry) (b rack.Build, ok bool, err error) {
		r, err := s.load(ctx, s.buildAt(e.id))
		return buildOf(r.whole), e.of(app, r.item) && r.item[droppedName] == "", err
	})
}

// SwapBuild implements [rackd.Builds].
func (s *Store) SwapBuild(ctx context.Context, old, next rack.Build) error {
	at, texts := s.buildAt(next.ID), buildTexts(next)
	for {
		was, err := s.load(ctx, at)
		if err != nil {
			return err
		}
		if drop, ok := dropOf(was.item); ok && old.ID == "" { // it is gone, or was about to be when somebody was killed
			if err := s.finish(ctx, drop); err != nil {
				return err
			}
			continue
		}
		if old.ID == "" && was.exists() || old.ID != "" && !holdsBuild(was, old) {
			return rack.ErrConflict
		}
		if !was.exists() || was.item["created"] != texts["created"] {
			if err := s.buildsOf(next.App).add(ctx, entry{texts["created"], next.ID}, ""); err != nil {
				return err
			}
		}
		if ok, err := s.replace(ctx, at, was, texts); err != nil || ok {
			return err
		} // else look again: what has changed may mean the same
	}
}

// RemoveBuilds implements [rackd.Builds].
func (s *Store) RemoveBuilds(ctx context.Context, app string) error {
	return s.buildsOf(app).each(ctx, func(e entry) error {
		item, err := s.get(ctx, s.buildAt(e.id))
		if err != nil {
			return err
		}
		if drop, ok := dropOf(item); ok && drop.app == app {
			return s.finish(ctx, drop)
		}
		was, err := s.remove(ctx, s.buildAt(e.id), texts{"app": app})
		if err != nil {
			return err
		}
		if err := s.removePieces(ctx, piecesIn(was)...); err != nil {
			return err
		}
		return s.buildsOf(app).forget(ctx, e)
	})
}
