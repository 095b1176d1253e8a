package ecrtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// maxCall is the longest body of a call that is read, in bytes: a lifecycle policy
// has at most 30,720 characters.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutLifecyclePolicy.html
const maxCall = 64 << 10

// fault is an error of the API.
type fault struct{ code, message string }

// signature is what Signature Version 4 puts into the header. The stand-in cannot
// check more than that it is there, and for this service: it knows no secrets.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=[0-9a-f]{64}$`)

const target = "AmazonEC2ContainerRegistry_V20150921."

// input is what the calls take, all in one.
type input struct {
	RegistryID      string   `json:"registryId"`
	RegistryIDs     []string `json:"registryIds"`
	Repository      string   `json:"repositoryName"`
	RepositoryNames []string `json:"repositoryNames"`
	Force           bool     `json:"force"`
	Policy          string   `json:"lifecyclePolicyText"`
	Images          []image  `json:"imageIds"`
	paging
}

type paging struct {
	NextToken  string `json:"nextToken"`
	MaxResults int    `json:"maxResults"`
}

// options are those of a new repository.
type options struct {
	Name       string `json:"repositoryName"`
	Mutability string `json:"imageTagMutability"`
	Scanning   struct {
		ScanOnPush bool `json:"scanOnPush"`
	} `json:"imageScanningConfiguration"`
}

type image struct {
	Digest string `json:"imageDigest,omitempty"`
	Tag    string `json:"imageTag,omitempty"`
}

// serveAPI answers a call.
func (f *Fake) serveAPI(w http.ResponseWriter, r *http.Request) {
	out, fail := f.call(r)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if fail != nil {
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"__type": fail.code, "message": fail.message}
	}
	json.NewEncoder(w).Encode(out)
}

func (f *Fake) call(r *http.Request) (any, *fault) {
	user, fail := f.signed(r)
	if fail != nil {
		return nil, fail
	}
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return nil, &fault{"UnknownOperationException", "no call of this service"}
	}
	f.mu.Lock()
	throttled := f.scripted.throttle > 0
	if throttled {
		f.scripted.throttle--
	}
	f.mu.Unlock()
	if throttled {
		return nil, &fault{"ThrottlingException", "Rate exceeded"}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCall))
	var in input
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		return nil, &fault{"SerializationException", err.Error()}
	}
	handle, ok := f.operations()[operation]
	if !ok {
		return nil, &fault{"UnknownOperationException", operation + " is not known here"}
	}
	if in.RegistryID != "" && in.RegistryID != Account {
		return nil, &fault{"InvalidParameterException", "Invalid parameter at 'registryId'"}
	}
	concerns := in.Repository
	if len(in.RepositoryNames) > 0 {
		concerns = in.RepositoryNames[0]
	}
	f.prelude("ecr:" + operation)
	if text := f.allow(user, "ecr:"+operation, concerns); text != "" {
		return nil, &fault{"AccessDeniedException", text}
	}
	return handle(r, in, body)
}

// KeyOf is the access key that a call is signed with, "" for one that is not.
func KeyOf(r *http.Request) string {
	if m := signature.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		return m[1]
	}
	return ""
}

// signed finds out who signed a call.
func (f *Fake) signed(r *http.Request) (user string, fail *fault) {
	m := signature.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil || !strings.Contains(m[4], "x-amz-target") || !strings.Contains(m[4], "x-amz-date") {
		return "", &fault{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	if m[3] != "ecr" {
		return "", &fault{"InvalidSignatureException", "Credential should be scoped to correct service: 'ecr'. "}
	}
	if m[2] != Region {
		return "", &fault{"InvalidSignatureException", "Credential should be scoped to a valid region. "}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if user = f.scripted.keys[m[1]]; user == "" || r.Header.Get("X-Amz-Security-Token") != f.scripted.sessions[m[1]] {
		return "", &fault{"UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	return user, nil
}

type operation func(r *http.Request, in input, body []byte) (any, *fault)

func (f *Fake) operations() map[string]operation {
	return map[string]operation{
		"GetAuthorizationToken": f.getToken,
		"DescribeRepositories":  f.describeRepositories,
		"CreateRepository":      f.createRepository,
		"DeleteRepository":      f.within(f.deleteRepository),
		"PutLifecyclePolicy":    f.within(putPolicy),
		"DeleteLifecyclePolicy": f.within(deletePolicy),
		"DescribeImages":        f.within(f.describeImages),
		"ListImages":            f.within(f.listImages),
		"BatchDeleteImage":      f.within(f.deleteImages),
	}
}

// within finds the repository of a call, and does it while nobody else changes
// anything.
func (f *Fake) within(do func(*repository, input) (any, *fault)) operation {
	return func(_ *http.Request, in input, _ []byte) (any, *fault) {
		f.mu.Lock()
		defer f.mu.Unlock()
		repo := f.repos[in.Repository]
		if repo == nil {
			return nil, missing(in.Repository)
		}
		return do(repo, in)
	}
}

func missing(repository string) *fault {
	return &fault{"RepositoryNotFoundException", "The repository with name '" + repository + "' does not exist in the registry with id '" + Account + "'"}
}

func (f *Fake) getToken(r *http.Request, in input, _ []byte) (any, *fault) {
	for _, id := range in.RegistryIDs {
		if id != Account {
			return nil, &fault{"InvalidParameterException", "Invalid parameter at 'registryIds'"}
		}
	}
	t, until := rand.Text(), f.now().Add(tokenLife)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[t] = until
	endpoint := f.Endpoint
	if endpoint == "" {
		endpoint = "http://" + r.Host
	}
	return map[string]any{"authorizationData": []any{map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + t)), "expiresAt": seconds(until), "proxyEndpoint": endpoint,
	}}}, nil
}

// seconds is a time as this protocol has it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
