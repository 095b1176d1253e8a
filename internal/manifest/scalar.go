package manifest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// words are the plain scalars that are not numbers and yet not text, as in
// https://yaml.org/type/bool.html, null.html and float.html.
var words = map[string]any{
	"": nil, "~": nil, "null": nil, "Null": nil, "NULL": nil,
	"y": true, "Y": true, "yes": true, "Yes": true, "YES": true,
	"true": true, "True": true, "TRUE": true, "on": true, "On": true, "ON": true,
	"n": false, "N": false, "no": false, "No": false, "NO": false,
	"false": false, "False": false, "FALSE": false, "off": false, "Off": false, "OFF": false,
	".nan": math.NaN(), ".NaN": math.NaN(), ".NAN": math.NaN(),
	".inf": math.Inf(1), ".Inf": math.Inf(1), ".INF": math.Inf(1),
	"+.inf": math.Inf(1), "+.Inf": math.Inf(1), "+.INF": math.Inf(1),
	"-.inf": math.Inf(-1), "-.Inf": math.Inf(-1), "-.INF": math.Inf(-1),
}

// decimal is a number with a point or an exponent. The exponent needs its sign,
// so that a short commit id such as 12e5 stays text.
var decimal = regexp.MustCompile(`^[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?$`)

// written are the styles in which a scalar is text whatever it looks like.
const written = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

// scalar returns what the scalar n stands for: nil, bool, int, uint64, float64
// or string. The yaml package's own answer is not used, because it follows YAML
// 1.2 in part ("yes" is text there).
func scalar(n *yaml.Node) any {
	switch {
	case n.Style&yaml.TaggedStyle == 0 && n.Style&written == 0:
		return plain(n.Value)
	case n.Style&yaml.TaggedStyle != 0 && (n.Tag == "!!null" || n.Tag == "!!bool" || n.Tag == "!!int" || n.Tag == "!!float"):
		return plain(n.Value)
	}
	return n.Value
}

// plain returns what an unquoted s stands for under YAML 1.1.
func plain(s string) any {
	if v, ok := words[s]; ok {
		return v
	}
	if s[0] == '.' {
		if v, err := strconv.ParseFloat(s, 64); err == nil {
			return v
		}
		return s
	}
	if !strings.ContainsRune("+-0123456789", rune(s[0])) {
		return s
	}
	digits := strings.ReplaceAll(s, "_", "")
	if v, err := strconv.ParseInt(digits, 0, 64); err == nil {
		return int(v)
	}
	if v, err := strconv.ParseUint(digits, 0, 64); err == nil {
		return v
	}
	if decimal.MatchString(digits) {
		if v, err := strconv.ParseFloat(digits, 64); err == nil {
			return v
		}
	}
	return s
}

// canonical returns what n, a scalar below the name of a service or resource,
// stands for there. A Rack writes such a value out once more before it decodes
// it, which turns 6.0 into the integer 6.
func canonical(n *yaml.Node) any {
	v := scalar(n)
	if f, ok := v.(float64); ok {
		return plain(canonicalText(f))
	}
	return v
}

// canonicalText returns the text of a scalar's value where text is expected;
// that of null is empty.
func canonicalText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		switch {
		case math.IsNaN(v):
			return ".nan"
		case math.IsInf(v, 1):
			return ".inf"
		case math.IsInf(v, -1):
			return "-.inf"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// scalarTag returns the tag of a scalar's value, as messages show it.
func scalarTag(v any) string {
	switch v.(type) {
	case nil:
		return "!!null"
	case bool:
		return "!!bool"
	case int, uint64:
		return "!!int"
	case float64:
		return "!!float"
	}
	return "!!str"
}
