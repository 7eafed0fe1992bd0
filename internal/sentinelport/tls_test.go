package sentinelport

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestTLS: a port with TLS answers and tells of changes, and refuses clients without.
func TestTLS(t *testing.T) {
	t.Parallel()
	pair, err := tls.LoadX509KeyPair(testkit.NewAuthority(t).Pair("proxy"))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(o *Settings) {
		o.Secure = func(c net.Conn) net.Conn { return tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}) }
	})
	s.live(proxies...)
	was := s.board.Map().ProxyFor("127.0.0.1")
	c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is its own
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	ask := func(request, want string) {
		t.Helper()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			t.Fatalf("%q gets %q, want %q (%v)", request, got, want, err)
		}
	}
	ask("PING\r\n", "+PONG\r\n")
	ask("SENTINEL GET-MASTER-ADDR-BY-NAME main\r\n", fmt.Sprintf("*2\r\n$8\r\n%s\r\n$4\r\n6379\r\n", was.Host))
	ask("SUBSCRIBE +switch-master\r\n", "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n")
	for _, a := range proxies {
		if a != was {
			s.live(a)
			break
		}
	}
	now := s.board.Map().ProxyFor("127.0.0.1")
	text := fmt.Sprintf("main %s 6379 %s 6379", was.Host, now.Host)
	ask("", fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%d\r\n%s\r\n", len(text), text))
	plain := s.dial()
	plain.Send([]byte("PING\r\n"))
	if got := plain.ExpectEnd(); strings.Contains(got, "PONG") {
		t.Errorf("a client without TLS gets %q", got)
	}
}
