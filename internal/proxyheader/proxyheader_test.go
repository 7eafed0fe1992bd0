package proxyheader

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// v2 is a header of version 2.
func v2(command, family byte, rest string) string {
	b := append([]byte(signature), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rest)))
	return string(b) + rest
}

// tlv is what may stand behind the addresses.
func tlv(kind byte, text string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(text)))) + text
}

const (
	four = "\xcb\x00\x71\x07\x0a\x00\x00\x05\xc8\x22\x18\xeb" // 203.0.113.7:51234 to 10.0.0.5:6379
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\xc8\x22\x18\xeb"
)

func unixEnds(path string) string {
	return path + strings.Repeat("\x00", lenUnix/2-len(path)) + "/to" + strings.Repeat("\x00", lenUnix/2-len("/to"))
}

// headers are good ones, and what they say.
var headers = []struct {
	name, bytes string
	want        Header
}{
	{"1, IPv4", "PROXY TCP4 203.0.113.7 10.0.0.5 51234 6379\r\n", from("203.0.113.7:51234")},
	{"1, IPv6", "PROXY TCP6 2001:db8::7 2001:db8::5 51234 6379\r\n", from("[2001:db8::7]:51234")},
	{"1, mapped", "PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", from("203.0.113.7:1")},
	{
		"1, the longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		from("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
	},
	{"1, unknown", "PROXY UNKNOWN\r\n", Header{}},
	{"1, unknown, with more", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Header{}},
	{"2, IPv4", v2(0x21, 0x11, four), from("203.0.113.7:51234")},
	{"2, IPv6", v2(0x21, 0x21, six), from("[2001:db8::7]:51234")},
	{"2, unix", v2(0x21, 0x31, unixEnds("/run/app.sock")), Header{Path: "/run/app.sock", Unix: true}},
	{"2, unix without a name", v2(0x21, 0x31, unixEnds("")), Header{Unix: true}},
	{"2, unix, the whole field", v2(0x21, 0x31, unixEnds(strings.Repeat("p", lenUnix/2))), Header{Path: strings.Repeat("p", lenUnix/2), Unix: true}},
	{"2, local", v2(0x20, 0x00, ""), Header{}},
	{"2, local with addresses", v2(0x20, 0x11, four), Header{}},
	{"2, unspecified", v2(0x21, 0x00, "whatever"), Header{}},
	{"2, with more", v2(0x21, 0x11, four+tlv(0x02, "cache.example")+tlv(0x04, "")+tlv(0x20, "\x01\x00\x00\x00\x00")), from("203.0.113.7:51234")},
	{"2, the longest", v2(0x21, 0x11, four+tlv(0xe0, strings.Repeat("x", Max-fixed-len4-3))), from("203.0.113.7:51234")},
}

func from(source string) Header { return Header{Source: netip.MustParseAddrPort(source)} }

// feed gives a parser data in pieces, and returns what it says, and how much it took.
func feed(pieces ...string) (h Header, taken int, done bool, err error) {
	var p Parser
	for _, piece := range pieces {
		var n int
		h, n, done, err = p.Parse([]byte(piece))
		if taken += n; done || err != nil {
			return h, taken, done, err
		}
		if n != len(piece) {
			panic("bytes are left, and the header is not whole")
		}
	}
	return h, taken, done, err
}

// A header says the same wherever it is split, and ends where it ends.
func TestHeaders(t *testing.T) {
	const behind = "*1\r\n$4\r\nPING\r\n"
	for _, tt := range headers {
		check := func(how string, pieces ...string) {
			t.Helper()
			h, taken, done, err := feed(pieces...)
			if err != nil || !done || h != tt.want || taken != len(tt.bytes) {
				t.Fatalf("%s, %s: %+v, %d of %d bytes, %v, %v; want %+v", tt.name, how, h, taken, len(tt.bytes), done, err, tt.want)
			}
		}
		check("whole", tt.bytes)
		check("with more behind", tt.bytes+behind)
		for i := range len(tt.bytes) {
			check("in two", tt.bytes[:i], tt.bytes[i:]+behind)
		}
		check("byte by byte", strings.Split(tt.bytes+behind, "")...)
		for i := range len(tt.bytes) {
			if _, _, done, err := feed(tt.bytes[:i]); done || err != nil {
				t.Fatalf("%s: its first %d bytes: %v, %v", tt.name, i, done, err)
			}
		}
	}
}

