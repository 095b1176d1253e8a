package manifest

import (
	"bytes"
	"math"
	"regexp"
)

// placeholder is a variable in the text of a manifest. The name is everything
// up to the first closing brace, line ends included.
var placeholder = regexp.MustCompile(`\$\{([^}]*?)\}`)

// Interpolate replaces every ${NAME} in data by env[NAME], or by nothing when
// env has no such name. It works on the text, before YAML is looked at, so
// comments, keys and quoted strings are affected, and a value can bring YAML
// of its own. There is no escape and no default: $${A} is a dollar sign and
// the value of A, ${A:-b} is the variable called "A:-b", $A is left alone.
// Values are not interpolated again. See
// https://docsv2.convox.com/application/environment.
func Interpolate(data []byte, env map[string]string) []byte {
	f, _ := interpolate(data, env, math.MaxInt)
	return f.text
}

// filled is a manifest with its variables filled in.
type filled struct {
	source []byte // the file
	text   []byte // what became of it
	values []value
}

// value is what became of one ${NAME}: text[at:end] of source[from:to].
type value struct{ at, end, from, to int }

// interpolate is [Interpolate] that gives up, and returns false, as soon as the
// result is longer than limit: a few long values, each used often, would
// otherwise take all memory.
func interpolate(data []byte, env map[string]string, limit int) (filled, bool) {
	f := filled{source: data}
	var out bytes.Buffer
	done := 0 // bytes of data
	for done < len(data) && out.Len() <= limit {
		at := placeholder.FindSubmatchIndex(data[done:])
		if at == nil {
			break
		}
		v := value{from: done + at[0], to: done + at[1]}
		out.Write(data[done:v.from])
		v.at = out.Len()
		out.WriteString(env[string(data[done+at[2]:done+at[3]])])
		v.end = out.Len()
		f.values = append(f.values, v)
		done = v.to
	}
	out.Write(data[done:])
	f.text = out.Bytes()
	return f, out.Len() <= limit
}
