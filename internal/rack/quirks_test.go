package rack_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// What a rack is told of a build depends on its generation.
func TestOptionsForARack(t *testing.T) {
	on := true
	o := rack.BuildOptions{
		BuildArgs: []string{"PLAIN=a-b/c:d@1.2+3%", "SPACE=a b", "QUOTE=it's", "EMPTY=", "SHELL=$(id);`id`", "LINES=a\nb"},
		NoCache:   true, WildcardDomain: &on, Description: "a build", GitSHA: "0123abc", Manifest: "other.yml", Development: true,
	}
	same := url.Values{"url": {"object://web/k"}, "description": {"a build"}, "git-sha": {"0123abc"}, "manifest": {"other.yml"}, "development": {"true"}}
	for _, test := range []struct {
		generation string
		want       url.Values // beside the same
		unheeded   int
	}{
		{"1", url.Values{"build-args": {strings.Join(o.BuildArgs, ",")}, "no-cache": {"true"}, "wildcard-domain": {"true"}}, 0},
		{"2", url.Values{"build-args": {strings.Join(o.BuildArgs, ",")}, "no-cache": {"true"}, "wildcard-domain": {"true"}}, 0},
		{"3", url.Values{"build-args": {`PLAIN=a-b/c:d@1.2+3%,'SPACE=a b','QUOTE=it'\''s',EMPTY=,'SHELL=$(id);` + "`id`','LINES=a\nb'"}, "no-cache": {"false"}}, 1},
	} {
		var got url.Values
		c := rack.New(direct(t), roundTripper(func(r *http.Request) (*http.Response, error) {
			data, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			got, err = url.ParseQuery(string(data))
			return reply(200, "{}"), err
		}), nil)
		told, unheeded := o.For(rack.App{Generation: test.generation})
		if len(unheeded) != test.unheeded || len(unheeded) > 0 && !strings.HasPrefix(unheeded[0], "wildcard-domain: ") {
			t.Errorf("%s: said %q", test.generation, unheeded)
		}
		if _, err := c.CreateBuild(t.Context(), "web", "object://web/k", told); err != nil {
			t.Fatal(err)
		}
		for name, values := range same {
			test.want[name] = values
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.generation, diff)
		}
	}
	if o.BuildArgs[1] != "SPACE=a b" || o.WildcardDomain == nil {
		t.Errorf("the options themselves were changed: %+v", o)
	}
	// What is not asked for is not told to a v3 rack either: it takes no-cache for
	// its opposite only where it is there.
	told, unheeded := rack.BuildOptions{}.For(rack.App{Generation: "3"})
	if len(told.BuildArgs) > 0 || told.NoCache || len(unheeded) > 0 {
		t.Errorf("got %+v, %q", told, unheeded)
	}
}
