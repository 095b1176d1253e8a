package rackd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Images has the archives of images that builds travel in, and asks other
// registries.
type Images interface {
	// Save looks images up for an archive as "docker save" writes it. refs says
	// by the name in the archive where each is. size is the length of the
	// archive in bytes, and write writes it, while ctx lasts.
	Save(ctx context.Context, refs map[string]string) (size int64, write func(io.Writer) error, err error)
	// Load reads an archive to its end and keeps what it needs of it in dir, which
	// is empty. names are those of the images; an archive that has no names has
	// one image, the name of which is "". push copies images to where refs says
	// by name, while ctx lasts.
	Load(ctx context.Context, archive io.Reader, dir string) (names []string, push func(refs map[string]string) error, err error)
	// Login fails unless a registry, named as people do, takes the credentials.
	Login(ctx context.Context, server, username, password string) error
}

// exportBuild answers with the archive of a build: gzip around a tar stream of
// its record, its images and its log. What can be known to be missing is an
// error; whatever goes wrong after that breaks the connection.
func (s *Server) exportBuild(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	b, err := s.build(ctx, mux.Vars(r)["app"], mux.Vars(r)["id"])
	if err != nil {
		return err
	}
	refs, err := s.imagesOf(ctx, b)
	if err != nil {
		return err
	}
	p := rack.Parcel{Build: b, Images: make([]rack.Packed, 1)}
	if p.Images[0].Size, p.Images[0].Write, err = s.Images.Save(ctx, refs); err != nil {
		return err
	}
	log, err := s.spoolLog(ctx, b)
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close()
		info, err := log.Stat()
		if err != nil {
			return err
		}
		p.Log, p.LogSize = log, info.Size()
	}
	w.Header().Set("Content-Type", "application/x-gzip")
	if err := p.Write(w); err != nil {
		s.say("export of build %s: %v", b.ID, err)
		panic(http.ErrAbortHandler) // a v2 rack ends the archive with the text of the error, which clients take for success
	}
	return nil
}

// imagesOf gives the images of a build, by the names they have in an archive: a
// rack that imports it cuts the service out between the first colon and the
// first dot after it, so that no name may begin with a host and port.
func (s *Server) imagesOf(ctx context.Context, b rack.Build) (map[string]string, error) {
	if b.Release == "" {
		return nil, errors.New("release id must not be empty")
	}
	rel, err := s.release(ctx, b.App, b.Release)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Load([]byte(rel.Manifest), rel.Variables())
	if err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	if len(m.Services) == 0 {
		return nil, errors.New("no services found to export")
	}
	refs := map[string]string{}
	for _, service := range m.Services {
		tag := service.Name + "." + b.ID
		refs["convox/"+b.App+":"+tag] = s.Registry + "/" + b.App + ":" + tag
	}
	return refs, nil
}

// spoolLog copies the stored log of a build to a file of its own, since its
// length stands in front of it. It is nil if there is no log.
func (s *Server) spoolLog(ctx context.Context, b rack.Build) (*os.File, error) {
	owner, key, ok := parseObjectURL(b.Logs)
	if !ok {
		return nil, nil
	}
	stored, err := s.Stores.Objects.OpenObject(ctx, owner, key)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer stored.Close()
	f, err := os.CreateTemp(s.Spool, "log")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name()) // it is there as long as it is open
	_, err = io.Copy(f, stored)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
