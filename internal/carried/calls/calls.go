// Package calls makes programs pack better: the code of x86-64 names what it calls
// by the distance, so that each call of one function looks different. With the
// place in the program instead, they look the same.
package calls

import "encoding/binary"

// Where an ELF header says what is needed here.
// https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
const (
	x86          = 62   // e_machine
	headerSize   = 64   // of the file
	programSize  = 56   // of what describes a part of it
	loaded       = 1    // p_type
	executable   = 1    // in p_flags
	firstOfCode  = 4096 // what is before has the headers, which must stay as they are
	callSize     = 5    // one byte that says so, and four for the distance
	bitsOfPlaces = 25
)

// Absolute puts places in the place of distances, in a program for x86-64; it leaves
// others alone.
func Absolute(program []byte) { change(program, 1) }

// Relative takes back what Absolute did.
func Relative(program []byte) { change(program, ^uint32(0)) }

// change adds the place of each call to its distance, as often as times says. The way
// back finds the same calls: the uppermost byte of a distance has only copies of its
// sign, before and after; and what follows a byte that looks like a call is passed
// over even if it is none, so that nothing that was looked at is changed later.
func change(program []byte, times uint32) {
	code := codeOf(program)
	for i := 0; i+callSize <= len(code); i++ {
		if op := code[i]; op != 0xE8 && op != 0xE9 {
			continue
		}
		distance := code[i+1 : i+callSize]
		if top := distance[3]; top == 0 || top == 0xFF {
			const unused = 32 - bitsOfPlaces
			sum := binary.LittleEndian.Uint32(distance) + times*uint32(i)
			binary.LittleEndian.PutUint32(distance, uint32(int32(sum<<unused)>>unused))
		}
		i += callSize - 1
	}
}

// codeOf is the part of a program for x86-64 that has its code; there is none of
// what is no such program.
func codeOf(program []byte) []byte {
	if len(program) < firstOfCode || string(program[:6]) != "\x7fELF\x02\x01" || binary.LittleEndian.Uint16(program[18:]) != x86 {
		return nil
	}
	at, n := binary.LittleEndian.Uint64(program[32:]), uint64(binary.LittleEndian.Uint16(program[56:]))
	if at < headerSize || at > firstOfCode || at+n*programSize > firstOfCode {
		return nil
	}
	for ; n > 0; n-- {
		p := program[at:]
		at += programSize
		if binary.LittleEndian.Uint32(p) != loaded || binary.LittleEndian.Uint32(p[4:])&executable == 0 {
			continue
		}
		start, size := binary.LittleEndian.Uint64(p[8:]), binary.LittleEndian.Uint64(p[32:])
		all := uint64(len(program))
		if start > all || size > all-start || start+size < firstOfCode {
			return nil
		}
		return program[max(start, firstOfCode) : start+size]
	}
	return nil
}
