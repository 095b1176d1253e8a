package actionscachetest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signedFor is how long an address is good.
const signedFor = time.Hour

// maxBlob is the largest body of a request to the store, in bytes. The real one takes
// more than tests should send.
const maxBlob = 128 << 20

const blobs = "/actions-cache/"

// sign makes the address of an entry's bytes, good for reading (r) or writing (w).
func (s *Service) sign(r *http.Request, e *entry, right string) string {
	ends := s.now().Add(signedFor).UTC().Format(time.RFC3339)
	q := url.Values{"se": {ends}, "sp": {right}, "sr": {"b"}, "sv": {"2025-01-05"}, "sig": {s.signature(e.id, right, ends)}}
	return "http://" + r.Host + blobs + e.id + "?" + q.Encode()
}

func (s *Service) signature(id, right, ends string) string {
	return base64.StdEncoding.EncodeToString(s.mac(id + "\n" + right + "\n" + ends))
}

// store answers in the place of Azure.
func (s *Service) store(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Ms-Request-Id", rand.Text())
	q := r.URL.Query()
	call, right := map[string]string{http.MethodGet: "download", http.MethodPut: "upload"}[r.Method], map[string]string{http.MethodGet: "r", http.MethodPut: "w"}[r.Method]
	if r.Method == http.MethodPut && q.Get("comp") != "" {
		call = q.Get("comp")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBlob))
	s.mu.Lock()
	var e *entry
	if i := slices.IndexFunc(s.entries, func(e *entry) bool { return blobs+e.id == r.URL.Path }); i >= 0 {
		e = s.entries[i]
	}
	s.mu.Unlock()
	if e == nil {
		s.note(call, "")
		refuse(w, http.StatusNotFound, "BlobNotFound")
		return
	}
	s.note(call, e.key)
	if s.Before != nil && s.Before(call, e.key, w, r) {
		return
	}
	ends, wrong := time.Parse(time.RFC3339, q.Get("se"))
	good := hmac.Equal([]byte(q.Get("sig")), []byte(s.signature(e.id, q.Get("sp"), q.Get("se"))))
	switch {
	case !good || wrong != nil || s.now().After(ends):
		refuse(w, http.StatusForbidden, "AuthenticationFailed")
	case r.Header.Get("Authorization") != "":
		refuse(w, http.StatusBadRequest, "InvalidAuthenticationInfo")
	case q.Get("sp") != right:
		refuse(w, http.StatusForbidden, "AuthorizationPermissionMismatch")
	case err != nil:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestBodyTooLarge")
	case call == "download":
		s.download(w, r, e)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		if code := e.put(call, q.Get("blockid"), r, body); code != "" {
			refuse(w, http.StatusBadRequest, code)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}
}

// put takes what is uploaded; code says what is wrong, "" for nothing.
func (e *entry) put(call, block string, r *http.Request, body []byte) (code string) {
	switch call {
	case "upload":
		if r.Header.Get("X-Ms-Blob-Type") != "BlockBlob" {
			return "MissingRequiredHeader"
		}
		e.data, e.uploaded = body, true
	case "block":
		id, err := base64.StdEncoding.DecodeString(block)
		if err != nil || len(id) == 0 || len(id) > 64 || len(body) == 0 {
			return "InvalidQueryParameterValue"
		}
		for other := range e.blocks {
			if len(other) != len(block) {
				return "InvalidBlobOrBlock"
			}
		}
		e.blocks[block] = body
	case "blocklist":
		var list struct {
			XMLName xml.Name `xml:"BlockList"`
			Latest  []string
		}
		if err := xml.Unmarshal(body, &list); err != nil {
			return "InvalidXmlDocument"
		}
		var data []byte
		for _, id := range list.Latest {
			part, sent := e.blocks[strings.TrimSpace(id)]
			if !sent {
				return "InvalidBlockList"
			}
			data = append(data, part...)
		}
		e.data, e.uploaded = data, true
	default:
		return "InvalidQueryParameterValue"
	}
	return ""
}

// span is the header Range, or that of Azure.
var span = regexp.MustCompile(`^bytes=(\d+)-(\d*)$`)

func (s *Service) download(w http.ResponseWriter, r *http.Request, e *entry) {
	s.mu.Lock()
	data, complete := e.data, e.complete
	s.mu.Unlock()
	asked := r.Header.Get("X-Ms-Range")
	if asked == "" {
		asked = r.Header.Get("Range")
	}
	if m := span.FindStringSubmatch(asked); m != nil {
		if from, err := strconv.Atoi(m[1]); err != nil || from >= len(data) {
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		r.Header.Set("Range", asked)
	}
	if !complete {
		refuse(w, http.StatusNotFound, "BlobNotFound")
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// refuse answers as the store does.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Ms-Error-Code", code)
	w.WriteHeader(status)
	io.WriteString(w, "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>"+code+"</Code></Error>")
}
