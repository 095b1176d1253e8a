package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

// uploadID is how the storage names uploads.
var uploadID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// beginUpload takes a blob from another repository, or the whole of it out of the
// request, or says where to send it.
func (s *server) beginUpload(r request) error {
	up, err := r.in.Blobs(r.Context()).Create(r.Context(), mounting(r.URL.Query())...)
	if mounted, ok := errors.AsType[distribution.ErrBlobMounted](err); ok {
		return r.created(mounted.Descriptor.Digest)
	}
	if err != nil {
		return err
	}
	if r.URL.Query().Has("digest") && r.ContentLength != 0 {
		r.which = up.ID()
		if err := finishUpload(r, up); err != nil {
			return errors.Join(err, r.drop())
		}
		return nil
	}
	return r.uploading(up, http.StatusAccepted)
}

// mounting reads which blob of which repository could be taken; one that is not
// there, or no name of one, is no fault: it is uploaded then.
func mounting(query url.Values) []distribution.BlobCreateOption {
	of, err := digest.Parse(query.Get("mount"))
	if err != nil || of.Algorithm() != digest.Canonical { // blobs are linked under this one alone
		return nil
	}
	from, err := reference.WithName(query.Get("from"))
	if err != nil {
		return nil
	}
	blob, err := reference.WithDigest(from, of)
	if err != nil {
		return nil
	}
	return []distribution.BlobCreateOption{storage.WithMountFrom(blob)}
}

// resumed opens the upload of a request for an action, which closes it.
func resumed(act func(request, distribution.BlobWriter) error) action {
	return func(r request) error {
		if !uploadID.MatchString(r.which) { // or it could name a directory elsewhere
			return errcode.ErrorCodeBlobUploadUnknown
		}
		up, err := r.in.Blobs(r.Context()).Resume(r.Context(), r.which)
		if err != nil {
			return err
		}
		return act(r, up)
	}
}

// exclusive is [resumed] for what changes the upload: only one request at a time
// may, and only from where the upload is by the address that the client was given.
// Two that write would leave other bytes than those whose digest is compared.
func (s *server) exclusive(act func(request, distribution.BlobWriter) error) action {
	return func(r request) error {
		if _, busy := s.busy.LoadOrStore(r.which, true); busy {
			return errcode.ErrorCodeTooManyRequests.WithMessage("another request works on this upload")
		}
		defer s.busy.Delete(r.which)
		return resumed(func(r request, up distribution.BlobWriter) error {
			at := r.URL.Query().Get(offset)
			if at != "" && at != strconv.FormatInt(up.Size(), 10) {
				return errors.Join(errcode.ErrorCodeRangeInvalid, up.Close())
			}
			return act(r, up)
		})(r)
	}
}

// offset is the name of the parameter that says how far an upload was when the
// client was given its address: a request that is sent again is not taken twice.
const offset = "offset"

// uploadStatus answers with how far an upload is.
func uploadStatus(r request, up distribution.BlobWriter) error {
	return r.uploading(up, http.StatusNoContent)
}

// appendUpload takes a piece of a blob.
func appendUpload(r request, up distribution.BlobWriter) error {
	if err := r.take(up); err != nil {
		return errors.Join(err, up.Close())
	}
	return r.uploading(up, http.StatusAccepted)
}

// take adds the body to an upload.
func (r request) take(up distribution.BlobWriter) error {
	if err := r.fits(up.Size()); err != nil {
		return err
	}
	_, err := io.Copy(up, r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errcode.ErrorCodeSizeInvalid.WithDetail(err)
	}
	return err
}

// finishUpload takes the rest of a blob and compares its digest. What is not the
// blob is removed; with a request that says no digest the upload goes on.
func finishUpload(r request, up distribution.BlobWriter) error {
	of, err := digestIn(r.URL.Query().Get("digest"))
	if err == nil {
		err = r.take(up)
	}
	if err != nil {
		return errors.Join(err, up.Close())
	}
	made, err := up.Commit(r.Context(), v1.Descriptor{Digest: of})
	if err != nil {
		up.Close() // if that was not done
		return errors.Join(err, r.drop())
	}
	return r.created(made.Digest)
}

// cancelUpload removes an upload.
func cancelUpload(r request, up distribution.BlobWriter) error {
	if err := up.Cancel(r.Context()); err != nil {
		return err
	}
	r.w.Header().Set("Docker-Upload-UUID", r.which)
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

// drop removes the upload, which is closed; one that is not there is no fault.
func (r request) drop() error {
	up, err := r.in.Blobs(r.Context()).Resume(r.Context(), r.which)
	if errors.Is(err, distribution.ErrBlobUploadUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	return up.Cancel(r.Context())
}

// uploading closes an upload and says how far it is.
func (r request) uploading(up distribution.BlobWriter, status int) error {
	if err := up.Close(); err != nil {
		return err
	}
	at, err := r.urls().BuildBlobUploadChunkURL(r.in.Named(), up.ID(), url.Values{offset: {strconv.FormatInt(up.Size(), 10)}})
	if err != nil {
		return err
	}
	h := r.w.Header()
	h.Set("Location", at)
	h.Set("Docker-Upload-UUID", up.ID())
	h.Set("Range", fmt.Sprintf("0-%d", max(up.Size()-1, 0)))
	r.w.WriteHeader(status)
	return nil
}

// created says where a blob is now.
func (r request) created(of digest.Digest) error {
	blob, err := reference.WithDigest(r.in.Named(), of)
	if err != nil {
		return err
	}
	at, err := r.urls().BuildBlobURL(blob)
	if err != nil {
		return err
	}
	r.w.Header().Set("Location", at)
	r.w.Header().Set("Docker-Content-Digest", of.String())
	r.w.WriteHeader(http.StatusCreated)
	return nil
}
