package ecr

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/convox-ci/convox-ci/internal/refusal"
)

// maxBatch is how many images one call may remove.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
const maxBatch = 100

// RemoveTags removes the tags of an app's repository that match; ECR removes an
// image with the last tag that it has.
func (r *Registry) RemoveTags(ctx context.Context, app string, matches func(tag string) bool) error {
	repository := &Repository{r, r.path + "/" + app}
	found, err := repository.find(ctx, matches)
	if err != nil {
		return err
	}
	api, explain, err := repository.api(ctx, "BatchDeleteImage")
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(found, maxBatch) {
		out, err := api.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RegistryId: r.at.id(), RepositoryName: &repository.name, ImageIds: batch})
		if err != nil {
			return explain(err)
		}
		for _, f := range out.Failures {
			if f.FailureCode == types.ImageFailureCodeImageNotFound {
				continue // what is gone is removed
			}
			e := &Error{Kind: errOther, Action: "ecr:BatchDeleteImage", Resource: r.at.arn(repository.name), Text: string(f.FailureCode)}
			if f.FailureReason != nil {
				e.Text += ": " + refusal.OneLine(*f.FailureReason)
			}
			return e
		}
	}
	return nil
}

// find lists the tags that match; there are none of a repository that is not there.
func (r *Repository) find(ctx context.Context, matches func(tag string) bool) ([]types.ImageIdentifier, error) {
	api, explain, err := r.api(ctx, "ListImages")
	if err != nil {
		return nil, err
	}
	var found []types.ImageIdentifier
	pages := ecr.NewListImagesPaginator(api, &ecr.ListImagesInput{RegistryId: r.registry.at.id(), RepositoryName: &r.name,
		Filter: &types.ListImagesFilter{TagStatus: types.TagStatusTagged}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err = explain(err); errors.Is(err, ErrNoRepository) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, i := range page.ImageIds {
			if i.ImageTag != nil && matches(*i.ImageTag) {
				found = append(found, types.ImageIdentifier{ImageTag: i.ImageTag})
			}
		}
	}
	return found, nil
}

// Collect does nothing: ECR frees the room itself.
func (r *Registry) Collect(context.Context) error { return nil }
