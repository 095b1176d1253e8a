package actionscachetest

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
)

// create begins an entry.
func (s *Service) create(scopes []scope, q question, r *http.Request) (any, *fault) {
	at := slices.IndexFunc(scopes, func(s scope) bool { return s.Permission&mayWrite != 0 })
	if at < 0 {
		return nil, &fault{http.StatusForbidden, "permission_denied", "the token may not write"}
	}
	if s.begun(scopes[at].Scope, q) != nil {
		return nil, &fault{http.StatusConflict, "already_exists", "cache entry with the same key, version, and scope already exists"}
	}
	e := &entry{id: rand.Text(), scope: scopes[at].Scope, key: q.Key, version: q.Version, blocks: map[string][]byte{}}
	s.entries = append(s.entries, e)
	return map[string]any{"ok": true, "signed_upload_url": s.sign(r, e, "w")}, nil
}

func (s *Service) begun(scope string, q question) *entry {
	for _, e := range s.entries {
		if e.scope == scope && e.key == q.Key && e.version == q.Version {
			return e
		}
	}
	return nil
}

// finish completes one.
func (s *Service) finish(scopes []scope, q question, _ *http.Request) (any, *fault) {
	var e *entry
	for _, in := range scopes {
		if in.Permission&mayWrite != 0 {
			e = cmp.Or(e, s.begun(in.Scope, q))
		}
	}
	if e == nil || e.complete || !e.uploaded {
		return nil, &fault{http.StatusNotFound, "not_found", "no upload of such an entry is to be completed"}
	}
	if size, err := q.Size.Int64(); err != nil || size != int64(len(e.data)) {
		return nil, &fault{http.StatusBadRequest, "invalid_argument", "the size is not that of the upload"}
	}
	e.complete, e.used = true, s.now()
	s.evict()
	return map[string]any{"ok": true, "entry_id": e.id}, nil
}

// evict drops what was used least lately while there is too much.
func (s *Service) evict() {
	for {
		var all int64
		var oldest *entry
		for _, e := range s.entries {
			all += int64(len(e.data))
			if e.complete && (oldest == nil || e.used.Before(oldest.used)) {
				oldest = e
			}
		}
		if oldest == nil || all <= cmp.Or(s.Limit, maxAll) {
			return
		}
		s.entries = slices.DeleteFunc(s.entries, func(e *entry) bool { return e == oldest })
	}
}

// find looks for an entry, scope by scope: for the key, and then for the newest that
// begins with one of the others.
func (s *Service) find(scopes []scope, q question, r *http.Request) (any, *fault) {
	for _, in := range scopes {
		if in.Permission&mayRead == 0 {
			continue
		}
		e := s.newest(in.Scope, q.Version, func(key string) bool { return key == q.Key })
		for _, prefix := range q.RestoreKeys {
			if e == nil {
				e = s.newest(in.Scope, q.Version, func(key string) bool { return strings.HasPrefix(key, prefix) })
			}
		}
		if e != nil {
			e.used = s.now()
			return map[string]any{"ok": true, "signed_download_url": s.sign(r, e, "r"), "matched_key": e.key}, nil
		}
	}
	return map[string]any{"ok": false, "signed_download_url": "", "matched_key": ""}, nil
}

func (s *Service) newest(scope, version string, right func(key string) bool) *entry {
	for _, e := range slices.Backward(s.entries) {
		if e.complete && e.scope == scope && e.version == version && right(e.key) {
			return e
		}
	}
	return nil
}
