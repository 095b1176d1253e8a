package buildlog_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/buildlog"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// heard is a log of two Dockerfiles by BuildKit, as the embedded rack has it.
const heard = `Building: .
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s

#2 [internal] load metadata for registry.example/base:1
#2 CACHED

#4 [build 1/2] FROM registry.example/base:1
#4 CACHED

#5 [build 2/2] RUN make
#5 0.100 #4 CACHED
#5 0.100 Step 1/2 : x

#6 [stage-1 1/1] COPY --from=build /out /
#6 CACHED

#5 [build 2/2] RUN make
#5 CACHED
#5 DONE 0.2s
Building: api
#4 [1/2] FROM registry.example/base:1
#4 CACHED
#5 [linux/amd64 2/2] RUN make
#5 DONE 0.2s
Running: docker tag convox/shop:web.BABC registry.example/shop:web.BABC
Running: docker push registry.example/shop:api.BABC
Running: docker push registry.example/shop:web.BABC
Image: registry.example/shop:web.BABC@` + digest + `
Image: registry.example/shop:job.BABC@sha256:12
Image: registry.example/shop:web.BXYZ@` + digest + `
`

func read(log string, piece int) *buildlog.Log {
	l := &buildlog.Log{}
	for ; log != ""; log = log[min(piece, len(log)):] {
		l.Write([]byte(log[:min(piece, len(log))]))
	}
	return l
}

func TestLogOfBuildKit(t *testing.T) {
	for _, piece := range []int{1, 7, 64, len(heard)} {
		l := read(heard, piece)
		if cached, all := l.Steps(); cached != 4 || all != 5 {
			t.Errorf("pieces of %d: %d of %d steps are cached, want 4 of 5", piece, cached, all)
		}
		want := []buildlog.Image{{Ref: "registry.example/shop:api.BABC"}, {Ref: "registry.example/shop:web.BABC", Digest: digest}}
		if d := cmp.Diff(want, l.Images("BABC")); d != "" {
			t.Errorf("pieces of %d: images (-want +got):\n%s", piece, d)
		}
		if f, ok := l.Fault(); ok {
			t.Errorf("pieces of %d: a fault at %+v", piece, f)
		}
	}
}

func TestLogOfTheBuilderBefore(t *testing.T) {
	l := read("Building: .\nStep 1/3 : FROM base\n ---> 0123\nStep 2/3 : COPY . .\n ---> Using cache\nStep x/3 : y\nStep 3/3 : RUN make\n", 1000)
	if cached, all := l.Steps(); cached != 1 || all != 3 {
		t.Errorf("%d of %d steps are cached, want 1 of 3", cached, all)
	}
}

// What cannot be counted is not said.
func TestTooManySteps(t *testing.T) {
	l := &buildlog.Log{}
	for i := range 10_000 {
		fmt.Fprintf(l, "#%d [1/9] RUN x\n", i)
	}
	if cached, all := l.Steps(); cached != 0 || all != 0 {
		t.Errorf("%d of %d", cached, all)
	}
}

func TestFault(t *testing.T) {
	const excerpt = "\n--------------------\n   1 | >>> RUN x\n--------------------\n"
	for _, test := range []struct {
		name, log string
		want      buildlog.Fault
	}{
		{"an excerpt", "Building: api\n#5 ERROR: x\n------\n > [1/1] RUN x:\n------\nDockerfile:12" + excerpt + "ERROR: failed to solve: x\n", buildlog.Fault{Unit: "api", File: "Dockerfile", Line: 12}},
		{"of a warning before", "Dockerfile:2" + excerpt + "deploy/web.Dockerfile:3" + excerpt, buildlog.Fault{File: "web.Dockerfile", Line: 3}},
		{"words alone", "Building: .\nERROR: failed to solve: dockerfile parse error on line 7: unknown instruction: RNU\n", buildlog.Fault{Unit: ".", Line: 7}},
		{"both", "Building: .\nDockerfile:7" + excerpt + "ERROR: failed to solve: dockerfile parse error on line 7: x\n", buildlog.Fault{Unit: ".", File: "Dockerfile", Line: 7}},
		{"what a step prints", "#5 0.1 Dockerfile:3\n#5 0.1 --------------------\n#5 0.2 ERROR: dockerfile parse error on line 3: x\n", buildlog.Fault{}},
		{"no rule follows", "Dockerfile:3\n\n--------------------\n", buildlog.Fault{}},
		{"no number", "Dockerfile:x\n----\nDockerfile:0\n----\nDockerfile:-1\n----\nDockerfile:99999999999\n----\n:3\n----\na b:3\n----\n", buildlog.Fault{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := read(test.log, 9).Fault()
			if got != test.want || ok != (test.want.Line > 0) {
				t.Errorf("got %+v, %v, want %+v", got, ok, test.want)
			}
		})
	}
}

