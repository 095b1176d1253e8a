package s3

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// OpenObject implements [rackd.Objects]. It is one request, whose answer is one
// version of the object, whatever is stored or removed while it is read. It lasts
// as long as ctx.
func (s *Store) OpenObject(ctx context.Context, app, key string) (io.ReadCloser, error) {
	name, err := s.name(app, key)
	if err != nil {
		return nil, err
	}
	out, err := s.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return nil, s.explain(ctx, err, "s3:GetObject", name)
	}
	return out.Body, nil
}

// RemoveObject implements [rackd.Objects]. S3 does not tell whether there was
// something to remove, so that is asked first: of two that remove an object at
// once, both may be told that they did.
func (s *Store) RemoveObject(ctx context.Context, app, key string) error {
	name, err := s.name(app, key)
	if err != nil {
		return err
	}
	if _, err := s.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &name}); err != nil {
		return s.explain(ctx, err, "s3:GetObject", name)
	}
	_, err = s.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &name})
	return s.explain(ctx, err, "s3:DeleteObject", name)
}

// maxBatch is how many objects one call may remove, and a list has at most.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
const maxBatch = 1000

// RemoveObjects implements [rackd.Objects]. What cannot be removed does not keep
// the rest.
func (s *Store) RemoveObjects(ctx context.Context, app string) error {
	base, err := s.base(app)
	if err != nil || app == "" {
		return err
	}
	var batch []types.ObjectIdentifier
	var failed []error
	for o, err := range s.list(ctx, base, "") {
		if err != nil {
			failed = append(failed, err)
			break
		}
		if batch = append(batch, types.ObjectIdentifier{Key: o.Key}); len(batch) == maxBatch {
			failed = append(failed, s.remove(ctx, base, batch))
			batch = nil
		}
	}
	return errors.Join(append(failed, s.remove(ctx, base, batch))...)
}

// remove removes some of the objects that are below a base.
func (s *Store) remove(ctx context.Context, base string, batch []types.ObjectIdentifier) error {
	if len(batch) == 0 {
		return nil
	}
	out, err := s.api.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &s.bucket, Delete: &types.Delete{Objects: batch, Quiet: aws.Bool(true)}})
	if err != nil {
		return s.explain(ctx, err, "s3:DeleteObject", base+"*")
	}
	var failed []error
	for _, e := range out.Errors {
		failed = append(failed, s.refusal(aws.ToString(e.Code), aws.ToString(e.Message), "s3:DeleteObject", aws.ToString(e.Key)))
	}
	return errors.Join(failed...)
}

// ListObjects implements [rackd.Objects]. Of keys of which only a hash is left, none
// is listed.
func (s *Store) ListObjects(ctx context.Context, app, prefix string) ([]string, error) {
	found, err := s.keys(ctx, app, prefix, "/", func(types.Object) bool { return true })
	found = slices.DeleteFunc(found, func(key string) bool { return strings.Contains(key[len(prefix):], "/") })
	slices.Sort(found)
	return found, err
}

// OldObjects implements [rackd.Objects]. The time of an object is that of S3.
func (s *Store) OldObjects(ctx context.Context, app, prefix string, before time.Time) ([]string, error) {
	return s.keys(ctx, app, prefix, "", func(o types.Object) bool { return o.LastModified != nil && o.LastModified.Before(before) })
}

// keys lists the keys of an app that begin with a prefix and are wanted, up to a
// delimiter if it is not "".
func (s *Store) keys(ctx context.Context, app, prefix, delimiter string, wanted func(types.Object) bool) ([]string, error) {
	base, err := s.base(app)
	if err != nil || !utf8.ValidString(prefix) { // which no key begins with
		return nil, err
	}
	var found []string
	take := func(key string, o types.Object) {
		if strings.HasPrefix(key, prefix) && wanted(o) {
			found = append(found, key)
		}
	}
	for o, err := range s.list(ctx, base+prefix, delimiter) {
		if err != nil {
			return nil, err
		}
		if key := strings.TrimPrefix(*o.Key, base); !strange(key) {
			take(key, o)
		}
	}
	for o, err := range s.list(ctx, base+strangeName(prefix), "") {
		if err != nil {
			return nil, err
		}
		if key, err := strangeKey(strings.TrimPrefix(*o.Key, base)); err == nil {
			take(key, o)
		}
	}
	return found, nil
}

// list goes through what begins with a prefix, page by page.
func (s *Store) list(ctx context.Context, prefix, delimiter string) func(yield func(types.Object, error) bool) {
	in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	return func(yield func(types.Object, error) bool) {
		for pages := s3.NewListObjectsV2Paginator(s.api, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(types.Object{}, s.explain(ctx, err, "s3:ListBucket", ""))
				return
			}
			for _, o := range page.Contents {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}
