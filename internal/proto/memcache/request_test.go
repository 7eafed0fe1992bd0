package memcache_test

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
)

const maxRequest = 10_000

var (
	key250 = strings.Repeat("k", 250)
	key251 = strings.Repeat("k", 251)
)

const (
	badFormat = "CLIENT_ERROR bad command line format"
	noStats   = "SERVER_ERROR 'stats' is not supported by nuthatch. It changes servers that other clients share: send it there."
	badChunk  = "CLIENT_ERROR bad data chunk"
	tooLarge  = "SERVER_ERROR object too large for cache"
	noFlush   = "CLIENT_ERROR flush_all not allowed: the pool's allow_flush is off"
	manyFlags = " b c f h k l s t u v O1 N0 R0 T0 F1 C1" // 16
)

func forward(raw string, key string) seen {
	return seen{raw: raw, treatment: msg.Forward, keys: []string{key}}
}

func quiet(raw, key string) seen {
	return seen{raw: raw, treatment: msg.Forward, keys: []string{key}, noReply: true, omit: " noreply"}
}

func fragment(raw string, keys ...string) seen {
	return seen{raw: raw, treatment: msg.Fragment, keys: keys}
}

func local(raw, err string, skip int) seen {
	return seen{raw: raw, treatment: msg.Local, err: err, skip: skip}
}

func hushed(raw, key, omit string) seen {
	return seen{raw: raw, treatment: msg.Forward, keys: []string{key}, quiet: true, omit: omit}
}

// loud is a quiet request that is answered after all.
func loud(raw, err string, skip int) seen {
	return seen{raw: raw, treatment: msg.Local, quiet: true, omit: " q", err: err, skip: skip}
}

func placed(raw, key, place string) seen {
	return seen{raw: raw, treatment: msg.Forward, keys: []string{key}, place: place}
}

func quietly(s seen) seen {
	s.noReply, s.omit = true, " noreply"
	return s
}

