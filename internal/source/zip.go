package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// compression is the level of deflate; bench/README.md has the table it was chosen from.
	compression = 3

	// blockSize is the bytes of tar stream compressed as one block. It is part of the format of
	// "equal trees pack to equal bytes": another size gives other bytes. Smaller ones cost bytes,
	// larger ones memory.
	blockSize = 256 << 10

	// window is the bytes of text before a block that it may refer to, so that little is lost by
	// compressing it apart: half of what deflate could (RFC 1951, section 2) costs half the time
	// and hardly any bytes.
	window = 16 << 10

	// minWorkers and maxWorkers bound the blocks compressed at once, each of which takes about 1.5
	// MiB. Two let the disk and the compression overlap on one processor; four fill a link of a
	// gigabit a second.
	minWorkers = 2
	maxWorkers = 4

	// spare is the number of blocks besides: one that is filled, one that is sent.
	spare = 2

	// stored is what a block that does not compress may grow by, in bytes: at most 5 for each 65535,
	// and some for its end (RFC 1951, section 3.2.4).
	stored = 1 << 10
)

// header is what a gzip stream begins with: neither a name nor a time nor the system it is from
// (RFC 1952, section 2.3).
const header = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// zipper makes a gzip stream. Its blocks are compressed in parallel while earlier ones are being
// sent, and its bytes do not depend on how many at once. The blocks are made once and used again
// and again, so it takes the same memory however long the stream is and however slow its reader.
type zipper struct {
	ctx  context.Context // ends with the first failure
	fail context.CancelCauseFunc
	w    io.Writer

	free  chan *block // those not in use; nil stands for one not made yet
	work  chan *block // to be compressed
	order chan *block // the same, in the order of the stream
	all   sync.WaitGroup

	filling *block
	sum     uint32 // CRC-32 of the stream
	size    uint32 // of the stream, as gzip counts: modulo 2^32
	packed  int64  // bytes written to w
}

// block is a part of the stream.
type block struct {
	text  []byte // the window before it, then the block
	begin int    // of the block in text
	last  bool
	zip   bytes.Buffer
	ready chan struct{} // takes one value, when zip is complete
}

// newZipper starts a stream to w, which [zipper.end] must end.
func newZipper(ctx context.Context, w io.Writer) *zipper {
	workers := min(max(runtime.GOMAXPROCS(0), minWorkers), maxWorkers)
	blocks := workers + spare
	z := &zipper{w: w, free: make(chan *block, blocks), work: make(chan *block, blocks), order: make(chan *block, blocks)}
	z.ctx, z.fail = context.WithCancelCause(ctx)
	for range blocks {
		z.free <- nil // made when first used: most trees are small
	}
	for range workers {
		z.all.Go(z.compress)
	}
	z.all.Go(z.send)
	return z
}

// Write takes the next bytes of the stream. An error may be about earlier ones.
func (z *zipper) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if err := z.fill(nil); err != nil {
			return len(p) - len(rest), err
		}
		b := z.filling
		n := min(len(rest), b.begin+blockSize-len(b.text))
		b.text = append(b.text, rest[:n]...)
		rest = rest[n:]
		if len(b.text) == b.begin+blockSize {
			if err := z.next(); err != nil {
				return len(p) - len(rest), err
			}
		}
	}
	return len(p), nil
}

// next hands the block that is full on and begins another one.
func (z *zipper) next() error {
	full := z.filling
	var tail [window]byte // full belongs to others from then on
	copy(tail[:], full.text[len(full.text)-window:])
	z.hand()
	return z.fill(tail[:])
}

// fill makes sure that there is a block to fill, which begins after the given text.
func (z *zipper) fill(before []byte) error {
	if z.filling != nil {
		return context.Cause(z.ctx)
	}
	var b *block
	select {
	case b = <-z.free:
	case <-z.ctx.Done():
	}
	if z.ctx.Err() != nil {
		return context.Cause(z.ctx)
	}
	if b == nil {
		b = &block{text: make([]byte, 0, window+blockSize), ready: make(chan struct{}, 1)}
		b.zip.Grow(blockSize + stored)
	}
	b.text, b.begin = append(b.text[:0], before...), len(before)
	z.filling = b
	return nil
}

// hand gives the block that was filled to the workers and to the sender.
func (z *zipper) hand() {
	b := z.filling
	z.sum = crc32.Update(z.sum, crc32.IEEETable, b.text[b.begin:])
	z.size += uint32(len(b.text) - b.begin)
	z.filling = nil
	z.order <- b // neither waits: there is room for all blocks
	z.work <- b
}

// compress is a worker.
func (z *zipper) compress() {
	var c *flate.Writer
	for b := range z.work {
		if z.ctx.Err() == nil {
			var err error
			if c, err = b.compress(c); err != nil {
				z.fail(err)
			}
		}
		b.ready <- struct{}{}
	}
}

// compress sets zip, with a compressor that may have been used before or be nil, and returns that.
func (b *block) compress(c *flate.Writer) (*flate.Writer, error) {
	if c == nil {
		var err error
		if c, err = flate.NewWriter(nil, compression); err != nil {
			return nil, err
		}
	}
	b.zip.Reset()
	c.ResetDict(&b.zip, b.text[:b.begin])
	_, err := c.Write(b.text[b.begin:])
	if b.last {
		return c, errors.Join(err, c.Close())
	}
	return c, errors.Join(err, c.Flush()) // to a whole byte, where the next block begins
}

// send writes the blocks in their order.
func (z *zipper) send() {
	z.put([]byte(header))
	for b := range z.order {
		<-b.ready
		z.put(b.zip.Bytes())
		z.free <- b
	}
}

// put writes bytes of the archive, unless something has failed.
func (z *zipper) put(p []byte) {
	if z.ctx.Err() != nil {
		return
	}
	n, err := z.w.Write(p)
	z.packed += int64(n)
	if err != nil {
		z.fail(err)
	}
}

// end ends the stream. If err is not nil it is the reason to end it here, without what is not sent
// yet; it is returned then, else the first failure.
func (z *zipper) end(err error) error {
	defer z.fail(nil)
	if err == nil {
		err = z.fill(nil)
	}
	if err == nil {
		z.filling.last = true
		z.hand()
	} else {
		z.fail(err)
	}
	close(z.work)
	close(z.order)
	z.all.Wait()
	if err != nil {
		return err
	}
	trailer := binary.LittleEndian.AppendUint32(nil, z.sum)
	z.put(binary.LittleEndian.AppendUint32(trailer, z.size))
	return context.Cause(z.ctx)
}
