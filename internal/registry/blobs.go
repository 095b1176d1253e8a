package registry

import (
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/opencontainers/go-digest"
)

// getBlob answers with a blob, or a range of it.
func getBlob(r request) error {
	of, err := digestIn(r.which)
	if err != nil {
		return err
	}
	return r.in.Blobs(r.Context()).ServeBlob(r.Context(), r.w, r.Request, of)
}

func digestIn(text string) (digest.Digest, error) {
	of, err := digest.Parse(text)
	if err != nil {
		return "", errcode.ErrorCodeDigestInvalid.WithDetail(err)
	}
	return of, nil
}
