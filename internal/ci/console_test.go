package ci_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
)

func TestConsole(t *testing.T) {
	say := func(c *ci.Console) {
		c.Mask("hunter22")
		io.WriteString(c, "hello hunter22\n")
		end := c.Group("build\nhunter22")
		io.WriteString(c, "::error::inside, no line end")
		end()
		end()
		c.Warn("50% of hunter22\ngone")
		c.Annotate(ci.LevelError, "a:b.yml", 3, "wrong, here")
		c.Annotate(ci.LevelNotice, "", 7, "fyi")
		io.WriteString(c, "hunter22")
		c.Warn("again")
		io.WriteString(c, "hunter22\n")
		io.WriteString(c, "held hunter2")
		c.Close()
	}
	text := func(system string) string {
		c, said := open(system)
		say(c)
		return said.String()
	}
	github := `::add-mask::hunter22
hello ***
::group::build%0A***
:\:error::inside, no line end
::endgroup::
::warning title=Convox::50%25 of ***%0Agone
::error file=a%3Ab.yml,line=3,title=Convox::wrong, here
::notice title=Convox::fyi
***
::warning title=Convox::again
***
held hunter2`
	plain := `hello ***
== build ***
::error::inside, no line end
warning: 50% of ***
gone
a:b.yml:3: error: wrong, here
notice: fyi
***
warning: again
***
held hunter2`
	for system, want := range map[string]string{ci.GitHub: github, ci.CircleCI: plain, ci.Plain: plain} {
		if got := text(system); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", system, got, want)
		}
	}
}

// Groups do not nest on GitHub, and a group left open swallows the rest.
func TestGroupsDoNotNest(t *testing.T) {
	c, said := open(ci.GitHub)
	endOuter := c.Group("outer")
	c.Group("inner")
	endOuter()
	io.WriteString(c, "in inner\n")
	c.Annotate(ci.LevelError, "", 0, "seen")
	c.Group("last")
	c.Close()
	want := "::group::outer\n::endgroup::\n::group::inner\nin inner\n::endgroup::\n::error title=Convox::seen\n::group::last\n::endgroup::\n"
	if said.String() != want {
		t.Errorf("got\n%s\nwant\n%s", said.String(), want)
	}
}

func TestAnnotationsBeyondTheLimit(t *testing.T) {
	c, said := open(ci.GitHub)
	c.Mask("hunter22")
	io.WriteString(c, "go hunt")
	for i := range 12 {
		if i == 11 {
			io.WriteString(c, "go hunt")
		}
		c.Warn(fmt.Sprintf("no %d\n::error::x", i))
		c.Annotate(ci.LevelNotice, "f", 1, "n")
	}
	var r runner
	r.read(said.String())
	if len(r.found) != 1+20 {
		t.Errorf("%d commands: %q", len(r.found), r.found)
	}
	if want := "go hunt\nwarning: no 11\n:\\:error::x\nf:1: notice: n\n"; !strings.HasSuffix(said.String(), want) {
		t.Errorf("ends %q", said.String()[len(said.String())-80:])
	}
}

func TestMessageIsCut(t *testing.T) {
	c, said := open(ci.Plain)
	c.Warn(strings.Repeat("a", 4095) + "é")
	if want := "warning: " + strings.Repeat("a", 4095) + "\n"; said.String() != want {
		t.Errorf("got %d bytes, ends %q", len(said.String()), said.String()[4090:])
	}
}

func TestMaskTellsGitHubLines(t *testing.T) {
	c, said := open(ci.GitHub)
	c.Mask("-----BEGIN KEY-----\nab%cdefgh\nab\n")
	c.Mask("https://convox:hunter22@rack.example")
	c.Mask("short")
	want := "::add-mask::-----BEGIN KEY-----\n::add-mask::ab%25cdefgh\n::add-mask::https://convox:hunter22@rack.example\n::add-mask::hunter22\n"
	if said.String() != want {
		t.Errorf("got\n%s\nwant\n%s", said.String(), want)
	}
}

// Control characters are gone before secrets are looked for, and a secret that holds
// one is found without it.
func TestControlCharactersInSecrets(t *testing.T) {
	c, said := open(ci.Azure)
	c.Mask("hunter22")
	c.Mask("orchid\rpale\x1bmoon")
	before := said.String()
	io.WriteString(c, "orchid\rpale\x1bmoon\n")
	c.Warn("a\x1b[2Kb hun\x00ter22")
	c.Group("hun\x00ter22")()
	want := "***\n##vso[task.logissue type=warning]ab ***\n##[group]***\n##[endgroup]\n"
	if got := said.String()[len(before):]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What we say next begins a line, and what stood open before it is over.
func TestCarriageReturnBeforeANote(t *testing.T) {
	c, said := open(ci.Plain)
	io.WriteString(c, "10%\r")
	c.Warn("no")
	io.WriteString(c, "20%\x1b[")
	c.Warn("no")
	io.WriteString(c, "1mend\n")
	if want := "10%\nwarning: no\n20%\nwarning: no\n1mend\n"; said.String() != want {
		t.Errorf("got %q, want %q", said.String(), want)
	}
}
