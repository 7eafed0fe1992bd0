package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"nuthatch/internal/hashkit/golden/record"
)

// recorders stand for the servers of a list. Each knows GET only, and answers
// with its position in the list, as one byte, and the key that it got: so the
// client reads, in its own order, who got what.
type recorders struct {
	listeners []net.Listener
}

// startRecorders listens for all servers of the list that are not dead.
func startRecorders(servers []record.Server) (*recorders, error) {
	if len(servers) > 256 {
		return nil, fmt.Errorf("%d servers: positions must fit one byte", len(servers))
	}
	r := &recorders{}
	for i, s := range servers {
		if s.Dead {
			continue
		}
		network, address := dialAddress(s)
		var config net.ListenConfig
		l, err := config.Listen(context.Background(), network, address)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.listeners = append(r.listeners, l)
		go accept(l, byte(i))
	}
	return r, nil
}

// close ends the listeners. Connections end when nutcracker does.
func (r *recorders) close() error {
	var err error
	for _, l := range r.listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

func dialAddress(s record.Server) (network, address string) {
	if strings.HasPrefix(s.Host, "/") {
		return "unix", s.Host
	}
	return "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

func accept(l net.Listener, position byte) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			if err := serve(conn, position); err != nil {
				fmt.Fprintf(os.Stderr, "recorder %v: %v\n", l.Addr(), err)
			}
		}()
	}
}

// serve answers GETs until the peer hangs up. Replies go out once there is no
// further request to read, which is once per pipelined batch.
func serve(conn net.Conn, position byte) (err error) {
	defer func() { err = errors.Join(err, conn.Close()) }()
	in, out := bufio.NewReaderSize(conn, 1<<16), bufio.NewWriterSize(conn, 1<<16)
	var key []byte
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		key, err = readGet(in, key[:0])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := writeBulk(out, append([]byte{position}, key...)); err != nil {
			return err
		}
	}
}

// readGet reads one GET and appends its key to key.
func readGet(in *bufio.Reader, key []byte) ([]byte, error) {
	const command = "*2\r\n$3\r\nGET\r\n"
	var got [len(command)]byte
	if _, err := io.ReadFull(in, got[:]); err != nil {
		return key, err
	}
	if string(got[:]) != command {
		return key, fmt.Errorf("got %q, not a GET", got)
	}
	return readBulk(in, key)
}

// readBulk reads a bulk string and appends its content to to. Any other reply,
// an error among them, comes back as errNoBulk.
func readBulk(in *bufio.Reader, to []byte) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return to, err
	}
	digits, isBulk := strings.CutPrefix(strings.TrimSuffix(string(line), "\r\n"), "$")
	if !isBulk {
		return to, fmt.Errorf("%w: %q", errNoBulk, line)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return to, fmt.Errorf("%w: %q", errNoBulk, line)
	}
	start := len(to)
	to = append(to, make([]byte, n+2)...)
	if _, err := io.ReadFull(in, to[start:]); err != nil {
		return to[:start], err
	}
	return to[:start+int(n)], nil
}

var errNoBulk = errors.New("not a bulk string")

func writeBulk(out *bufio.Writer, content []byte) error {
	_, err := fmt.Fprintf(out, "$%d\r\n%s\r\n", len(content), content)
	return err
}
