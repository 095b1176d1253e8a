package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	// smallObject is how much is read before a whole part has room, in bytes: most
	// logs and sources are shorter.
	smallObject = 64 << 10

	// partSize is the size of the parts of large objects, in bytes. S3 takes 10,000
	// of them, ten times what a rack takes as an object.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	partSize = 8 << 20

	// partsAtOnce is how many parts are on their way, or being read, at once: as
	// many as one upload has in memory.
	partsAtOnce = 3

	// abortTime is how long the removal of parts may take once an upload has failed,
	// also one whose time was up.
	abortTime = 30 * time.Second

	// abortTries is how often it is tried until nothing is left.
	abortTries = 4
)

// PutObject implements [rackd.Objects]. What is larger than a part goes as several,
// which S3 makes an object of at the end, all at once.
func (s *Store) PutObject(ctx context.Context, app, key string, r io.Reader) error {
	name, err := s.name(app, key)
	if err != nil {
		return err
	}
	part := make([]byte, smallObject)
	n, end, err := fill(r, part)
	if err == nil && !end {
		part = append(make([]byte, 0, partSize), part...)[:partSize]
		var more int
		more, end, err = fill(r, part[n:])
		n += more
	}
	if err != nil {
		return err
	}
	if !end {
		return s.putParts(ctx, name, part, r)
	}
	_, err = s.api.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &name, Body: bytes.NewReader(part[:n])})
	return s.explain(ctx, err, "s3:PutObject", name)
}

// fill reads until the buffer is full, and tells whether that was the end. An
// error of the reader is never taken for its end: [io.ReadFull] has one name for
// both.
func fill(r io.Reader, buffer []byte) (n int, end bool, err error) {
	for n < len(buffer) {
		m, err := r.Read(buffer[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

// upload is an object that is stored in parts.
type upload struct {
	*Store
	name  string
	id    *string
	parts []*types.CompletedPart // by number, from 1 on
}

// putParts stores the first part and what follows.
func (s *Store) putParts(ctx context.Context, name string, first []byte, r io.Reader) error {
	begun, err := s.api.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: &name, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	if err != nil {
		return s.explain(ctx, err, "s3:PutObject", name)
	}
	u := &upload{Store: s, name: name, id: begun.UploadId}
	if err = u.send(ctx, first, r); err == nil {
		err = u.complete(ctx)
	}
	if err != nil {
		return errors.Join(err, u.abort(ctx))
	}
	return nil
}

// send stores all parts. When it returns, none is on its way any more: one that
// arrives after the upload was given up would stay.
func (u *upload) send(ctx context.Context, part []byte, r io.Reader) error {
	group, alive := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce - 1)
	free := make(chan []byte, partsAtOnce)
	n, end := len(part), false
	var err error
	for err == nil && n > 0 && alive.Err() == nil {
		body, sent := part[:n], &types.CompletedPart{PartNumber: aws.Int32(int32(len(u.parts) + 1))}
		u.parts = append(u.parts, sent)
		group.Go(func() error {
			defer func() { free <- body[:partSize] }()
			return u.sendPart(ctx, sent, body)
		})
		if end {
			break
		}
		select {
		case part = <-free:
		default:
			part = make([]byte, partSize)
		}
		n, end, err = fill(r, part)
	}
	if failed := group.Wait(); err == nil {
		err = failed
	}
	if err == nil {
		err = context.Cause(ctx) // then there is more to read
	}
	return err
}

func (u *upload) sendPart(ctx context.Context, part *types.CompletedPart, body []byte) error {
	out, err := u.api.UploadPart(ctx, &s3.UploadPartInput{Bucket: &u.bucket, Key: &u.name, UploadId: u.id, PartNumber: part.PartNumber,
		Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	if err != nil {
		return u.explain(ctx, err, "s3:PutObject", u.name)
	}
	part.ETag, part.ChecksumCRC32 = out.ETag, out.ChecksumCRC32
	return nil
}

// complete makes an object of the parts.
func (u *upload) complete(ctx context.Context) error {
	parts := make([]types.CompletedPart, len(u.parts))
	for i, p := range u.parts {
		parts[i] = *p
	}
	_, err := u.api.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &u.bucket, Key: &u.name, UploadId: u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return u.explain(ctx, err, "s3:PutObject", u.name)
}

// abort removes all parts. One that was cut off on its way may still arrive: S3
// says that all are gone when it knows the upload no more.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
func (u *upload) abort(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer done()
	for range abortTries {
		_, err := u.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.bucket, Key: &u.name, UploadId: u.id})
		if err = u.explain(ctx, err, "s3:AbortMultipartUpload", u.name); errors.Is(err, errNoUpload) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("parts of %s are left in the bucket: %w", u.name, err)
		}
	}
	return nil
}
