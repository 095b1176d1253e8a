// Package kmstest is a stand-in for Amazon's Key Management Service in tests. It is
// not that, and says so in the header Server of every answer. It knows the two calls
// that this project makes and refuses all others.
package kmstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Software is what the header Server of every answer is.
const Software = "kmstest (a stand-in for AWS KMS, for tests)"

// What the stand-in has from the beginning.
const (
	Account   = "123456789012"
	AccessKey = "AKIDEXAMPLE" // of the user ci; any secret goes with it
	User      = "arn:aws:iam::" + Account + ":user/ci"
)

// Fake is the stand-in, an [http.Handler] of the API of one region.
type Fake struct {
	region string
	mu     sync.Mutex
	keys   []*key
	denied map[string]bool
	seen   map[string]int
	fails  int    // how many calls have yet to
	code   string // of the error that they get
}

// key is one of KMS. What it seals has its number in front.
type key struct {
	id, alias string
	state     string // Enabled, or another
	seal      cipher.AEAD
}

// New makes a stand-in for a region, without any key.
func New(region string) *Fake {
	return &Fake{region: region, denied: map[string]bool{}, seen: map[string]int{}}
}

// Make makes a key and gives its ARN; alias is without the word in front, "" for
// none.
func (f *Fake) Make(alias string) string {
	secret := make([]byte, 32)
	rand.Read(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic(err) // of another length
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k := &key{id: strings.ToLower(rand.Text()), alias: alias, state: "Enabled", seal: seal}
	f.keys = append(f.keys, k)
	return f.arn("key/" + k.id)
}

func (f *Fake) arn(name string) string { return "arn:aws:kms:" + f.region + ":" + Account + ":" + name }

// Disable switches a key off or on, by its ARN.
func (f *Fake) Disable(arn string, off bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.find(arn).state = map[bool]string{true: "Disabled", false: "Enabled"}[off]
}

// Deny has an action refused from now on, as where no policy allows it.
func (f *Fake) Deny(action string, denied bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[action] = denied
}

// Fail has the next n calls answered with an error, as when KMS has too much to do.
func (f *Fake) Fail(n int, code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails, f.code = n, code
}

// Failing tells how many of those calls have yet to come.
func (f *Fake) Failing() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fails
}

// Seen tells how often each action was asked for and allowed.
func (f *Fake) Seen() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]int{}
	for action, n := range f.seen {
		all[action] = n
	}
	return all
}

// find finds a key by its ARN, its id or an alias; nil for none.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
func (f *Fake) find(name string) *key {
	name = strings.TrimPrefix(strings.TrimPrefix(name, f.arn("")), "key/")
	i := slices.IndexFunc(f.keys, func(k *key) bool { return k.id == name || k.alias != "" && "alias/"+k.alias == name })
	if i < 0 {
		return nil
	}
	return f.keys[i]
}

// fault is an error of the API.
type fault struct{ code, message string }

// input is what the two calls take.
type input struct {
	KeyID         string `json:"KeyId"`
	KeySpec       string
	NumberOfBytes int
	Ciphertext    []byte            `json:"CiphertextBlob"`
	Context       map[string]string `json:"EncryptionContext"`
}

const target = "TrentService."

// maxCall is the longest body that is read, in bytes.
const maxCall = 64 << 10

// signature is what Signature Version 4 puts into the header. The stand-in cannot
// check more than that it is there, and for this service: it knows no secrets.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/kms/aws4_request, ?SignedHeaders=([^,]+), ?Signature=[0-9a-f]{64}$`)

// ServeHTTP implements [http.Handler].
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, fail := f.call(r)
	w.Header().Set("Server", Software)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if fail != nil {
		status := http.StatusBadRequest
		if fail.code == "KMSInternalException" {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		out = map[string]string{"__type": fail.code, "message": fail.message}
	}
	json.NewEncoder(w).Encode(out)
}

func (f *Fake) call(r *http.Request) (any, *fault) {
	m := signature.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil || !strings.Contains(m[3], "x-amz-target") {
		return nil, &fault{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	if m[2] != f.region {
		return nil, &fault{"InvalidSignatureException", "Credential should be scoped to a valid region. "}
	}
	if m[1] != AccessKey {
		return nil, &fault{"UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	do := map[string]func(*key, input) (any, *fault){"GenerateDataKey": f.generate, "Decrypt": f.decrypt}[operation]
	if !ok || do == nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return nil, &fault{"UnknownOperationException", "no call that is known here"}
	}
	var in input
	if err := json.NewDecoder(io.LimitReader(r.Body, maxCall)).Decode(&in); err != nil {
		return nil, &fault{"SerializationException", err.Error()}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails > 0 {
		f.fails--
		return nil, &fault{f.code, "Rate exceeded"}
	}
	k := f.find(in.KeyID)
	if in.KeyID == "" && operation == "Decrypt" {
		k = f.sealer(in.Ciphertext)
	}
	if k == nil {
		return nil, &fault{"NotFoundException", "Key '" + f.arn("key/"+in.KeyID) + "' does not exist"}
	}
	if action := "kms:" + operation; f.denied[action] {
		return nil, &fault{"AccessDeniedException", "User: " + User + " is not authorized to perform: " + action + " on resource: " + f.arn("key/"+k.id) +
			" because no identity-based policy allows the " + action + " action"}
	}
	if k.state != "Enabled" {
		return nil, &fault{"DisabledException", f.arn("key/"+k.id) + " is disabled."}
	}
	f.seen["kms:"+operation]++
	return do(k, in)
}

// sealer finds the key that has sealed something.
func (f *Fake) sealer(sealed []byte) *key {
	id, _, _ := bytes.Cut(sealed, []byte{0})
	return f.find(string(id))
}

// about is an encryption context as it is sealed with a text.
func about(context map[string]string) []byte {
	text, _ := json.Marshal(context) // in the order of its names
	return text
}

// generate makes a data key, of one of two lengths by its spec or of any length.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
func (f *Fake) generate(k *key, in input) (any, *fault) {
	size := map[string]int{"AES_256": 32, "AES_128": 16}[in.KeySpec]
	switch {
	case (in.KeySpec == "") == (in.NumberOfBytes == 0):
		return nil, &fault{"ValidationException", "Please specify either number of bytes or key spec."}
	case in.KeySpec == "":
		size = in.NumberOfBytes
	}
	if size < 1 || size > 1024 {
		return nil, &fault{"ValidationException", "Value at 'keySpec' or 'numberOfBytes' failed to satisfy constraint"}
	}
	plain := make([]byte, size)
	rand.Read(plain)
	return map[string]any{"KeyId": f.arn("key/" + k.id), "Plaintext": plain,
		"CiphertextBlob": append([]byte(k.id+"\x00"), k.seal.Seal(nil, nil, plain, about(in.Context))...)}, nil
}

// decrypt opens what a key has sealed, if it is the one that was named and nothing
// of it was changed.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (f *Fake) decrypt(k *key, in input) (any, *fault) {
	id, sealed, _ := bytes.Cut(in.Ciphertext, []byte{0})
	if by := f.find(string(id)); by != nil && by != k {
		return nil, &fault{"IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."}
	}
	if string(id) != k.id {
		return nil, &fault{"InvalidCiphertextException", ""}
	}
	plain, err := k.seal.Open(nil, nil, sealed, about(in.Context))
	if err != nil {
		return nil, &fault{"InvalidCiphertextException", ""}
	}
	return map[string]any{"KeyId": f.arn("key/" + k.id), "Plaintext": plain, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
}
