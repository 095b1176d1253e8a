package actionscachetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// tokenLife is how long a token lasts: a job may take six hours.
const tokenLife = 6 * time.Hour

// The permissions of a scope, added.
const (
	mayRead  = 1
	mayWrite = 2
)

// scope is a branch that a token is for.
type scope struct {
	Scope      string
	Permission int
}

var encoding = base64.RawURLEncoding

// Environ is what a runner tells the actions of a job about the service at an address:
// one for a branch, which may read what the others, the default branch mostly, have left.
func (s *Service) Environ(address, branch string, others ...string) map[string]string {
	scopes := []scope{{branch, mayRead | mayWrite}}
	for _, name := range others {
		scopes = append(scopes, scope{name, mayRead})
	}
	return s.environ(address, scopes)
}

// ReadOnly is the same for a job that may write nothing, as one of a fork.
func (s *Service) ReadOnly(address, branch string) map[string]string {
	return s.environ(address, []scope{{branch, mayRead}})
}

func (s *Service) environ(address string, scopes []scope) map[string]string {
	return map[string]string{
		"ACTIONS_CACHE_SERVICE_V2": "True",
		"ACTIONS_RESULTS_URL":      address + "/",
		"ACTIONS_RUNTIME_TOKEN":    s.token(scopes),
	}
}

// token has the claims that count of those that GitHub's tokens have.
func (s *Service) token(scopes []scope) string {
	access, err := json.Marshal(scopes)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	now := s.now()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://token.actions.githubusercontent.com", "scp": "Actions.Results:run:job", "ac": string(access),
		"nbf": now.Add(-time.Minute).Unix(), "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	if err != nil {
		panic(err) // likewise
	}
	signed := encoding.EncodeToString([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + encoding.EncodeToString(claims)
	return signed + "." + encoding.EncodeToString(s.mac(signed))
}

func (s *Service) mac(text string) []byte {
	m := hmac.New(sha256.New, s.secret[:])
	m.Write([]byte(text))
	return m.Sum(nil)
}

// read reads the token of a request; refused says what is wrong with it.
func (s *Service) read(r *http.Request) (scopes []scope, refused string) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	signed, signature, two := cutLast(token, ".")
	mac, err := encoding.DecodeString(signature)
	if !ok || !two || err != nil || !hmac.Equal(mac, s.mac(signed)) {
		return nil, "no token of this service"
	}
	_, payload, _ := strings.Cut(signed, ".")
	text, err := encoding.DecodeString(payload)
	var claims struct {
		AC       string
		Nbf, Exp int64
	}
	if err != nil || json.Unmarshal(text, &claims) != nil || json.Unmarshal([]byte(claims.AC), &scopes) != nil {
		return nil, "the token has not the claims that are due"
	}
	if now := s.now().Unix(); now < claims.Nbf || now >= claims.Exp {
		return nil, "the token is not valid now"
	}
	return scopes, ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