func TestLastKeepsWholeLastLines(t *testing.T) {
	l := &buildlog.Log{}
	for i := range 10_000 {
		fmt.Fprintf(l, "line %d\n", i)
	}
	lines := strings.Split(l.Last(50, 4<<10), "\n")
	if len(lines) != 50 || lines[0] != "line 9950" || lines[49] != "line 9999" {
		t.Errorf("got %d lines, %q to %q", len(lines), lines[0], lines[len(lines)-1])
	}
}

func TestLastOfLongLinesKeepsToTheSize(t *testing.T) {
	l := &buildlog.Log{}
	for range 100 {
		fmt.Fprintln(l, strings.Repeat("é", 500))
	}
	for _, size := range []int{3 << 10, 16 << 10, 1 << 20} {
		got := l.Last(20, size)
		if len(got) == 0 || len(got) > min(size, 16<<10) || !strings.HasPrefix(got, "é") {
			t.Errorf("%d bytes that begin with %q", len(got), got[:min(8, len(got))])
		}
	}
}

// TestLastNeverBeginsWithinALine: a secret that is cut in two is not masked.
func TestLastNeverBeginsWithinALine(t *testing.T) {
	const kept, size = 16 << 10, 3 << 10
	for _, before := range []int{5000, size - 5, kept - 5, 2*kept - 5, 100_000} {
		for _, after := range []int{0, 10, size - 5, kept - 5, 2*kept - 5} {
			for _, piece := range []int{1000, 10_000, 1_000_000} {
				text := strings.Repeat("x", before) + "SECRET" + strings.Repeat("y", after) + strings.Repeat("\n", before%7)
				l := read(text, piece)
				if got := l.Last(20, size); got != "" && !strings.HasPrefix(got, "x") {
					t.Errorf("%d before, %d after, by %d: begins with %q", before, after, piece, got[:min(8, len(got))])
				}
				fmt.Fprint(l, "\nlast")
				if got := l.Last(20, size); !strings.HasSuffix(got, "last") {
					t.Errorf("%d before, %d after, by %d: ends with %q", before, after, piece, got)
				}
			}
		}
	}
}

// What is found in a log does not depend on how it is cut into writes, and is
// always within its bounds: whole lines of UTF-8, images of the build that is
// asked for, cached steps among all of them, a base name and a line.
func FuzzLog(f *testing.F) {
	f.Add(heard, uint8(3))
	f.Add("Building: a/b\nx/Dockerfile:3\n----\nERROR: dockerfile parse error on line 4: x\r\n#1 [1/2] x\n#1 CACHED\n#1 CACHED", uint8(1))
	f.Add("Step 1/2 : x\n ---> Using cache\n ---> Using cache\n", uint8(2))
	f.Fuzz(func(t *testing.T, log string, piece uint8) {
		l, whole := read(log, int(piece)+1), read(log, len(log)+1)
		cached, all := l.Steps()
		fault, ok := l.Fault()
		otherCached, otherAll := whole.Steps()
		otherFault, _ := whole.Fault()
		if cached != otherCached || all != otherAll || fault != otherFault || l.Last(50, 4<<10) != whole.Last(50, 4<<10) ||
			!cmp.Equal(l.Images("BABC"), whole.Images("BABC")) {
			t.Errorf("in pieces: %d of %d, %+v; whole: %d of %d, %+v", cached, all, fault, otherCached, otherAll, otherFault)
		}
		if cached < 0 || cached > all || ok && (fault.Line < 1 || strings.ContainsAny(fault.File, "/\n ")) {
			t.Errorf("%d of %d, %+v", cached, all, fault)
		}
		for _, i := range l.Images("BABC") {
			if !strings.HasSuffix(i.Ref, ".BABC") || i.Digest != "" && len(i.Digest) != len(digest) {
				t.Errorf("%+v", i)
			}
		}
		last := l.Last(5, 100)
		if !utf8.ValidString(last) || strings.Count(last, "\n") >= 5 || len(last) > 300 { // a byte that is no UTF-8 becomes three
			t.Errorf("%q", last)
		}
	})
}
