package source

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A small file that changes between its opening and its first read cannot be arranged from outside.
func TestReadHead(t *testing.T) {
	errDisk := errors.New("input/output error")
	tests := []struct {
		name    string
		content string
		size    int64
		want    string
		whole   bool
		err     error
	}{
		{"empty", "", 0, "", true, nil},
		{"fits", "123", 3, "123", true, nil},
		{"fills the buffer", "1234", 4, "1234", false, nil},
		{"is larger", "12345", 5, "1234", false, nil},
		{"shrank", "123", 4, "", false, ErrChanged},
		{"shrank below the buffer", "123", 10, "", false, ErrChanged},
		{"grew", "1234", 3, "", false, ErrChanged},
		{"grew from nothing", "1", 0, "", false, ErrChanged},
		{"grew beyond the buffer", "123456", 2, "", false, ErrChanged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			buffer := make([]byte, 4)
			n, whole, err := readHead(iotest.OneByteReader(strings.NewReader(test.content)), buffer, test.size)
			if !errors.Is(err, test.err) || whole != test.whole || err == nil && string(buffer[:n]) != test.want {
				t.Errorf("readHead = %q, %t, %v; want %q, %t, %v", buffer[:n], whole, err, test.want, test.whole, test.err)
			}
		})
	}
	r := io.MultiReader(strings.NewReader("1"), iotest.ErrReader(errDisk))
	if _, _, err := readHead(r, make([]byte, 4), 4); !errors.Is(err, errDisk) {
		t.Errorf("readHead = %v, want %v", err, errDisk)
	}
}