var requestTests = []struct {
	name string
	in   string
	want []seen
}{
	{"get", "get a\r\n", []seen{forward("get a\r\n", "a")}},
	{"get of three", "get a bb ccc\r\n", []seen{fragment("get a bb ccc\r\n", "a", "bb", "ccc")}},
	{"gets of two", "gets a b\r\n", []seen{fragment("gets a b\r\n", "a", "b")}},
	{"spaces", "  get  a   b \r\n", []seen{fragment("  get  a   b \r\n", "a", "b")}},
	{"LF alone", "get a\nget b\n", []seen{forward("get a\n", "a"), forward("get b\n", "b")}},
	{"get without a key", "get \r\n", []seen{local("get \r\n", "ERROR", 0)}},
	{"noreply is a key of get", "get a noreply\r\n", []seen{fragment("get a noreply\r\n", "a", "noreply")}},
	{"keys with control characters", "get a\tb \x01\x7f\r\n", []seen{fragment("get a\tb \x01\x7f\r\n", "a\tb", "\x01\x7f")}},
	{"longest key", "get " + key250 + "\r\n", []seen{forward("get "+key250+"\r\n", key250)}},
	{"key too long", "get a " + key251 + "\r\n", []seen{local("get a "+key251+"\r\n", badFormat, 0)}},
	{"NUL", "get a\x00b\r\n", []seen{local("get a\x00b\r\n", badFormat, 0)}},
	{"CR in a line", "get a\rb\r\n", []seen{local("get a\rb\r\n", badFormat, 0)}},
	{"CR in a line, noreply", "touch a\rb 1 noreply\r\n", []seen{quietly(local("touch a\rb 1 noreply\r\n", badFormat, 0))}},
	{"two CR", "get a\r\r\n", []seen{local("get a\r\r\n", badFormat, 0)}},

	{"gat", "gat 60 a\r\n", []seen{forward("gat 60 a\r\n", "a")}},
	{"gats of two", "gats 60 a b\r\n", []seen{fragment("gats 60 a b\r\n", "a", "b")}},
	{"gat without a key", "gat 60\r\n", []seen{local("gat 60\r\n", "ERROR", 0)}},

	{"set", "set a 1 2 3\r\nxyz\r\n", []seen{forward("set a 1 2 3\r\nxyz\r\n", "a")}},
	{"set of nothing", "set a 0 0 0\r\n\r\n", []seen{forward("set a 0 0 0\r\n\r\n", "a")}},
	{"value with line ends", "set a 0 0 6\r\n\r\nx\n\r\n\r\n", []seen{forward("set a 0 0 6\r\n\r\nx\n\r\n\r\n", "a")}},
	{"set noreply", "set a 0 0 1 noreply\r\nx\r\n", []seen{quiet("set a 0 0 1 noreply\r\nx\r\n", "a")}},
	{"a word too many, ignored", "set a 0 0 1 7\r\nx\r\n", []seen{forward("set a 0 0 1 7\r\nx\r\n", "a")}},
	{"negative time", "add a 0 -1 1\r\nx\r\n", []seen{forward("add a 0 -1 1\r\nx\r\n", "a")}},
	{"greatest numbers", "cas a 4294967295 9223372036854775807 1 18446744073709551615\r\nx\r\n", []seen{
		forward("cas a 4294967295 9223372036854775807 1 18446744073709551615\r\nx\r\n", "a"),
	}},
	{"cas noreply", "cas a 0 0 1 5 noreply\r\nx\r\n", []seen{quiet("cas a 0 0 1 5 noreply\r\nx\r\n", "a")}},
	{"append, prepend, replace", "append a 0 0 1\r\nx\r\nprepend b 0 0 1\r\ny\r\nreplace c 0 0 1\r\nz\r\n", []seen{
		forward("append a 0 0 1\r\nx\r\n", "a"), forward("prepend b 0 0 1\r\ny\r\n", "b"), forward("replace c 0 0 1\r\nz\r\n", "c"),
	}},

	{"value too short", "set a 0 0 1\r\nxyz\r\nget b\r\n", []seen{
		local("set a 0 0 1\r\nxyz", badChunk, 0), local("\r\n", "ERROR", 0), forward("get b\r\n", "b"),
	}},
	{"value too long", "set a 0 0 5\r\nx\r\nget b\r\n", []seen{local("set a 0 0 5\r\nx\r\nget ", badChunk, 0), local("b\r\n", "ERROR", 0)}},
	{"value ended by LF", "set a 0 0 1\r\nx\nget b\r\n", []seen{local("set a 0 0 1\r\nx\ng", badChunk, 0), local("et b\r\n", "ERROR", 0)}},
	{"value ended by CR", "set a 0 0 1 noreply\r\nx\rxget b\r\n", []seen{
		quietly(seen{raw: "set a 0 0 1 noreply\r\nx\rx", treatment: msg.Local, keys: []string{"a"}, err: badChunk}), forward("get b\r\n", "b"),
	}},

	{"refused, the value skipped: key", "set " + key251 + " 0 0 5\r\nget x\r\nget b\r\n", []seen{
		local("set "+key251+" 0 0 5\r\n", badFormat, 7), forward("get b\r\n", "b"),
	}},
	{"refused, the value skipped: flags", "set a 4294967296 0 5\r\nget x\r\nget b\r\n", []seen{
		local("set a 4294967296 0 5\r\n", badFormat, 7), forward("get b\r\n", "b"),
	}},
	{"refused, the value skipped: time", "set a 0 soon 5 noreply\r\nget x\r\nget b\r\n", []seen{
		quietly(local("set a 0 soon 5 noreply\r\n", badFormat, 7)), forward("get b\r\n", "b"),
	}},
	{"refused, the value skipped: unique", "cas a 0 0 5 18446744073709551616\r\nget x\r\nget b\r\n", []seen{
		local("cas a 0 0 5 18446744073709551616\r\n", badFormat, 7), forward("get b\r\n", "b"),
	}},
	{"no storage command: words missing", "cas a 0 0 5\r\nget x\r\ncas a 0 0 5 \r\nbarva2\r\nget b\r\n", []seen{
		local("cas a 0 0 5\r\n", "ERROR", 0), forward("get x\r\n", "x"), local("cas a 0 0 5 \r\n", "ERROR", 0), local("barva2\r\n", "ERROR", 0),
		forward("get b\r\n", "b"),
	}},
	{"no storage command: words too many", "set a 0 0 5 6 7\r\nget x\r\nget b\r\n", []seen{
		local("set a 0 0 5 6 7\r\n", "ERROR", 0), forward("get x\r\n", "x"), forward("get b\r\n", "b"),
	}},
	{"refused, the value skipped: NUL", "set a\x00b 0 0 5\r\nget x\r\nget b\r\n", []seen{
		local("set a\x00b 0 0 5\r\n", badFormat, 7), forward("get b\r\n", "b"),
	}},
	{"refused, length unreadable", "set a 0 0 -5\r\nget b\r\n", []seen{local("set a 0 0 -5\r\n", badFormat, 0), forward("get b\r\n", "b")}},
	{"refused, length not a number", "set a 0 0 5x\r\nget b\r\n", []seen{local("set a 0 0 5x\r\n", badFormat, 0), forward("get b\r\n", "b")}},
	{"refused, length beyond all", "set a 0 0 99999999999999999999\r\nget b\r\n", []seen{
		local("set a 0 0 99999999999999999999\r\n", badFormat, 0), forward("get b\r\n", "b"),
	}},

	{"too large", "set a 0 0 10000\r\n" + strings.Repeat("get b\r\n", 10002/7) + "xxxxxx" + "get c\r\n", []seen{
		local("set a 0 0 10000\r\n", tooLarge, 10002), forward("get c\r\n", "c"),
	}},
	{"just not too large", "set a 0 0 9981\r\n" + strings.Repeat("x", 9981) + "\r\n", []seen{
		forward("set a 0 0 9981\r\n"+strings.Repeat("x", 9981)+"\r\n", "a"),
	}},
	{"just too large", "set a 0 0 9983\r\n" + strings.Repeat("x", 9983) + "\r\n", []seen{local("set a 0 0 9983\r\n", tooLarge, 9985)}},
	{"too large, noreply", "set a 0 0 10000 noreply\r\n", []seen{quietly(local("set a 0 0 10000 noreply\r\n", tooLarge, 10002))}},

	{"delete", "delete a\r\n", []seen{forward("delete a\r\n", "a")}},
	{"delete with the old time", "delete a 0\r\n", []seen{forward("delete a 0\r\n", "a")}},
	{"delete noreply", "delete a noreply\r\n", []seen{quiet("delete a noreply\r\n", "a")}},
	{"delete with both", "delete a 0 noreply\r\n", []seen{quiet("delete a 0 noreply\r\n", "a")}},
	{"delete of the key noreply", "delete noreply\r\n", []seen{forward("delete noreply\r\n", "noreply")}},
	{"delete, too many words", "delete a 0 0 noreply\r\n", []seen{local("delete a 0 0 noreply\r\n", "ERROR", 0)}},
	{"incr and decr", "incr a 1\r\ndecr b 2 noreply\r\n", []seen{forward("incr a 1\r\n", "a"), quiet("decr b 2 noreply\r\n", "b")}},
	{"incr without a delta", "incr a\r\n", []seen{local("incr a\r\n", "ERROR", 0)}},
	{"touch", "touch a 1\r\ntouch a 1 noreply\r\n", []seen{forward("touch a 1\r\n", "a"), quiet("touch a 1 noreply\r\n", "a")}},
	{"noreply elsewhere", "touch a noreply 1\r\n", []seen{forward("touch a noreply 1\r\n", "a")}},

	{"noreply twice", "incr a noreply noreply\r\ndelete a noreply noreply\r\ndelete noreply noreply\r\n", []seen{
		quietly(local("incr a noreply noreply\r\n", badFormat, 0)), quietly(local("delete a noreply noreply\r\n", badFormat, 0)),
		quiet("delete noreply noreply\r\n", "noreply"),
	}},

	{"version", "version\r\n", []seen{forward("version\r\n", "version")}},
	{"quit", "quit\r\n", []seen{{raw: "quit\r\n", treatment: msg.Quit}}},
	{"empty lines", "\r\n\n  \r\n", []seen{local("\r\n", "ERROR", 0), local("\n", "ERROR", 0), local("  \r\n", "ERROR", 0)}},
	{"unknown", "bogus a b\r\nGET a\r\n", []seen{local("bogus a b\r\n", "ERROR", 0), local("GET a\r\n", "ERROR", 0)}},
	{"unknown, long name", strings.Repeat("x", 300) + "\r\n", []seen{local(strings.Repeat("x", 300)+"\r\n", "ERROR", 0)}},
	{"HTTP", "GET / HTTP/1.1\r\n", []seen{{raw: "GET / HTTP/1.1\r\n", treatment: msg.Quit}}},
	{"no HTTP", "set / HTTP/1.1\r\nsend / HTTP/1.1\r\nX HTTP/1.1\r\n", []seen{
		local("set / HTTP/1.1\r\n", "ERROR", 0), local("send / HTTP/1.1\r\n", "ERROR", 0), local("X HTTP/1.1\r\n", "ERROR", 0),
	}},
	{"not supported", "slabs automove 1\r\nshutdown\r\n", []seen{
		local("slabs automove 1\r\n", "SERVER_ERROR 'slabs' is not supported by nuthatch. It administers one server: send it there.", 0),
		local("shutdown\r\n", "SERVER_ERROR 'shutdown' is not supported by nuthatch. It would end a server.", 0),
	}},
	{"not supported, noreply", "cache_memlimit 8 noreply\r\n", []seen{
		quietly(local("cache_memlimit 8 noreply\r\n", "SERVER_ERROR 'cache_memlimit' is not supported by nuthatch. It administers one server: send it there.", 0)),
	}},
	{"flush_all, not allowed", "flush_all\r\nflush_all 0 noreply\r\n", []seen{
		local("flush_all\r\n", noFlush, 0), quietly(local("flush_all 0 noreply\r\n", noFlush, 0)),
	}},
	{"verbosity", "verbosity 1\r\nverbosity 1 noreply\r\nverbosity\r\n", []seen{
		{raw: "verbosity 1\r\n", treatment: msg.Broadcast},
		quietly(seen{raw: "verbosity 1 noreply\r\n", treatment: msg.Broadcast}),
		local("verbosity\r\n", "ERROR", 0),
	}},
	{"stats", "stats\r\nstats items\r\nstats servers\r\nstats servers slabs\r\n", []seen{
		{raw: "stats\r\n", treatment: msg.Local},
		{raw: "stats items\r\n", treatment: msg.Broadcast},
		{raw: "stats servers\r\n", treatment: msg.Broadcast, omit: " servers"},
		{raw: "stats servers slabs\r\n", treatment: msg.Broadcast, omit: " servers"},
	}},
	{"stats that change the servers", "stats reset\r\nstats servers reset\r\nstats  detail  on\r\nstats detail off\r\nstats sizes_enable\r\n" +
		"stats servers sizes_disable x\r\nstats detail\r\nstats detail dump\r\nstats resets\r\nstats items reset\r\nstats servers\r\n", []seen{
		local("stats reset\r\n", noStats, 0), local("stats servers reset\r\n", noStats, 0), local("stats  detail  on\r\n", noStats, 0),
		local("stats detail off\r\n", noStats, 0), local("stats sizes_enable\r\n", noStats, 0), local("stats servers sizes_disable x\r\n", noStats, 0),
		{raw: "stats detail\r\n", treatment: msg.Broadcast},
		{raw: "stats detail dump\r\n", treatment: msg.Broadcast},
		{raw: "stats resets\r\n", treatment: msg.Broadcast},
		{raw: "stats items reset\r\n", treatment: msg.Broadcast},
		{raw: "stats servers\r\n", treatment: msg.Broadcast, omit: " servers"},
	}},

	{"meta", "mg a\r\nmd a k Ox\r\nma a\r\nme a\r\nmn\r\n", []seen{
		forward("mg a\r\n", "a"), forward("md a k Ox\r\n", "a"), forward("ma a\r\n", "a"), forward("me a\r\n", "a"),
		{raw: "mn\r\n", treatment: msg.Local},
	}},
	{"meta set", "ms a 5 T0\r\nget x\r\nmn\r\n", []seen{forward("ms a 5 T0\r\nget x\r\n", "a"), {raw: "mn\r\n", treatment: msg.Local}}},
	{"meta, quiet", "mg a v q k\r\nms q 1 q\r\nx\r\nmd a qx\r\n", []seen{
		hushed("mg a v q k\r\n", "a", " q"), hushed("ms q 1 q\r\nx\r\n", "q", " q"), hushed("md a qx\r\n", "a", " qx"),
	}},
	{"meta, quiet twice", "mg a q k q\r\nmd a q q\r\nms a 1 q q\r\nx\r\n", []seen{
		loud("mg a q k q\r\n", "CLIENT_ERROR duplicate flag", 0), loud("md a q q\r\n", "CLIENT_ERROR invalid or duplicate flag", 0),
		loud("ms a 1 q q\r\n", "CLIENT_ERROR duplicate flag", 3),
	}},
	{"meta, quiet, a bad value", "ms a 1 q\r\nxyz", []seen{loud("ms a 1 q\r\nxyz", badChunk, 0)}},
	{"meta, base64", "mg YWJj b k\r\nme YWJj b\r\nmd YQ==YWJj b\r\nms Y-W-J-j 1 b\r\nx\r\n", []seen{
		placed("mg YWJj b k\r\n", "YWJj", "abc"), placed("me YWJj b\r\n", "YWJj", "abc"), placed("md YQ==YWJj b\r\n", "YQ==YWJj", "a"),
		placed("ms Y-W-J-j 1 b\r\nx\r\n", "Y-W-J-j", "abc"),
	}},
	{"meta, no base64", "mg YWJj k\r\nme YWJj bb\r\nmg YWJ b\r\nma A=== b\r\nmd ! b\r\n", []seen{
		forward("mg YWJj k\r\n", "YWJj"), forward("me YWJj bb\r\n", "YWJj"), forward("mg YWJ b\r\n", "YWJ"), forward("ma A=== b\r\n", "A==="),
		forward("md ! b\r\n", "!"),
	}},
	{"meta without a key", "mg\r\nme\r\nms\r\nms a\r\n", []seen{
		local("mg\r\n", "ERROR", 0), local("me\r\n", badFormat, 0), local("ms\r\n", "ERROR", 0), local("ms a\r\n", badFormat, 0),
	}},
	{"meta set, no length", "ms a -1\r\nms a S5\r\nms a 99999999999999999999\r\n", []seen{
		local("ms a -1\r\n", badFormat, 0), local("ms a S5\r\n", badFormat, 0), local("ms a 99999999999999999999\r\n", badFormat, 0),
	}},
	{"meta set refused, the value skipped: key", "ms " + key251 + " 5 q\r\nget x\r\nmg b\r\n", []seen{
		local("ms "+key251+" 5 q\r\n", badFormat, 7), forward("mg b\r\n", "b"),
	}},
	{"meta set refused, the value skipped: words", "ms a 5" + manyFlags + " x\r\nget x\r\nmg b" + manyFlags + "\r\n", []seen{
		local("ms a 5"+manyFlags+" x\r\n", "CLIENT_ERROR options flags too long", 7), forward("mg b"+manyFlags+"\r\n", "b"),
	}},
	{"meta set refused, the value skipped: size", "ms a 10000 q\r\n", []seen{loud("ms a 10000 q\r\n", tooLarge, 10002)}},
	{"meta, words", "mg a" + manyFlags + " x y\r\nma a" + manyFlags + " x y\r\n", []seen{
		local("mg a"+manyFlags+" x y\r\n", "CLIENT_ERROR options flags are too long", 0),
		local("ma a"+manyFlags+" x y\r\n", "CLIENT_ERROR options flags too long", 0),
	}},
	{"long get", "get" + strings.Repeat(" abc", 1000) + "\r\nget a\r\n", []seen{
		fragment("get"+strings.Repeat(" abc", 1000)+"\r\n", strings.Fields(strings.Repeat("abc ", 1000))...), forward("get a\r\n", "a"),
	}},
}

