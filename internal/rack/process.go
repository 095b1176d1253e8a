package rack

import "time"

// Statuses of a [Process] that decide something; racks have more, each in the
// words of its cloud.
const (
	ProcessPending  = "pending"  // accepted, not started
	ProcessRunning  = "running"  // a command can be run in it
	ProcessStopped  = "stopped"  // ended, on a v2 rack
	ProcessComplete = "complete" // ended with status 0, on a v3 rack
	ProcessFailed   = "failed"   // ended with another status, or never started, on a v3 rack
	ProcessCrashed  = "crashed"  // ends again and again, on a v3 rack
)

// Process is a container of an app: of a service, or of a command that is run
// once. Its fields stand in the order of the wire.
type Process struct {
	ID      string `json:"id"` // 12 hex digits on v2, the name of a pod on v3
	App     string `json:"app"`
	Command string `json:"command"`
	Placement
	Name           string    `json:"name"`  // of the service
	Ports          []string  `json:"ports"` // HOST:CONTAINER
	Release        string    `json:"release"`
	Started        time.Time `json:"started"`
	Status         string    `json:"status"`
	TaskDefinition string    `json:"task_definition"` // "" on v3
}

// Placement is on what a [Process] runs.
type Placement struct {
	CPU      float64 `json:"cpu"` // fraction of the limit in use
	Host     string  `json:"host"`
	Image    string  `json:"image"`
	Instance string  `json:"instance"`
	Memory   float64 `json:"memory"` // fraction of the limit in use
}

// ExitPrefix begins the message by which a rack reports the exit status of a
// command: the prefix, the status in decimal, and a newline. It comes as a
// message of its own before the end of the stream.
const ExitPrefix = "F1E49A85-0AD7-4AEF-A618-C249C6E6568D:"
