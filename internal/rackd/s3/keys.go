package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maxName is the longest key that S3 takes, in bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const maxName = 1024

// What a key of an object becomes in the bucket that S3, or something on the way,
// would refuse or take for another. No key that a rack makes is one of those.
const (
	strangeKeys = "!/"  // before what strangeName makes of the key
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

// maxPart is the longest part of a path that file systems take, in bytes.
const maxPart = 255

// strange tells whether a key is not to be the end of one in the bucket as it is: if
// it is garbled, or what servers refuse or lose that keep objects in files, as minio
// does. Those take no parts that are empty or long, and leave out of their lists what
// is below a key, so that one without a slash would hide all that begin with it.
func strange(key string) bool {
	parts := strings.Split(key, "/")
	return garbled(key) || len(parts) == 1 || slices.ContainsFunc(parts, func(part string) bool { return part == "" || len(part) > maxPart })
}

// garbled tells whether a path would not come out of S3 as it went in: S3 takes parts
// that are dots for those of a path, its lists are XML, which has no control
// characters, and some keys would look like what was made of others.
func garbled(path string) bool {
	if strings.HasPrefix(path, "!") || strings.ContainsFunc(path, func(r rune) bool {
		return unicode.IsControl(r) || r == '\uFFFD' || r == '\uFFFE' || r == '\uFFFF'
	}) {
		return true
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// cut ends each part but the last one of a strange name: none of those is a folder.
const cut = "-/"

// strangeName is what a strange key, or the beginning of one, becomes: hexadecimal, in
// parts that file systems take.
func strangeName(key string) string {
	var name strings.Builder
	name.WriteString(strangeKeys)
	digits := hex.EncodeToString([]byte(key))
	for ; len(digits) > maxPart-len(cut); digits = digits[maxPart-len(cut):] {
		name.WriteString(digits[:maxPart-len(cut)] + cut)
	}
	return name.String() + digits
}

// strangeKey takes back what strangeName did.
func strangeKey(name string) (string, error) {
	key, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(name, strangeKeys), cut, ""))
	return string(key), err
}
