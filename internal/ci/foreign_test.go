package ci_test

import (
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
)

// open returns a console of a system, and what it said. The buffer is safe to
// read from inside Foreign.
func open(system string, environ ...string) (*ci.Console, *buffer) {
	b := &buffer{}
	return ci.Open(ci.Run{System: system}, environ, b), b
}

type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tokens stands for the random token in what a test expects.
var tokens = regexp.MustCompile(`\b[A-Z2-7]{26}\b`)

func (b *buffer) shown() string { return tokens.ReplaceAllString(b.String(), "TOKEN") }

func TestForeign(t *testing.T) {
	tests := []struct {
		name, system string
		pieces       []string
		want         string
	}{
		{"github", ci.GitHub, []string{"a\n"}, "::stop-commands::TOKEN\na\n::TOKEN::\n"},
		{"line not ended", ci.GitHub, []string{"a"}, "::stop-commands::TOKEN\na\n::TOKEN::\n"},
		{"carriage return at the end", ci.GitHub, []string{"a\r"}, "::stop-commands::TOKEN\na\n::TOKEN::\n"},
		{"carriage return and line feed", ci.Plain, []string{"a\r", "\nb\r\r\n"}, "a\r\nb\n\r\n"},
		{"nothing", ci.GitHub, nil, "::stop-commands::TOKEN\n::TOKEN::\n"},
		{"old command in pieces", ci.GitHub, []string{"x #", "#", "[group]y\n"}, "::stop-commands::TOKEN\nx ##\\[group]y\n::TOKEN::\n"},
		{"new command in pieces", ci.GitHub, []string{" :", ":error::no\na::b\n"}, "::stop-commands::TOKEN\n :\\:error::no\na::b\n::TOKEN::\n"},
		{"after a carriage return", ci.GitHub, []string{"50%\r::error::\n"}, "::stop-commands::TOKEN\n50%\n:\\:error::\n::TOKEN::\n"},
		{"colours and broken UTF-8 stay", ci.GitHub, []string{"\x1b[31mred\x1b[0m \xff\n"}, "::stop-commands::TOKEN\n\x1b[31mred\x1b[0m \xff\n::TOKEN::\n"},
		{"secret in pieces", ci.GitHub, []string{"key=hun", "ter22\n"}, "::stop-commands::TOKEN\nkey=***\n::TOKEN::\n"},
		{"only colours", ci.Plain, []string{"\x1b[2K\x1b[1;3", "8:5:9mred\x1b[m\x1b]0;title\x07\x1b(B\x08\x00\u009b1m\x7f\t.\x1b[1"}, "\x1b[1;38:5:9mred\x1b[m\xc21m\t.\n"},
		{"no end of a title", ci.Plain, []string{"a\x1b]0;title\nb\x1b_x\x1b\\c\x1b"}, "a\nbc\n"},
		{"a colour that is none", ci.Plain, []string{"a\x1b[" + strings.Repeat("1;", 40) + "mb\x1b[>4mc"}, "abc\n"},
		{"progress", ci.Plain, []string{"10%\r\x1b[K20%\r", "\x1b[32m30%\r\n"}, "10%\n20%\n\x1b[32m30%\r\n"},
		{"azure", ci.Azure, []string{"a ##vso[task.x]#", "#[error]##v", "so\x1b[1m[y.z]\n"}, "a ##vso\\[task.x]##\\[error]##vso\x1b[1m\\[y.z]\n"},
		{"C1 among text", ci.Plain, []string{"aaaaaaaa\u009b31mbbbbbbbb\u00a9\n"}, "aaaaaaaa\xc231mbbbbbbbb\u00a9\n"},
		{"azure, put together", ci.Azure, []string{"##\x1b[Kvso[a.b]c#\x00#[", "group]"}, "##vso\\[a.b]c##\\[group]\n"},
		{"teamcity", ci.TeamCity, []string{"x##team", "city[a 'b'] [i] ##teamcity ["}, "x##teamcity\\[a 'b'] [i] ##teamcity [\n"},
		{"gitlab", ci.GitLab, []string{"\x1b[0Ksection_start:1:a[collapsed=true]\r\x1b[0Kb\nxsection_", "end:1:a\r\x1b[0K12:30"}, "section_start\\:1:a[collapsed=true]\nb\nxsection_end\\:1:a\n12:30\n"},
		{"buildkite", ci.Buildkite, []string{"--- a\n\x1b[1m+", "++ b\n~~~\n^^^ +++\n---- c\n --- d\n--\n-- -\nx --- y\r--- z\n---"}, "---\\ a\n\x1b[1m+++\\ b\n~~~\\\n^^^\\ +++\n---- c\n --- d\n--\n-- -\nx --- y\n---\\ z\n---\\\n"},
		{"bitbucket", ci.Bitbucket, []string{"##vso[a.b]c"}, "##vso[a.b]c\n"},
		{"secret with something in it", ci.Plain, []string{"h\x00u\x00n\x00t\x00e\x00r\x002\x002\n", "hun\x1b[Kter", "\x0822"}, "***\n***\n"},
		{"circleci", ci.CircleCI, []string{"##[group]hun", "ter22"}, "##[group]***\n"},
		{"plain", ci.Plain, []string{"::error::a\n"}, "::error::a\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, said := open(test.system)
			c.Mask("hunter22")
			before := said.String()
			err := c.Foreign(func(w io.Writer) error {
				for _, piece := range test.pieces {
					io.WriteString(w, piece)
				}
				return nil
			})
			if got := strings.TrimPrefix(said.shown(), before); err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// The mask may hold back a part of a colour, which counts for nothing all the same.
func TestForeignColourHeldBack(t *testing.T) {
	c, said := open(ci.Azure)
	c.Mask("[1mhunter22")
	before := said.String()
	c.Foreign(func(w io.Writer) error {
		io.WriteString(w, "##vso\x1b[1m")
		_, err := io.WriteString(w, "[y.z]\n")
		return err
	})
	if want := "##vso\x1b[1m\\[y.z]\n"; said.String()[len(before):] != want {
		t.Errorf("got %q, want %q", said.String()[len(before):], want)
	}
}

// Our own open line, and what is held back of it, comes before foreign bytes
// and cannot make a secret together with them.
func TestForeignBeginsOnItsOwnLine(t *testing.T) {
	c, said := open(ci.Plain)
	c.Mask("hunter22")
	io.WriteString(c, "going to hunt")
	c.Foreign(func(w io.Writer) error {
		_, err := io.WriteString(w, "er22")
		return err
	})
	if want := "going to hunt\ner22\n"; said.String() != want {
		t.Errorf("got %q, want %q", said.String(), want)
	}
}

func TestForeignFails(t *testing.T) {
	c, said := open(ci.GitHub)
	lost := errors.New("stream lost")
	err := c.Foreign(func(w io.Writer) error {
		io.WriteString(w, "half a li")
		return lost
	})
	if !errors.Is(err, lost) {
		t.Errorf("got error %v", err)
	}
	if want := "::stop-commands::TOKEN\nhalf a li\n::TOKEN::\n"; said.shown() != want {
		t.Errorf("got %q, want %q", said.shown(), want)
	}
}

func TestForeignPanics(t *testing.T) {
	c, said := open(ci.GitHub)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		c.Foreign(func(w io.Writer) error {
			io.WriteString(w, "a")
			panic("no")
		})
	}()
	if want := "::stop-commands::TOKEN\na\n::TOKEN::\n"; said.shown() != want {
		t.Errorf("got %q, want %q", said.shown(), want)
	}
}

func TestForeignWriterIsClosedAfterwards(t *testing.T) {
	c, said := open(ci.GitHub)
	var late io.Writer
	c.Foreign(func(w io.Writer) error { late = w; return nil })
	before := said.String()
	if _, err := io.WriteString(late, "::error::late\n"); !errors.Is(err, os.ErrClosed) || said.String() != before {
		t.Errorf("err %v, said %q", err, said.String())
	}
}

func TestForeignStreamBroken(t *testing.T) {
	c := ci.Open(ci.Run{System: ci.GitHub}, nil, brokenPipe{})
	called := false
	err := c.Foreign(func(io.Writer) error { called = true; return nil })
	if !errors.Is(err, io.ErrClosedPipe) || called {
		t.Errorf("err %v, called %v", err, called)
	}
	if err := c.Close(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("close: %v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Commands given while they are off come when they are on; text and masks count
// at once.
func TestCommandsDuringForeign(t *testing.T) {
	c, said := open(ci.GitHub)
	c.Foreign(func(w io.Writer) error {
		io.WriteString(w, "theirs")
		io.WriteString(c, " ours\n")
		c.Mask("hunter22")
		c.Warn("careful")
		io.WriteString(w, "hunter22\nhalf")
		c.Foreign(func(w io.Writer) error {
			_, err := io.WriteString(w, "inner")
			return err
		})
		_, err := io.WriteString(w, "outer\n")
		return err
	})
	c.Foreign(func(io.Writer) error { return nil })
	want := "::stop-commands::TOKEN\ntheirs ours\n***\nhalf\ninner\nouter\n::TOKEN::\n" +
		"::add-mask::hunter22\n::warning title=Convox::careful\n" +
		"::stop-commands::TOKEN\n::TOKEN::\n"
	if said.shown() != want {
		t.Errorf("got\n%s\nwant\n%s", said.shown(), want)
	}
}

func TestForeignConcurrently(t *testing.T) {
	c, said := open(ci.GitHub)
	c.Mask("hunter22")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			c.Foreign(func(w io.Writer) error {
				for range 50 {
					io.WriteString(w, "::error::hun")
					io.WriteString(w, "ter22 ##[error]\n")
					io.WriteString(c, "still here\n")
				}
				return nil
			})
			c.Warn("done")
		})
	}
	all.Wait()
	var r runner
	r.read(said.String())
	for _, command := range r.found {
		if command != "stop" && command != "resume" && !strings.HasPrefix(command, "warning=done") && command != "add-mask=hunter22" {
			t.Errorf("command %s", command)
		}
	}
	if text := strings.Replace(said.String(), "hunter22", "", 1); strings.Contains(text, "hunter22") {
		t.Errorf("the secret shows")
	}
	if n := strings.Count(said.String(), "still here"); n != 200 {
		t.Errorf("%d of 200 lines", n)
	}
}

// Whatever the bytes, and however they are cut, the runner finds no command in
// them, not even with its own token and not even one that takes no
// stop-commands; and apart from backslashes and control sequences nothing is lost.
func FuzzForeign(f *testing.F) {
	f.Add("##[set-output name=a]b\n::error::c\n", uint8(1))
	f.Add("::TOKEN::\n::error::x\n##[TOKEN]##[error]x", uint8(2))
	f.Add("\u00a0\u2003::warning::x\r::stop-commands::abc\r\n \t:", uint8(3))
	f.Add("###[group]#\\#[a]:::debug::x\n\\::add-mask::e", uint8(9))
	f.Fuzz(func(t *testing.T, log string, piece uint8) {
		if piece == 0 {
			t.Skip()
		}
		for _, deaf := range []bool{false, true} {
			c, said := open(ci.GitHub)
			var token string
			c.Foreign(func(w io.Writer) error {
				token = tokens.FindString(said.String())
				for rest := strings.ReplaceAll(log, "TOKEN", token); rest != ""; {
					n := min(int(piece), len(rest))
					io.WriteString(w, rest[:n])
					rest = rest[n:]
				}
				return nil
			})
			r := runner{deaf: deaf}
			r.read(said.String())
			if want := []string{"stop", "resume"}; !deaf && !slices.Equal(r.found, want) {
				t.Errorf("commands %q, want %q, in %q", r.found, want, said.String())
			}
			if deaf && (len(r.found) != 1 || !strings.HasPrefix(r.found[0], "stop-commands=")) {
				t.Errorf("without stop-commands: %q in %q", r.found, said.String())
			}
			got := strings.ReplaceAll(said.String(), token, "TOKEN")
			got = strings.TrimSuffix(strings.TrimPrefix(got, "::stop-commands::TOKEN\n"), "::TOKEN::\n")
			if want := bare(filtered(log)); bare(got) != want && bare(got) != want+"\n" {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

func bare(s string) string { return strings.ReplaceAll(s, `\`, "") }
