package oidctest

import (
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// STSSoftware is the header Server of the stand-in for STS.
const STSSoftware = "oidctest (a stand-in for AWS STS, for tests)"

// Account is that of all roles.
const Account = "123456789012"

// STS is a stand-in for the call of STS that gives credentials for a token. It is an
// [http.Handler].
type STS struct {
	Now func() time.Time
	// Life is how long credentials last in place of what was asked for; 0 for that.
	Life time.Duration
	// Opened is told of each session before its credentials are given out; nil is
	// nobody.
	Opened func(Session)

	mu        sync.Mutex
	providers map[string]provider
	roles     map[string]role
	sessions  []Session
	fail      []Fault
}

type provider struct {
	issuer    *Issuer
	audiences []string
}

type role struct {
	trust   document
	longest time.Duration
}

// Session is one that was opened.
type Session struct {
	Role, Name, Subject      string
	Duration                 time.Duration // that was asked for
	AccessKey, Secret, Token string
}

// User is who the credentials of a session are, as refusals name it.
func (s Session) User() string {
	return "arn:aws:sts::" + Account + ":assumed-role/" + s.Role[strings.LastIndex(s.Role, "/")+1:] + "/" + s.Name
}

// Fault is an error of the API.
type Fault struct {
	Status        int
	Code, Message string
}

// Provide makes an identity provider for tokens of an issuer for some audiences.
func (s *STS) Provide(i *Issuer, audiences ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.providers == nil {
		s.providers = map[string]provider{}
	}
	s.providers[i.URL] = provider{i, audiences}
}

// Role makes a role with a trust policy, and the longest session that it allows.
func (s *STS) Role(arn, trust string, longest time.Duration) error {
	r := role{longest: longest}
	d := json.NewDecoder(strings.NewReader(trust))
	d.DisallowUnknownFields()
	if err := d.Decode(&r.trust); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roles == nil {
		s.roles = map[string]role{}
	}
	s.roles[arn] = r
	return nil
}

// Fail has the next call refused.
func (s *STS) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = append(s.fail, f)
}

// Sessions are those that were opened.
func (s *STS) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sessions)
}

// response is a success. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
type response struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
	Subject string   `xml:"AssumeRoleWithWebIdentityResult>SubjectFromWebIdentityToken"`
	ARN     string   `xml:"AssumeRoleWithWebIdentityResult>AssumedRoleUser>Arn"`
	ID      string   `xml:"AssumeRoleWithWebIdentityResult>AssumedRoleUser>AssumedRoleId"`
	Key     string   `xml:"AssumeRoleWithWebIdentityResult>Credentials>AccessKeyId"`
	Secret  string   `xml:"AssumeRoleWithWebIdentityResult>Credentials>SecretAccessKey"`
	Token   string   `xml:"AssumeRoleWithWebIdentityResult>Credentials>SessionToken"`
	Until   string   `xml:"AssumeRoleWithWebIdentityResult>Credentials>Expiration"`
}

// refusal is a failure.
type refusal struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Type    string   `xml:"Error>Type"`
	Code    string   `xml:"Error>Code"`
	Message string   `xml:"Error>Message"`
}

// ServeHTTP implements [http.Handler].
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", STSSoftware)
	w.Header().Set("Content-Type", "text/xml")
	session, until, fault := s.call(r)
	if fault != nil {
		w.WriteHeader(fault.Status)
		xml.NewEncoder(w).Encode(refusal{Type: "Sender", Code: fault.Code, Message: fault.Message})
		return
	}
	xml.NewEncoder(w).Encode(response{Subject: session.Subject, ARN: session.User(), ID: "AROAEXAMPLE:" + session.Name,
		Key: session.AccessKey, Secret: session.Secret, Token: session.Token, Until: until.UTC().Format(time.RFC3339)})
}

