package registry

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// link is a file in a repository that holds the digest of a blob.
type link struct {
	name   string // last part of the path of dir
	dir    string // that is the link's own
	digest string // sha256:…
	pushed time.Time
}

// links finds those below a part of a repository, none if that is not there.
func (r *Repository) links(part string) ([]link, error) { return linksBelow(r.path(part)) }

// linksBelow finds the links to images and layers. Those of tags are left out: they
// only lead to what has a link as an image too, or had one.
func linksBelow(root string) ([]link, error) {
	var found []link
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // of which a push or its end is the reason
			return nil
		}
		if err == nil && d.IsDir() && strings.HasSuffix(filepath.ToSlash(path), "/"+tagsPath) {
			return filepath.SkipDir
		}
		if err != nil || d.Name() != "link" || d.IsDir() {
			return err
		}
		l, err := readLink(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found = append(found, l)
		return err
	})
	return found, err
}

func readLink(path string) (link, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return link{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return link{}, err
	}
	dir := filepath.Dir(path)
	return link{filepath.Base(dir), dir, strings.TrimSpace(string(text)), info.ModTime()}, nil
}

// tags are the links of the tags to what they name now.
func (r *Repository) tags() ([]link, error) {
	dirs, err := os.ReadDir(r.path(tagsPath))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var found []link
	for _, d := range dirs {
		dir := filepath.Join(r.path(tagsPath), d.Name())
		l, fault := readLink(filepath.Join(dir, "current", "link"))
		switch {
		case errors.Is(fault, fs.ErrNotExist): // it has been removed
		case fault != nil:
			err = errors.Join(err, fault)
		default:
			l.name, l.dir = d.Name(), dir
			found = append(found, l)
		}
	}
	return found, err
}

// references adds the blobs that an image consists of to a set.
func (s *Storage) references(image string, set map[string]bool) error {
	text, err := os.ReadFile(filepath.Join(s.blob(image), "data"))
	if err != nil {
		return err
	}
	var m struct { // of an image or an index
		Config            *v1.Descriptor
		Layers, Manifests []v1.Descriptor
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	if m.Config != nil {
		set[m.Config.Digest.String()] = true
	}
	for _, d := range append(m.Layers, m.Manifests...) {
		set[d.Digest.String()] = true
	}
	return nil
}

// blob is the directory of a blob: its digest's own, in one for each beginning.
func (s *Storage) blob(digest string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return filepath.Join(s.root, "blobs", algorithm, hex[:min(2, len(hex))], hex)
}
