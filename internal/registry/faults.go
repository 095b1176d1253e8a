package registry

import (
	"errors"
	"net/http"
	"syscall"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/storage/driver"
)

// fail answers with an error in the form of registries.
func fail(w http.ResponseWriter, err error) {
	var told errcode.Errors
	if missing, ok := errors.AsType[distribution.ErrManifestVerification](err); ok {
		told = unverified(missing)
	} else {
		told = errcode.Errors{coded(err)}
	}
	errcode.ServeJSON(w, told) // a client that does not read it has gone
}

// coded gives an error of the storage the code that registries have for it.
func coded(err error) error {
	if e, ok := errors.AsType[errcode.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[errcode.ErrorCode](err); ok {
		return e
	}
	if e, ok := errors.AsType[distribution.ErrTagUnknown](err); ok {
		return errcode.ErrorCodeManifestUnknown.WithDetail(e)
	}
	if e, ok := errors.AsType[distribution.ErrManifestUnknownRevision](err); ok {
		return errcode.ErrorCodeManifestUnknown.WithDetail(e)
	}
	if e, ok := errors.AsType[distribution.ErrRepositoryUnknown](err); ok {
		return errcode.ErrorCodeNameUnknown.WithDetail(map[string]string{"name": e.Name})
	}
	if e, ok := errors.AsType[distribution.ErrBlobInvalidDigest](err); ok {
		return errcode.ErrorCodeDigestInvalid.WithDetail(e)
	}
	switch {
	case errors.Is(err, distribution.ErrBlobUnknown):
		return errcode.ErrorCodeBlobUnknown
	case errors.Is(err, distribution.ErrBlobUploadUnknown):
		return errcode.ErrorCodeBlobUploadUnknown
	}
	if e, ok := errors.AsType[driver.Error](err); ok { // which unwraps to nothing
		err = e.Detail
	}
	if why, ok := errors.AsType[syscall.Errno](err); ok { // as that the disk is full
		return errcode.ErrorCodeUnknown.WithDetail(why.Error())
	}
	return errcode.ErrorCodeUnknown // the rest may name files of this machine
}

// unverified says what of a manifest is not there, or is not as it has to be.
func unverified(faults []error) (told errcode.Errors) {
	for _, f := range faults {
		if e, missing := f.(distribution.ErrManifestBlobUnknown); missing {
			told = append(told, errcode.ErrorCodeManifestBlobUnknown.WithDetail(e.Digest))
		} else {
			told = append(told, errcode.ErrorCodeManifestInvalid.WithDetail(f))
		}
	}
	return told
}
