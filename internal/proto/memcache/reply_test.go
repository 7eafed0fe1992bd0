package memcache_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
)

// feedReplies gives the pieces to a reply parser, one read after the other.
func feedReplies(t testing.TB, pieces ...[]byte) (replies []string, err error) {
	t.Helper()
	p := memcache.New(memcache.Options{}).NewReplyParser()
	var reply []byte
	for _, piece := range pieces {
		for len(piece) > 0 {
			n, done, err := p.Parse(piece)
			if err != nil {
				if _, _, again := p.Parse([]byte("OK\r\n")); again == nil {
					t.Fatal("an error of the parser is not sticky")
				}
				return replies, err
			}
			if n > len(piece) || n == 0 || !done && n < len(piece) {
				t.Fatalf("Parse took %d of %d bytes, done %v", n, len(piece), done)
			}
			reply = append(reply, piece[:n]...)
			piece = piece[n:]
			if done {
				replies = append(replies, string(reply))
				reply = reply[:0]
				p.Reset()
			}
		}
	}
	return replies, nil
}

var replyTests = [][]string{
	{"STORED\r\n", "NOT_STORED\r\n", "EXISTS\r\n", "NOT_FOUND\r\n", "DELETED\r\n", "TOUCHED\r\n", "OK\r\n", "RESET\r\n"},
	{"END\r\n", "END\r\n"},
	{"0\r\n", "18446744073709551615\r\n", "12  \r\n"},
	{"ERROR\r\n", "CLIENT_ERROR bad data chunk\r\n", "SERVER_ERROR out of memory\r\n", "ERROR Too many open connections\r\n"},
	{"VERSION 1.6.18\r\n"},
	{"VALUE a 0 3\r\nxyz\r\nEND\r\n", "STORED\r\n"},
	{"VALUE a 0 0\r\n\r\nEND\r\n"},
	{"VALUE a 1 3 77\r\nxyz\r\nVALUE b 4294967295 12\r\nEND\r\nEND\r\n\r\n\r\nEND\r\n", "1\r\n"},
	{"VALUE " + key250 + " 0 1\r\nx\r\nSERVER_ERROR out of memory writing get response\r\n", "END\r\n"},
	{"HD\r\n", "EN\r\n", "NS\r\n", "EX k1 O2\r\n", "NF Oopaque\r\n", "MN\r\n", "HD s3 t-1 W\r\n"},
	{"VA 3 kfoo b f0\r\nxyz\r\n", "VA 0\r\n\r\n", "VA 10 Oab\r\nEND\r\nMN\r\n\r\r\n", "EN\r\n"},
	{"ME foo exp=-1 la=0 cas=1 fetch=no cls=1 size=63\r\n", "1\r\n"},
	{"ITEM a [1 b; 0 s]\r\nEND\r\n", "PREFIX a get 1\r\nEND\r\n"},
	{"STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n", "OK\r\n"},
}

// trap is a value with a key of m bytes. Where the line of a value with a key of n bytes would
// have flags and length, its body has some, and then the end of a reply. n is at least m+9.
func trap(n, m int) string {
	head := fmt.Sprintf("VALUE %s 0 ", strings.Repeat("k", m))
	body := strings.Repeat("x", len("VALUE ")+n-len(head)-len("00\r\n")) + " 0 3\r\nxyz\r\nEND\r\n"
	return fmt.Sprintf("%s%02d\r\n%s\r\n", head, len(body), body)
}

// traps are replies in which such values follow others whose lines they seem to have.
func traps() (replies [][]string) {
	for m := 1; m <= 9; m++ {
		for n := m + 9; n < m+30; n++ {
			like := "VALUE " + strings.Repeat("a", n) + " 0 3\r\nabc\r\n"
			replies = append(replies, []string{like + trap(n, m) + like + like + "END\r\n", "STORED\r\n"})
		}
	}
	return replies
}

func TestReplies(t *testing.T) {
	for _, want := range append(replyTests, traps()...) {
		in := strings.Join(want, "")
		check := func(how string, pieces ...[]byte) {
			t.Helper()
			got, err := feedReplies(t, pieces...)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%q, %s: %q, error %v", in, how, got, err)
			}
		}
		check("whole", []byte(in))
		check("byte by byte", bytewise(in)...)
		for i := range in {
			check(fmt.Sprintf("split at %d", i), []byte(in[:i]), []byte(in[i:]))
		}
	}
}

