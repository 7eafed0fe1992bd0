package inet

import (
	"net/netip"
	"testing"
)

func TestParseIPv4(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1": "127.0.0.1", "127.1": "127.0.0.1", "127.0.1": "127.0.0.1", "127.000.000.001": "127.0.0.1",
		"0x7f000001": "127.0.0.1", "0X7F.1": "127.0.0.1", "0x7f.0x0.0x0.0x1": "127.0.0.1", "2130706433": "127.0.0.1",
		"017700000001": "127.0.0.1", "0177.1": "127.0.0.1", "00127.0.0.1": "87.0.0.1", "0": "0.0.0.0", "00": "0.0.0.0", "256": "0.0.1.0",
		"1.65536": "1.1.0.0", "127.0.65535": "127.0.255.255", "4294967295": "255.255.255.255", "255.16777215": "255.255.255.255",
	} {
		if got, ok := ParseIPv4(text); !ok || got.String() != want {
			t.Errorf("%s is %v, %v, want %s", text, got, ok, want)
		}
		if got := Canonical(text); got != want {
			t.Errorf("%s is written %s", text, got)
		}
	}
	for _, text := range []string{
		"", ".", "127.", ".1", "127..1", "127.1.", "1.2.3.4.5", "256.1", "127.0.0.256", "127.0.65536", "1.16777216", "4294967296",
		"99999999999999999999", "08", "127.09", "0x", "0x.1", "0xg", "+1", "-1", "1.+1", "0x+1", "0+1", "1_0", "0x1_0", "0b1", "0o7", " 1", "1 ", "1e3", "localhost", "::1", "127.0.0.1x", "１",
	} {
		if got, ok := ParseIPv4(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
		if got := Canonical(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestCanonicalHostPort(t *testing.T) {
	for text, want := range map[string]string{
		"127.1:6379": "127.0.0.1:6379", "0:1": "0.0.0.0:1", "[::1]:1": "[::1]:1", "host:1": "host:1", "127.1": "127.1", "/a/path": "/a/path", "": "",
	} {
		if got := CanonicalHostPort(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// FuzzParseIPv4: what package netip takes for an IPv4 address is the same here.
func FuzzParseIPv4(f *testing.F) {
	for _, text := range []string{"127.0.0.1", "0x7f.1", "1.2", "08", "..", "0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ParseIPv4(text)
		if want, err := netip.ParseAddr(text); err == nil && want.Is4() && (!ok || got != want) {
			t.Errorf("%q is %v, %v", text, got, ok)
		}
		if again, ok2 := ParseIPv4(Canonical(text)); ok && (!ok2 || again != got) {
			t.Errorf("%q is %v, and written anew %v", text, got, again)
		}
	})
}
