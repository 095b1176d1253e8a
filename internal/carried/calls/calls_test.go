package calls

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
)

// header is that of a program whose code is some bytes.
func program(code []byte) []byte {
	p := make([]byte, firstOfCode, firstOfCode+len(code))
	copy(p, "\x7fELF\x02\x01")
	binary.LittleEndian.PutUint16(p[18:], x86)
	binary.LittleEndian.PutUint64(p[32:], headerSize)
	binary.LittleEndian.PutUint16(p[56:], 1)
	part := p[headerSize:]
	binary.LittleEndian.PutUint32(part, loaded)
	binary.LittleEndian.PutUint32(part[4:], executable)
	binary.LittleEndian.PutUint64(part[32:], uint64(firstOfCode+len(code)))
	return append(p, code...)
}

// FuzzCalls: whatever the code is, it comes back, and nothing around it changes.
func FuzzCalls(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0xE8, 1, 2, 3, 0, 0xE9, 0, 0, 0, 0xFF, 0xE8, 0xFF, 0xFF, 0xFF, 0xFF, 0xE8, 0xE8, 0xE8, 0xE9, 0})
	f.Add(append([]byte{0xE8, 0xE8, 0x00, 0x00, 0x90, 0x00}, bytes.Repeat([]byte{0xE8, 0x70, 0xFF, 0x01}, 40)...))
	for i := range 64 { // calls that lie over each other, in many ways
		random := rand.New(rand.NewPCG(1, uint64(i)))
		code := make([]byte, 4096)
		for k := range code {
			code[k] = []byte{0xE8, 0xE9, 0x00, 0xFF, byte(random.Uint32())}[random.IntN(5)]
		}
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		whole := program(code)
		was := bytes.Clone(whole)
		Absolute(whole)
		if !bytes.Equal(whole[:firstOfCode], was[:firstOfCode]) {
			t.Error("the headers have changed")
		}
		Relative(whole)
		if !bytes.Equal(whole, was) {
			t.Error("it does not come back")
		}
		Absolute(code) // as no program at all
		if !bytes.Equal(code, was[firstOfCode:]) {
			t.Error("what is no program has changed")
		}
	})
}

// FuzzHeaders: no header, however wrong, is followed out of the program.
func FuzzHeaders(f *testing.F) {
	f.Add(program([]byte{1, 2, 3})[:256])
	f.Fuzz(func(t *testing.T, head []byte) {
		whole := program(make([]byte, 100))
		copy(whole, head)
		was := bytes.Clone(whole)
		Absolute(whole)
		Relative(whole)
		if !bytes.Equal(whole, was) {
			t.Error("it does not come back")
		}
	})
}

// Two calls of one function look the same, from wherever they are.
func TestCallsLookTheSame(t *testing.T) {
	call := func(at, to int32) []byte {
		return binary.LittleEndian.AppendUint32([]byte{0xE8}, uint32(to-at))
	}
	code := append(append(call(0, 1000), 0x90), call(6, 1000)...)
	p := program(code)
	Absolute(p)
	if code := p[firstOfCode:]; !bytes.Equal(code[:5], code[6:]) {
		t.Errorf("% x", code)
	}
}

// The program of this test comes back whole, and has many calls.
func TestThisProgram(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := bytes.Clone(was)
	Absolute(p)
	different := 0
	for i := range p {
		if p[i] != was[i] {
			different++
		}
	}
	if forX86 := codeOf(was) != nil; forX86 != (different > len(p)/100) {
		t.Errorf("%d of %d bytes have changed", different, len(p))
	}
	if Relative(p); !bytes.Equal(p, was) {
		t.Error("it does not come back")
	}
}
