package redis

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// What administers all servers has their status as its reply, or an error that says which
// servers have not done it, why, and which have.
func TestMergeEvery(t *testing.T) {
	const no = "-ERR no such setting - 'x'\r\n"
	for _, tt := range []struct {
		name, command string
		parts         []part
		want          string
		failed        bool
	}{
		{"one server", "config|set", parts("+OK\r\n"), "+OK\r\n", false},
		{"one server refuses", "config|set", parts(no), no, false},
		{"one server's entries", "commandlog|get", parts("*1\r\n:1\r\n"), "*1\r\n:1\r\n", false},
		{"all", "config|set", parts("+OK\r\n", "+OK\r\n", "+OK\r\n"), "+OK\r\n", false},
		{"all say the same", "bgsave", parts("+Background saving started\r\n", "+Background saving started\r\n"), "+Background saving started\r\n", false},
		{"begun or scheduled", "bgsave", parts("+Background saving started\r\n", "+Background saving scheduled\r\n"), "+Background saving started\r\n", false},
		{"all refuse alike", "config|set", parts(no, no), no, false},
		{
			"one refuses", "config|set", parts("+OK\r\n", no, "+OK\r\n"),
			"-ERR 'CONFIG SET' failed at server 's2': no such setting - 'x'; carried out by 's1', 's3'\r\n", false,
		},
		{
			"all refuse, each in its words", "config|rewrite", parts("-MISCONF disk full\r\n", "-READONLY x\r\n"),
			"-MISCONF 'CONFIG REWRITE' failed at server 's1': disk full; and at 's2'; carried out by no server\r\n", false,
		},
		{
			"a long error of RESP3", "save", parts("!9\r\nERR x y z\r\n", "+OK\r\n"),
			"-ERR 'SAVE' failed at server 's1': x y z; carried out by 's2'\r\n", false,
		},
		{
			"an error without a prefix", "save", parts("+OK\r\n", "-what is that\r\n"),
			"-ERR 'SAVE' failed at server 's2': what is that; carried out by 's1'\r\n", false,
		},
		{
			"one is gone", "bgsave", parts("+Background saving started\r\n", refused),
			"-ERR 'BGSAVE' failed at server 's2': Connection refused; carried out by 's1'\r\n", true,
		},
		{
			"one is ejected, another refuses", "bgsave", parts(part{err: msg.CircuitOpen}, no, "+OK\r\n"),
			"-ERR 'BGSAVE' failed at server 's1': the server is ejected; requests for it fail until it answers again; and at 's2'; carried out by 's3'\r\n", true,
		},
		{"the only one is gone", "bgsave", parts(refused), "-ERR 'BGSAVE' failed at server 's1': Connection refused; carried out by no server\r\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for cut := range 40 {
				checkEvery(t, New(Options{}), tt.command, tt.parts, cut, func(int, *msg.Msg) {}, tt.want, tt.failed)
			}
		})
	}
	// If the request was sent, nobody knows.
	checkEvery(t, New(Options{}), "bgsave", parts(part{err: msg.Timedout}, "+OK\r\n"), 0, func(i int, f *msg.Msg) { f.Sent = 7 },
		"-ERR 'BGSAVE' failed at server 's1': Connection timed out; it is not known whether it was carried out there; carried out by 's2'\r\n", true)
	// An error names so many servers, and no more of a server's words.
	many := parts("-ERR " + strings.Repeat("x", 1<<16) + "\r\n")
	var names []string
	for i := range 100 {
		many = append(many, part{reply: "+OK\r\n"})
		if i < maxNamed {
			names = append(names, fmt.Sprintf("'s%d'", i+2))
		}
	}
	checkEvery(t, New(Options{}), "config|set", many, 0, func(int, *msg.Msg) {},
		"-ERR 'CONFIG SET' failed at server 's1': "+strings.Repeat("x", maxServerError-len("-ERR "))+"; carried out by "+strings.Join(names, ", ")+", and 84 more\r\n", false)
}

// checkEvery merges the parts, whose servers are s1, s2 and so on.
func checkEvery(t *testing.T, p *Protocol, command string, parts []part, cut int, change func(i int, f *msg.Msg), want string, failed bool) {
	t.Helper()
	var pool mbuf.Pool
	m := split(&pool, command, parts, nil, cut)
	for i, f := range m.Frags {
		change(i, f)
	}
	var out mbuf.Chain
	got := p.Merge(m, &pool, &out)
	if text := string(out.AppendTo(nil)); text != want || got != failed {
		t.Fatalf("cut at %d: %q, failed %t, want %q, %t", cut, text, got, want, failed)
	}
	out.Release(&pool)
	if pool.Live() != 0 {
		t.Fatalf("cut at %d: %d chunks are still in use", cut, pool.Live())
	}
}