func TestRequests(t *testing.T) {
	for _, tt := range requestTests {
		t.Run(tt.name, func(t *testing.T) {
			check := func(how string, pieces ...[]byte) {
				t.Helper()
				got := feed(t, memcache.Options{MaxRequestSize: maxRequest}, pieces...)
				for i := range got.requests { // a refused request's keys mean nothing
					if got.requests[i].treatment == msg.Local {
						got.requests[i].keys = nil
					}
				}
				if got.failed {
					t.Fatalf("%s: a protocol error", how)
				}
				if want := withoutKeys(tt.want); !reflect.DeepEqual(got.requests, want) {
					t.Fatalf("%s:\ngot  %+v\nwant %+v", how, got.requests, want)
				}
			}
			check("whole", []byte(tt.in))
			check("byte by byte", bytewise(tt.in)...)
			for i := range min(len(tt.in), 400) {
				check(fmt.Sprintf("split at %d", i), []byte(tt.in[:i]), []byte(tt.in[i:]))
			}
		})
	}
}

func withoutKeys(want []seen) []seen {
	var out []seen
	for _, s := range want {
		if s.treatment == msg.Local {
			s.keys = nil
		}
		out = append(out, s)
	}
	return out
}

// TestNotTheProtocol holds what ends a client: bytes that are no line of
// memcached's, with what it is told.
func TestNotTheProtocol(t *testing.T) {
	const tooLong = "CLIENT_ERROR line too long\r\n"
	for _, tt := range []struct{ name, in, reply string }{
		{"binary protocol", "\x80\x00\x00\x01", ""},
		{"Redis's protocol", "*1\r\n$4\r\nPING\r\n", "-ERR this pool speaks Memcached's protocol, and not Redis's\r\n"},
		{"endless line", strings.Repeat("x", 2049), tooLong},
		{"endless first word, and more", strings.Repeat("x", 2300) + " a\r\n", tooLong},
		{"endless key", "get" + strings.Repeat("x", 2049), tooLong},
		{"long line of a command that is not get", "gat 0" + strings.Repeat(" a", 1100) + "\r\n", tooLong},
		{"long get, indented", strings.Repeat(" ", 101) + "get" + strings.Repeat(" a", 1100) + "\r\n", tooLong},
		{"get above the limit of requests", "get" + strings.Repeat(" a", maxRequest/2) + "\r\n", tooLong},
		{"nothing but spaces", strings.Repeat(" ", 2049), tooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, pieces := range [][][]byte{{[]byte(tt.in)}, bytewise(tt.in)} {
				p := memcache.New(memcache.Options{MaxRequestSize: maxRequest}).NewRequestParser()
				var err *msg.ProtocolError
				for _, piece := range pieces {
					if _, _, err = p.Parse(piece); err != nil {
						break
					}
				}
				if err == nil {
					t.Fatalf("in %d pieces: taken for a request", len(pieces))
				}
				if err.Reply != tt.reply || err.Error() == "" {
					t.Errorf("in %d pieces: reply %q, message %q; want reply %q", len(pieces), err.Reply, err.Msg, tt.reply)
				}
			}
		})
	}
}

