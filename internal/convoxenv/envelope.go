package convoxenv

import (
	"encoding/base64"
	"encoding/json"
	"errors"

	"golang.org/x/crypto/nacl/secretbox"
)

// envelope is the form in which a Rack stores an environment: encrypted with a
// key of its own, which another key encrypts.
type envelope struct {
	Text  []byte `json:"c"`
	Key   []byte `json:"k"` // of the text, encrypted
	Nonce []byte `json:"n"` // of the text
}

// Lengths of NaCl's secretbox, in bytes. https://nacl.cr.yp.to/secretbox.html
const (
	keySize   = 32
	nonceSize = 24
)

var (
	errEnvelope = errors.New("the env is not an encrypted one")
	errKey      = errors.New(keyVariable + " is not the base64 of 32 bytes: keys that AWS keeps are not supported by this convox-env")
	errSealed   = errors.New("the env cannot be decrypted with " + keyVariable)
)

// open decrypts a stored environment. The key is one that is handed over itself,
// while a Rack on AWS names one that only AWS can use.
func open(stored []byte, key string) ([]byte, error) {
	var e envelope
	if err := json.Unmarshal(stored, &e); err != nil || len(e.Nonce) != nonceSize || len(e.Key) < nonceSize {
		return nil, errEnvelope
	}
	outer, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(outer) != keySize {
		return nil, errKey
	}
	inner, ok := unseal(e.Key[nonceSize:], e.Key[:nonceSize], outer)
	if !ok || len(inner) != keySize {
		return nil, errSealed
	}
	text, ok := unseal(e.Text, e.Nonce, inner)
	if !ok {
		return nil, errSealed
	}
	return text, nil
}

func unseal(box, nonce, key []byte) ([]byte, bool) {
	return secretbox.Open(nil, box, (*[nonceSize]byte)(nonce), (*[keySize]byte)(key))
}
