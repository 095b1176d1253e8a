package oidc

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// Claims are what a token says of its job, as far as others go by it. None of it is
// a secret.
type Claims struct {
	Issuer   string   // URL of who made the token
	Subject  string   // the job, in the issuer's words
	Audience []string // whom the token is for
}

// For is the audience in words.
func (c Claims) For() string {
	quoted := make([]string, len(c.Audience))
	for i, a := range c.Audience {
		quoted[i] = strconv.Quote(a)
	}
	return strings.Join(quoted, ", ")
}

// maxToken is the longest token that STS takes, in bytes.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
const maxToken = 20_000

// errForm never says what the text is, which may be a secret of another kind.
var errForm = errors.New("the token of this job is no JSON Web Token with the claims iss, sub and aud")

// Parse reads what a token says. It does not find out whether that is true: the one
// it is for does.
// https://www.rfc-editor.org/rfc/rfc7519
func Parse(token string) (Claims, error) {
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return Claims{}, errForm
	}
	var head struct {
		Algorithm string `json:"alg"`
	}
	var body struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience audience `json:"aud"`
	}
	_, err := decode(parts[2])
	if err != nil || read(parts[0], &head) != nil || read(parts[1], &body) != nil {
		return Claims{}, errForm
	}
	if head.Algorithm == "" || body.Issuer == "" || body.Subject == "" || len(body.Audience) == 0 {
		return Claims{}, errForm
	}
	return Claims{body.Issuer, body.Subject, body.Audience}, nil
}

// decode takes one part of a token out of its encoding, in which no line breaks are
// allowed.
func decode(part string) ([]byte, error) {
	if part == "" || strings.ContainsAny(part, "\r\n") {
		return nil, errForm
	}
	return base64.RawURLEncoding.DecodeString(part)
}

func read(part string, into any) error {
	text, err := decode(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// audience is one text or a list of them.
// https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
type audience []string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil && one != "" {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}
