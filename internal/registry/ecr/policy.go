package ecr

import (
	"encoding/json"
	"fmt"
)

// policy is a lifecycle policy as ECR takes it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
type policy struct {
	Rules []rule `json:"rules"`
}

type rule struct {
	Priority    int               `json:"rulePriority"`
	Description string            `json:"description"`
	Selection   selection         `json:"selection"`
	Action      map[string]string `json:"action"`
}

type selection struct {
	TagStatus   string `json:"tagStatus"`
	CountType   string `json:"countType"`
	CountUnit   string `json:"countUnit"`
	CountNumber int    `json:"countNumber"`
}

// expireAfter is the policy that removes all images some days after their push.
// Those without a tag are among them: what a later build has replaced has none.
func expireAfter(days int) string {
	text, _ := json.Marshal(policy{Rules: []rule{{ // texts and numbers always encode
		Priority: 1, Description: fmt.Sprintf("expire build cache images after %d days", days),
		Selection: selection{TagStatus: "any", CountType: "sinceImagePushed", CountUnit: "days", CountNumber: days},
		Action:    map[string]string{"type": "expire"},
	}}})
	return string(text)
}
