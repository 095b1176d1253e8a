package workflow

import (
	"net/url"
	"strings"
	"testing"
)

func TestRepositoryOf(t *testing.T) {
	for raw, want := range map[string][4]string{ // repository, host, user, password
		"https://convox:rackpassword@api.rack.test/fake/myapp": {"api.rack.test/fake/myapp", "api.rack.test", "convox", "rackpassword"},
		"http://convox:p%40ss%2Fword@127.0.0.1:5000/shop":      {"127.0.0.1:5000/shop", "127.0.0.1:5000", "convox", "p@ss/word"},
		"https://convox:a@b/c:d@api.test/x/y":                  {"api.test/x/y", "api.test", "convox", "a@b/c:d"},
		"https://convox:a b%c#d?e@api.test/x/y":                {"api.test/x/y", "api.test", "convox", "a b%c#d?e"},
		"https://convox:100%41@api.test/x/y":                   {"api.test/x/y", "api.test", "convox", "100%41"}, // nobody would escape an A
		"https://convox:https://x@api.test/x/y":                {"api.test/x/y", "api.test", "convox", "https://x"},
		"convox:x://y@api.test/x/":                             {"api.test/x", "api.test", "convox", "x://y"},
		"https://[::1]:5000/x":                                 {"[::1]:5000/x", "[::1]:5000", "", ""},
		"api.test/a.b_c-d/e":                                   {"api.test/a.b_c-d/e", "api.test", "", ""},
		"https://convox:@api.test/x":                           {"api.test/x", "api.test", "convox", ""},
		"https://token@api.test/x":                             {"api.test/x", "api.test", "token", ""},
	} {
		repository, login, err := repositoryOf(raw)
		if got := [4]string{repository, login.Host, login.User, login.Password.Reveal()}; err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", raw, got, err, want)
		}
	}
	if _, _, err := repositoryOf(""); err != errNoRepository {
		t.Errorf("no repository: %v", err)
	}
	for _, raw := range []string{
		"https://", "https://convox:secret-word@", "https://convox:secret-word@api.test", "https://convox:secret-word@api.test/", "https://convox:secret-word@/x",
		"https://convox:secret-word@api.test/X", "https://convox:secret-word@api.test/x:tag", "https://convox:secret-word@api.test/x y", "https://convox:secret-word@api test/x",
		"https://convox:secret-word@api.test/x\nRelease: R", "https://convox:secret-word/api.test/x", "ftp://convox:secret-word@api.test/x/../y", "@", ":", "/",
	} {
		repository, login, err := repositoryOf(raw)
		if err != errRepository || repository != "" || login.Host != "" {
			t.Errorf("%s: %q, %v, %v", raw, repository, login, err)
		}
	}
}

// FuzzRepositoryOf: whatever a rack says, there is no panic, no part of a password
// gets into what is shown, and what has the form is taken apart as it was put
// together.
func FuzzRepositoryOf(f *testing.F) {
	f.Add("convox", "rack@pass/word%", "api.test:443", "fake/shop")
	f.Add("", "", "", "")
	f.Add("a:b", "https://x@y/z", "[::1]", "x")
	f.Fuzz(func(t *testing.T, user, password, host, name string) {
		for _, raw := range []string{password, host + "/" + name, "https://" + user + ":" + password + "@" + host + "/" + name} {
			repository, _, err := repositoryOf(raw)
			switch {
			case err == errNoRepository && raw == "", err == errRepository && repository == "":
			case err != nil:
				t.Errorf("%q: %v", raw, err)
			case strings.ContainsAny(repository, "@ \n\t%") || !strings.Contains(repository, "/"):
				t.Errorf("%q: repository %q", raw, repository)
			}
		}
		host, name = "api.test:5000", "fake/shop"
		if user = strings.ReplaceAll(user, ":", ""); strings.HasPrefix(user, "http") {
			user = "convox"
		}
		for _, userinfo := range []string{user + ":" + password, url.UserPassword(user, password).String()} {
			repository, login, err := repositoryOf("https://" + userinfo + "@" + host + "/" + name)
			if err != nil || repository != host+"/"+name || login.Host != host {
				t.Fatalf("%q: %q, %q, %v", userinfo, repository, login.Host, err)
			}
			if got := login.Password.Reveal(); got != password && url.UserPassword("", got).String() != ":"+password {
				t.Errorf("password %q is taken for %q", password, got)
			}
		}
	})
}
