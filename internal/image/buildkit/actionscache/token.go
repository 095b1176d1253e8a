package actionscache

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// Scope is a branch, as a reference of Git, whose entries a token is for.
type Scope struct {
	Name        string
	Read, Write bool
}

// The permissions of a scope, added.
const (
	mayRead  = 1
	mayWrite = 2
)

// readToken reads the scopes of a token, which only the service can verify. An error
// has nothing of the token.
func readToken(token string) ([]Scope, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("it is not a token of three parts")
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil, errors.New("its claims are not base64")
	}
	var claims struct {
		Access *string `json:"ac"` // JSON within JSON
	}
	var access []struct {
		Scope      string
		Permission int
	}
	if json.Unmarshal(text, &claims) != nil || claims.Access == nil || json.Unmarshal([]byte(*claims.Access), &access) != nil {
		return nil, errors.New("it has no list of scopes, the claim ac")
	}
	var scopes []Scope
	for _, a := range access {
		scopes = append(scopes, Scope{a.Scope, a.Permission&mayRead != 0, a.Permission&mayWrite != 0})
	}
	return scopes, nil
}
