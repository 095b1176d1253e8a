// Package rack is the contract between a Convox Rack and those who use it: the
// nouns of its HTTP API, its errors, and a client that outlives bad networks.
package rack

import "time"

// Statuses of a [Build].
const (
	BuildCreated  = "created"  // recorded, not started
	BuildRunning  = "running"  // being built
	BuildComplete = "complete" // built, pushed and released
	BuildFailed   = "failed"   // ended without a release
)

// Statuses of an [App]. A rack may answer others; treat those as not running.
const (
	AppCreating = "creating" // being made
	AppRunning  = "running"  // at rest, also after a completed rollback
	AppUpdating = "updating" // a promote or a change of parameters is under way
	AppRollback = "rollback" // the rack is undoing an update
	AppDeleting = "deleting" // being removed
	AppFailed   = "failed"   // neither updated nor rolled back
)

// App is an app on a rack.
type App struct {
	Generation string            `json:"generation,omitempty"` // "1", "2" or "3"; "" means 1
	Locked     bool              `json:"locked"`
	Name       string            `json:"name"`
	Release    string            `json:"release"` // id of the active release, "" before the first promote
	Router     string            `json:"router"`  // name of the router on a v3 rack, "" on v2
	Status     string            `json:"status"`
	Parameters map[string]string `json:"parameters"`
}

// Build is the record of one build. Its fields stand in the order of the wire.
type Build struct {
	ID             string    `json:"id"` // B and ten capital letters
	App            string    `json:"app"`
	Description    string    `json:"description"`
	Entrypoint     string    `json:"entrypoint"` // of the built image, quoted for a shell
	GitSHA         string    `json:"git-sha"`
	Logs           string    `json:"logs"`     // URL of the stored log, "" until it ended
	Manifest       string    `json:"manifest"` // text of convox.yml, "" until the builder has read it
	Process        string    `json:"process"`
	Release        string    `json:"release"` // "" until the build is complete
	Reason         string    `json:"reason"`  // why it failed, where the rack says
	Repository     string    `json:"repository,omitempty"`
	Status         string    `json:"status"`
	WildcardDomain bool      `json:"wildcard-domain"`
	Started        time.Time `json:"started"`
	Ended          time.Time `json:"ended"` // zero until it ended
}

// Final tells whether the status of a build is a final one.
func (b Build) Final() bool {
	return b.Status == BuildComplete || b.Status == BuildFailed
}

// Release is a build together with an environment: what is promoted.
type Release struct {
	ID          string    `json:"id"` // R and ten capital letters
	App         string    `json:"app"`
	Build       string    `json:"build"`
	Env         string    `json:"env"` // lines of NAME=VALUE; v2 racks leave it empty in lists
	Manifest    string    `json:"manifest"`
	Description string    `json:"description"`
	Created     time.Time `json:"created"`
}

// System is the rack itself.
type System struct {
	Count      int               `json:"count"`
	Domain     string            `json:"domain"`
	Name       string            `json:"name"`
	Outputs    map[string]string `json:"outputs,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Provider   string            `json:"provider"`
	RackDomain string            `json:"rack-domain"`
	Region     string            `json:"region"`
	Status     string            `json:"status"`
	Type       string            `json:"type"`
	Version    string            `json:"version"` // 14 digits on v2, x.y.z on v3; compared as text
}

// Object is the answer to a stored object.
type Object struct {
	URL string `json:"Url"` // object://APP/KEY
}

// RackItem is a rack as a console lists it.
type RackItem struct {
	Name         string `json:"name"`
	Organization struct {
		Name string `json:"name"`
	} `json:"organization"`
	Provider string `json:"provider"`
	Status   string `json:"status"`
	Version  string `json:"version"`
}

// FullName is the name by which the rack is asked for, ORGANIZATION/NAME.
func (r RackItem) FullName() string {
	if r.Organization.Name == "" {
		return r.Name
	}
	return r.Organization.Name + "/" + r.Name
}
