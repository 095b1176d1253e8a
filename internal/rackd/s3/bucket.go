package s3

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// noConstraint is the region that a bucket is made in without saying so; S3 refuses
// to hear it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketConfiguration.html
const noConstraint = "us-east-1"

// keepParts is how long the parts of an upload are kept that was neither finished
// nor given up, as when its process was killed, in days.
const keepParts = 1

// Init makes the bucket if it is missing, and sets what it has not set: what
// somebody has set for it stays. It tells what it made, in words. A bucket of
// another account is an error that is [ErrForeign], also if that lets everybody use
// it: what is written there is not the rack's any more.
func (s *Store) Init(ctx context.Context) (made []string, err error) {
	if err := s.ours(ctx); errors.Is(err, ErrNoBucket) {
		if err := s.makeBucket(ctx); err != nil {
			return nil, err
		}
		made = append(made, "bucket "+s.bucket+" in "+s.config.Region)
	} else if err != nil {
		return nil, err
	}
	for _, set := range []struct {
		what string
		do   func(context.Context) (bool, error)
	}{
		{"block of public access", s.blockPublic}, {"encryption", s.encrypt}, {"removal of unfinished uploads after a day", s.expireParts},
	} {
		done, err := set.do(ctx)
		if err != nil {
			return made, err
		}
		if done {
			made = append(made, set.what+" of bucket "+s.bucket)
		}
	}
	return made, nil
}

// ours finds out whether the bucket is there and belongs to the account of the
// credentials. S3 says of one that does not no more than that it may not be used.
func (s *Store) ours(ctx context.Context) error {
	who, err := sts.NewFromConfig(s.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return s.explain(ctx, err, "sts:GetCallerIdentity", "")
	}
	refused := s.look(ctx, who.Account)
	if errors.Is(refused, ErrDenied) && s.look(ctx, nil) == nil {
		return &Error{Kind: ErrForeign, Bucket: s.bucket, Text: "that of the credentials is " + aws.ToString(who.Account) + "; choose another name"}
	}
	return refused
}

func (s *Store) makeBucket(ctx context.Context) error {
	in := &s3.CreateBucketInput{Bucket: &s.bucket, ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced}
	if s.config.Region != noConstraint {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(s.config.Region)}
	}
	_, err := s.api.CreateBucket(ctx, in)
	if err = s.explain(ctx, err, "s3:CreateBucket", ""); errors.Is(err, errOwned) {
		return nil // another process was faster
	}
	return err
}

// blockPublic refuses to let anybody in who has no account.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
func (s *Store) blockPublic(ctx context.Context) (bool, error) {
	_, err := s.api.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &s.bucket})
	if err = s.explain(ctx, err, "s3:GetBucketPublicAccessBlock", ""); !errors.Is(err, errNoSetting) {
		return false, err
	}
	yes := aws.Bool(true)
	_, err = s.api.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &s.bucket, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes}})
	return err == nil, s.explain(ctx, err, "s3:PutBucketPublicAccessBlock", "")
}

// encrypt has S3 encrypt what it stores, with keys of its own.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html
func (s *Store) encrypt(ctx context.Context) (bool, error) {
	_, err := s.api.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &s.bucket})
	if err = s.explain(ctx, err, "s3:GetEncryptionConfiguration", ""); !errors.Is(err, errNoSetting) {
		return false, err
	}
	_, err = s.api.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &s.bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256}}}}})
	return err == nil, s.explain(ctx, err, "s3:PutEncryptionConfiguration", "")
}

// expireParts has S3 remove the parts of unfinished uploads. All rules of a bucket
// are written at once, so those that are there are written again.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html
func (s *Store) expireParts(ctx context.Context) (bool, error) {
	var rules []types.LifecycleRule
	var smallest types.TransitionDefaultMinimumObjectSize // of an object that they move, which a call that says nothing resets
	was, err := s.api.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &s.bucket})
	if err = s.explain(ctx, err, "s3:GetLifecycleConfiguration", ""); err == nil {
		rules, smallest = was.Rules, was.TransitionDefaultMinimumObjectSize
	} else if !errors.Is(err, errNoSetting) {
		return false, err
	}
	if slices.ContainsFunc(rules, s.coversParts) {
		return false, nil
	}
	rules = append(rules, types.LifecycleRule{ID: aws.String("unfinished uploads of convox-ci: " + s.prefix), Status: types.ExpirationStatusEnabled,
		Filter:                         &types.LifecycleRuleFilter{Prefix: &s.prefix},
		AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(keepParts)}})
	_, err = s.api.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &s.bucket,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules}, TransitionDefaultMinimumObjectSize: smallest})
	return err == nil, s.explain(ctx, err, "s3:PutLifecycleConfiguration", "")
}

// coversParts tells whether a rule removes the parts of all uploads of the rack.
func (s *Store) coversParts(r types.LifecycleRule) bool {
	return r.Status == types.ExpirationStatusEnabled && r.AbortIncompleteMultipartUpload != nil && r.Filter != nil &&
		r.Filter.Tag == nil && r.Filter.And == nil && strings.HasPrefix(s.prefix, aws.ToString(r.Filter.Prefix))
}
