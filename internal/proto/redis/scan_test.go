package redis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// parseWords parses a request of one piece.
func parseWords(t *testing.T, p *Protocol, words ...string) *msg.Request {
	t.Helper()
	data := resp(words...)
	parser := p.NewRequestParser()
	n, done, err := parser.Parse(data)
	if n != len(data) || !done || err != nil {
		t.Fatal(n, done, err)
	}
	return parser.Finish(data)
}

// TestScanCursors: which server a cursor names, what goes there, and what becomes
// of the server's cursor.
func TestScanCursors(t *testing.T) {
	const most = "18446744073709551615"
	for _, tt := range []struct {
		cursor   string
		servers  int
		server   int    // -1: refused
		sent     string // the server's cursor
		answered string // its next one
		want     string // and the client's; empty: an error
	}{
		{"0", 3, 0, "0", "0", "1"},
		{"1", 3, 1, "0", "0", "2"},
		{"2", 3, 2, "0", "0", "0"},
		{"0", 3, 0, "0", "17", "51"},
		{"51", 3, 0, "17", "0", "1"},
		{"52", 3, 1, "17", "5", "16"},
		{"53", 3, 2, "17", "0", "0"},
		{"53", 3, 2, "17", "17", "53"},
		{"0", 2, 0, "0", "9223372036854775807", "18446744073709551614"},
		{"1", 2, 1, "0", "9223372036854775807", most},
		{"0", 2, 0, "0", "9223372036854775808", ""},
		{"1", 3, 1, "0", most, ""},
		{most, 3, 0, "6148914691236517205", "0", "1"},
		{most, 65535, 0, "281479271743489", "1", "65535"},
		{"18446744073709551616", 3, -1, "", "", ""},
		{"99999999999999999999", 3, -1, "", "", ""},
		{"-1", 3, -1, "", "", ""},
		{"", 3, -1, "", "", ""},
		{"1x", 3, -1, "", "", ""},
	} {
		t.Run(fmt.Sprintf("%s of %d", tt.cursor, tt.servers), func(t *testing.T) {
			p := New(Options{})
			req := parseWords(t, p, "sCaN", tt.cursor, "match", "a*", "COUNT", "7")
			server, ok := p.OneServer(req, tt.servers)
			if !ok {
				if tt.server >= 0 || req.Error != invalidCursor {
					t.Errorf("refused with %q", req.Error)
				}
				return
			}
			if server != tt.server {
				t.Errorf("it goes to server %d, want %d", server, tt.server)
			}
			var pool mbuf.Pool
			var out mbuf.Chain
			p.AppendOne(req, tt.servers, &pool, &out)
			if got, want := string(out.AppendTo(nil)), string(resp("sCaN", tt.sent, "match", "a*", "COUNT", "7")); got != want {
				t.Errorf("%q goes there, want %q", got, want)
			}
			want := "-ERR the server's cursor is too large to be shared with other servers\r\n"
			if tt.want != "" {
				want = "*2\r\n" + bulkOf(tt.want) + "*1\r\n$1\r\na\r\n"
			}
			reply := "*2\r\n" + bulkOf(tt.answered) + "*1\r\n$1\r\na\r\n"
			for cut := range len(reply) {
				m := split(&pool, "scan", replies(reply), nil, cut)
				m.Frags[0].Server, m.Servers = uint16(server), uint16(tt.servers)
				out.Release(&pool)
				p.Merge(m, &pool, &out)
				if got := string(out.AppendTo(nil)); got != want {
					t.Fatalf("cut at %d: the client gets %q, want %q", cut, got, want)
				}
			}
		})
	}
}

