// Package oidctest has stand-ins for tests: for an issuer of tokens, for the service
// that gives them to jobs on GitHub, and for STS of AWS, which takes them. None of
// them is the real one, and the servers say so in the header Server of every answer.
// They refuse what the documentation says that the real ones refuse, and know
// nothing but what this project asks for.
package oidctest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// Issuer signs tokens, and knows its own.
type Issuer struct {
	URL string // https://HOST/PATH
	key *rsa.PrivateKey
}

// NewIssuer makes an issuer with a key of its own.
func NewIssuer(url string) (*Issuer, error) {
	const bits = 2048
	key, err := rsa.GenerateKey(rand.Reader, bits)
	return &Issuer{URL: url, key: key}, err
}

// header says that the signature is RSASSA-PKCS1-v1_5 with SHA-256.
// https://www.rfc-editor.org/rfc/rfc7518#section-3.1
const header = `{"alg":"RS256","typ":"JWT"}`

// Sign makes a token of claims; the issuer is put to them.
func (i *Issuer) Sign(claims map[string]any) (string, error) {
	claims["iss"] = i.URL
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// claims are those that STS goes by.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
}

var errToken = errors.New("not a token")

// read takes a token apart, without believing it.
func read(token string) (c claims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errToken
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, errToken
	}
	if head, err := base64.RawURLEncoding.DecodeString(parts[0]); err != nil || string(head) != header {
		return c, errToken
	}
	return c, json.Unmarshal(text, &c)
}

// verify tells whether the issuer has signed a token.
func (i *Issuer) verify(token string) error {
	at := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if err != nil {
		return errToken
	}
	sum := sha256.Sum256([]byte(token[:at]))
	return rsa.VerifyPKCS1v15(&i.key.PublicKey, crypto.SHA256, sum[:], signature)
}
