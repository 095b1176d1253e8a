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
	text, _ := interpolate(data, env, math.MaxInt)
	return text
}

// interpolate is [Interpolate] that gives up, and returns false, as soon as the
// result is longer than limit: a few long values, each used often, would
// otherwise take all memory.
func interpolate(data []byte, env map[string]string, limit int) ([]byte, bool) {
	var out bytes.Buffer
	for len(data) > 0 {
		at := placeholder.FindSubmatchIndex(data)
		if at == nil {
			out.Write(data)
			break
		}
		out.Write(data[:at[0]])
		out.WriteString(env[string(data[at[2]:at[3]])])
		data = data[at[1]:]
		if out.Len() > limit {
			return nil, false
		}
	}
	return out.Bytes(), out.Len() <= limit
}
