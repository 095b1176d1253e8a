package rack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// refusal is the error of an answer that is no success.
func refusal(k call, res *http.Response) *Error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody)) // a broken text is better than none
	e := &Error{Method: k.method, Path: k.path, Status: res.StatusCode, Message: message(text)}
	if res.StatusCode < http.StatusBadRequest { // a redirect, or a page instead of a stream
		e.Message = fmt.Sprintf("%s %s: answered with status %d, which no rack does", k.method, k.path, res.StatusCode)
	}
	e.after = retryAfter(res.Header)
	e.challenge = res.Header.Get("WWW-Authenticate")
	return e
}

// decode reads the JSON of an answer. What is no JSON counts as an answer of
// something in front of the rack. So does nothing at all: a connection that broke
// inside the rack shows as 200 with an empty body.
func decode(k call, data []byte, out any) error {
	if json.Unmarshal(data, out) != nil {
		return foreign(k, "the answer is not the JSON of a rack")
	}
	return nil
}

// confirm reads an answer of which the status has said it all, and which may have
// broken off. But a page is from something in front of the rack, which may not
// have heard of the request.
func confirm(k call, data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) {
		return foreign(k, "the answer is a page, which no rack sends")
	}
	return nil
}

// foreign is the error of an answer of something in front of the rack.
func foreign(k call, what string) *Error {
	return &Error{Method: k.method, Path: k.path, Status: http.StatusBadGateway, Message: fmt.Sprintf("%s %s: %s", k.method, k.path, what)}
}

// message finds the rack's words in the body of an error: JSON with an error,
// or the text. Of a page of a proxy nothing is kept, and nothing that moves a
// terminal's cursor.
func message(body []byte) string {
	text := string(body)
	var j struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &j) == nil && j.Error != "" {
		text = j.Error
	}
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) || r == '\uFEFF' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "<") {
		return ""
	}
	if len(text) > maxErrorBody {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:maxErrorBody], ""))
	}
	return text
}

// retryAfter is how long the other side wants us to wait, 0 if it did not say:
// RFC 9110, section 10.2.3.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return min(time.Duration(max(seconds, 0))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(time.Until(at), maxRetryAfter)
	}
	return 0
}
