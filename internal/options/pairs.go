package options

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Pairs is a list of KEY=VALUE, each key once.
type Pairs []Pair

// Pair is a key and its value.
type Pair struct {
	Key     string
	Value   string
	FromEnv bool // given as KEY alone: the value is to come from the environment, see [Pairs.Resolve]
}

// ParsePairs reads a list in the form of Docker's build action: one pair a line,
// blanks around it taken off, empty lines left out, commas part of the value. A
// line that is wholly in double quotes may hold line ends, and quotes written
// twice. KEY alone takes its value from the environment. Of equal keys the last
// counts, as with docker build, at the place of the first.
//
// Its faults show keys and line numbers, never values, which may be secret.
//
// https://github.com/docker/build-push-action#inputs
func ParsePairs(text string) (Pairs, error) {
	var (
		pairs Pairs
		wrong faults
	)
	for line, rest := 1, text; rest != ""; {
		entry, after, message := nextEntry(rest)
		pair, ok := parsePair(entry)
		switch {
		case message != "":
			wrong = append(wrong, pairFault(line, message))
		case entry == "":
		case !ok:
			wrong = append(wrong, pairFault(line, "is not a pair"))
		default:
			pairs = pairs.with(pair)
		}
		line += strings.Count(rest[:len(rest)-len(after)], "\n")
		rest = after
	}
	if wrong != nil {
		return nil, wrong
	}
	return pairs, nil
}

// nextEntry returns the first entry of text, without its quotes, and the text
// after its line. Message says what is wrong with it, "" for nothing.
func nextEntry(text string) (entry, after, message string) {
	first, rest, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(strings.TrimSpace(first), `"`) {
		return strings.TrimSpace(first), rest, ""
	}
	_, quoted, _ := strings.Cut(text, `"`)
	entry, quoted, closed := unquote(quoted)
	if !closed {
		return "", rest, "has a quote that is not closed"
	}
	tail, after, _ := strings.Cut(quoted, "\n")
	if strings.TrimSpace(tail) != "" {
		return "", after, "has text after the closing quote"
	}
	return strings.TrimLeftFunc(entry, unicode.IsSpace), after, ""
}

// unquote reads up to the closing quote; two quotes are one of the value.
func unquote(text string) (value, after string, closed bool) {
	var b strings.Builder
	for {
		part, rest, ok := strings.Cut(text, `"`)
		b.WriteString(part)
		switch {
		case !ok:
			return "", "", false
		case !strings.HasPrefix(rest, `"`):
			return b.String(), rest, true
		}
		b.WriteByte('"')
		text = rest[1:]
	}
}

// parsePair cuts an entry at the first "=". What a key may be is for those who
// use it; blanks and quotes in one are a slip.
func parsePair(entry string) (Pair, bool) {
	key, value, given := strings.Cut(entry, "=")
	if !given {
		key = strings.TrimSpace(key)
	}
	bad := func(r rune) bool { return r == '"' || unicode.IsSpace(r) || unicode.IsControl(r) }
	return Pair{Key: key, Value: value, FromEnv: !given}, key != "" && !strings.ContainsFunc(key, bad)
}

// with returns the list with pair in it, in place of one with the same key.
func (p Pairs) with(pair Pair) Pairs {
	if i := slices.IndexFunc(p, func(o Pair) bool { return o.Key == pair.Key }); i >= 0 {
		p[i] = pair
		return p
	}
	return append(p, pair)
}

// Resolve returns the pairs with the values that are to come from the
// environment, which lookup reads ([os.LookupEnv] has its form). An [*Error] for
// the input of that name lists every key that is not there.
func (p Pairs) Resolve(input string, lookup func(key string) (string, bool)) (Pairs, error) {
	resolved := slices.Clone(p)
	missing := &Error{}
	for i, pair := range resolved {
		if !pair.FromEnv {
			continue
		}
		value, ok := lookup(pair.Key)
		if !ok {
			missing.Problems = append(missing.Problems, Problem{
				Input: input, Value: pair.Key, Message: "has no value and is not in the environment",
			})
			continue
		}
		resolved[i] = Pair{Key: pair.Key, Value: value}
	}
	if len(missing.Problems) > 0 {
		return nil, missing
	}
	return resolved, nil
}

func pairFault(line int, message string) fault {
	return fault{message: fmt.Sprintf("line %d %s", line, message), accepted: []string{"KEY=VALUE", "KEY"}}
}
