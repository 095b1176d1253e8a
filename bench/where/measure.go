//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/bench/rig"
)

// What bytes are counted under.
const (
	toRack     = "the Rack"
	toRegistry = "the registry"
	toAPIs     = "the APIs of AWS"
)

// took is what one deploy cost, and what of that of its peer in the same round.
type took struct {
	sent    map[string]int64 // bytes over the link
	seconds float64

	bytesRatio, secondsRatio float64
}

func (t took) total() (n int64) {
	for _, sent := range t.sent {
		n += sent
	}
	return n
}

// place is a rack that knows nothing, and what the machine of the job has to get there.
type place struct {
	environ []string
	servers map[string][]string // addresses, by what their bytes are counted under
	state   string              // directory of all that the machine keeps
	outputs string              // file
	stop    func() error
}

// engine has the rack and the machine of the job build with the BuildKit inside
// convox-ci, whose layers are where each of them keeps its state.
var engine = []string{"BUILDKIT_HOST=", "DOCKER_HOST=unix:///nonexistent/docker.sock"}

// settle makes the place of a way below a directory.
func (b *bench) settle(ctx context.Context, w way, dir string) (p *place, err error) {
	p = &place{state: filepath.Join(dir, "machine"), outputs: filepath.Join(dir, "outputs.json"), environ: engine, stop: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	var args []string
	p.servers = map[string][]string{}
	if w.cloud {
		c, err := newCloud(ctx, dir)
		if err != nil {
			return p, err
		}
		p.stop, p.environ = c.stop, append(p.environ[:len(p.environ):len(p.environ)], c.environ...)
		p.servers[toRegistry], p.servers[toAPIs] = []string{c.ecr}, c.apis
		if _, err := b.program.Run(ctx, p.environ, append([]string{"rack", "init"}, c.rack...)...); err != nil {
			return p, err
		}
		args = append([]string{"--registry", "ecr://"}, c.rack...)
	}
	r, err := b.program.Serve(ctx, filepath.Join(dir, "rack"), p.environ, args...)
	if err != nil {
		return p, err
	}
	stop := p.stop
	p.stop = func() error { return errors.Join(r.Stop(), stop()) }
	if !w.cloud {
		p.servers[toRegistry] = []string{r.Registry}
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return p, err
	}
	p.servers[toRack] = []string{u.Host}
	p.environ = append(p.environ[:len(p.environ):len(p.environ)], "RACK_URL="+r.URL, "XDG_STATE_HOME="+p.state, "CONVOX_OUTPUT_FILE="+p.outputs)
	_, err = b.program.Run(ctx, p.environ, "apps", "create", app)
	return p, err
}

// measure makes the deploys of a way.
func (b *bench) measure(ctx context.Context, w way, mbits float64, now map[row]took) (err error) {
	dir, err := os.MkdirTemp(b.dir, "way-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := b.settle(ctx, w, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	link := rig.NewLink(mbits)
	stop, err := b.open(p.servers, link)
	if err != nil {
		return err
	}
	defer stop()
	args := []string{"deploy", "--app", app, b.shop.dir}
	for _, flag := range w.flags {
		args = append(args, strings.ReplaceAll(flag, "%s", b.base+"/"+filepath.Base(dir)))
	}
	for _, s := range w.stages {
		if err := b.shop.change(); err != nil {
			return err
		}
		if s.forget {
			if err := os.RemoveAll(p.state); err != nil {
				return err
			}
		}
		was, begun := link.Sent(), time.Now()
		if err := b.island.do(func() error { _, err := b.program.Run(ctx, p.environ, args...); return err }); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		t := took{sent: link.Sent(), seconds: time.Since(begun).Seconds()}
		for name := range t.sent {
			t.sent[name] -= was[name]
		}
		now[row{w.name, s.name, mbits}] = t
		if err := b.verify(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// verify looks at the rack itself, past the link: the build that a deploy has named is
// complete there, and its release the active one.
func (b *bench) verify(ctx context.Context, p *place) error {
	text, err := os.ReadFile(p.outputs)
	var made struct{ Build, Release string }
	if err := errors.Join(err, json.Unmarshal(text, &made), os.Remove(p.outputs)); err != nil {
		return err
	}
	builds, err1 := b.program.Run(ctx, p.environ, "builds", "--app", app)
	apps, err2 := b.program.Run(ctx, p.environ, "apps")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if made.Release == "" || !strings.Contains(builds, made.Build+"  complete  "+made.Release) || !strings.Contains(apps, made.Release) {
		return fmt.Errorf("the deploy says that it has made %+v, and the rack has\n%s\n%s", made, builds, apps)
	}
	return nil
}

// open puts a link before servers.
func (b *bench) open(servers map[string][]string, link *rig.Link) (stop func(), err error) {
	var stops []func() error
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	for name, addresses := range servers {
		for _, address := range addresses {
			s, err := b.island.bridge(address, link, name)
			if err != nil {
				stop()
				return nil, err
			}
			stops = append(stops, s)
		}
	}
	return stop, nil
}
