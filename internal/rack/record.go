package rack

import (
	"fmt"
	"strconv"
	"strings"
)

// A stream that breaks takes the exit status of its command with it. So where the
// container has a shell, that is told to leave a record: its own id when it begins
// and the status when it ends. Another command in the same container then reads
// it. Nothing else of the command is changed.

// recordFile is where the record of a command is, by a token of its own.
func recordFile(token string) string { return "/tmp/.convox-ci-" + token }

// recording is a script that runs a command, which is a script too, and leaves a
// record of it. It sets no variable: the command might have one of that name from
// its environment.
func recording(command, token string) string {
	return fmt.Sprintf("{ echo $$ >%[1]s.pid; } 2>/dev/null; (%[2]s); set -- $?; { echo $1 >%[1]s; } 2>/dev/null; exit $1", recordFile(token), command)
}

// kept is what a container says in which a record can be left.
const kept = "a record can be kept"

// probeRecord is the script that finds out.
func probeRecord(token string) string {
	return fmt.Sprintf("{ true >%s.try; } 2>/dev/null && echo %s", recordFile(token), kept)
}

// What reading a record finds, on a line of its own.
const (
	recordEnded   = "ended"   // followed by the status
	recordRunning = "running" // the command goes on
	recordLost    = "lost"    // it is gone and has left no status, or could leave no record
	recordNone    = "none"    // it has not begun
)

// readRecord is the script that reads a record. A status may be written between
// the look for it and the look for the process, so it is looked for again. A shell
// may end where ":" cannot write, which it does not with "true".
func readRecord(token string) string {
	return fmt.Sprintf("r=%s; t() { if [ -s $r ]; then echo %s $(cat $r); exit 0; fi; }; t; "+
		"if [ ! -s $r.pid ]; then if { true >$r.try; } 2>/dev/null; then echo %s; else echo %s; fi; exit 0; fi; "+
		"if kill -0 $(cat $r.pid) 2>/dev/null; then echo %s; exit 0; fi; t; echo %s",
		recordFile(token), recordEnded, recordNone, recordLost, recordRunning, recordLost)
}

// parseRecord finds the line in what reading a record printed; "" if there is
// none.
func parseRecord(output string) (found string, status int) {
	for line := range strings.Lines(output) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case recordRunning, recordLost, recordNone:
			found = word
		case recordEnded:
			if n, err := strconv.Atoi(rest); err == nil {
				found, status = word, n
			}
		}
	}
	return found, status
}

// shellText is a text as one word of a shell on one line, since it travels in a
// header.
func shellText(text string) string {
	if !strings.ContainsAny(text, "\r\n") {
		return shellWord(text)
	}
	escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "'", `\0047`).Replace(text)
	return `"$(printf %b '` + escaped + `')"`
}
