package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/distribution/v3"
	_ "github.com/distribution/distribution/v3/manifest/manifestlist" // the kinds of manifests that are taken
	_ "github.com/distribution/distribution/v3/manifest/ocischema"
	_ "github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// maxManifest bounds a manifest, in bytes.
const maxManifest = 4 << 20

// revision reads a tag or a digest; the other is empty.
func revision(which string) (tag string, of digest.Digest, err error) {
	if strings.Contains(which, ":") {
		of, err = digestIn(which)
		return "", of, err
	}
	if !wholeTag(which) {
		return "", "", errcode.ErrorCodeTagInvalid.WithMessage(fmt.Sprintf("%q is neither a tag nor a digest", which))
	}
	return which, "", nil
}

func wholeTag(text string) bool { return reference.TagRegexp.FindString(text) == text && text != "" }

// getManifest answers with a manifest as it was put, of whatever kind it is.
func getManifest(r request) error {
	tag, of, err := revision(r.which)
	if err != nil {
		return err
	}
	if tag != "" {
		named, err := r.in.Tags(r.Context()).Get(r.Context(), tag)
		if err != nil {
			return err
		}
		of = named.Digest
	}
	manifests, err := r.in.Manifests(r.Context())
	if err != nil {
		return err
	}
	found, err := manifests.Get(r.Context(), of)
	if err != nil {
		return err
	}
	mark := strconv.Quote(of.String())
	known := r.Header.Values("If-None-Match")
	if slices.Contains(known, mark) || slices.Contains(known, of.String()) {
		r.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	kind, text, err := found.Payload()
	if err != nil {
		return err
	}
	h := r.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Docker-Content-Digest", of.String())
	h.Set("Etag", mark)
	r.w.Write(text) // a client that does not read it has gone
	return nil
}

// secondSchema refuses a manifest of another version of the schema than the storage
// takes, which has no kind of error for it.
func secondSchema(text []byte) error {
	var m struct {
		Version int `json:"schemaVersion"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	if m.Version != 2 {
		return fmt.Errorf("schemaVersion is %d, not 2", m.Version)
	}
	return nil
}

// putManifest takes a manifest whose parts are here, and gives it its tag.
func putManifest(r request) error {
	tag, of, err := revision(r.which)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, maxManifest))
	if err != nil {
		return errcode.ErrorCodeManifestInvalid.WithDetail(err)
	}
	m, is, err := distribution.UnmarshalManifest(r.Header.Get("Content-Type"), text)
	if err == nil {
		err = secondSchema(text)
	}
	if err != nil {
		return errcode.ErrorCodeManifestInvalid.WithDetail(err)
	}
	if tag == "" && of != is.Digest {
		return errcode.ErrorCodeDigestInvalid
	}
	manifests, err := r.in.Manifests(r.Context())
	if err != nil {
		return err
	}
	if _, err := manifests.Put(r.Context(), m); err != nil {
		return err
	}
	if tag != "" {
		if err := r.in.Tags(r.Context()).Tag(r.Context(), tag, is); err != nil {
			return err
		}
	}
	to, err := reference.WithDigest(r.in.Named(), is.Digest)
	if err != nil {
		return err
	}
	at, err := r.urls().BuildManifestURL(to)
	if err != nil {
		return err
	}
	r.w.Header().Set("Location", at)
	r.w.Header().Set("Docker-Content-Digest", is.Digest.String())
	r.w.WriteHeader(http.StatusCreated)
	return nil
}
