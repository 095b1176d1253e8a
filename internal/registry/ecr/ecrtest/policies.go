package ecrtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// lifecycle is a policy, with the fields that this stand-in can carry out.
type lifecycle struct {
	Rules []struct {
		Priority    int    `json:"rulePriority"`
		Description string `json:"description"`
		Selection   struct {
			TagStatus   string `json:"tagStatus"`
			CountType   string `json:"countType"`
			CountUnit   string `json:"countUnit"`
			CountNumber int    `json:"countNumber"`
		} `json:"selection"`
		Action struct {
			Type string `json:"type"`
		} `json:"action"`
	} `json:"rules"`
}

// wrongPolicy says what is wrong with the text of a policy.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
func wrongPolicy(text string) string {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	var p lifecycle
	if err := d.Decode(&p); err != nil {
		return "Lifecycle policy validation failure: " + err.Error()
	}
	if len(p.Rules) == 0 {
		return "Lifecycle policy validation failure: no rules"
	}
	priorities := map[int]bool{}
	for _, r := range p.Rules {
		s := r.Selection
		switch {
		case r.Priority < 1 || priorities[r.Priority]:
			return fmt.Sprintf("Lifecycle policy validation failure: rulePriority %d", r.Priority)
		case s.TagStatus != "any" && s.TagStatus != "untagged":
			return "Lifecycle policy validation failure: tagStatus " + s.TagStatus
		case s.CountType != "sinceImagePushed" || s.CountUnit != "days":
			return "Lifecycle policy validation failure: countType " + s.CountType + " with countUnit " + s.CountUnit
		case s.CountNumber < 1:
			return "Lifecycle policy validation failure: countNumber must be greater than 0"
		case r.Action.Type != "expire":
			return "Lifecycle policy validation failure: action " + r.Action.Type
		}
		priorities[r.Priority] = true
	}
	return ""
}

// Sweep carries the lifecycle policies out, which ECR does within a day.
func (f *Fake) Sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, repo := range f.repos {
		var p lifecycle
		if repo.policy == "" || json.Unmarshal([]byte(repo.policy), &p) != nil {
			continue
		}
		for _, r := range p.Rules {
			limit := f.now().Add(-time.Duration(r.Selection.CountNumber) * 24 * time.Hour)
			for digest, i := range repo.images {
				if i.pushed.Before(limit) && (r.Selection.TagStatus == "any" || len(i.tags) == 0) {
					delete(repo.images, digest)
				}
			}
		}
	}
}
