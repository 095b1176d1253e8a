package ci

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"
)

// maxNotes is how many notes of one level become annotations. GitHub keeps ten
// a step and level; the rest are lines of the log.
const maxNotes = 10

// maxNote is the length of a note in bytes. GitHub cuts a message at 4096
// characters, which are never fewer bytes.
const maxNote = 4096

// note is a message that may belong to a line of a file.
type note struct {
	level   Level
	file    string
	line    int
	message string
}

// system is how one CI system is spoken to: its words, and where values for
// later steps go. Text handed to it is masked already. Commands it returns are
// whole lines, "" where it has none.
type system interface {
	mask(secret string) (command string)
	group(title string) (open, end string)
	note(n note) (command string)
	hush() (stop, resume string) // commands off and on again
	pass(to receiver, name, value string) error
}

// Console is the way back to the CI system: a [Log] and [Results] on one stream.
type Console struct {
	system  system
	secrets *Secrets
	stream  *stream
	own     *Mask // of our own lines
	outputs outputs

	mu      sync.Mutex
	foreign int      // Foreign calls under way
	resume  string   // commands are off until this one
	waiting []string // commands to say when they are on again
	fold    fold
	notes   map[Level]int // said so far
}

// fold is the open group.
type fold struct {
	open   int    // its number; 0 for none
	opened int    // groups opened so far
	end    string // command that ends it
}

var (
	_ Log     = (*Console)(nil)
	_ Results = (*Console)(nil)
)

// Open returns the way back to the system that run came from. Environ, in the
// form of [os.Environ], names the files for outputs; w takes everything that is
// said. Close it at the end.
func Open(run Run, environ []string, w io.Writer) *Console {
	env := parseEnviron(environ)
	c := &Console{secrets: &Secrets{}, stream: &stream{w: w}, notes: make(map[Level]int)}
	c.own = NewMask(c.stream, c.secrets)
	switch run.System {
	case GitHub:
		c.system = github{env: env}
		c.stream.inert = &inert{}
	case CircleCI:
		c.system = circleci{file: env["BASH_ENV"]}
	default:
		c.system = plain{}
	}
	return c
}

// Close ends the open group and writes what is held back. It returns the first
// error of the stream, that of an earlier command included.
func (c *Console) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endGroup()
	_ = c.own.Close() // the stream keeps the error
	return c.stream.failure()
}

// Write is described in [Log].
func (c *Console) Write(p []byte) (int, error) { return c.own.Write(p) }

// Foreign is described in [Log].
func (c *Console) Foreign(write func(io.Writer) error) (err error) {
	m := NewMask(c.stream, c.secrets)
	off := c.commandsOff()
	defer func() { err = errors.Join(err, m.Close(), c.commandsOn()) }()
	if off != nil {
		return off
	}
	return write(m)
}

// commandsOff begins foreign text on a line of its own. Calls may overlap; the
// first turns commands off.
func (c *Console) commandsOff() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.foreign++
	err := errors.Join(c.own.Flush(), c.stream.freshLine())
	if c.foreign > 1 {
		return err
	}
	stop, resume := c.system.hush()
	c.resume = resume
	return errors.Join(err, c.stream.command(stop))
}

// commandsOn ends foreign text; the last call turns commands on, and says what
// had to wait.
func (c *Console) commandsOn() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.foreign--
	err := c.stream.freshLine()
	if c.foreign > 0 {
		return err
	}
	err = errors.Join(err, c.stream.command(c.resume))
	c.resume = ""
	for _, command := range c.waiting {
		err = errors.Join(err, c.stream.command(command))
	}
	c.waiting = nil
	return err
}

// say writes a command, now or when commands are on again; c.mu is held. Its
// error is kept by the stream.
func (c *Console) say(command string) {
	if command == "" {
		return
	}
	if c.resume != "" {
		c.waiting = append(c.waiting, command)
		return
	}
	_ = c.own.Flush()
	_ = c.stream.command(command)
}

// Conceal returns text with stars in place of secrets, for those who print it
// elsewhere.
func (c *Console) Conceal(text string) string { return c.secrets.Mask(text) }

// Group is described in [Log].
func (c *Console) Group(title string) (end func()) {
	open, closing := c.system.group(c.secrets.Mask(title))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endGroup()
	c.say(open)
	id := c.fold.opened + 1
	c.fold = fold{open: id, opened: id, end: closing}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.fold.open == id {
			c.endGroup()
		}
	}
}

// endGroup ends the open group, if there is one; c.mu is held.
func (c *Console) endGroup() {
	if c.fold.open != 0 {
		c.say(c.fold.end)
		c.fold.open = 0
	}
}

// Mask is described in [Log].
func (c *Console) Mask(secret string) {
	fresh := c.secrets.Add(secret)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, part := range fresh {
		c.say(c.system.mask(part))
	}
}

// Warn is described in [Log].
func (c *Console) Warn(message string) { c.Annotate(LevelWarning, "", 0, message) }

// Annotate is described in [Results].
func (c *Console) Annotate(level Level, file string, line int, message string) {
	n := note{level: level, file: c.secrets.Mask(file), line: line, message: cut(c.secrets.Mask(message), maxNote)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if level == LevelError {
		c.endGroup()
	}
	c.notes[level]++
	if c.notes[level] > maxNotes {
		_ = errors.Join(c.own.Flush(), c.stream.freshLine()) // kept by the stream, as below
		_, _ = io.WriteString(c.stream, plain{}.note(n))
		return
	}
	c.say(c.system.note(n))
}

// Output is described in [Results].
func (c *Console) Output(name, value string) error {
	value = c.secrets.Mask(value) // the reason of a failure may be in the words of others
	if err := checkOutput(name, value); err != nil {
		return err
	}
	err := c.system.pass(laterSteps, name, value)
	if errors.Is(err, errNoFile) { // a person can still read it
		_, err = fmt.Fprintf(c, "%s=%s\n", name, value)
	}
	return errors.Join(err, c.outputs.set(name, value))
}

// Export gives the later steps of the job a variable of the environment, as it is: a
// secret among them, which is masked there as well. Names and values are as for
// Output. It is [ErrNoEnvironment] where the system has no way to do that.
func (c *Console) Export(name, value string) error {
	if err := checkOutput(name, value); err != nil {
		return err
	}
	return c.system.pass(laterEnvironment, name, value)
}

// Remember keeps a value for the last stage of this step, which runs when the job
// ends whatever became of this process; see [State]. Of several under one name
// the last counts. Where the system has no such stage nothing is kept, which is no
// error.
func (c *Console) Remember(name, value string) error {
	if err := checkOutput(name, value); err != nil {
		return err
	}
	return c.system.pass(lastStage, name, value)
}

// OutputFile makes path a JSON object of all outputs, now and at each Output.
// The file is replaced, so a reader finds the old or the new one, never a part.
// Folders on the way to it are made.
func (c *Console) OutputFile(path string) error { return c.outputs.keepAt(path) }

// cut returns at most limit bytes of text, and never part of a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
