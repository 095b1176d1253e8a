//go:build !carrier

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/oidc/oidctest"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

const (
	onlyRole     = "arn:aws:iam::" + oidctest.Account + ":role/web-deploy"
	githubJob    = "repo:acme/shop:environment:production"
	githubBearer = "orchid-pale-moon-bearer"
	circleOrg    = "0c1e9d4a-1111-4222-8333-444455556666"
)

// roleLab is a cloudLab without keys: what it may do it may as a role, for the
// tokens that stand-ins for GitHub and CircleCI have signed.
type roleLab struct {
	*cloudLab
	github *oidctest.GitHub
	circle *oidctest.Issuer
	sts    *oidctest.STS
	plain  []string // the environment of no CI system
}

func newRoleLab(t *testing.T) *roleLab {
	t.Helper()
	l := &roleLab{cloudLab: newCloudLab(t)}
	l.sts = &oidctest.STS{Now: time.Now, Opened: func(s oidctest.Session) { l.fake.KnowSession(s.AccessKey, s.Token, s.User()) }}
	issuer, err := oidctest.NewIssuer(oidctest.GitHubURL)
	if err == nil {
		l.circle, err = oidctest.NewIssuer("https://oidc.circleci.com/org/" + circleOrg)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.github = &oidctest.GitHub{Issuer: issuer, Bearer: githubBearer, Subject: githubJob, Now: time.Now}
	onGitHub, onSTS := httptest.NewServer(l.github), httptest.NewServer(l.sts)
	t.Cleanup(onGitHub.Close)
	t.Cleanup(onSTS.Close)
	l.sts.Provide(issuer, "sts.amazonaws.com")
	l.sts.Provide(l.circle, circleOrg)
	l.trust(trustPolicy(t, "token.actions.githubusercontent.com"))
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_STS": onSTS.URL, "AWS_REGION": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(name, value)
	}
	l.plain = append(l.environ, "INPUT_ROLE-TO-ASSUME="+onlyRole, "INPUT_AWS-REGION="+ecrtest.Region)
	l.environ = append(slices.Clone(l.plain), "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/shop", "GITHUB_RUN_ID=7",
		"ACTIONS_ID_TOKEN_REQUEST_URL="+onGitHub.URL+oidctest.GitHubPath, "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+githubBearer,
		"GITHUB_OUTPUT="+filepath.Join(l.dir, "output"), "GITHUB_STATE="+filepath.Join(l.dir, "state"),
		"GITHUB_ENV="+filepath.Join(l.dir, "env"), "GITHUB_STEP_SUMMARY="+filepath.Join(l.dir, "summary"))
	return l
}

func (l *roleLab) trust(policy string) {
	l.Helper()
	if err := l.sts.Role(onlyRole, policy, time.Hour); err != nil {
		l.Fatal(err)
	}
}

// trustPolicy is that of the page for an issuer.
func trustPolicy(t *testing.T, issuer string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(m[1], `:oidc-provider/`+issuer) {
			return strings.NewReplacer("ACCOUNT", oidctest.Account, "OWNER/NAME", "acme/shop", "/ORG", "/"+circleOrg, `"ORG"`, `"`+circleOrg+`"`, "PROJECT", "p").Replace(m[1])
		}
	}
	t.Fatalf("docs/aws.md has no trust policy for %s", issuer)
	return ""
}

// with is the environment with other values; "" takes a variable away.
func (l *roleLab) with(change map[string]string) []string {
	all := slices.DeleteFunc(slices.Clone(l.environ), func(e string) bool {
		variable, _, _ := strings.Cut(e, "=")
		_, ok := change[variable]
		return ok
	})
	for variable, value := range change {
		if value != "" {
			all = append(all, variable+"="+value)
		}
	}
	return all
}

