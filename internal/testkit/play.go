package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A Splitter says where to cut n bytes: the offsets, between 0 and n, in rising
// order, at which a new write begins. A nil Splitter sends them as one.
type Splitter func(n int) []int

// RandomSplit cuts at up to pieces-1 random offsets. The same seed cuts alike.
func RandomSplit(seed uint64, pieces int) Splitter {
	return func(n int) []int {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		offsets := make([]int, 0, pieces)
		for range pieces - 1 {
			offsets = append(offsets, rng.IntN(n+1))
		}
		slices.Sort(offsets)
		return offsets
	}
}

// A Replay is what came back for a transcript.
type Replay struct {
	// Replies are the replies in order, the Sentinel's last if it was answered.
	Replies []string
	// Rest is what came after them, up to the end of the stream: nothing if the
	// proxy is in step.
	Rest string
	// Closed tells that the proxy closed the connection before it had answered
	// everything.
	Closed bool
	// Err is why reading ended early otherwise, such as silence.
	Err error
}

// String is the replay on one line: the replies without their line ends, and
// "closed" if that is how it ended.
func (r Replay) String() string {
	var b bytes.Buffer
	for i, reply := range r.Replies {
		if i > 0 {
			b.WriteString(" ; ")
		}
		b.WriteString(reply[:max(0, len(reply)-2)])
	}
	if r.Rest != "" {
		fmt.Fprintf(&b, " ; then %q", r.Rest)
	}
	if r.Err != nil {
		fmt.Fprintf(&b, " ; %v", r.Err)
	}
	if r.Closed {
		b.WriteString(" ; closed")
	}
	return string(bytes.TrimPrefix(b.Bytes(), []byte(" ; ")))
}

// Play sends a transcript, followed by the protocol's Sentinel, over a fresh
// connection, and reads its replies while it sends. With a Splitter, each piece
// is sent only after a request on a second connection was answered that had
// been sent after the piece before: a proxy with one event loop has then read
// that piece by itself.
func Play(t testing.TB, protocol Protocol, addr string, transcript [][]byte, split Splitter) Replay {
	t.Helper()
	c := Dial(t, protocol, addr)
	defer c.Close()
	blob := append(bytes.Join(transcript, nil), protocol.Sentinel()...)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// A failed write is a closed connection: the reader will see it.
		if split == nil {
			_ = c.TrySend(blob)
			return
		}
		barrier, err := TryDial(t, protocol, addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer barrier.Close()
		sendPieces(c, barrier, blob, split(len(blob)))
	}()
	want := 1
	for _, request := range transcript {
		want += protocol.Replies(request)
	}
	replay := c.replay(want)
	<-sent
	return replay
}

func sendPieces(c, barrier *Client, blob []byte, offsets []int) {
	from := 0
	for _, to := range append(offsets, len(blob)) {
		if err := c.TrySend(blob[from:to]); err != nil {
			return
		}
		from = to
		if err := barrier.pass(); err != nil {
			return
		}
	}
}

// pass makes a round trip.
func (c *Client) pass() error {
	if err := c.TrySend(c.protocol.Sentinel()); err != nil {
		return err
	}
	_, err := c.TryReply()
	return err
}

// replay reads want replies and then, having said that no more requests come,
// the rest of the stream.
func (c *Client) replay(want int) Replay {
	var r Replay
	for len(r.Replies) < want {
		b, err := c.TryReply()
		if err != nil {
			r.Rest = string(b)
			r.Closed = isEnd(err)
			if !r.Closed {
				r.Err = err
			}
			return r
		}
		r.Replies = append(r.Replies, string(b))
	}
	if err := c.closeWrite(); err != nil {
		r.Closed = true
		return r
	}
	rest, err := c.tryEnd()
	r.Rest, r.Err = string(rest), err
	return r
}

// isEnd reports whether err is the peer's closing, in order or by reset.
func isEnd(err error) bool {
	refused := err != nil && strings.Contains(err.Error(), "remote error: tls: ") // it has no type
	return refused || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
