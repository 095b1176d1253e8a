package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// listTags answers with the tags of a repository: those after "last", and "n" of
// them if that is given.
func listTags(r request) error {
	query := r.URL.Query()
	most := -1
	if n := query.Get("n"); n != "" {
		var err error
		if most, err = strconv.Atoi(n); err != nil || most < 0 {
			return errcode.ErrorCodePaginationNumberInvalid.WithDetail(map[string]string{"n": n})
		}
	}
	last := query.Get("last")
	if last != "" && !wholeTag(last) { // it would become a part of the name of a file
		return errcode.ErrorCodeTagInvalid.WithMessage(fmt.Sprintf("last is %q, which is no tag", last))
	}
	answer := struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{r.in.Named().Name(), []string{}}
	if most != 0 {
		tags, err := r.in.Tags(r.Context()).List(r.Context(), most, last)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err == nil { // the end was not reached
			next := url.Values{"n": {strconv.Itoa(most)}, "last": {tags[len(tags)-1]}}
			r.w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.EscapedPath(), next.Encode()))
		}
		answer.Tags = append(answer.Tags, tags...)
	}
	r.w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(r.w).Encode(answer)
}
