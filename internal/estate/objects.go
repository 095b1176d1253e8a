package estate

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// PutObject stores an object of the app.
func (e *Estate) PutObject(ctx context.Context, app, key string, open func() (io.ReadCloser, error)) (rack.Object, error) {
	object, err := open()
	if err != nil {
		return rack.Object{}, err
	}
	if err := errors.Join(e.objects.PutObject(ctx, app, key, object), object.Close()); err != nil {
		return rack.Object{}, err
	}
	return rack.Object{URL: "object://" + app + "/" + key}, nil
}

// event is what Racks tell those who listen to them.
type event struct {
	Action    string            `json:"action"`
	Data      map[string]string `json:"data"`
	Status    string            `json:"status"`
	Timestamp time.Time         `json:"timestamp"`
}

// TellBuilt tells those who listen to the Rack that a build was made.
func (e *Estate) TellBuilt(ctx context.Context, b rack.Build) error {
	if e.topic == "" {
		return nil
	}
	action := "build:create"
	text, err := json.Marshal(event{action, map[string]string{"rack": e.rack, "app": b.App, "id": b.ID, "release_id": b.Release}, "success", time.Now().UTC()})
	if err != nil {
		return err
	}
	message := string(text)
	_, err = sns.NewFromConfig(e.config).Publish(ctx, &sns.PublishInput{TopicArn: &e.topic, Subject: &action, Message: &message})
	return explain(ctx, err, "sns:Publish", e.topic)
}
