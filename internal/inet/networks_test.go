package inet

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func TestNetworks(t *testing.T) {
	for _, tt := range []struct {
		list    string
		in, out string
	}{
		{"10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3", "9.255.255.255 11.0.0.0 ::a00:1 ::1"},
		{"10.0.0.7", "10.0.0.7", "10.0.0.6 10.0.0.8"},
		{"10.0.0.0/9, 10.128.0.0/9 10.1.0.0/16", "10.0.0.0 10.127.255.255 10.128.0.0", "9.9.9.9 11.0.0.0"},
		{"0.0.0.0/0", "0.0.0.0 255.255.255.255", "::1"},
		{"::/0", "::1 2001:db8::1", "1.2.3.4 ::ffff:1.2.3.4"},
		{"::ffff:192.168.0.0/112", "192.168.0.1 ::ffff:192.168.255.1", "192.169.0.0"},
		{"fe80::/10", "fe80::1%eth0 fe80::1", "fec0::1"},
		{"255.255.255.255, ::", "255.255.255.255 ::", "255.255.255.254 ::1"},
	} {
		n, err := ParseNetworks(tt.list, false)
		if err != nil {
			t.Errorf("%s: %v", tt.list, err)
			continue
		}
		for in := range strings.FieldsSeq(tt.in) {
			if !n.Contains(netip.MustParseAddr(in)) {
				t.Errorf("%s is not in %s", in, tt.list)
			}
		}
		for out := range strings.FieldsSeq(tt.out) {
			if n.Contains(netip.MustParseAddr(out)) {
				t.Errorf("%s is in %s", out, tt.list)
			}
		}
		if n.Contains(netip.Addr{}) {
			t.Errorf("a unix socket is in %s", tt.list)
		}
	}
}

func TestNetworksOfSockets(t *testing.T) {
	n, err := ParseNetworks("unix, 10.0.0.1", true)
	if err != nil || !n.Contains(netip.Addr{}) || n.Empty() {
		t.Errorf("%+v, %v", n, err)
	}
	if _, err := ParseNetworks("unix", false); err == nil {
		t.Error("unix is taken for a network")
	}
	if n, err := ParseNetworks(" , ", false); err != nil || !n.Empty() {
		t.Errorf("of nothing there is %+v, %v", n, err)
	}
}

func TestNetworksFaults(t *testing.T) {
	for _, tt := range []struct{ list, want string }{
		{"10.0.0.1/8", "has bits behind its first 8; write 10.0.0.0/8"},
		{"10.0.0.0/33", "is no network"},
		{"10.0.0", "is no address"},
		{"cache.example", "is no address"},
		{"fe80::1%eth0", "has a zone, which a list cannot have"},
		{"10.0.0.0/8, 1.2.3.4:80", "is no address"},
	} {
		if _, err := ParseNetworks(tt.list, false); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.list, err, tt.want)
		}
	}
}

// Many networks contain what one of them contains.
func TestNetworksAgainstPrefixes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	addr := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(r.IntN(4)), byte(r.IntN(256)), byte(r.IntN(256))})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.IntN(4)), byte(r.IntN(256))})
	}
	for range 200 {
		var words []string
		var prefixes []netip.Prefix
		for range r.IntN(20) {
			a := addr()
			p := netip.PrefixFrom(a, r.IntN(a.BitLen()/2)+a.BitLen()/8).Masked()
			words, prefixes = append(words, p.String()), append(prefixes, p)
		}
		n, err := ParseNetworks(strings.Join(words, ","), false)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			a, want := addr(), false
			for _, p := range prefixes {
				want = want || p.Contains(a)
			}
			if got := n.Contains(a); got != want {
				t.Fatalf("%s in %v: %v", a, words, got)
			}
		}
	}
}