// run is a run that uses its account on AWS.
func (l *roleLab) run(environ []string) (said string, err error) {
	l.Helper()
	var out bytes.Buffer
	run, before := ci.Detect(environ), len(l.github.Given())
	p := &process{environ: environ, run: run, console: ci.Open(run, environ, &out)}
	var in workflow.AWSRole
	for variable, into := range map[string]*string{"INPUT_ROLE-TO-ASSUME": &in.Role, "INPUT_AWS-REGION": &in.Region, "INPUT_AUDIENCE": &in.Audience, "INPUT_ROLE-SESSION-NAME": &in.Session, "INPUT_WEB-IDENTITY-TOKEN": (*string)(&in.Token)} {
		*into = p.variable(variable)
	}
	p.role = in
	a, err := p.account()
	if err == nil {
		_, err = a.config(l.Context())
	}
	if err == nil {
		_, err = a.ecr().Open(l.Context(), "", "office")
	}
	if err != nil {
		p.report(err)
	}
	c, _ := a.credentials()
	if a != nil && a.tokens != nil {
		c = append(c, a.tokens.Secret())
		c = append(c, l.github.Given()[before:]...)
	}
	p.notice("see " + strings.Join(append(c, run.System), " ")) // what a log must not show
	if err := p.console.Close(); err != nil {
		l.Fatal(err)
	}
	return out.String(), err
}

// credentials are those that an account has.
func (a *account) credentials() ([]string, error) {
	if a == nil || a.found == nil {
		return nil, nil
	}
	c, err := a.found.Credentials.Retrieve(context.Background())
	return []string{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}, err
}

// secrets are all that nobody may see.
func (l *roleLab) secrets() []string {
	all := append([]string{githubBearer}, l.github.Given()...)
	for _, s := range l.sts.Sessions() {
		all = append(all, s.AccessKey, s.Secret, s.Token)
	}
	return all
}

// quiet fails if a text has a secret in it, but where it is the CI system that is
// told to hide it.
func (l *roleLab) quiet(where, text string, secrets ...string) {
	l.Helper()
	text = regexp.MustCompile(`(?m)^(?:::add-mask::|##vso\[task\.setsecret\]).*\n`).ReplaceAllString(text, "")
	for _, secret := range append(l.secrets(), secrets...) {
		if strings.Contains(text, secret) {
			l.Errorf("%s shows %.40s…", where, secret)
		}
	}
}

// TestRoles assumes a role by the token of each system, by the trust policies of the
// page, and shows nothing of it.
func TestRoles(t *testing.T) {
	l := newRoleLab(t)
	soon := time.Now().Add(time.Hour).Unix()
	circle, err := l.circle.Sign(map[string]any{"aud": circleOrg, "sub": "org/" + circleOrg + "/project/p/user/u/vcs-origin/g/vcs-ref/m", "exp": soon})
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.circle.Sign(map[string]any{"aud": circleOrg, "sub": "org/" + circleOrg + "/project/other/user/u", "exp": soon})
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{circle, other}
	type want struct{ session, subject string }
	wants := []want{{"acme-shop-7", githubJob}}
	if said, err := l.run(l.environ); err != nil {
		t.Fatalf("%v\n%s", err, said)
	} else {
		l.quiet("the log on GitHub", said)
		if n := strings.Count(said, "::add-mask::"); n < 5 { // what was asked with and for, and what came of it
			t.Errorf("%d masks:\n%s", n, said)
		}
	}
	l.trust(trustPolicy(t, "oidc.circleci.com"))
	onCircle := append(slices.Clone(l.plain), "CIRCLECI=true", "CIRCLE_PROJECT_USERNAME=acme", "CIRCLE_PROJECT_REPONAME=shop", "CIRCLE_BUILD_NUM=8", "CIRCLE_OIDC_TOKEN_V2="+circle)
	systems := map[string][]string{"circleci": onCircle}
	for system, variable := range map[string]string{"gitlab": "GITLAB_CI=true", "buildkite": "BUILDKITE=true", "azure": "TF_BUILD=True", "teamcity": "TEAMCITY_VERSION=1",
		"bitbucket": "BITBUCKET_BUILD_NUMBER=8", "drone": "DRONE=true", "woodpecker": "CI=woodpecker", "plain": "CI=true"} {
		systems[system] = append(slices.Clone(l.plain), variable, "INPUT_WEB-IDENTITY-TOKEN="+circle, "INPUT_ROLE-SESSION-NAME=by-hand")
	}
	for _, system := range slices.Sorted(maps.Keys(systems)) {
		said, err := l.run(systems[system])
		if err != nil {
			t.Fatalf("%s: %v\n%s", system, err, said)
		}
		l.quiet("the log on "+system, said, secrets...)
		session := map[string]string{"circleci": "acme-shop-8"}[system]
		if session == "" {
			session = "by-hand"
		}
		wants = append(wants, want{session, "org/" + circleOrg + "/project/p/user/u/vcs-origin/g/vcs-ref/m"})
	}
	var got []want
	for _, s := range l.sts.Sessions() {
		got = append(got, want{s.Name, s.Subject})
		if s.Duration != time.Hour {
			t.Errorf("a session of %v", s.Duration)
		}
	}
	if d := cmp.Diff(wants, got, cmp.AllowUnexported(want{})); d != "" {
		t.Error(d)
	}
	said, err := l.run(append(slices.Clone(l.plain), "CIRCLECI=true", "CIRCLE_OIDC_TOKEN="+other))
	if err == nil || !strings.Contains(said, "sub is \"org/"+circleOrg+"/project/other/user/u\"") {
		t.Errorf("the job of another project: %v\n%s", err, said)
	}
	l.quiet("the refusal", said, secrets...)
}

