package carried

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// static is a program that needs nothing of its machine.
func static(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", program, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return read(t, program)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// moved is a program that says that it is for another machine. Where an ELF header
// says so: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
func moved(program []byte, to elf.Machine) []byte {
	program = bytes.Clone(program)
	binary.LittleEndian.PutUint16(program[18:], uint16(to))
	return program
}

// TestUsable: only a program that needs nothing of its machine goes into images
// for its architecture.
func TestUsable(t *testing.T) {
	own := static(t)
	amd64, arm64 := moved(own, elf.EM_X86_64), moved(own, elf.EM_AARCH64)
	for name, test := range map[string]struct {
		program      []byte
		architecture string
		want         string // "" for none
	}{
		"amd64":              {amd64, "amd64", ""},
		"arm64":              {arm64, "arm64", ""},
		"the other":          {arm64, "amd64", "there is no convox-env: the file is not for linux/amd64"},
		"unknown":            {amd64, "sparc", "there is no convox-env: the file is not for linux/sparc"},
		"another system":     {[]byte("\xcf\xfa\xed\xfe Mach-O"), "arm64", "there is no convox-env: the file is not for Linux"},
		"no program":         {[]byte("#!/bin/sh\n"), "amd64", "there is no convox-env: the file is not for Linux"},
		"linked dynamically": {moved(read(t, "/bin/bash"), elf.EM_X86_64), "amd64", "there is no convox-env: the file needs files of this machine (build it with CGO_ENABLED=0)"},
	} {
		err := usable("the file", test.program, test.architecture)
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || err.Error() != test.want || !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// TestConvoxEnv: there is none beside a test binary.
func TestConvoxEnv(t *testing.T) {
	if _, err := ConvoxEnv("amd64"); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "convox-env (go build makes it from ./cmd/convox-env") {
		t.Errorf("error is %v", err)
	}
}