func TestNoReplies(t *testing.T) {
	for _, in := range []string{
		"stored\r\n", "STORED\n", "STORE\r\n", "STOREDX\r\n", "STORED now\r\n", "\r\n", "\n", "\x81\x00", "+OK\r\n", "-1\r\n", "1x\r\n", "12 a\r\n", "x",
		"END of it\r\n", "VALUE\r\n", "VALUE a 0\r\n", "VALUE a 0 x\r\n", "VALUE a 0 -1\r\n", "VALUE a 0 2147483648\r\n", "VALUE a 0 1\r\nxyz\r\nEND\r\n",
		"VALUE a 0 1\r\nx\r\nSTORED\r\n", "VALUE a 0 1\r\nx\r\n7\r\n", "VALUE a 0 1\r\nx\r\nVERSION 1\r\n", "18446744073709551616\r\n",
		"VA\r\n", "VA x\r\n", "VA -1\r\n", "VA 2147483648\r\n", "VA 1\r\nxyz\r\n", "VALUE a 0 1\r\nx\r\nVA 1\r\n", "VALUE a 0 1\r\nx\r\nHD\r\n", "HDX\r\n",
		"SERVER_ERROR " + strings.Repeat("x", 4096) + "\r\n", strings.Repeat("X", 4097),
	} {
		for _, pieces := range [][][]byte{{[]byte(in)}, bytewise(in)} {
			got, err := feedReplies(t, pieces...)
			if err == nil || len(got) > 0 {
				t.Errorf("%.60q in %d pieces: replies %q, error %v; want an error", in, len(pieces), got, err)
			}
		}
	}
}

// TestReplyBody holds that the parser tells how much of a value is to come.
func TestReplyBody(t *testing.T) {
	p := memcache.New(memcache.Options{}).NewReplyParser()
	if _, done, err := p.Parse([]byte("VALUE a 0 100000\r\nxyz")); done || err != nil || p.Body() != 100_000-3+2 {
		t.Errorf("done %v, error %v, body %d, want %d", done, err, p.Body(), 100_000-3+2)
	}
}

// FuzzReplyParser holds that any split of any bytes gives what the reference
// parser finds in the whole.
func FuzzReplyParser(f *testing.F) {
	for _, want := range replyTests {
		f.Add([]byte(strings.Join(want, "")), uint8(3), uint8(200))
	}
	f.Add([]byte(traps()[0][0]), uint8(3), uint8(200))
	f.Add([]byte("SERVER_ERROR "+strings.Repeat("x", 4090)), uint8(255), uint8(255))
	f.Fuzz(func(t *testing.T, data []byte, a, b uint8) {
		want, bad := referenceReplies(string(data))
		check := func(how string, pieces ...[]byte) {
			got, err := feedReplies(t, pieces...)
			if !reflect.DeepEqual(got, want) || (err != nil) != bad {
				t.Fatalf("%s of %q:\ngot  %q, error %v\nwant %q, an error: %v", how, data, got, err, want, bad)
			}
		}
		check("whole", data)
		check("byte by byte", bytewise(string(data))...)
		check("pieces", cut(data, int(a)+1, int(b)+1)...)
	})
}

var benchReplies = []struct {
	name string
	in   []byte
}{
	{"stored", []byte("STORED\r\n")},
	{"value", []byte("VALUE memtier-1234567 0 32\r\n" + strings.Repeat("x", 32) + "\r\nEND\r\n")},
	{"HD", []byte("HD\r\n")},
	{"VA", []byte("VA 32 kmemtier-1234567 O1\r\n" + strings.Repeat("x", 32) + "\r\n")},
	{"values100", []byte(strings.Repeat("VALUE memtier-1234567 0 32\r\n"+strings.Repeat("x", 32)+"\r\n", 100) + "END\r\n")},
}

func replyOnce(tb testing.TB, p msg.ReplyParser, data []byte) {
	n, done, err := p.Parse(data)
	if err != nil || !done || n != len(data) {
		tb.Fatalf("took %d of %d bytes, done %v, error %v", n, len(data), done, err)
	}
	p.Reset()
}

func TestReplyParsingDoesNotAllocate(t *testing.T) {
	for _, bb := range benchReplies {
		p := memcache.New(memcache.Options{}).NewReplyParser()
		got := testing.AllocsPerRun(100, func() {
			replyOnce(t, p, bb.in)
			if _, _, err := p.Parse(bb.in[:len(bb.in)/2]); err != nil {
				t.Fatal(err)
			}
			replyOnce(t, p, bb.in[len(bb.in)/2:])
		})
		if got != 0 {
			t.Errorf("%s: %v allocations per reply, want 0", bb.name, got)
		}
	}
}

func BenchmarkReply(b *testing.B) {
	for _, bb := range benchReplies {
		b.Run(bb.name, func(b *testing.B) {
			p := memcache.New(memcache.Options{}).NewReplyParser()
			b.SetBytes(int64(len(bb.in)))
			b.ReportAllocs()
			for b.Loop() {
				replyOnce(b, p, bb.in)
			}
		})
	}
}
