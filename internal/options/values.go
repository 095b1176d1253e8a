package options

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Switch is a boolean that may be left unset, where that means something else
// than off. The zero value is unset.
type Switch int8

// The states of a Switch.
const (
	Unset Switch = iota
	Off
	On
)

// IsSet tells whether the input was given.
func (s Switch) IsSet() bool { return s != Unset }

// IsOn tells whether it was given as true.
func (s Switch) IsOn() bool { return s == On }

// parseBool takes what YAML 1.2 calls a boolean, as GitHub's toolkit does, and
// 1 and 0, which is how CircleCI spells them in a variable. "yes" and "on" are
// refused: YAML readers disagree about them.
//
// https://yaml.org/spec/1.2.2/#10212-boolean
func parseBool(text string) (bool, error) {
	switch text {
	case "true", "True", "TRUE", "1":
		return true, nil
	case "false", "False", "FALSE", "0":
		return false, nil
	}
	return false, faults{{
		message:  "is not a boolean",
		accepted: []string{"true", "True", "TRUE", "1", "false", "False", "FALSE", "0"},
	}}
}

func parseSwitch(text string) (Switch, error) {
	on, err := parseBool(text)
	switch {
	case err != nil:
		return Unset, err
	case on:
		return On, nil
	}
	return Off, nil
}

// parseNumber takes a whole number from 1: what is counted here is never none.
func parseNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, faults{{message: "is not a whole number from 1", accepted: []string{"1", "10", "100"}}}
	}
	return n, nil
}

// parseDuration takes Go's form, longer than zero. A bare number is refused
// rather than guessed: other tools count minutes where some count seconds.
func parseDuration(text string) (time.Duration, error) {
	message := ""
	d, err := time.ParseDuration(text)
	switch _, number := strconv.ParseFloat(text, 64); {
	case number == nil:
		message = "has no unit"
	case err != nil:
		message = "is not a duration"
	case d <= 0:
		message = "is not longer than zero"
	default:
		return d, nil
	}
	return 0, faults{{message: message, accepted: []string{"90s", "30m", "1h"}}}
}

// Path is a file or folder, in this machine's spelling and without detours.
// Whether it exists, and where relative ones begin, is for its user to say.
type Path string

func parsePath(text string) (Path, error) {
	if strings.ContainsRune(text, 0) {
		return "", faults{{message: "holds a NUL byte"}}
	}
	return Path(filepath.Clean(filepath.FromSlash(text))), nil
}