// TestBody holds that the parser tells how much of a value is to come, so that
// it can be received in place.
func TestBody(t *testing.T) {
	p := memcache.New(memcache.Options{}).NewRequestParser()
	if _, done, err := p.Parse([]byte("set a 0 0 1000000")); done || err != nil || p.Body() != 0 {
		t.Fatalf("in the line: done %v, error %v, body %d", done, err, p.Body())
	}
	if _, done, err := p.Parse([]byte("\r\nxyz")); done || err != nil || p.Body() != 1_000_000-3+2 {
		t.Fatalf("in the value: done %v, error %v, body %d, want %d", done, err, p.Body(), 1_000_000-3+2)
	}
}

// TestAnnouncedSizesAreNotAllocated holds that memory goes by the bytes that
// have come, not by what they announce.
func TestAnnouncedSizesAreNotAllocated(t *testing.T) {
	o := memcache.Options{MaxRequestSize: 1 << 30}
	for _, tt := range []struct {
		name, in string
		perByte  uint64
	}{
		{"announced value", "set a 0 0 1000000000\r\nxyz", 0},
		{"refused value", "set a 0 0 2000000000\r\nxyz", 0},
		{"many short keys", "get" + strings.Repeat(" a", 100_000), 32},
		{"one endless key", "get " + strings.Repeat("a", 200_000), 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := memcache.New(o).NewRequestParser()
			in := bytewise(tt.in)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for _, b := range in {
				if _, done, err := p.Parse(b); err != nil {
					t.Fatal(err)
				} else if done {
					break
				}
			}
			runtime.ReadMemStats(&after)
			if got, most := after.TotalAlloc-before.TotalAlloc, 32<<10+tt.perByte*uint64(len(tt.in)); got > most {
				t.Errorf("%d bytes of input cost %d bytes of memory, want at most %d", len(tt.in), got, most)
			}
		})
	}
}

