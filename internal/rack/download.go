package rack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// downloadIdle is how long a download may stand still: after the first bytes a v2
// rack pulls all images of a build before it sends more.
const downloadIdle = 10 * time.Minute

// download makes a call whose answer is bytes. Only until the answer begins is it
// tried again.
func (c *Client) download(ctx context.Context, k call) (io.ReadCloser, error) {
	var d *download
	err := c.retry(ctx, k, func() error {
		var err error
		d, err = c.begin(ctx, k)
		begun, failed := c.answerChallenge(ctx, err)
		if failed != nil {
			return failed
		}
		if begun {
			d, err = c.begin(ctx, k)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// download is the body of an answer.
type download struct {
	body        io.ReadCloser
	call        call
	ctx, within context.Context
	idle        *time.Timer // ends within
	stop        context.CancelCauseFunc
}

func (c *Client) begin(ctx context.Context, k call) (*download, error) {
	within, stop := context.WithCancelCause(ctx)
	req, err := c.request(within, k)
	if err != nil {
		stop(nil)
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		err = unanswered(ctx, within, k, err)
		stop(nil)
		return nil, err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		err := refusal(k, res)
		res.Body.Close()
		stop(nil)
		return nil, err
	}
	c.reached.Store(true)
	return &download{body: res.Body, call: k, ctx: ctx, within: within, stop: stop,
		idle: time.AfterFunc(downloadIdle, func() { stop(errSilent) })}, nil
}

// Read counts only the time that it waits itself: what becomes of the bytes may
// take its time.
func (d *download) Read(p []byte) (int, error) {
	d.idle.Reset(downloadIdle)
	n, err := d.body.Read(p)
	d.idle.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = unanswered(d.ctx, d.within, d.call, err)
	}
	return n, err
}

func (d *download) Close() error {
	d.idle.Stop()
	d.stop(nil)
	return d.body.Close()
}
