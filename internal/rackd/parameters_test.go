package rackd_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// set sends parameters, NAME=VALUE each, as the official client does.
func (m *machine) set(pairs ...string) answer {
	m.Helper()
	given := url.Values{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		given.Add(name, value)
	}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	return m.do("PUT", "/system", h, strings.NewReader(url.Values{"parameters": {given.Encode()}}.Encode()))
}

func (m *machine) parameters() map[string]string {
	m.Helper()
	return decode[rack.System](m, m.get("/system")).Parameters
}

func TestSetParameters(t *testing.T) {
	m := start(t)
	m.want("several", m.set("BuildCache=Yes", "BuildCacheRetentionDays=365", "HttpProxy=http://p:1/?a=b&c", "NoSuchName=1"), 200, "ok\n")
	for name, want := range map[string]string{
		"BuildCache": "Yes", "BuildCacheRetentionDays": "365", "HttpProxy": "http://p:1/?a=b&c", "BuildCacheCleanup": "No", "BuildMethod": "ec2",
	} {
		if got := m.parameters()[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, ok := m.parameters()["NoSuchName"]; ok {
		t.Error("a name that no rack has is a parameter")
	}
	m.want("another one", m.set("BuildMethod=fargate"), 200, "ok\n")
	again := m.killed()
	if p := again.parameters(); p["BuildMethod"] != "fargate" || p["BuildCache"] != "Yes" {
		t.Errorf("after the process was killed the parameters are %v", p)
	}
	m.want("back to the default", m.set("BuildCache=No"), 200, "ok\n")
	if got := m.parameters()["BuildCache"]; got != "No" {
		t.Errorf("BuildCache is %q", got)
	}
}

// TestWrongParameters: what is wrong with one is said in CloudFormation's words,
// and none of them is set.
func TestWrongParameters(t *testing.T) {
	m := start(t)
	for pair, want := range map[string]string{
		"BuildCache=yes":            "Parameter 'BuildCache' must be one of AllowedValues",
		"BuildCache=":               "Parameter 'BuildCache' must be one of AllowedValues",
		"BuildCacheCleanup=true":    "Parameter 'BuildCacheCleanup' must be one of AllowedValues",
		"BuildMethod=EC2":           "Parameter 'BuildMethod' must be one of AllowedValues",
		"BuildCacheRetentionDays=0": "Parameter 'BuildCacheRetentionDays' must be a number not less than 1",
		"BuildCacheRetentionDays=-99999999999999999999": "Parameter 'BuildCacheRetentionDays' must be a number not less than 1",
		"BuildCacheRetentionDays=366":                   "Parameter 'BuildCacheRetentionDays' must be a number not greater than 365",
		"BuildCacheRetentionDays=99999999999999999999":  "Parameter 'BuildCacheRetentionDays' must be a number not greater than 365",
		"BuildCacheRetentionDays=1.5":                   "Parameter 'BuildCacheRetentionDays' must be a number",
		"BuildCacheRetentionDays=":                      "Parameter 'BuildCacheRetentionDays' must be a number",
		"BuildVolumeSize=big":                           "Parameter 'BuildVolumeSize' must be a number",
		"PruneOlderImagesInHour=0":                      "Parameter 'PruneOlderImagesInHour' must be a number not less than 1",
		"PruneOlderImagesCronRunFreq=yearly":            "Parameter 'PruneOlderImagesCronRunFreq' must be one of AllowedValues",
		"BuildCpu=256":                                  "No updates are to be performed.",
		"NoSuchName=1":                                  "No updates are to be performed.",
	} {
		pairs := []string{pair}
		if !strings.HasPrefix(want, "No updates") {
			pairs = append(pairs, "BuildMemory=2000", "HttpProxy=http://p:1")
		}
		a := m.set(pairs...)
		m.want(pair, a, 500, "ValidationError: "+want+"\n\tstatus code: 400, request id: "+a.header.Get("Request-Id")+"\n")
	}
	if p := m.parameters(); p["BuildMemory"] != "1000" || p["HttpProxy"] != "" {
		t.Errorf("a change that was refused has changed the parameters: %v", p)
	}
}
