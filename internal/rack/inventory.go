package rack

import "time"

// Registry is another registry that a rack has the credentials of.
type Registry struct {
	Server   string `json:"server"` // as it was added, with a scheme and a path or without
	Username string `json:"username"`
	Password string `json:"password"` // v2 and v3 racks show it; take it for a secret
}

// Instance is a machine of a rack.
type Instance struct {
	Agent     bool      `json:"agent"`
	CPU       float64   `json:"cpu"` // fraction in use
	ID        string    `json:"id"`
	Memory    float64   `json:"memory"` // fraction in use
	PrivateIP string    `json:"private-ip"`
	Processes int       `json:"processes"`
	PublicIP  string    `json:"public-ip"`
	Status    string    `json:"status"`
	Started   time.Time `json:"started"`
}