// TestWordsOfLongRequestsAreForgotten holds that a parser does not keep the
// memory that its longest request took.
func TestWordsOfLongRequestsAreForgotten(t *testing.T) {
	p := memcache.New(memcache.Options{}).NewRequestParser()
	const keys = 100_000
	long := []byte("get" + strings.Repeat(" a", keys) + "\r\n")
	var before, after runtime.MemStats
	parseOnce(t, p, long)
	runtime.ReadMemStats(&before)
	parseOnce(t, p, long)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got < keys*8 {
		t.Errorf("a second request of %d keys took %d bytes: the first one's were kept", keys, got)
	}
}

// FuzzRequestParser holds that any split of any bytes gives what the reference
// parser finds in the whole.
func FuzzRequestParser(f *testing.F) {
	for _, tt := range requestTests {
		f.Add([]byte(tt.in), uint8(3), uint8(200))
	}
	f.Add([]byte("\x80"), uint8(1), uint8(1))
	f.Add([]byte("set a 0 0 1\r\nx\ne\x16"), uint8(3), uint8(251))
	f.Add([]byte("gets"+strings.Repeat(" abcd", 900)), uint8(255), uint8(255))
	f.Fuzz(func(t *testing.T, data []byte, a, b uint8) {
		const limit = 4000
		o := memcache.Options{MaxRequestSize: limit}
		want := referenceStream(string(data), limit)
		for i := range want.requests {
			if want.requests[i].treatment == msg.Local {
				want.requests[i].keys = nil
			}
		}
		check := func(how string, pieces ...[]byte) {
			got := feed(t, o, pieces...)
			for i := range got.requests {
				if got.requests[i].treatment == msg.Local {
					got.requests[i].keys = nil
				}
			}
			if got.failed {
				got.rest = want.rest
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s of %q:\ngot  %+v\nwant %+v", how, data, got, want)
			}
		}
		check("whole", data)
		check("byte by byte", bytewise(string(data))...)
		check("pieces", cut(data, int(a)+1, int(b)+1)...)
	})
}

