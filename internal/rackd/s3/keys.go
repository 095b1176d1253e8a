package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// maxName is the longest key that S3 takes, in bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const maxName = 1024

// What a key of an object becomes in the bucket that S3, or something on the way,
// would refuse or take for another. No key that a rack makes is one of those.
const (
	strangeKeys = "!/"  // before the key in hexadecimal
	hashedKeys  = "!!/" // before the hash of a key that is too long for that
)

// base is what the keys of an app begin with in the bucket.
func (s *Store) base(app string) (string, error) {
	switch {
	case s.app == "":
		return s.prefix + app + "/", nil
	case s.app != app:
		return "", fmt.Errorf("app %s: %w: %s is for %s alone", app, errOnlyApp, s.Name(), s.app)
	}
	return s.prefix, nil
}

// name is the key in the bucket that an object is under.
func (s *Store) name(app, key string) (string, error) {
	base, err := s.base(app)
	if err != nil {
		return "", err
	}
	name := base + key
	if strange(key) {
		name = base + strangeName(key)
	}
	if len(name) > maxName {
		sum := sha256.Sum256([]byte(key))
		name = base + hashedKeys + hex.EncodeToString(sum[:])
	}
	return name, nil
}

// strange tells whether a key cannot be the end of one in the bucket as it is: S3
// takes parts that are dots for those of a path, its lists are XML, which has no
// control characters, and some keys would look like what was made of others.
func strange(key string) bool {
	if strings.HasPrefix(key, "!") || strings.ContainsFunc(key, func(r rune) bool {
		return unicode.IsControl(r) || r == '\uFFFD' || r == '\uFFFE' || r == '\uFFFF'
	}) {
		return true
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// strangeName is what a strange key, or the beginning of one, becomes.
func strangeName(key string) string { return strangeKeys + hex.EncodeToString([]byte(key)) }

// strangeKey takes back what strangeName did.
func strangeKey(name string) (string, error) {
	key, err := hex.DecodeString(strings.TrimPrefix(name, strangeKeys))
	return string(key), err
}
