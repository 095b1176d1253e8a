package workflow

import (
	"context"
	"encoding/json"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// urlsLimit bounds the question where an app is reached: the release is live
// already, and a later step can ask again.
const urlsLimit = 20 * time.Second

// mainService is the one that an app is reached by where several can be reached,
// as most apps and the examples of Convox have it.
const mainService = "web"

// urls puts out where an app is reached. That it cannot be known is no failure of
// what came before: many a deploy key may not ask.
func (j Job) urls(ctx context.Context, app string) {
	ctx, done := context.WithTimeout(ctx, urlsLimit)
	defer done()
	services, err := j.Rack.Services(ctx, app)
	if err != nil {
		j.printf("Where app %s is reached could not be seen: %v", app, err)
		return
	}
	lists, shown := map[string][]string{}, []rack.Service{}
	var main rack.Service
	for _, s := range services {
		list := s.URLs()
		if len(list) == 0 {
			continue
		}
		lists[s.Name] = list
		shown = append(shown, s)
		if s.Name == mainService {
			main = s
		}
	}
	if len(shown) == 1 {
		main = shown[0]
	}
	text, err := json.Marshal(lists) // sorted by name
	if err != nil {
		j.Log.Warn("output urls: " + err.Error())
		return
	}
	j.Output("urls", string(text))
	var urls []string
	for _, s := range shown {
		urls = append(urls, s.URL())
	}
	j.Report.URLs(urls)
	if url := main.URL(); url != "" {
		j.Output("url", url)
		j.printf("App %s is at %s", app, url)
	}
}
