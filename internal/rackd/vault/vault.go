// Package vault seals the secrets among a rack's records: the environments of
// releases and the passwords of registries.
package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// Envelope is a sealed text, in the form in which racks store one: a key of its
// own has sealed it, and that key is sealed with another one.
type Envelope struct {
	Text  []byte `json:"c"` // with its tag
	Key   []byte `json:"k"` // sealed
	Nonce []byte `json:"n"` // of the text
}

// ErrSealed is the error for what was sealed with another key, for something else,
// or was changed since.
var ErrSealed = errors.New("a sealed record cannot be opened with the key of the data")

// KeySize is that of AES-256, in bytes.
const KeySize = 32

// Key seals with AES-GCM, with no help from outside. The keys in its envelopes stand
// behind the nonce that they were sealed with.
type Key [KeySize]byte

// Seal seals a text. about is what it belongs to: it cannot be opened as if it
// belonged to anything else.
func (k Key) Seal(_ context.Context, text, about string) (*Envelope, error) {
	outer, err := outerSeal(k)
	if err != nil {
		return nil, err
	}
	var key Key
	rand.Read(key[:]) // never fails
	inner, err := innerSeal(key)
	if err != nil {
		return nil, err
	}
	e := &Envelope{Key: outer.Seal(nil, nil, key[:], []byte(about)), Nonce: make([]byte, inner.NonceSize())}
	rand.Read(e.Nonce)
	e.Text = inner.Seal(nil, e.Nonce, []byte(text), []byte(about))
	return e, nil
}

// Open opens what Seal has sealed, or returns [ErrSealed].
func (k Key) Open(_ context.Context, e *Envelope, about string) (string, error) {
	outer, err := outerSeal(k)
	if err != nil {
		return "", err
	}
	key, err := outer.Open(nil, nil, e.Key, []byte(about))
	if err != nil || len(key) != KeySize {
		return "", ErrSealed
	}
	inner, err := innerSeal(Key(key))
	if err != nil {
		return "", err
	}
	if len(e.Nonce) != inner.NonceSize() {
		return "", ErrSealed
	}
	text, err := inner.Open(nil, e.Nonce, e.Text, []byte(about))
	if err != nil {
		return "", ErrSealed
	}
	return string(text), nil
}

// outerSeal seals keys, and puts a nonce in front by itself.
func outerSeal(key Key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// innerSeal seals texts.
func innerSeal(key Key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