func TestScanReplies(t *testing.T) {
	for _, tt := range []struct {
		part   part
		want   string
		failed bool
	}{
		{part{reply: "-ERR syntax error\r\n"}, "-ERR syntax error\r\n", false},
		{refused, gone, true},
		{part{reply: "*2\r\n:1\r\n*0\r\n"}, badReply, true},
		{part{reply: "*2\r\n$-1\r\n*0\r\n"}, badReply, true},
		{part{reply: "*2\r\n$0\r\n\r\n*0\r\n"}, badReply, true},
		{part{reply: "*2\r\n$1\r\nx\r\n*0\r\n"}, badReply, true},
		{part{reply: "*2\r\n$3\r\n1\n2\r\n*0\r\n"}, badReply, true},
		{part{reply: "*1\r\n$1\r\n1\r\n"}, badReply, true},
		{part{reply: "+OK\r\n"}, badReply, true},
		{part{reply: "|1\r\n+a\r\n+b\r\n*2\r\n$1\r\n0\r\n~0\r\n"}, "*2\r\n$1\r\n1\r\n~0\r\n", false},
	} {
		p := New(Options{})
		for cut := range max(1, len(tt.part.reply)) {
			var pool mbuf.Pool
			var out mbuf.Chain
			m := split(&pool, "scan", []part{tt.part}, nil, cut)
			m.Servers = 3
			failed := p.Merge(m, &pool, &out)
			if got := string(out.AppendTo(nil)); got != tt.want || failed != tt.failed {
				t.Errorf("%q, cut at %d: %q, failed %t, want %q", tt.part.reply, cut, got, failed, tt.want)
			}
			out.Release(&pool)
			if pool.Live() != 0 {
				t.Errorf("%q, cut at %d: %d chunks are still in use", tt.part.reply, cut, pool.Live())
			}
		}
	}
}

// In a cluster the next cursor has the place of the node, in the layout for which there is room,
// or is that of the next node. Without a node the scan is over.
func TestScanRepliesOfCluster(t *testing.T) {
	at := msg.ScanPlace{Began: 5 << 12, Tag: 77}
	next := at
	next.Tag = 78
	for cursor, want := range map[uint64]string{
		0:         fmt.Sprint(next.Cursor()),
		1:         fmt.Sprint(1<<36 + at.Cursor()),
		1<<28 - 1: fmt.Sprint((1<<28-1)<<36 + uint64(at.Cursor())),
		1 << 28:   fmt.Sprint(1<<52 + msg.LongScan(at.Cursor())),
		1<<40 - 1: fmt.Sprint((1<<40-1)<<24 + uint64(msg.LongScan(at.Cursor()))),
		1 << 40:   "",
	} {
		var pool mbuf.Pool
		var msgs msg.Pool
		var out mbuf.Chain
		number := fmt.Sprint(cursor)
		m := split(&pool, "scan", []part{{reply: fmt.Sprintf("*2\r\n$%d\r\n%s\r\n*0\r\n", len(number), number)}}, nil, 1<<20)
		msgs.SetScan(m.Frags[0], at.Cursor(), next.Cursor())
		reply := fmt.Sprintf("*2\r\n$%d\r\n%s\r\n*0\r\n", len(want), want)
		if want == "" {
			reply = "-ERR the server's cursor is too large to be shared with other servers\r\n"
		}
		New(Options{}).Merge(m, &pool, &out)
		if got := string(out.AppendTo(nil)); got != reply {
			t.Errorf("%d: %q, want %q", cursor, got, reply)
		}
	}
	var pool mbuf.Pool
	var out mbuf.Chain
	New(Options{}).Merge(split(&pool, "scan", nil, nil, 0), &pool, &out)
	if got := string(out.AppendTo(nil)); got != "*2\r\n$1\r\n0\r\n*0\r\n" {
		t.Errorf("the end: %q", got)
	}
}

// FuzzCursor: a cursor is what strconv takes for one, plain digits, and whatever
// server a cursor went to, its next one comes back to it.
func FuzzCursor(f *testing.F) {
	f.Add("0", uint64(1), uint16(3))
	f.Add("18446744073709551615", uint64(math.MaxUint64), uint16(2))
	f.Add("18446744073709551616", uint64(1)<<63, uint16(65535))
	f.Fuzz(func(t *testing.T, text string, cursor uint64, servers uint16) {
		want, err := strconv.ParseUint(text, 10, 64)
		plain := err == nil && len(text) <= 20 && !strings.HasPrefix(text, "+")
		if got, ok := parseCursor([]byte(text)); ok != plain || ok && got != want {
			t.Errorf("%q is %d, %t, want %d, %t", text, got, ok, want, plain)
		}
		n := uint64(max(1, servers))
		server := want % n
		next, ok := nextCursor(cursor, server, n)
		switch {
		case !ok && cursor <= (math.MaxUint64-n)/n:
			t.Errorf("the cursor %d of server %d of %d has no room", cursor, server, n)
		case ok && cursor != 0 && (next%n != server || next/n != cursor):
			t.Errorf("the cursor %d of server %d of %d becomes %d", cursor, server, n, next)
		case ok && cursor == 0 && next != (server+1)%n:
			t.Errorf("the end of server %d of %d becomes %d", server, n, next)
		}
	})
}
