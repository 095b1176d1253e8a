package rackd

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// tokenUser is the name that a token is sent with, in the place of a password.
	tokenUser = "jwt"

	// maxTokenHours is how long a token may last, as v3 racks have it: a year.
	maxTokenHours = 8760

	// maxToken bounds the text of a token, in bytes: ours are far shorter.
	maxToken = 4 << 10
)

// claims are what a token says, in the order in which racks write it.
type claims struct {
	ExpiresAt int64  `json:"expiresAt"` // seconds of Unix time
	Role      string `json:"role"`      // r or rw
	User      string `json:"user"`
}

// tokenHeader is the header of every token of racks: the one way to sign that is
// taken. https://www.rfc-editor.org/rfc/rfc7519
const tokenHeader = `{"alg":"HS256","typ":"JWT"}`

var (
	errNoToken      = errors.New("token is malformed")
	errNotSigned    = errors.New("signature is invalid")
	errTokenExpired = errors.New("token is expired")
)

// tokenKey is the key that tokens are signed with. Another password makes another
// key, so that a change of it takes all tokens back.
func (s *Server) tokenKey() []byte {
	mac := hmac.New(sha256.New, s.Access.Tokens)
	mac.Write([]byte(s.Password))
	return mac.Sum(nil)
}

func signature(key []byte, signed string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// writeToken makes a token.
func writeToken(key []byte, c claims) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(tokenHeader)) + "." + encode(body)
	return signed + "." + encode(signature(key, signed)), nil
}

// readToken reads a token that key has signed. The signature is looked at before
// anything that it signs.
func readToken(key []byte, token string, at time.Time) (claims, error) {
	var c claims
	last := strings.LastIndexByte(token, '.')
	if last < 0 || len(token) > maxToken {
		return c, errNoToken
	}
	signed := token[:last]
	got, err := base64.RawURLEncoding.Strict().DecodeString(token[last+1:])
	if err != nil {
		return c, errNoToken
	}
	if !hmac.Equal(got, signature(key, signed)) {
		return c, errNotSigned
	}
	header, body, _ := strings.Cut(signed, ".")
	if header != base64.RawURLEncoding.EncodeToString([]byte(tokenHeader)) {
		return c, errNoToken
	}
	data, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return c, errNoToken
	}
	if err := json.Unmarshal(data, &c); err != nil || c.Role != roleRead && c.Role != roleWrite {
		return claims{}, errNoToken
	}
	if !at.Before(time.Unix(c.ExpiresAt, 0)) {
		return claims{}, errTokenExpired
	}
	return c, nil
}

// createToken gives a token to whoever may write.
func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	if s.Access.Tokens == nil {
		return fault(http.StatusNotFound, "this rack gives no tokens")
	}
	role := map[string]string{"read": roleRead, "write": roleWrite}[f.Get("role")]
	if role == "" {
		return fault(http.StatusBadRequest, "invalid role: read or write is allowed")
	}
	hours, err := strconv.Atoi(f.Get("durationInHour"))
	if err != nil || hours < 1 || hours > maxTokenHours {
		return fault(http.StatusBadRequest, "invalid duration: 1 to %d hours are allowed", maxTokenHours)
	}
	token, err := writeToken(s.tokenKey(), claims{
		ExpiresAt: now().Add(time.Duration(hours) * time.Hour).Unix(), Role: role, User: "system-" + f.Get("role"),
	})
	if err != nil {
		return err
	}
	return render(w, struct {
		Token string `json:"token"`
	}{token})
}