func (s *STS) call(r *http.Request) (*Session, time.Time, *Fault) {
	const form = "application/x-www-form-urlencoded"
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != form {
		return nil, time.Time{}, &Fault{http.StatusBadRequest, "MalformedInput", "not a form"}
	}
	if r.PostForm.Get("Action") != "AssumeRoleWithWebIdentity" || r.PostForm.Get("Version") != "2011-06-15" {
		return nil, time.Time{}, &Fault{http.StatusBadRequest, "InvalidAction", "Could not find operation " + r.PostForm.Get("Action")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fail) > 0 {
		f := s.fail[0]
		s.fail = s.fail[1:]
		return nil, time.Time{}, &f
	}
	session, fault := s.valid(r.PostForm)
	if fault == nil {
		fault = s.allow(&session, r.PostForm.Get("WebIdentityToken"))
	}
	if fault != nil {
		return nil, time.Time{}, fault
	}
	session.AccessKey, session.Secret, session.Token = "ASIA"+rand.Text()[:16], rand.Text()+rand.Text()[:14], "IQoJ"+rand.Text()+rand.Text()
	s.sessions = append(s.sessions, session)
	if s.Opened != nil {
		s.Opened(session)
	}
	life := session.Duration
	if s.Life > 0 {
		life = s.Life
	}
	return &session, s.Now().Add(life), nil
}

var (
	roleARN     = regexp.MustCompile(`^arn:aws:iam::\d{12}:role/[\w+=,.@/-]+$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

const (
	shortest     = 900   // seconds of a session
	longest      = 43200 // likewise
	usual        = 3600  // of which nothing is said
	longestToken = 20000 // characters
)

// valid checks the form of what was sent.
func (s *STS) valid(form url.Values) (Session, *Fault) {
	wrong := func(what string) (Session, *Fault) {
		return Session{}, &Fault{http.StatusBadRequest, "ValidationError", "1 validation error detected: Value at '" + what + "' failed to satisfy constraint"}
	}
	out := Session{Role: form.Get("RoleArn"), Name: form.Get("RoleSessionName")}
	seconds := usual
	if text := form.Get("DurationSeconds"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < shortest || seconds > longest {
			return wrong("durationSeconds")
		}
	}
	out.Duration = time.Duration(seconds) * time.Second
	token := form.Get("WebIdentityToken")
	switch {
	case !roleARN.MatchString(out.Role):
		return wrong("roleArn")
	case !sessionName.MatchString(out.Name):
		return wrong("roleSessionName")
	case len(token) < 4 || len(token) > longestToken:
		return wrong("webIdentityToken")
	}
	return out, nil
}

// allow decides about a token.
func (s *STS) allow(out *Session, token string) *Fault {
	invalid := func(text string) *Fault { return &Fault{http.StatusBadRequest, "InvalidIdentityToken", text} }
	c, err := read(token)
	if err != nil {
		return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	p, known := s.providers[c.Issuer]
	switch {
	case !known:
		return invalid("No OpenIDConnect provider found in your account for " + c.Issuer)
	case p.issuer.verify(token) != nil:
		return invalid("Couldn't retrieve verification key from your identity provider")
	case !slices.Contains(p.audiences, c.Audience):
		return invalid("Incorrect token audience")
	case !s.Now().Before(time.Unix(c.Expires, 0)):
		return &Fault{http.StatusBadRequest, "ExpiredTokenException", fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", s.Now().Unix(), c.Expires)}
	}
	r, there := s.roles[out.Role]
	arn := "arn:aws:iam::" + Account + ":oidc-provider/" + strings.TrimPrefix(c.Issuer, "https://")
	switch {
	case !there || !r.trust.trusts(arn, c):
		return &Fault{http.StatusForbidden, "AccessDenied", "Not authorized to perform " + assumeAction}
	case out.Duration > r.longest:
		return &Fault{http.StatusBadRequest, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}
	}
	out.Subject = c.Subject
	return nil
}
