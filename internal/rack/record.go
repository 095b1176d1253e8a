package rack

import (
	"fmt"
	"strconv"
	"strings"
)

// A stream that breaks takes the exit status of its command with it. Where a
// rack hands commands to a shell (v2), the shell is told to leave a record in the
// container: its own id when it begins and the status when it ends. Another
// command in the same container then reads it.

// recordFile is where the record of a command is, by a token of its own. Every
// image that has a shell has a /tmp it can write to; where that is not so there is
// no record, which is what a rack without this would have.
func recordFile(token string) string { return "/tmp/.convox-ci-" + token }

// recorded is a command that leaves a record.
func recorded(command, token string) string {
	return fmt.Sprintf("r=%s; { echo $$ >$r.pid; } 2>/dev/null; (eval %s); s=$?; { echo $s >$r; } 2>/dev/null; exit $s",
		recordFile(token), shellText(command))
}

// What reading a record finds, on a line of its own.
const (
	recordEnded   = "ended"   // followed by the status
	recordRunning = "running" // the command goes on
	recordLost    = "lost"    // it is gone and has left no status, or could leave no record
	recordNone    = "none"    // it has not begun
)

// readRecord is the command that reads a record. A status may be written between
// the look for it and the look for the process, so it is looked for again.
func readRecord(token string) string {
	return fmt.Sprintf("r=%s; t() { if [ -s $r ]; then echo %s $(cat $r); exit 0; fi; }; t; "+
		"if [ ! -s $r.pid ]; then if { : >$r.try; } 2>/dev/null; then echo %s; else echo %s; fi; exit 0; fi; "+
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
