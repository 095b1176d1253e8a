// Package kms seals the secrets among a rack's records with a key of Amazon's Key
// Management Service, in the envelopes of v2 racks: those can read what it seals,
// and it reads what they did.
package kms

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"golang.org/x/crypto/nacl/secretbox"

	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

const (
	nonceSize = 24 // of XSalsa20, in bytes

	// textsOfKey is how many texts one data key seals. Every envelope is read with a
	// call of KMS unless its data key is known already, and a list of releases reads
	// many; the nonces are random and long, so that none comes twice.
	textsOfKey = 64

	// keysKnown is how many data keys are kept in memory to read envelopes with.
	keysKnown = 1024

	// attempts is how often a call is made before it fails: more than the SDK makes by
	// itself, since all that use KMS in an account and a region share what it allows in
	// a second.
	// https://docs.aws.amazon.com/kms/latest/developerguide/throttling.html
	attempts = 10
)

// dataKey seals texts.
type dataKey [32]byte

// Key is a key of KMS. It may be used from many goroutines at once.
type Key struct {
	api  *kms.Client
	name string // as it was given: an ARN, an id or an alias

	mu     sync.Mutex
	known  map[string]dataKey // by what KMS has sealed them as
	order  []string           // of the known ones, the oldest first
	newest string             // that seals, by the same; "" for none
	left   int                // texts that it may yet seal
}

// Open finds a key by its ARN, its id or its alias, and makes sure that it can be
// used both ways: what is sealed must not turn out to be lost when it is needed.
func Open(ctx context.Context, config aws.Config, name string) (*Key, error) {
	api := kms.NewFromConfig(config, func(o *kms.Options) {
		if config.RetryMaxAttempts == 0 {
			o.RetryMaxAttempts = attempts
		}
	})
	k := &Key{api: api, name: name, known: map[string]dataKey{}}
	if config.Region == "" {
		return nil, &Error{Kind: ErrNoKey, Key: name, Text: "no region is set: set AWS_REGION"}
	}
	e, err := k.Seal(ctx, "", "")
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	clear(k.known) // so that KMS is asked
	k.order, k.newest = nil, ""
	k.mu.Unlock()
	_, err = k.Open(ctx, e, "")
	return k, err
}

// Seal seals a text. What it belongs to is not sealed with it, since v2 racks know
// no such thing: who can write to the records can have one text used in the place
// of another.
func (k *Key) Seal(ctx context.Context, text, _ string) (*vault.Envelope, error) {
	sealed, key, err := k.sealing(ctx)
	if err != nil {
		return nil, err
	}
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails
	return &vault.Envelope{Text: secretbox.Seal(nil, []byte(text), &nonce, (*[32]byte)(&key)), Key: []byte(sealed), Nonce: nonce[:]}, nil
}

// sealing gives a data key to seal a text with.
func (k *Key) sealing(ctx context.Context) (sealed string, key dataKey, err error) {
	k.mu.Lock()
	defer k.mu.Unlock() // also while KMS is asked: others would ask for a key of their own
	if k.newest != "" && k.left > 0 {
		k.left--
		return k.newest, k.known[k.newest], nil
	}
	out, err := k.api.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &k.name, KeySpec: types.DataKeySpecAes256})
	if err != nil {
		return "", key, k.explain(ctx, err, "kms:GenerateDataKey")
	}
	if len(out.Plaintext) != len(key) {
		return "", key, &Error{Kind: errOther, Key: k.name, Text: "a data key has another length than was asked for"}
	}
	sealed, key = string(out.CiphertextBlob), dataKey(out.Plaintext)
	k.remember(sealed, key)
	k.newest, k.left = sealed, textsOfKey-1
	return sealed, key, nil
}

// remember keeps a data key, and forgets the one that came first when those are too
// many: a list of as many releases would else be read with a call for each, again and
// again. The caller holds the lock.
func (k *Key) remember(sealed string, key dataKey) {
	if _, ok := k.known[sealed]; ok {
		return // two have asked for it at once
	}
	if len(k.order) >= keysKnown {
		oldest := k.order[0]
		delete(k.known, oldest)
		k.order = k.order[1:]
		if oldest == k.newest {
			k.newest = ""
		}
	}
	k.known[sealed] = key
	k.order = append(k.order, sealed)
}

// Open opens what Seal or a v2 rack has sealed with the key, or returns
// [vault.ErrSealed].
func (k *Key) Open(ctx context.Context, e *vault.Envelope, _ string) (string, error) {
	if len(e.Nonce) != nonceSize {
		return "", vault.ErrSealed
	}
	key, err := k.opening(ctx, string(e.Key))
	if err != nil {
		return "", err
	}
	text, ok := secretbox.Open(nil, e.Text, (*[nonceSize]byte)(e.Nonce), (*[32]byte)(&key))
	if !ok {
		return "", vault.ErrSealed
	}
	return string(text), nil
}

// opening gives the data key of an envelope.
func (k *Key) opening(ctx context.Context, sealed string) (dataKey, error) {
	k.mu.Lock()
	key, ok := k.known[sealed]
	k.mu.Unlock()
	if ok {
		return key, nil
	}
	out, err := k.api.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: []byte(sealed), KeyId: &k.name})
	if err = k.explain(ctx, err, "kms:Decrypt"); errors.Is(err, errCiphertext) {
		return key, vault.ErrSealed
	}
	if err != nil {
		return key, err
	}
	if len(out.Plaintext) != len(key) {
		return key, vault.ErrSealed
	}
	key = dataKey(out.Plaintext)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remember(sealed, key)
	return key, nil
}
