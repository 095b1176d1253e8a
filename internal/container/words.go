package container

import (
	"errors"
	"strings"
)

// errQuote is the error of a line that ends within quotes or after a backslash.
var errQuote = errors.New("a quote is not closed")

// words takes a line apart as a POSIX shell does by its rules of quoting
// (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html#tag_18_02),
// and by no other rule of a shell: $, | and the like stand for themselves.
func words(line string) ([]string, error) {
	var all []string
	var word strings.Builder
	open := false // a word has begun, if only by empty quotes
	for line != "" {
		c := line[0]
		line = line[1:]
		switch c {
		case ' ', '\t', '\n':
			if open {
				all = append(all, word.String())
				word.Reset()
			}
			open = false
			continue
		case '\'', '"':
			rest, err := quoted(&word, line, c)
			if err != nil {
				return nil, err
			}
			line = rest
		case '\\':
			if line == "" {
				return nil, errQuote
			}
			word.WriteByte(line[0])
			line = line[1:]
		default:
			word.WriteByte(c)
		}
		open = true
	}
	if open {
		all = append(all, word.String())
	}
	return all, nil
}

// quoted takes what stands before a closing quote, and gives what is behind it.
// Within double quotes a backslash takes away the meaning of few characters,
// and else stands for itself.
func quoted(word *strings.Builder, line string, quote byte) (rest string, err error) {
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == quote:
			return line[i+1:], nil
		case quote == '"' && line[i] == '\\' && i+1 < len(line) && strings.IndexByte("$`\"\\", line[i+1]) >= 0:
			i++
		}
		word.WriteByte(line[i])
	}
	return "", errQuote
}
