package rackd

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/coder/websocket"
)

// maxPieces is how many pieces of input wait for a command that does not read
// them, each of up to pieceSize bytes. Until then the client's pings are
// answered; then it has to wait with its input.
const maxPieces = 256

// input is what a client sends for a command to read.
type input struct {
	pieces chan []byte // closed at the end of the input
	rest   []byte      // of the piece that is being read
	ended  context.Context
	end    context.CancelFunc // the command reads no more
}

func newInput() *input {
	in := &input{pieces: make(chan []byte, maxPieces)}
	in.ended, in.end = context.WithCancel(context.Background())
	return in
}

// Read gives input as it came; it ends with the input, or with the command.
func (in *input) Read(p []byte) (int, error) {
	for len(in.rest) == 0 {
		var ok bool
		select {
		case in.rest, ok = <-in.pieces:
		case <-in.ended.Done():
		}
		if !ok {
			return 0, io.EOF
		}
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// receive takes what the client sends until it leaves, which ends the context
// that it gives. Input ends before, with a binary message.
func (in *input) receive(ctx context.Context, conn *websocket.Conn) context.Context {
	conn.SetReadLimit(-1) // no message is kept whole
	ctx, left := context.WithCancel(ctx)
	endInput := sync.OnceFunc(func() { close(in.pieces) })
	go func() {
		defer left()
		defer endInput()
		over := false
		for {
			kind, r, err := conn.Reader(ctx)
			if err != nil {
				return
			}
			if kind == websocket.MessageBinary {
				over = true
				endInput()
			}
			if err := in.take(r, !over); err != nil {
				return
			}
		}
	}()
	return ctx
}

// take takes a message, or passes over it.
func (in *input) take(r io.Reader, keep bool) error {
	for {
		p := make([]byte, pieceSize)
		n, err := r.Read(p)
		if keep && n > 0 {
			select {
			case in.pieces <- p[:n:n]:
			case <-in.ended.Done():
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