// TestRoleFaults says of each refusal what would have to be set.
func TestRoleFaults(t *testing.T) {
	l := newRoleLab(t)
	const where = "token.actions.githubusercontent.com"
	tests := []struct {
		name   string
		change map[string]string
		before func()
		want   string
	}{
		{"no permission", map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": ""}, nil,
			"role-to-assume: GitHub gives this job no token: it needs the permission id-token: write, and a job that a pull request from a fork has started cannot have it"},
		{"no region", map[string]string{"INPUT_AWS-REGION": ""}, nil, "aws-region: is required to assume a role where AWS_REGION is not set"},
		{"another job", nil, func() { l.github.Subject = "repo:acme/shop:pull_request" },
			"AWS does not let this job be " + onlyRole + ": its trust policy has to allow sts:AssumeRoleWithWebIdentity to the provider " + where + " where " + where + `:aud is "sts.amazonaws.com" and ` + where + `:sub is "repo:acme/shop:pull_request"`},
		{"another audience", map[string]string{"INPUT_AUDIENCE": "us"}, nil,
			"the identity provider " + where + " in the account of " + onlyRole + ` does not have the audience of this job's token: add "us" to it, or set the input audience to one that it has`},
		{"expired", nil, func() { l.github.Now = func() time.Time { return time.Now().Add(-time.Hour) } },
			"the token that https://" + where + " gave to this job has expired, and there is no newer one: it has to be used while it lasts, and role-duration-seconds has to last to the end of the job"},
		{"no provider", nil, func() { l.github.Issuer.URL = "https://github.acme.example/_services/token" },
			"the account of " + onlyRole + ` has no identity provider for the tokens of this job: make one in IAM for https://github.acme.example/_services/token with the audience "sts.amazonaws.com"`},
		{"the signature", nil, func() { l.sts.Provide(l.circle, "sts.amazonaws.com"); l.github.Issuer.URL = l.circle.URL },
			"AWS does not take the token of this job for " + onlyRole + " (Couldn't retrieve verification key from your identity provider, issued by " + l.circle.URL + ` for "sts.amazonaws.com")`},
		{"a shorter role", nil, func() {
			l.sts.Fail(oidctest.Fault{Status: http.StatusBadRequest, Code: "ValidationError", Message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."})
		}, "role-duration-seconds is longer than " + onlyRole + " allows: raise the maximum session duration of the role, or ask for less"},
		{"another refusal", nil, func() {
			l.sts.Fail(oidctest.Fault{Status: http.StatusForbidden, Code: "RegionDisabledException", Message: "STS is not\nactivated in this region"})
		}, "STS gives no credentials for " + onlyRole + ": RegionDisabledException: STS is not activated in this region"},
		{"the service of tokens", nil, func() { l.github.Fail(http.StatusForbidden) }, `GitHub gives this job no token for the audience "sts.amazonaws.com": it answered with status 403`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			*l.github = oidctest.GitHub{Issuer: l.github.Issuer, Bearer: githubBearer, Subject: githubJob, Now: time.Now}
			l.github.Issuer.URL = oidctest.GitHubURL
			if test.before != nil {
				test.before()
			}
			said, err := l.run(l.with(test.change))
			if err == nil || err.Error() != test.want {
				t.Errorf("%v\nwant: %s", err, test.want)
			}
			l.quiet("the log", said)
		})
	}
	if n := len(l.sts.Sessions()); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// TestRepeatedToken: what STS says may have the token in it.
func TestRepeatedToken(t *testing.T) {
	l := newRoleLab(t)
	token, err := l.circle.Sign(map[string]any{"aud": circleOrg, "sub": "s"})
	if err != nil {
		t.Fatal(err)
	}
	l.sts.Fail(oidctest.Fault{Status: http.StatusBadRequest, Code: "InvalidIdentityToken", Message: "cannot take " + token})
	_, err = l.run(append(slices.Clone(l.plain), "INPUT_WEB-IDENTITY-TOKEN="+token))
	if err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "cannot take ***") {
		t.Error(err)
	}
}

// TestFreshTokens: credentials that end while a build goes on are got anew, each time
// for a new token.
func TestFreshTokens(t *testing.T) {
	l := newRoleLab(t)
	l.sts.Life = time.Minute // which is too short to begin anything with
	if said, err := l.run(l.environ); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	given := l.github.Given()
	slices.Sort(given)
	if n := len(slices.Compact(given)); n < 3 || n != len(l.sts.Sessions()) {
		t.Errorf("%d tokens for %d sessions", n, len(l.sts.Sessions()))
	}
}

// TestFoundCredentials: those that are found on the machine are masked as well.
func TestFoundCredentials(t *testing.T) {
	l := newRoleLab(t)
	const id, secret, session = "ASIAFOUNDEXAMPLE", "orchid/pale+moon=found", "session-of-orchids"
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": session} {
		t.Setenv(name, value)
	}
	l.fake.KnowSession(id, session, ecrtest.User)
	said, err := l.run(l.with(map[string]string{"INPUT_ROLE-TO-ASSUME": ""}))
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	l.quiet("the log", said, id, secret, session)
	if !strings.Contains(said, "see *** *** *** github\n") || len(l.github.Given()) != 0 {
		t.Error(said)
	}
}

