package manifest

import (
	"fmt"
	"net"
	"regexp"
)

// certificate is the ARN of a certificate that a load balancer takes, in any
// partition of AWS: one of ACM, or a server certificate of IAM.
var certificate = regexp.MustCompile(`^arn:aws[a-z-]*:(?:acm:[a-z0-9-]+:[0-9]{12}:certificate/[a-zA-Z0-9-]+|iam::[0-9]{12}:server-certificate/.+)$`)

// maxPort is the largest TCP port.
const maxPort = 65535

// checkListeners holds the listeners of a service to their rules. listens has who
// listens on which port of the load balancer, and gets those of the service.
func checkListeners(s Service, listens map[int]string) error {
	if len(s.Listeners) > 0 && s.Agent.Enabled {
		return faultAt(s.Line, s.Column, "service %s: agent mode is incompatible with nlb ports", s.Name)
	}
	ports, inside := map[int]int{}, map[int]bool{}
	for _, l := range s.Listeners {
		wrong := l.wrong()
		if wrong == "" {
			wrong = l.clash(ports, inside)
		}
		if wrong != "" {
			return faultAt(l.Line, l.Column, "service %s%s", s.Name, wrong)
		}
		if owner, taken := listens[l.Port]; taken {
			return faultAt(l.Line, l.Column,
				"nlb port %d declared by services %s and %s; rack NLB listener is shared, each port must be unique across services", l.Port, owner, s.Name)
		}
		listens[l.Port], ports[l.Port], inside[l.ContainerPort] = s.Name, l.ContainerPort, true
	}
	return nil
}

// wrong tells which rule about one listener l breaks, in the words that follow
// the name of the service; "" for none.
func (l Listener) wrong() string {
	say := func(format string, args ...any) string {
		return fmt.Sprintf(" nlb port %d: ", l.Port) + fmt.Sprintf(format, args...)
	}
	const see = "run 'convox certs list' to see available ARNs"
	switch {
	case l.Port < 1 || l.Port > maxPort:
		return fmt.Sprintf(": nlb port %d out of range", l.Port)
	case l.ContainerPort < 1 || l.ContainerPort > maxPort:
		return fmt.Sprintf(": nlb containerPort %d out of range", l.ContainerPort)
	case l.Protocol != "tcp" && l.Protocol != "tls":
		return say("protocol must be tcp or tls, got %q", l.Protocol)
	case l.Protocol == "tls" && l.Certificate == "":
		return say("protocol tls requires a certificate (provide an ACM ARN; %s)", see)
	case l.Protocol != "tls" && l.Certificate != "":
		return say("certificate is only valid with protocol: tls")
	case l.Certificate != "" && !certificate.MatchString(l.Certificate):
		return say("certificate must be a full ACM or IAM server-certificate ARN, got %q (%s)", l.Certificate, see)
	case l.Scheme != "public" && l.Scheme != "internal":
		return say("scheme must be public or internal, got %q", l.Scheme)
	}
	if text := wrongNetwork(l.AllowCIDR); text != "" {
		return say("%s", text)
	}
	return ""
}

// wrongNetwork tells what is wrong with the networks that may reach a listener.
func wrongNetwork(networks []string) string {
	known := map[string]bool{}
	for _, text := range networks {
		ip, network, err := net.ParseCIDR(text)
		switch {
		case err != nil:
			return fmt.Sprintf("allow_cidr entry %q is not a valid IPv4 CIDR (e.g. 10.0.0.0/16)", text)
		case ip.To4() == nil:
			return fmt.Sprintf("allow_cidr entry %q is not a valid IPv4 CIDR (IPv6 not supported)", text)
		case network.String() != text:
			return fmt.Sprintf("allow_cidr entry %q is not canonical; use %q instead", text, network)
		case known[text]:
			return fmt.Sprintf("allow_cidr contains duplicate entry: %s", text)
		}
		known[text] = true
	}
	return ""
}

// clash tells whether a listener before l has one of its ports. ports are those of
// the load balancer with what they lead to, and inside the latter.
func (l Listener) clash(ports map[int]int, inside map[int]bool) string {
	to, taken := ports[l.Port]
	switch {
	case taken && to != l.ContainerPort:
		return fmt.Sprintf(": nlb port %d declared with conflicting containerPort values", l.Port)
	case taken:
		return fmt.Sprintf(": duplicate nlb port %d", l.Port)
	case inside[l.ContainerPort]:
		return fmt.Sprintf(": nlb containerPort %d used by multiple nlb listeners", l.ContainerPort)
	}
	return ""
}
