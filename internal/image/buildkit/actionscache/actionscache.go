// Package actionscache is a client of the cache service of GitHub Actions, of its
// version 2: calls by which entries are found, begun and completed, and addresses in
// Azure's store of blobs that these give out, for the bytes.
// https://github.com/actions/toolkit/tree/main/packages/cache
package actionscache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// ErrExists: there is an entry with the key, or another job is about to make one. It
// cannot be replaced.
var ErrExists = errors.New("the entry exists")

// version is what BuildKit has all of its entries under, that of the toolkit being
// made of the paths of files. With another, a cache that one engine has written would
// be none for the next.
var version = func() string {
	sum := sha256.Sum256([]byte("|go-actionscache-1.0"))
	return hex.EncodeToString(sum[:])
}()

// Service is the cache of the repository that a job runs for.
type Service struct {
	url, token string
	http       *http.Client
	scopes     []Scope
}

// Open reads what a runner says of the service: ACTIONS_RESULTS_URL and
// ACTIONS_RUNTIME_TOKEN. way is nil for the usual way to servers. Nothing is asked yet.
func Open(results, token string, way http.RoundTripper) (*Service, error) {
	u, err := url.Parse(results)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("ACTIONS_RESULTS_URL is not the address of a service")
	}
	scopes, err := readToken(token)
	if err != nil {
		return nil, fmt.Errorf("ACTIONS_RUNTIME_TOKEN: %w", err)
	}
	client := &http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the service has no other place, and the token is for it alone
	}}
	return &Service{strings.TrimSuffix(results, "/"), token, client, scopes}, nil
}

// Scopes are those that the token is for.
func (s *Service) Scopes() []Scope { return s.scopes }

// Entry is one that was found.
type Entry struct {
	Key string

	url     string // with a signature
	service *Service
}

// Find looks for the entry with a key; nil if there is none.
func (s *Service) Find(ctx context.Context, key string) (*Entry, error) {
	return s.find(ctx, map[string]any{"key": key, "version": version}, func(found string) bool { return found == key })
}

// Latest looks for the entry that was made last of those with keys that begin so; nil
// if there is none.
func (s *Service) Latest(ctx context.Context, prefix string) (*Entry, error) {
	return s.find(ctx, map[string]any{"key": prefix, "restore_keys": []string{prefix}, "version": version},
		func(found string) bool { return strings.HasPrefix(found, prefix) })
}

func (s *Service) find(ctx context.Context, question map[string]any, right func(string) bool) (*Entry, error) {
	var answer struct {
		OK  bool   `json:"ok"`
		URL string `json:"signed_download_url"`
		Key string `json:"matched_key"`
	}
	err := s.call(ctx, "GetCacheEntryDownloadURL", question, &answer)
	if refused, ok := errors.AsType[*Refusal](err); ok && refused.Status == http.StatusNotFound && refused.Code == "not_found" {
		return nil, nil
	}
	if err != nil || !answer.OK || !right(answer.Key) {
		return nil, err
	}
	return &Entry{answer.Key, answer.URL, s}, nil
}

// Save makes an entry of bytes, and fails with [ErrExists] where one has the key.
func (s *Service) Save(ctx context.Context, key string, bytes io.ReaderAt, size int64) error {
	var begun struct {
		OK      bool   `json:"ok"`
		URL     string `json:"signed_upload_url"`
		Message string `json:"message"`
	}
	const begin = "CreateCacheEntry"
	err := s.call(ctx, begin, map[string]any{"key": key, "version": version}, &begun)
	if refused, ok := errors.AsType[*Refusal](err); ok && refused.Code == "already_exists" {
		return ErrExists
	}
	if err == nil && !begun.OK {
		err = &Refusal{Call: begin, Text: begun.Message}
	}
	if err != nil {
		return err
	}
	if err := s.upload(ctx, begun.URL, bytes, size); err != nil {
		return err
	}
	var completed struct {
		OK      bool   `json:"ok"`
		Message string `json:"message"`
	}
	const complete = "FinalizeCacheEntryUpload"
	err = s.call(ctx, complete, map[string]any{"key": key, "size_bytes": fmt.Sprint(size), "version": version}, &completed)
	if err == nil && !completed.OK {
		err = &Refusal{Call: complete, Text: completed.Message}
	}
	return err
}
