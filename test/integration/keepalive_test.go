package integration

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// keepaliveTimer is how the kernel shows in /proc/net/tcp that a connection's keepalive runs.
const keepaliveTimer = "02"

// timerOf is the timer that runs for the connection between two ports, as in
// /proc/net/tcp; "" if there is no such connection.
func timerOf(t *testing.T, from, to netip.AddrPort) string {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	local, remote := fmt.Sprintf(":%04X", from.Port()), fmt.Sprintf(":%04X", to.Port())
	for line := range strings.Lines(string(table)) {
		words := strings.Fields(line)
		if len(words) > 5 && strings.HasSuffix(words[1], local) && strings.HasSuffix(words[2], remote) {
			timer, _, _ := strings.Cut(words[5], ":")
			return timer
		}
	}
	return ""
}

var (
	listedAddr  = regexp.MustCompile(` addr=(127\.0\.0\.1:[0-9]+) `)
	errNoTimer  = errors.New("another timer runs")
	errNoClient = errors.New("the server has no such client")
)

// awaitTimer waits until that timer runs for the proxy's connection that the server lists
// with those words.
func awaitTimer(t *testing.T, server *testkit.Server, words, want string) {
	t.Helper()
	direct, addr := server.Dial(), netip.MustParseAddrPort(server.Addr())
	testkit.Await(t, "the timer of the connection with"+words, func() error {
		for line := range strings.SplitSeq(direct.Do("CLIENT", "LIST"), "\n") {
			m := listedAddr.FindStringSubmatch(line)
			if m == nil || !strings.Contains(line, words) {
				continue
			}
			if got := timerOf(t, netip.MustParseAddrPort(m[1]), addr); got != want {
				return fmt.Errorf("%w: %q, want %q", errNoTimer, got, want)
			}
			return nil
		}
		return errNoClient
	})
}

// A private connection may be silent for any time, so its keepalive is on, whatever
// tcpkeepalive says. That is about shared connections.
func TestPrivateConnectionsAreKeptAlive(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, line string
		shared     string // the timer of shared connections
	}{
		{"tcpkeepalive is off", "tcpkeepalive: false", "00"},
		{"tcpkeepalive is on", "tcpkeepalive: true", keepaliveTimer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := testkit.StartRedis(t)
			s := newStage(t, testkit.Redis, []*testkit.Server{server}, []string{tt.line, "allow_monitor: true"})
			for _, kind := range []struct {
				words string // by which the server lists the connection
				says  [][]string
			}{
				{" cmd=blpop ", [][]string{{"BLPOP", "q", "0"}}},
				{" cmd=watch ", [][]string{{"WATCH", "k"}}},
				{" cmd=subscribe ", [][]string{{"SUBSCRIBE", "c"}}},
				{" cmd=monitor ", [][]string{{"MONITOR"}}},
				{" flags=t ", [][]string{{"HELLO", "3"}, {"CLIENT", "TRACKING", "ON"}, {"GET", "k"}}},
			} {
				c := s.proxy.Dial(testkit.Redis)
				for _, words := range kind.says {
					c.Send(testkit.RESP(words...))
				}
				awaitTimer(t, server, kind.words, keepaliveTimer)
			}
			s.proxy.Dial(testkit.Redis).Do("STRLEN", "k")
			awaitTimer(t, server, " cmd=strlen ", tt.shared)
		})
	}
}
