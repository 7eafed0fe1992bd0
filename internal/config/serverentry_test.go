package config

import (
	"os"
	"testing"
)

// TestServer holds what nutcracker makes of a server's line. The node names are
// those that its statistics showed for these very lines.
func TestServer(t *testing.T) {
	tests := []struct {
		text, address, node string
		weight              int
	}{
		{"127.0.0.1:6379:1", "127.0.0.1:6379", "127.0.0.1:6379", 1},
		{"127.0.0.1:06379:1", "127.0.0.1:6379", "127.0.0.1:06379", 1},
		{"localhost:11211:1", "localhost:11211", "localhost", 1},
		{"localhost:011211:1", "localhost:11211", "localhost", 1},
		{"::1:6379:1", "[::1]:6379", "::1:6379", 1},
		{"[::1]:6379:1", "[::1]:6379", "[::1]:6379", 1},
		{"[::1]:11211:1", "[::1]:11211", "[::1]", 1},
		{"[fe80::1%eth0]:6379:1", "[fe80::1%eth0]:6379", "[fe80::1%eth0]:6379", 1},
		{"h:6379:007 zz", "h:6379", "zz", 7},
		{"h:6379:2147483647 n:1", "h:6379", "n:1", 2147483647},
		{"127.1:6379:1", "127.0.0.1:6379", "127.1:6379", 1},
		{"127.000.000.001:11211:1", "127.0.0.1:11211", "127.000.000.001", 1},
		{"0x7f000001:6379:1", "127.0.0.1:6379", "0x7f000001:6379", 1},
		{"2130706433:6379:1", "127.0.0.1:6379", "2130706433:6379", 1},
		{"0:6379:1 n", "0.0.0.0:6379", "n", 1},
		{"127.0.0.256:6379:1", "127.0.0.256:6379", "127.0.0.256:6379", 1}, // a name that nobody has, as with nutcracker
		{"/run/a.sock:1", "/run/a.sock", "/run/a.sock:", 1},
		{"/run/a.sock:3 n", "/run/a.sock", "n", 3},
		{"/run/a b.sock:3 n", "/run/a b.sock", "n", 3},
	}
	for _, tt := range tests {
		s, err := ParseServer(tt.text)
		if err != nil {
			t.Errorf("ParseServer(%q): %v", tt.text, err)
			continue
		}
		if got := s.Address.String(); got != tt.address {
			t.Errorf("ParseServer(%q): address %q, want %q", tt.text, got, tt.address)
		}
		if got := s.NodeName(); got != tt.node {
			t.Errorf("ParseServer(%q): node name %q, want %q", tt.text, got, tt.node)
		}
		if got := s.StatsName(); got != tt.node {
			t.Errorf("ParseServer(%q): name in the statistics %q, want %q", tt.text, got, tt.node)
		}
		if s.Weight != tt.weight {
			t.Errorf("ParseServer(%q): weight %d, want %d", tt.text, s.Weight, tt.weight)
		}
	}
}

// TestServerWithoutText names a server that was put together from its parts.
func TestServerWithoutText(t *testing.T) {
	tests := []struct {
		address Address
		want    string
	}{
		{Address{Network: NetworkTCP, Host: "h", Port: 6379}, "h:6379"},
		{Address{Network: NetworkTCP, Host: "h", Port: 11211}, "h"},
		{Address{Network: NetworkUnix, Path: "/s"}, "/s:"},
	}
	for _, tt := range tests {
		if got := (Server{Address: tt.address}).NodeName(); got != tt.want {
			t.Errorf("node name of %v is %q, want %q", tt.address, got, tt.want)
		}
	}
}

func TestListen(t *testing.T) {
	tests := []struct {
		text string
		want Address
	}{
		{"127.0.0.1:22121", Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 22121}},
		{"proxy.example:022121", Address{Network: NetworkTCP, Host: "proxy.example", Port: 22121}},
		{"::1:22121", Address{Network: NetworkTCP, Host: "::1", Port: 22121}},
		{"127.1:22121", Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 22121}},
		{"0:22121", Address{Network: NetworkTCP, Host: "0.0.0.0", Port: 22121}},
		{"0x7f.1:22121", Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 22121}},
		{"[::]:22121", Address{Network: NetworkTCP, Host: "::", Port: 22121}},
		{"/run/n.sock", Address{Network: NetworkUnix, Path: "/run/n.sock"}},
		{"/run/n.sock 0660", Address{Network: NetworkUnix, Path: "/run/n.sock", Mode: os.FileMode(0o660)}},
		{"/run/n.sock 600", Address{Network: NetworkUnix, Path: "/run/n.sock", Mode: os.FileMode(0o600)}},
		{"/run/n.sock 0", Address{Network: NetworkUnix, Path: "/run/n.sock"}},
	}
	for _, tt := range tests {
		if got, err := ParseListen(tt.text); err != nil || got != tt.want {
			t.Errorf("ParseListen(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}
}

// TestServerOrder holds the order that nutcracker's statistics showed for the
// servers of testdata/good-hosts.yml; "modula" and "random" count on it.
func TestServerOrder(t *testing.T) {
	cfg, err := Load("testdata/good-hosts.yml")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"b", "zz", "aaa", "[::1]", "::1:6379", "localhost", "[::1]:6380",
		"127.0.0.1:6379", "127.0.0.1:06379", "/run/cache/a.sock:",
	}
	servers := cfg.Pools[0].Servers
	if len(servers) != len(want) {
		t.Fatalf("%d servers, want %d", len(servers), len(want))
	}
	for i, s := range servers {
		if got := s.NodeName(); got != want[i] {
			t.Errorf("server %d is %q, want %q", i, got, want[i])
		}
	}
}

func TestSize(t *testing.T) {
	tests := []struct {
		text string
		want int64 // -1 if it is refused
	}{
		{"1024", 1024},
		{"2048b", 2048},
		{"1kb", kb},
		{"1KB", kb},
		{"64mb", 64 * mb},
		{"4gb", 4 * gb},
		{"5gb", -1},
		{"1023", -1},
		{"1.5mb", -1},
		{"64 mb", -1},
		{"64m", -1},
		{"kb", -1},
		{"-1kb", -1},
		{"99999999999999999999", -1},
		{"9223372036854775807gb", -1},
	}
	for _, tt := range tests {
		v, err := parseSize(limits{kb, 4 * gb}, tt.text)
		got := v.number
		if err != nil {
			got = -1
		}
		if got != tt.want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", tt.text, got, err, tt.want)
		}
	}
}
