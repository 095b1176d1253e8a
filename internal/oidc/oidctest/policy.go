package oidctest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// texts is one text or a list of them, as documents of IAM have them.
type texts []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *texts) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// document is the trust policy of a role.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
type document struct {
	Version   string
	Statement []struct {
		Effect    string
		Principal struct{ Federated texts }
		Action    texts
		Condition map[string]map[string]texts
	}
}

const assumeAction = "sts:AssumeRoleWithWebIdentity"

// trusts tells whether a statement allows a role to be assumed with a token of a
// provider. What it does not know it takes for a refusal.
func (d document) trusts(provider string, c claims) bool {
	for _, s := range d.Statement {
		if d.Version == "2012-10-17" && s.Effect == "Allow" && slices.Contains(s.Principal.Federated, provider) && slices.Contains(s.Action, assumeAction) && meets(s.Condition, c) {
			return true
		}
	}
	return false
}

// meets compares conditions with a token.
func meets(conditions map[string]map[string]texts, c claims) bool {
	host := strings.TrimPrefix(c.Issuer, "https://")
	values := map[string]string{host + ":aud": c.Audience, host + ":sub": c.Subject}
	for operator, keys := range conditions {
		for key, wanted := range keys {
			value, known := values[key]
			if !known || !slices.ContainsFunc(wanted, func(w string) bool { return compare(operator, w, value) }) {
				return false
			}
		}
	}
	return true
}

func compare(operator, want, value string) bool {
	switch operator {
	case "StringEquals":
		return value == want
	case "StringLike":
		pattern := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(want))
		return regexp.MustCompile("^(?s:" + pattern + ")$").MatchString(value)
	}
	return false
}
