// Package ci is both directions of a CI system: what it said when the step
// began ([Run] and [Inputs], plain data), and what we say back ([Log] while the
// work goes on, [Results] for what it leaves behind).
//
// Everything a person reads goes out on one stream, through a mask, and can
// never be a command to the CI system unless this package made it one.
package ci

import "io"

// The systems [Detect] tells apart, as found in [Run.System].
const (
	GitHub     = "github"     // GitHub Actions, and what speaks its protocol (Gitea, Forgejo, act)
	CircleCI   = "circleci"   // CircleCI
	GitLab     = "gitlab"     // GitLab CI/CD
	Buildkite  = "buildkite"  // Buildkite
	Azure      = "azure"      // Azure Pipelines
	TeamCity   = "teamcity"   // TeamCity
	Bitbucket  = "bitbucket"  // Bitbucket Pipelines
	Drone      = "drone"      // Drone and Harness CI
	Woodpecker = "woodpecker" // Woodpecker, and Crow
	Plain      = "plain"      // everything else, a laptop among it
)

// Level is how bad a thing said is.
type Level string

// The levels, by the names of GitHub's workflow commands.
const (
	LevelNotice  Level = "notice"
	LevelWarning Level = "warning"
	LevelError   Level = "error"
)

// Log is what a workflow may say while it runs. All of it may be called from
// several goroutines at once.
type Log interface {
	// Write takes lines we wrote, for a person. They are masked, and text in
	// them that looks like a command to the CI system is made harmless; of control
	// sequences only colours go through. Bytes that could be the start of a secret
	// wait for the next write.
	io.Writer

	// Foreign calls write with a writer for bytes that others wrote, a build log
	// for example: masked, and with workflow commands off. It returns what write
	// returned, joined with errors of the stream itself. The commands are on
	// again when it returns, and when write panics. The writer may be used by
	// several goroutines; after Foreign returned it gives [os.ErrClosed].
	//
	// While Foreign runs, lines given to Write appear among the foreign ones.
	// Where the system knows commands (GitHub), Group, Warn, Annotate and the
	// system's own half of Mask take effect only when Foreign returns; our own
	// half of Mask works at once.
	Foreign(write func(io.Writer) error) error

	// Group opens a part of the log that can be folded; where the system has no
	// folds it is a heading. Groups do not nest: a new one ends the open one.
	// Calling end more than once, or late, does nothing.
	Group(title string) (end func())

	// Mask hides secret, and its usual encodings, from now on. Values shorter
	// than eight bytes are not hidden: an "a" would turn every a into stars.
	Mask(secret string)

	// Warn says that something is not as it should be, though the work goes on.
	Warn(message string)
}

// Results is what a run leaves behind. It may be used by several goroutines.
type Results interface {
	// Output passes a value on to later steps, at once: it is there even when
	// the run fails a moment later. Names are letters, digits, "-" and "_",
	// values UTF-8; anything else is an error and nothing is written.
	Output(name, value string) error

	// Annotate puts a message at a line (1-based; 0 for none) of a file ("" for
	// none, else a path the CI system can find in the repository). An error ends
	// the open group, or it would be folded away.
	Annotate(level Level, file string, line int, message string)

	// Summary leaves a summary: as Markdown on the page of the run where the
	// system has a place for it (GitHub), else as text in the log. Of several all
	// are kept.
	Summary(markdown, text string) error
}
