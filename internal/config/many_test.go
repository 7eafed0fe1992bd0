package config

import (
	"fmt"
	"strings"
	"testing"
)

// A pool has as many servers as a request's keys can tell apart, and is refused with
// one more, in words that say so.
func TestMostServers(t *testing.T) {
	var b strings.Builder
	b.WriteString("alpha:\n  listen: 127.0.0.1:22121\n  servers:\n")
	for i := range MaxServers {
		fmt.Fprintf(&b, "  - 127.0.0.1:6379:1 s%d\n", i)
	}
	conf, err := Parse("most.yml", []byte(b.String()))
	if err != nil {
		t.Fatalf("%d servers: %v", MaxServers, err)
	}
	if n := len(conf.Pools[0].Servers); n != MaxServers {
		t.Errorf("%d servers were read as %d", MaxServers, n)
	}
	b.WriteString("  - 127.0.0.1:6379:1 one-more\n")
	_, err = Parse("most.yml", []byte(b.String()))
	const want = "most.yml:65539: pool 'alpha': servers: a pool has at most 65535 servers, this one has 65536"
	if err == nil || err.Error() != want {
		t.Errorf("one more: %v, want %s", err, want)
	}
}
