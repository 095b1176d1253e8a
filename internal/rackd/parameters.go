package rackd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Parameters keeps the parameters of the rack itself that were ever set, by name.
type Parameters interface {
	// Parameters returns what was stored last, nothing before the first time.
	Parameters(ctx context.Context) (map[string]string, error)
	// SwapParameters stores next, which is not empty, under the terms of SwapApp;
	// an empty old means "nothing was stored yet".
	SwapParameters(ctx context.Context, old, next map[string]string) error
}

// Parameters that this rack acts upon.
const (
	buildCache     = "BuildCache"
	buildCleanup   = "BuildCacheCleanup"
	buildRetention = "BuildCacheRetentionDays"
	buildMethod    = "BuildMethod"
	buildCPU       = "BuildCpu"
	buildMemory    = "BuildMemory"
	fargateCPU     = "FargateBuildCpu"
	fargateMemory  = "FargateBuildMemory"

	yes     = "Yes"
	fargate = "fargate"
)

// parameter is what a rack's template declares of one.
type parameter struct {
	name, value string   // the value where none was set
	allowed     []string // nil: any text, or any whole number
	number      bool
	least, most int // of a number; 0 for no bound
}

// parameters are those of a v2 rack that concern builds, and those that scripts
// set on any rack. The first four mean here what they mean there; those of CPU and
// memory limit each build once they were set; the others size and place
// machines that this rack does not have, and are kept for the clients that set and
// read them.
func parameters() []parameter {
	yesNo := []string{yes, "No"}
	return []parameter{
		{name: buildCache, value: "No", allowed: yesNo},
		{name: buildCleanup, value: "No", allowed: yesNo},
		{name: buildRetention, value: "30", number: true, least: 1, most: 365},
		{name: buildMethod, value: "ec2", allowed: []string{"ec2", fargate}},
		{name: buildCPU, value: "256"},
		{name: "BuildImage"},
		{name: "BuildInstance", value: "t3.small"},
		{name: "BuildInstancePolicy"},
		{name: "BuildInstanceSecurityGroup"},
		{name: buildMemory, value: "1000"},
		{name: "BuildVolumeSize", value: "100", number: true},
		{name: fargateCPU},
		{name: fargateMemory},
		{name: "HttpProxy"},
		{name: "LogRetention"},
		{name: "PrivateBuild", value: "No", allowed: yesNo},
		{name: "PruneOlderImagesCronRunFreq", value: "daily", allowed: []string{"hourly", "daily", "weekly"}},
		{name: "PruneOlderImagesInHour", value: "96", number: true, least: 1},
	}
}

// fault says what is wrong with a value, in the words of CloudFormation, which
// does not say which values are allowed; "" for nothing.
func (p parameter) fault(value string) string {
	n, err := strconv.Atoi(value)
	large := errors.Is(err, strconv.ErrRange) // n is as large as can be
	switch {
	case p.allowed != nil && !slices.Contains(p.allowed, value):
		return fmt.Sprintf("Parameter '%s' must be one of AllowedValues", p.name)
	case p.number && err != nil && !large:
		return fmt.Sprintf("Parameter '%s' must be a number", p.name)
	case p.least != 0 && n < p.least:
		return fmt.Sprintf("Parameter '%s' must be a number not less than %d", p.name, p.least)
	case p.most != 0 && n > p.most:
		return fmt.Sprintf("Parameter '%s' must be a number not greater than %d", p.name, p.most)
	}
	return ""
}

// withDefaults are all parameters with their values.
func withDefaults(set map[string]string) map[string]string {
	all := map[string]string{}
	for _, p := range parameters() {
		all[p.name] = p.value
		if value, ok := set[p.name]; ok {
			all[p.name] = value
		}
	}
	return all
}

// parameters are those of the rack as they are now.
func (s *Server) parameters(ctx context.Context) (map[string]string, error) {
	set, err := s.Stores.Parameters.Parameters(ctx)
	return withDefaults(set), err
}

// putSystem changes parameters, all that are given or none. Like a v2 rack it
// passes over names that it does not have; what changes nothing is an error. An
// update is over when it is answered, so that none can meet another.
func (s *Server) putSystem(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	for _, option := range []string{"count", "type", "version"} {
		if f.Get(option) != "" {
			return fault(http.StatusNotImplemented, "this rack is one machine, of the version of its program: its %s cannot be set", option)
		}
	}
	given, err := url.ParseQuery(f.Get("parameters"))
	if err != nil {
		return fault(http.StatusBadRequest, "reading the parameters: %v", err)
	}
	s.updating.Lock()
	defer s.updating.Unlock()
	wrong, err := s.change(r.Context(), given)
	if err != nil {
		return err
	}
	if wrong != "" {
		// As the SDK of a rack renders what CloudFormation answers.
		return fault(http.StatusInternalServerError, "ValidationError: %s\n\tstatus code: 400, request id: %s", wrong, w.Header().Get("Request-Id"))
	}
	return done(w)
}

// change stores given values and has them take effect, both or none. It returns
// what is wrong with them.
func (s *Server) change(ctx context.Context, given url.Values) (wrong string, err error) {
	for {
		old, err := s.Stores.Parameters.Parameters(ctx)
		if err != nil {
			return "", err
		}
		next, wrong := changed(old, given)
		if wrong != "" {
			return wrong, nil
		}
		undo, err := s.settleCache(s.work, kept(withDefaults(old)), kept(withDefaults(next)))
		if err != nil {
			return "", fmt.Errorf("no parameter was changed, since the build cache was not: %w", err)
		}
		err = s.Stores.Parameters.SwapParameters(context.WithoutCancel(ctx), old, next)
		if err == nil {
			return "", nil
		}
		undo()
		if !isConflict(err) {
			return "", err
		}
	}
}

// changed is what is stored after a change, or what is wrong with that.
func changed(old map[string]string, given url.Values) (next map[string]string, wrong string) {
	next = map[string]string{}
	maps.Copy(next, old)
	current, changes := withDefaults(old), false
	for _, p := range parameters() {
		values := given[p.name]
		if len(values) == 0 {
			continue
		}
		value := strings.ToValidUTF8(values[len(values)-1], "\uFFFD")
		if wrong := p.fault(value); wrong != "" {
			return nil, wrong
		}
		changes = changes || value != current[p.name]
		next[p.name] = value
	}
	if !changes {
		return nil, "No updates are to be performed."
	}
	return next, ""
}
