package ecrtest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// route is a path of the protocol of registries.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
var route = regexp.MustCompile(`^/v2/(.+)/(blobs/uploads/|blobs/|manifests/|tags/list)(.*)$`)

// actionOf is the permission that a request needs, "" for none that ECR would
// serve.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
func actionOf(method, part string) string {
	return map[string]string{
		"HEAD blobs/": "ecr:BatchCheckLayerAvailability", "GET blobs/": "ecr:GetDownloadUrlForLayer",
		"POST blobs/uploads/": "ecr:InitiateLayerUpload", "PATCH blobs/uploads/": "ecr:UploadLayerPart",
		"PUT blobs/uploads/": "ecr:CompleteLayerUpload", "HEAD manifests/": "ecr:BatchGetImage", "GET manifests/": "ecr:BatchGetImage",
		"PUT manifests/": "ecr:PutImage", "GET tags/list": "ecr:ListImages",
	}[method+" "+part]
}

// serveRegistry lets the requests through that ECR would serve.
func (f *Fake) serveRegistry(w http.ResponseWriter, r *http.Request) {
	var name, part, reference, action string
	if m := route.FindStringSubmatch(r.URL.Path); m != nil {
		name, part, reference = m[1], m[2], m[3]
		action = actionOf(r.Method, part)
	}
	if status, code, text := f.admit(r, name, action); status != 0 {
		refuse(w, status, code, text)
		return
	}
	if r.URL.Path == "/v2/" {
		return
	}
	if action == "" {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "the operation is unsupported")
		return
	}
	f.mu.Lock()
	repo := f.repos[name]
	gone := repo != nil && action == "ecr:BatchGetImage" && !repo.has(reference)
	fixed := repo != nil && repo.options.Mutability == "IMMUTABLE" && repo.tagged(reference) != ""
	f.mu.Unlock()
	switch {
	case repo == nil:
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", missing(name).message)
	case gone:
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "Requested image not found")
	case action == "ecr:PutImage" && fixed:
		refuse(w, http.StatusBadRequest, "TAG_INVALID", "The image tag '"+reference+"' already exists in the '"+name+
			"' repository and cannot be overwritten because the tag is immutable.")
	case action == "ecr:PutImage":
		f.put(repo, w, r, reference)
	case action == "ecr:InitiateLayerUpload" && f.mount(repo, name, w, r):
	case part == "blobs/uploads/":
		f.upload(repo, w, r)
	default:
		repo.handler.ServeHTTP(w, r)
	}
}

// admit looks at the token, then at the permission. The status is 0 for who may
// pass.
func (f *Fake) admit(r *http.Request, name, action string) (status int, code, text string) {
	_, password, given := r.BasicAuth()
	f.prelude(action) // which may be about the token
	actions := []string{action}
	if action == "ecr:CompleteLayerUpload" && r.ContentLength != 0 {
		actions = append(actions, "ecr:UploadLayerPart") // the only part, or the last one
	}
	f.mu.Lock()
	until, known := f.tokens[password]
	f.mu.Unlock()
	switch {
	case !given:
		return http.StatusUnauthorized, "UNAUTHORIZED", "no basic auth credentials"
	case !known:
		return http.StatusUnauthorized, "UNAUTHORIZED", "Not Authorized"
	case !f.now().Before(until):
		return http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again."
	case action == "":
		return 0, "", ""
	}
	for _, action := range actions {
		if text := f.allow(User, action, name); text != "" {
			return http.StatusForbidden, "DENIED", text
		}
	}
	return 0, "", ""
}

// refuse answers as registries do.
func refuse(w http.ResponseWriter, status int, code, text string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="https://`+Account+`.dkr.ecr.`+Region+`.amazonaws.com/",service="ecr.amazonaws.com"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": text}}})
}

// put stores a manifest, and writes down which and when.
func (f *Fake) put(repo *repository, w http.ResponseWriter, r *http.Request, reference string) {
	told := &watched{ResponseWriter: w}
	repo.handler.ServeHTTP(told, r)
	digest := w.Header().Get("Docker-Content-Digest")
	if told.status != http.StatusCreated || digest == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if repo.images[digest] == nil {
		repo.images[digest] = &stored{tags: map[string]bool{}, pushed: f.now()}
	}
	if strings.Contains(reference, ":") { // by its digest
		return
	}
	if before := repo.tagged(reference); before != "" {
		delete(repo.images[before].tags, reference)
	}
	repo.images[digest].tags[reference] = true
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