// TestSessionName: a name is of the form that STS wants, whatever the run is called.
func TestSessionName(t *testing.T) {
	for _, test := range []struct {
		run  ci.Run
		want string
	}{
		{ci.Run{}, "convox-ci"},
		{ci.Run{Repository: "acme/shop", ID: "7"}, "acme-shop-7"},
		{ci.Run{Repository: "acmé/my shop"}, "acm-my-shop"},
		{ci.Run{Repository: "/", ID: "7 of 9"}, "-7-of-9"},
		{ci.Run{Repository: strings.Repeat("a", 100), ID: "123456789"}, strings.Repeat("a", 54) + "-123456789"},
		{ci.Run{ID: strings.Repeat("9", 100)}, "convox-ci-" + strings.Repeat("9", 32)},
	} {
		got := sessionName(test.run)
		if got != test.want || !regexp.MustCompile(`^[\w+=,.@-]{2,64}$`).MatchString(got) {
			t.Errorf("%+v: %q, want %q", test.run, got, test.want)
		}
	}
}

// TestEngineHasTheRole: builds on this machine pull from ECR as the role, and what a
// login has left on the machine counts first.
func TestEngineHasTheRole(t *testing.T) {
	l := newRoleLab(t)
	const host = ecrtest.Account + ".dkr.ecr." + ecrtest.Region + ".amazonaws.com"
	registry, err := name.NewRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	login := func() authn.AuthConfig {
		var out bytes.Buffer
		run := ci.Detect(l.environ)
		p := &process{environ: l.environ, run: run, console: ci.Open(run, l.environ, &out), role: workflow.AWSRole{Role: onlyRole, Region: ecrtest.Region}}
		e, err := p.openEngine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a, err := e.(onsite).keychain.Resolve(registry)
		if err != nil {
			t.Fatal(err)
		}
		c, err := authn.Authorization(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if c.Username == "AWS" { // a token of ECR
			p.notice("the password is " + c.Password)
			p.console.Close()
			l.quiet("the log", out.String(), c.Password)
		}
		return *c
	}
	if c := login(); c.Username != "AWS" || c.Password == "" || len(l.sts.Sessions()) != 1 {
		t.Errorf("%+v after %d sessions", c, len(l.sts.Sessions()))
	}
	config := filepath.Join(l.dir, "docker")
	text, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": "someone", "password": "else-and-longer"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", config)
	if c := login(); c.Username != "someone" || len(l.sts.Sessions()) != 1 {
		t.Errorf("%+v after %d sessions", c, len(l.sts.Sessions()))
	}
	p := &process{environ: l.with(map[string]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}), console: ci.Open(ci.Run{}, nil, new(bytes.Buffer)), role: workflow.AWSRole{Role: onlyRole}}
	if _, err := p.openEngine(t.Context()); err == nil || !strings.Contains(err.Error(), "id-token: write") {
		t.Errorf("without the permission: %v", err)
	}
}
