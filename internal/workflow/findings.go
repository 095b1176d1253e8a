package workflow

import (
	"strings"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/options"
)

// Finding is one thing found before anything is done. Its fields by the names of
// JSON are what programs may rely on.
type Finding struct {
	Level   ci.Level `json:"level"`            // error, warning or notice
	Subject string   `json:"subject"`          // what it is about, in one word
	Text    string   `json:"text"`             // for a person
	File    string   `json:"file,omitempty"`   // where it is, as a person would open it; "" for nowhere in a file
	Line    int      `json:"line,omitempty"`   // from 1; 0 is unknown
	Column  int      `json:"column,omitempty"` // from 1; 0 is unknown
}

// String is the finding in one line, with its place first as compilers have it:
//
//	FILE:LINE:COLUMN: LEVEL: SUBJECT: TEXT
func (f Finding) String() string {
	text := strings.Join(strings.Fields(f.Text), " ")
	said := string(f.Level) + ": " + f.Subject + ": " + text
	if f.File == "" {
		return said
	}
	place := manifest.Error{Line: f.Line, Column: f.Column, Message: said}
	return place.In(f.File)
}

// fault is a finding with a place as the error that ends a verb.
func (f Finding) fault() *ManifestError {
	return &ManifestError{File: f.File, Fault: &manifest.Error{Line: f.Line, Column: f.Column, Message: f.Text}}
}

// findings are the problems of inputs as findings. The subject of each is its input.
func findings(err *options.Error) []Finding {
	var list []Finding
	for _, p := range err.Problems {
		text := strings.TrimPrefix(p.String(), p.Input+": ")
		list = append(list, Finding{Level: ci.LevelError, Subject: p.Input, Text: text})
	}
	return list
}
