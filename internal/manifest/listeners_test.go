package manifest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

func TestListeners(t *testing.T) {
	yes, no := true, false
	const arn = "arn:aws:acm:us-east-1:123456789012:certificate/00aa-1"
	checkForms(t, func(s manifest.Service) any { return s.Listeners }, []form{
		{"", []manifest.Listener(nil)},
		{"nlb: ~", []manifest.Listener(nil)},
		{"nlb: [{port: 8443}]", []manifest.Listener{{Port: 8443, ContainerPort: 8443, Protocol: "tcp", Scheme: "public", Line: 1, Column: 24}}},
		{"nlb: [{port: 443, containerPort: 3000, protocol: ' TLS ', scheme: Internal, certificate: '" + arn + "', cross_zone: no, preserve_client_ip: yes, allow_cidr: [10.0.0.0/16]}, {port: 80, cross_zone: ~}]", []manifest.Listener{
			{Port: 443, ContainerPort: 3000, Protocol: "tls", Scheme: "internal", Certificate: arn, CrossZone: &no, PreserveClientIP: &yes, AllowCIDR: []string{"10.0.0.0/16"}, Line: 1, Column: 24},
			{Port: 80, ContainerPort: 80, Protocol: "tcp", Scheme: "public", Line: 1, Column: 233},
		}},
		{"nlb: {port: 1}", into("!!map into []manifest.ServiceNLBPort")},
		{"nlb: [443]", into("!!int `443` into manifest.ServiceNLBPort")},
		{"nlb: [{port: '443'}]", into("!!str `443` into int")},
		{"nlb: [{port: 1, cross_zone: 1}]", into("!!int `1` into bool")},
		{"nlb: [{port: 1, allow_cidr: a}]", into("!!str `a` into []string")},
	})
}

func TestListenerRules(t *testing.T) {
	const see = "run 'convox certs list' to see available ARNs"
	none := ""
	for _, tt := range []struct{ listeners, want string }{
		{"{port: 1}, {port: 65535}", none},
		{"{port: 0}", "service web: nlb port 0 out of range"},
		{"~", "service web: nlb port 0 out of range"},
		{"{containerPort: 80}", "service web: nlb port 0 out of range"},
		{"{port: 65536}", "service web: nlb port 65536 out of range"},
		{"{port: 80, containerPort: -1}", "service web: nlb containerPort -1 out of range"},
		{"{port: 80, containerPort: 65536, protocol: udp}", "service web: nlb containerPort 65536 out of range"},
		{"{port: 80, protocol: UDP, certificate: x}", `service web nlb port 80: protocol must be tcp or tls, got "udp"`},
		{"{port: 80, protocol: tls}", "service web nlb port 80: protocol tls requires a certificate (provide an ACM ARN; " + see + ")"},
		{"{port: 80, certificate: x}", "service web nlb port 80: certificate is only valid with protocol: tls"},
		{"{port: 80, protocol: tls, certificate: x}", `service web nlb port 80: certificate must be a full ACM or IAM server-certificate ARN, got "x" (` + see + ")"},
		{"{port: 80, protocol: tls, certificate: 'arn:aws-us-gov:iam::123456789012:server-certificate/a/b'}", none},
		{"{port: 80, protocol: tls, certificate: 'arn:aws:acm::123456789012:certificate/a'}", `service web nlb port 80: certificate must be a full ACM or IAM server-certificate ARN, got "arn:aws:acm::123456789012:certificate/a" (` + see + ")"},
		{"{port: 80, scheme: private}", `service web nlb port 80: scheme must be public or internal, got "private"`},
		{"{port: 80, allow_cidr: [10.0.0.0/8, x]}", `service web nlb port 80: allow_cidr entry "x" is not a valid IPv4 CIDR (e.g. 10.0.0.0/16)`},
		{"{port: 80, allow_cidr: ['2001:db8::/32']}", `service web nlb port 80: allow_cidr entry "2001:db8::/32" is not a valid IPv4 CIDR (IPv6 not supported)`},
		{"{port: 80, allow_cidr: [10.0.0.1/8]}", `service web nlb port 80: allow_cidr entry "10.0.0.1/8" is not canonical; use "10.0.0.0/8" instead`},
		{"{port: 80, allow_cidr: [10.0.0.0/8, 10.0.0.0/8]}", "service web nlb port 80: allow_cidr contains duplicate entry: 10.0.0.0/8"},
		{"{port: 80}, {port: 80, containerPort: 81}", "service web: nlb port 80 declared with conflicting containerPort values"},
		{"{port: 80}, {port: 80}", "service web: duplicate nlb port 80"},
		{"{port: 80}, {port: 81, containerPort: 80}", "service web: nlb containerPort 80 used by multiple nlb listeners"},
		{"{port: 9000}", "nlb port 9000 declared by services api and web; rack NLB listener is shared, each port must be unique across services"},
	} {
		text := "services:\n  api: {nlb: [{port: 9000}]}\n  web:\n    nlb: [" + tt.listeners + "]\n"
		_, err := manifest.Load([]byte(text), nil)
		got := none
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.listeners, diff)
		}
	}
	for _, tt := range []struct {
		text string
		want fault
	}{
		{"services:\n  a:\n    agent: true\n    nlb: [{port: 0}]\n", fault{2, 3, "service a: agent mode is incompatible with nlb ports"}},
		{"services:\n  a:\n    nlb:\n      - port: 80\n      - port: 80\n", fault{5, 9, "service a: duplicate nlb port 80"}},
		{"services:\n  a: {nlb: [{port: 0}]}\n  B:\n", fault{2, 13, "service a: nlb port 0 out of range"}},
		{"services:\n  B:\n  a: {nlb: [{port: 0}]}\nresources: {db: }\n", fault{2, 3, "service name B invalid, must contain only lowercase alphanumeric and dashes"}},
		{"services:\n  a: {nlb: [{port: 0}], environment: [X]}\n", fault{2, 3, "required env: X"}},
		{"resources: {db: }\nservices:\n  a: {nlb: [{port: 0}]}\n", fault{3, 13, "service a: nlb port 0 out of range"}},
	} {
		_, err := manifest.Load([]byte(tt.text), nil)
		checkFault(t, err, tt.want)
	}
}
