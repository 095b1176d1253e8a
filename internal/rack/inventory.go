package rack

import "time"

// Registry is another registry that a rack has the credentials of.
type Registry struct {
	Server   string `json:"server"` // as it was added, with a scheme and a path or without
	Username string `json:"username"`
	Password string `json:"password"` // v2 and v3 racks show it; take it for a secret
}

// Service is a service of an app's active release, as a rack lists it.
type Service struct {
	Count  int           `json:"count"` // of processes that are wanted
	CPU    int           `json:"cpu"`   // units, of which a processor has 1024
	Domain string        `json:"domain"`
	Memory int           `json:"memory"` // MB
	Name   string        `json:"name"`
	NLB    []ServicePort `json:"nlb"`   // nil where the rack has no network load balancer
	Ports  []ServicePort `json:"ports"` // nil where nothing is routed to the service
}

// ServicePort is a port of a balancer and the one behind it in the containers.
type ServicePort struct {
	Balancer    int    `json:"balancer"`
	Certificate string `json:"certificate"`
	Container   int    `json:"container"`
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
