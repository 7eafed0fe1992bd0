package peers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
	"nuthatch/internal/redisclient"
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1024

// A peer is one address where a proxy may be.
type peer struct {
	entry config.Address

	// owned by the watcher's lock
	seen Seen
	// asking: a goroutine asks it now, which owns the connection. gone: it is no peer any more.
	asking, gone bool
	// missed is how many questions in a row it has not answered.
	missed int
	// untold: it did not answer before the start, which nobody was told.
	untold bool

	// conn is kept from one question to the next; nil: there is none.
	conn net.Conn
	in   *bufio.Reader
}

// A strangerError says that what answers is no proxy.
type strangerError struct{ what string }

func (e strangerError) Error() string { return e.what }

// drop closes the connection.
func (p *peer) drop() {
	if p.conn != nil {
		_ = p.conn.Close() // it is given up
		p.conn, p.in = nil, nil
	}
}

// ask asks a peer who it is. A connection that was kept may have ended meanwhile: a new one is
// tried.
func (w *Watcher) ask(ctx context.Context, p *peer) (emulate.Card, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	kept := p.conn != nil
	card, err := w.askOnce(ctx, p)
	if err != nil && kept && ctx.Err() == nil {
		card, err = w.askOnce(ctx, p)
	}
	return card, err
}

func (w *Watcher) askOnce(ctx context.Context, p *peer) (card emulate.Card, err error) {
	if p.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.seen.Asked)
		if err != nil {
			return card, err
		}
		if w.Secure != nil {
			conn = w.Secure(conn, p.entry)
		}
		p.conn, p.in = conn, bufio.NewReaderSize(conn, maxAnswer)
	}
	defer func() {
		if err != nil {
			p.drop()
		}
	}()
	deadline, _ := ctx.Deadline()
	if err := p.conn.SetDeadline(deadline); err != nil {
		return card, err
	}
	conn := p.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, emulate.Question); err != nil {
		return card, err
	}
	return readCard(p.in)
}

// readCard reads an answer.
func readCard(in *bufio.Reader) (emulate.Card, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return emulate.Card{}, strangerError{"its answer is too long"}
	}
	if err != nil {
		return emulate.Card{}, err
	}
	text := strings.TrimRight(string(line), "\r\n")
	if refusal, is := strings.CutPrefix(text, "-"); is {
		return emulate.Card{}, strangerError{"it refuses to say who it is: " + refusal}
	}
	size, is := strings.CutPrefix(text, "$")
	n, err := strconv.Atoi(size)
	if !is || err != nil || n < 0 || n > maxAnswer {
		return emulate.Card{}, strangerError{"it is no nuthatch"}
	}
	body := make([]byte, n+2)
	if _, err := io.ReadFull(in, body); err != nil {
		return emulate.Card{}, err
	}
	card, err := emulate.ParseCard(string(body[:n]))
	if err != nil {
		return card, strangerError{err.Error()}
	}
	return card, nil
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// why is why a peer has not answered.
func why(err error, secure bool) string { return redisclient.Why(err, secure) }