// cut cuts data into pieces of a and b bytes in turn.
func cut(data []byte, a, b int) (pieces [][]byte) {
	for len(data) > 0 {
		n := min(a, len(data))
		pieces = append(pieces, data[:n])
		data = data[n:]
		a, b = b, a
	}
	return pieces
}

func parseOnce(tb testing.TB, p msg.RequestParser, data []byte) *msg.Request {
	n, done, err := p.Parse(data)
	if err != nil || !done || n != len(data) {
		tb.Fatalf("took %d of %d bytes, done %v, error %v", n, len(data), done, err)
	}
	return p.Finish(data)
}

var benchRequests = []struct {
	name string
	in   []byte
}{
	{"get", []byte("get memtier-1234567\r\n")},
	{"set", []byte("set memtier-1234567 0 0 32\r\n" + strings.Repeat("x", 32) + "\r\n")},
	{"set noreply", []byte("set memtier-1234567 0 0 32 noreply\r\n" + strings.Repeat("x", 32) + "\r\n")},
	{"mg", []byte("mg memtier-1234567 v q k O1\r\n")},
	{"mg base64", []byte("mg bWVtdGllci0xMjM0NTY3 b v q k O1\r\n")},
	{"ms", []byte("ms memtier-1234567 32 T0 q\r\n" + strings.Repeat("x", 32) + "\r\n")},
	{"get100", []byte("get" + strings.Repeat(" memtier-1234567", 100) + "\r\n")},
}

func TestParsingDoesNotAllocate(t *testing.T) {
	for _, bb := range benchRequests {
		p := memcache.New(memcache.Options{}).NewRequestParser()
		halves := [][]byte{bb.in[:len(bb.in)/2], bb.in[len(bb.in)/2:]}
		got := testing.AllocsPerRun(100, func() {
			parseOnce(t, p, bb.in)
			for _, half := range halves {
				if _, _, err := p.Parse(half); err != nil {
					t.Fatal(err)
				}
			}
			p.Finish(bb.in)
		})
		if got != 0 {
			t.Errorf("%s: %v allocations per request, want 0", bb.name, got)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, bb := range benchRequests {
		b.Run(bb.name, func(b *testing.B) {
			p := memcache.New(memcache.Options{}).NewRequestParser()
			b.SetBytes(int64(len(bb.in)))
			b.ReportAllocs()
			for b.Loop() {
				parseOnce(b, p, bb.in)
			}
		})
	}
}