// What is no header is refused wherever it is split, and as soon as that is known.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, bytes, want string
	}{
		{"a request", "*1\r\n$4\r\nPING\r\n", "there is no PROXY header"},
		{"another request", "PING\r\n", "there is no PROXY header"},
		{"TLS", "\x16\x03\x01", "there is no PROXY header"},
		{"half a signature", "\r\n\r\nGET", "there is no PROXY header"},
		{"lower case", "proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "there is no PROXY header"},
		{"no kind", "PROXY \r\n", "is neither TCP4"},
		{"another kind", "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", "is neither TCP4"},
		{"the wrong kind", "PROXY TCP4 ::1 ::1 1 1\r\n", "has no address of its kind"},
		{"the other wrong kind", "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n", "has no address of its kind"},
		{"a zone", "PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n", "has no address of its kind"},
		{"a padded address", "PROXY TCP4 001.1.1.1 1.1.1.1 1 1\r\n", "has no address of its kind"},
		{"two spaces", "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", "has not two addresses"},
		{"a space at the end", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", "has not two addresses"},
		{"a port too large", "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n", "has no port"},
		{"a padded port", "PROXY TCP4 1.1.1.1 1.1.1.1 1 01\r\n", "has no port"},
		{"a signed port", "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n", "has no port"},
		{"no carriage return", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", "without a carriage return"},
		{"a line too long", "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", "at most 107 bytes"},
		{"a line without an end", "PROXY " + strings.Repeat("x", 64<<10), "at most 107 bytes"},
		{"version 3", v2(0x31, 0x11, four), "version and command 0x31"},
		{"another command", v2(0x22, 0x11, four), "version and command 0x22"},
		{"datagrams", v2(0x21, 0x12, four), "family and protocol 0x12"},
		{"another family", v2(0x21, 0x41, four), "family and protocol 0x41"},
		{"short addresses", v2(0x21, 0x21, four), "12 bytes of addresses, 36 were wanted"},
		{"too long", v2(0x21, 0x11, four+strings.Repeat("x", Max)), "at most 4096 are read"},
		{"64 KB", v2(0x21, 0x11, four+strings.Repeat("x", 65535-len(four))), "at most 4096 are read"},
		{"a local one of 64 KB", v2(0x20, 0x00, strings.Repeat("x", 65535)), "at most 4096 are read"},
		{"a TLV over the end", v2(0x21, 0x11, four+"\x02\x00\x05abcd"), "runs over the end"},
		{"half a TLV", v2(0x21, 0x11, four+"\x02\x00"), "runs over the end"},
	} {
		_, _, done, err := feed(tt.bytes)
		if done || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want %s", tt.name, done, err, tt.want)
		}
		_, taken, done, err := feed(strings.Split(tt.bytes, "")...)
		if done || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, byte by byte: %v, %v; want %s", tt.name, done, err, tt.want)
		}
		if taken > Max {
			t.Errorf("%s: %d bytes were taken", tt.name, taken)
		}
	}
}

func TestBegins(t *testing.T) {
	for _, tt := range []struct {
		data         string
		begins, more bool
	}{
		{"", false, true},
		{"P", false, true},
		{"PROXY", false, true},
		{"PROXY ", true, false},
		{"PROXY T", true, false},
		{"PROXYT", false, false},
		{"PING", false, false},
		{"\r\n", false, true},
		{signature, true, false},
		{signature + "x", true, false},
		{"\r\n\r\n\r\n", false, false},
	} {
		if begins, more := Begins([]byte(tt.data)); begins != tt.begins || more != tt.more {
			t.Errorf("%q: %v, %v", tt.data, begins, more)
		}
	}
}

// Wherever bytes are split, a parser says the same of them. It takes nothing behind the
// header, and never holds more than a header may have.
func FuzzParse(f *testing.F) {
	for _, tt := range headers {
		f.Add([]byte(tt.bytes+"*1\r\n"), uint16(5))
	}
	f.Add([]byte("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n"), uint16(3))
	f.Fuzz(func(t *testing.T, data []byte, at uint16) {
		var whole Parser
		h, n, done, err := whole.Parse(data)
		switch {
		case done && (err != nil || n > len(data) || n > Max):
			t.Fatalf("%v, %d of %d bytes", err, n, len(data))
		case done && h.Source.IsValid() && h.Unix:
			t.Fatalf("%+v", h)
		case whole.Held() > Max:
			t.Fatalf("%d bytes are held", whole.Held())
		}
		i := min(int(at), len(data))
		var split Parser
		h1, n1, done1, err1 := split.Parse(data[:i])
		if !done1 && err1 == nil {
			if n1 != i {
				t.Fatalf("%d of %d bytes are taken, and the header is not whole", n1, i)
			}
			var n2 int
			h1, n2, done1, err1 = split.Parse(data[i:])
			n1 += n2
		}
		if h != h1 || done != done1 || (err == nil) != (err1 == nil) || err == nil && n != n1 {
			t.Fatalf("whole: %+v, %d, %v, %v\nsplit at %d: %+v, %d, %v, %v", h, n, done, err, i, h1, n1, done1, err1)
		}
		if done && !bytes.HasPrefix(data, []byte("PROXY ")) && !bytes.HasPrefix(data, []byte(signature)) {
			t.Fatalf("%q is taken for a header", data[:n])
		}
	})
}
