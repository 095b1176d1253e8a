package source

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// Around the ends of blocks, and with writes of any size, the stream is what went in, as another
// reader sees it.
func FuzzZipper(f *testing.F) {
	for _, size := range []uint32{0, 1, window, blockSize - 1, blockSize, blockSize + 1, 2 * blockSize, 5*blockSize + 7} {
		f.Add(size, uint32(1000), uint64(size))
		f.Add(size, uint32(blockSize), uint64(1))
		f.Add(size, uint32(3*blockSize), uint64(2))
	}
	f.Fuzz(func(t *testing.T, size, piece uint32, seed uint64) {
		want := make([]byte, size%(8*blockSize))
		random := rand.New(rand.NewPCG(seed, 0))
		for i := range want {
			want[i] = "abcdefgh"[random.Uint32()&7] // compresses, though not to nothing
		}
		var packed, again bytes.Buffer
		for _, b := range []*bytes.Buffer{&packed, &again} {
			z := newZipper(t.Context(), b)
			for rest := want; len(rest) > 0; {
				n := min(int(piece)+1, len(rest))
				if _, err := z.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := z.end(nil); err != nil || z.packed != int64(b.Len()) {
				t.Fatalf("%d bytes, said to be %d: %v", b.Len(), z.packed, err)
			}
			piece = 4096 // the second time
		}
		if !bytes.Equal(packed.Bytes(), again.Bytes()) {
			t.Error("the bytes depend on how they are written")
		}
		in, err := gzip.NewReader(&packed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read back %d bytes of %d, equal: %t, %v", len(got), len(want), bytes.Equal(got, want), err)
		}
	})
}

// What does not compress fits the room that is made for it, or a block would take twice its size.
func TestBlockThatDoesNotCompress(t *testing.T) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], 1)
	b := &block{text: make([]byte, blockSize), last: true}
	_, _ = rand.NewChaCha8(key).Read(b.text) // never fails
	if _, err := b.compress(nil); err != nil {
		t.Fatal(err)
	}
	if n := b.zip.Len(); n > blockSize+stored {
		t.Errorf("a block takes %d bytes, there is room for %d", n, blockSize+stored)
	}
}

// The reason to end a stream comes back, and nothing more is written than had to be.
func TestZipperGivesUp(t *testing.T) {
	errWhy := errors.New("file changed")
	var b bytes.Buffer
	z := newZipper(t.Context(), &b)
	if _, err := z.Write(make([]byte, blockSize/2)); err != nil {
		t.Fatal(err)
	}
	if err := z.end(errWhy); !errors.Is(err, errWhy) {
		t.Errorf("end = %v, want %v", err, errWhy)
	}
	if n := b.Len(); n > len(header) {
		t.Errorf("%d bytes were written, want no more than the header", n)
	}
	if _, err := z.Write(make([]byte, 1)); err == nil {
		t.Error("a write after the end works")
	}
}
