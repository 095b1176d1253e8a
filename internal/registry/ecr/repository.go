package ecr

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// Repository is one of a [Registry], between its Create and its Delete. Nothing
// that only reads makes it.
type Repository struct {
	registry *Registry
	name     string
}

// api is the client, and an explainer of what it answers to an operation.
func (r *Repository) api(ctx context.Context, operation string) (*ecr.Client, func(error) error, error) {
	api, err := r.registry.service.api(ctx, r.registry.at.region, pair{})
	return api, func(err error) error {
		if err == nil {
			return nil
		}
		return explainAPI(ctx, err, call{operation, r.registry.at, r.name})
	}, err
}

// Create makes the repository, without images, if it is not there, and tells
// whether it was this that made it.
func (r *Repository) Create(ctx context.Context) (made bool, err error) {
	return r.make(ctx, false) // what is in a cache is scanned where it is a part of an image
}

// make looks first: who may not make repositories can have them made by others.
func (r *Repository) make(ctx context.Context, scan bool) (made bool, err error) {
	api, explain, err := r.api(ctx, "DescribeRepositories")
	if err != nil {
		return false, err
	}
	_, err = api.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RegistryId: r.registry.at.id(), RepositoryNames: []string{r.name}})
	if err = explain(err); !errors.Is(err, ErrNoRepository) {
		return false, err
	}
	api, explain, err = r.api(ctx, "CreateRepository")
	if err != nil {
		return false, err
	}
	_, err = api.CreateRepository(ctx, &ecr.CreateRepositoryInput{
		RegistryId: r.registry.at.id(), RepositoryName: &r.name, ImageTagMutability: types.ImageTagMutabilityMutable,
		ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: scan},
	})
	if _, there := errors.AsType[*types.RepositoryAlreadyExistsException](err); there {
		return false, nil // another was as fast
	}
	return err == nil, explain(err)
}

// Delete removes the repository with its images, if it is there.
func (r *Repository) Delete(ctx context.Context) error {
	api, explain, err := r.api(ctx, "DeleteRepository")
	if err != nil {
		return err
	}
	_, err = api.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RegistryId: r.registry.at.id(), RepositoryName: &r.name, Force: true})
	if err = explain(err); errors.Is(err, ErrNoRepository) {
		return nil
	}
	return err
}

// Tags lists the tags, the latest pushed first.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	api, explain, err := r.api(ctx, "DescribeImages")
	if err != nil {
		return nil, err
	}
	var tags []tagged
	pages := ecr.NewDescribeImagesPaginator(api, &ecr.DescribeImagesInput{RegistryId: r.registry.at.id(), RepositoryName: &r.name,
		Filter: &types.DescribeImagesFilter{TagStatus: types.TagStatusTagged}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, explain(err)
		}
		for _, i := range page.ImageDetails {
			for _, tag := range i.ImageTags {
				t := tagged{name: tag}
				if i.ImagePushedAt != nil {
					t.pushed = *i.ImagePushedAt
				}
				tags = append(tags, t)
			}
		}
	}
	slices.SortFunc(tags, func(a, b tagged) int { return cmp.Or(b.pushed.Compare(a.pushed), cmp.Compare(a.name, b.name)) })
	var names []string
	for _, t := range tags {
		names = append(names, t.name)
	}
	return names, nil
}

type tagged struct {
	name   string
	pushed time.Time
}

// Retain has ECR remove images days after they were pushed; 0 has it keep all.
func (r *Repository) Retain(ctx context.Context, days int) error {
	if days == 0 {
		api, explain, err := r.api(ctx, "DeleteLifecyclePolicy")
		if err != nil {
			return err
		}
		_, err = api.DeleteLifecyclePolicy(ctx, &ecr.DeleteLifecyclePolicyInput{RegistryId: r.registry.at.id(), RepositoryName: &r.name})
		if _, none := errors.AsType[*types.LifecyclePolicyNotFoundException](err); none {
			return nil
		}
		return explain(err)
	}
	api, explain, err := r.api(ctx, "PutLifecyclePolicy")
	if err != nil {
		return err
	}
	text := expireAfter(days)
	_, err = api.PutLifecyclePolicy(ctx, &ecr.PutLifecyclePolicyInput{RegistryId: r.registry.at.id(), RepositoryName: &r.name, LifecyclePolicyText: &text})
	return explain(err)
}
