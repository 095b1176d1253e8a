package rack

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Service is a service of an app's active release. Of the fields of the wire
// those are left out that say how much it is to have.
type Service struct {
	Count  int           `json:"count"`  // processes that are to run
	CPU    int           `json:"cpu"`    // units, of which a processor has 1024
	Domain string        `json:"domain"` // host name under which it is reached; "" if it is not
	Memory int           `json:"memory"` // MB
	Name   string        `json:"name"`
	NLB    []ServicePort `json:"nlb"`   // of a network load balancer; nil where there is none
	Ports  []ServicePort `json:"ports"` // of the domain; nil where nothing is routed to it
}

// ServicePort is a port of the domain of a service, and where it leads.
type ServicePort struct {
	Balancer    int    `json:"balancer"`
	Certificate string `json:"certificate"` // "" if connections are not encrypted, and on some racks always
	Container   int    `json:"container"`
}

// Services lists the services of the app's active release, none before there is
// one.
func (c *Client) Services(ctx context.Context, app string) ([]Service, error) {
	var ss []Service
	return ss, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "services"), repeatable: true}, &ss)
}

// Ports of URLs that need not be written.
const (
	portHTTP  = 80
	portHTTPS = 443
)

// hostName is what may stand in a URL as its host.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

// URLs are where the service is reached, sorted, each once; none for a service
// without a domain.
func (s Service) URLs() []string {
	var list []string
	if !hostName.MatchString(s.Domain) {
		return nil
	}
	for _, p := range s.Ports {
		switch {
		case p.Balancer == portHTTPS:
			list = append(list, "https://"+s.Domain)
		case p.Balancer == portHTTP:
			list = append(list, "http://"+s.Domain)
		case p.Balancer > 0 && p.Certificate != "":
			list = append(list, "https://"+net.JoinHostPort(s.Domain, strconv.Itoa(p.Balancer)))
		case p.Balancer > 0:
			list = append(list, "http://"+net.JoinHostPort(s.Domain, strconv.Itoa(p.Balancer)))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// URL is the one to be shown: encrypted where there is such; "" if there is none.
func (s Service) URL() string {
	list := s.URLs()
	if at := slices.IndexFunc(list, func(u string) bool { return strings.HasPrefix(u, "https://") }); at >= 0 {
		return list[at]
	}
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
