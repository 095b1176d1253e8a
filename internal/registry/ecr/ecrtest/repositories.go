package ecrtest

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"
)

func described(o options, created time.Time) map[string]any {
	return map[string]any{"repositoryName": o.Name, "repositoryArn": arn(o.Name), "registryId": Account, "createdAt": seconds(created)}
}

func (f *Fake) describeRepositories(_ *http.Request, in input, _ []byte) (any, *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []any{}
	for _, name := range in.RepositoryNames {
		repo := f.repos[name]
		if repo == nil {
			return nil, missing(name)
		}
		list = append(list, described(repo.options, repo.created))
	}
	return map[string]any{"repositories": list}, nil
}

// nameOfRepository is what ECR takes.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
var nameOfRepository = regexp.MustCompile(`^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

func (f *Fake) createRepository(_ *http.Request, _ input, body []byte) (any, *fault) {
	var o options
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, &fault{"SerializationException", err.Error()}
	}
	if len(o.Name) < 2 || len(o.Name) > 256 || !nameOfRepository.MatchString(o.Name) {
		return nil, &fault{"InvalidParameterException", "Invalid parameter at 'repositoryName' failed to satisfy constraint"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.repos[o.Name] != nil {
		return nil, &fault{"RepositoryAlreadyExistsException", "The repository with name '" + o.Name + "' already exists in the registry with id '" + Account + "'"}
	}
	f.create(o)
	return map[string]any{"repository": described(o, f.now())}, nil
}

func (f *Fake) deleteRepository(repo *repository, in input) (any, *fault) {
	if len(repo.images) > 0 && !in.Force {
		return nil, &fault{"RepositoryNotEmptyException", "The repository with name '" + in.Repository + "' cannot be deleted because it still contains images"}
	}
	delete(f.repos, in.Repository)
	return map[string]any{"repository": described(repo.options, repo.created)}, nil
}

func putPolicy(repo *repository, in input) (any, *fault) {
	if wrong := wrongPolicy(in.Policy); wrong != "" {
		return nil, &fault{"InvalidParameterException", "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: '" + wrong + "'"}
	}
	repo.policy = in.Policy
	return map[string]any{"lifecyclePolicyText": in.Policy}, nil
}

func deletePolicy(repo *repository, _ input) (any, *fault) {
	if repo.policy == "" {
		return nil, &fault{"LifecyclePolicyNotFoundException", "Lifecycle policy does not exist for the repository with name '" + repo.options.Name + "'"}
	}
	repo.policy = ""
	return map[string]any{}, nil
}

// page cuts what an answer may have out of all there is.
func page[T any](f *Fake, in paging, all []T) (part []T, next string, fail *fault) {
	size := cmp.Or(f.PageSize, 100)
	if in.MaxResults > 0 {
		size = min(size, in.MaxResults)
	}
	from := 0
	if in.NextToken != "" {
		var err error
		if from, err = strconv.Atoi(in.NextToken); err != nil || from > len(all) {
			return nil, "", &fault{"InvalidParameterException", "Invalid parameter at 'nextToken'"}
		}
	}
	to := min(from+size, len(all))
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return all[from:to], next, nil
}

func paged(key string, part any, next string) map[string]any {
	out := map[string]any{key: part}
	if next != "" {
		out["nextToken"] = next
	}
	return out
}

// describeImages lists the images that have a tag, in no order that means anything.
func (f *Fake) describeImages(repo *repository, in input) (any, *fault) {
	list := []any{}
	for _, digest := range slices.Sorted(maps.Keys(repo.images)) {
		i := repo.images[digest]
		if len(i.tags) > 0 {
			list = append(list, map[string]any{"imageDigest": digest, "imageTags": slices.Sorted(maps.Keys(i.tags)),
				"imagePushedAt": seconds(i.pushed), "repositoryName": in.Repository})
		}
	}
	part, next, fail := page(f, in.paging, list)
	return paged("imageDetails", part, next), fail
}

func (f *Fake) listImages(repo *repository, in input) (any, *fault) {
	list := []image{}
	for _, digest := range slices.Sorted(maps.Keys(repo.images)) {
		for _, tag := range slices.Sorted(maps.Keys(repo.images[digest].tags)) {
			list = append(list, image{digest, tag})
		}
	}
	part, next, fail := page(f, in.paging, list)
	return paged("imageIds", part, next), fail
}

// deleteImages takes tags away, and an image with its last one.
func (f *Fake) deleteImages(repo *repository, in input) (any, *fault) {
	if len(in.Images) == 0 || len(in.Images) > 100 {
		return nil, &fault{"InvalidParameterException", "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length between 1 and 100'"}
	}
	gone, failures := []image{}, []any{}
	for _, want := range in.Images {
		digest := repo.tagged(want.Tag)
		if digest == "" {
			failures = append(failures, map[string]any{"imageId": want, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
			continue
		}
		i := repo.images[digest]
		if delete(i.tags, want.Tag); len(i.tags) == 0 {
			delete(repo.images, digest)
		}
		gone = append(gone, image{digest, want.Tag})
	}
	return map[string]any{"imageIds": gone, "failures": failures}, nil
}

// tagged is the digest of the image that has a tag, "" if none has.
func (r *repository) tagged(tag string) string {
	for digest, i := range r.images {
		if i.tags[tag] {
			return digest
		}
	}
	return ""
}

// has tells whether there is an image of a tag or a digest. The registry behind a
// repository forgets nothing, since its clients may delete nothing there.
func (r *repository) has(reference string) bool {
	return r.images[reference] != nil || r.tagged(reference) != ""
}
