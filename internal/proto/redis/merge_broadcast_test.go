package redis

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// refused is a fragment that got no reply.
var refused = part{err: msg.ConnRefused}

// parts makes parts of replies, and of failures.
func parts(of ...any) []part {
	var all []part
	for _, one := range of {
		switch one := one.(type) {
		case string:
			all = append(all, part{reply: one})
		case part:
			all = append(all, one)
		}
	}
	return all
}

const (
	badReply  = "-ERR Invalid argument\r\n"
	gone      = "-ERR Connection refused\r\n"
	different = "-" + repliesDiffer + "\r\n"
)

// mergeAllTests are requests to all servers, each with RESP2's replies and
// RESP3's, replies of the wrong shape, and a server that fails.
var mergeAllTests = []struct {
	name, command string
	parts         []part
	want          string
	failed        bool
}{
	{"one server", "dbsize", parts(":7\r\n"), ":7\r\n", false},
	{"one server, whatever it says", "keys", parts("+QUEUED\r\n"), "+QUEUED\r\n", false},
	{"one server's error", "keys", parts("-ERR x\r\n"), "-ERR x\r\n", false},
	{"the only server failed", "keys", parts(refused), gone, true},

	{"sum", "dbsize", parts(":7\r\n", ":0\r\n", ":35\r\n"), ":42\r\n", false},
	{"sum with attributes", "dbsize", parts("|1\r\n+ttl\r\n:1\r\n:7\r\n", ":2\r\n"), ":9\r\n", false},
	{"sum of the largest", "dbsize", parts(":9223372036854775807\r\n", ":0\r\n"), ":9223372036854775807\r\n", false},
	{"sum out of range", "dbsize", parts(":9223372036854775807\r\n", ":1\r\n"), badReply, true},
	{"sum out of range below", "dbsize", parts(":-9223372036854775808\r\n", ":-1\r\n"), badReply, true},
	{"sum of no number", "dbsize", parts(":1\r\n", "$1\r\n1\r\n"), badReply, true},
	{"sum with an error", "dbsize", parts(":1\r\n", "-LOADING x\r\n", "-ERR y\r\n"), "-LOADING x\r\n", false},
	{"sum with a failure", "dbsize", parts("-LOADING x\r\n", refused, ":1\r\n"), gone, true},

	{"least", "wait", parts(":2\r\n", ":1\r\n", ":3\r\n"), ":1\r\n", false},
	{"least in arrays", "wait", parts("*2\r\n:1\r\n:5\r\n", "*2\r\n:0\r\n:9\r\n"), "*2\r\n:0\r\n:5\r\n", false},
	{"least of mixed shapes", "wait", parts(":1\r\n", "*1\r\n:1\r\n"), badReply, true},
	{"least of unequal arrays", "wait", parts("*1\r\n:1\r\n", "*2\r\n:1\r\n:1\r\n"), badReply, true},
	{"least of other elements", "wait", parts("*2\r\n:1\r\n:1\r\n", "*2\r\n:1\r\n+x\r\n"), badReply, true},
	{"least with a failure", "wait", parts(":1\r\n", refused), gone, true},

	{"joined", "keys", parts("*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*0\r\n", "*1\r\n$1\r\nc\r\n"), "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n", false},
	{"nothing joined", "keys", parts("*0\r\n", "*0\r\n"), "*0\r\n", false},
	{"joined with null arrays", "keys", parts("*-1\r\n", "_\r\n", "*1\r\n$1\r\nc\r\n", "$-1\r\n"), "*1\r\n$1\r\nc\r\n", false},
	{"joined nulls", "keys", parts("*-1\r\n", "_\r\n"), "*0\r\n", false},
	{"joined sets", "pubsub|channels", parts("~1\r\n+a\r\n", "~2\r\n$1\r\nb\r\n*1\r\n:1\r\n"), "~3\r\n+a\r\n$1\r\nb\r\n*1\r\n:1\r\n", false},
	{"joined maps", "keys", parts("%1\r\n+a\r\n:1\r\n", "%0\r\n", "%1\r\n+b\r\n%1\r\n+c\r\n:1\r\n"), "%2\r\n+a\r\n:1\r\n+b\r\n%1\r\n+c\r\n:1\r\n", false},
	{"joined behind attributes", "keys", parts("|1\r\n+a\r\n*1\r\n:1\r\n*1\r\n+x\r\n", "*1\r\n+y\r\n"), "*2\r\n+x\r\n+y\r\n", false},
	{"joined kinds", "keys", parts("*1\r\n+a\r\n", "~1\r\n+b\r\n"), badReply, true},
	{"joined number", "keys", parts("*1\r\n+a\r\n", ":1\r\n"), badReply, true},
	{"joined bulk", "keys", parts("$1\r\na\r\n", "*0\r\n"), badReply, true},
	{"joined with an error", "keys", parts("*0\r\n", "!5\r\nERR x\r\n"), "!5\r\nERR x\r\n", false},
	{"joined with a failure", "keys", parts("*0\r\n", refused), gone, true},

	{"the only key", "randomkey", parts("$-1\r\n", "_\r\n", "$1\r\na\r\n"), "$1\r\na\r\n", false},
	{"no key", "randomkey", parts("$-1\r\n", "$-1\r\n"), "$-1\r\n", false},
	{"no key in RESP3", "randomkey", parts("_\r\n", "_\r\n"), "_\r\n", false},
	{"a key in spite of a failure", "randomkey", parts(refused, "$1\r\na\r\n", "-ERR x\r\n"), "$1\r\na\r\n", false},
	{"no key but a failure", "randomkey", parts("$-1\r\n", refused, "-ERR x\r\n"), gone, true},
	{"no key but an error", "randomkey", parts("$-1\r\n", "-ERR x\r\n"), "-ERR x\r\n", false},
	{"nobody answers", "randomkey", parts(refused, refused), gone, true},

	{"the same name", "function|load", parts("$3\r\nlib\r\n", "$3\r\nlib\r\n"), "$3\r\nlib\r\n", false},
	{"the same status", "function|load", parts("+a\r\n", "+a\r\n"), "+a\r\n", false},
	{"other names", "function|load", parts("$3\r\nlib\r\n", "$3\r\nbil\r\n"), different, false},
	{"other kinds", "function|load", parts("$3\r\nlib\r\n", "*0\r\n"), different, false},
	{"arrays in another order", "function|load", parts("*2\r\n+a\r\n+b\r\n", "*2\r\n+b\r\n+a\r\n"), "*2\r\n+a\r\n+b\r\n", false},
	{"large bulks in another order", "function|load", parts(bulkOf(strings.Repeat("a", 500)), bulkOf(strings.Repeat("b", 500))), bulkOf(strings.Repeat("a", 500)), false},
	{"the same with an error", "function|load", parts("$3\r\nlib\r\n", "-ERR x\r\n"), "-ERR x\r\n", false},
	{"the same with a failure", "function|load", parts("$3\r\nlib\r\n", refused), gone, true},

	{"all have it", "script|exists", parts("*3\r\n:1\r\n:0\r\n:1\r\n", "*3\r\n:1\r\n:1\r\n:0\r\n"), "*3\r\n:1\r\n:0\r\n:0\r\n", false},
	{"all have nothing", "script|exists", parts("*0\r\n", "*0\r\n"), "*0\r\n", false},
	{"a null has nothing", "script|exists", parts("*-1\r\n", "*0\r\n"), badReply, true},
	{"all have it, with a failure", "script|exists", parts("*1\r\n:1\r\n", refused), gone, true},

	{"one did it", "script|kill", parts("-NOTBUSY x\r\n", "+OK\r\n", "-UNKILLABLE y\r\n"), "+OK\r\n", false},
	{"one did it, another is gone", "script|kill", parts(refused, "+OK\r\n"), "+OK\r\n", false},
	{"none had to", "script|kill", parts("-NOTBUSY x\r\n", "-NOTBUSY y\r\n"), "-NOTBUSY y\r\n", false},
	{"one could not", "script|kill", parts("-NOTBUSY x\r\n", "-UNKILLABLE y\r\n", refused), "-UNKILLABLE y\r\n", false},
	{"none had to, another is gone", "script|kill", parts("-NOTBUSY x\r\n", refused), gone, true},

	{"pairs", "pubsub|numsub", parts("*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n", "*4\r\n$1\r\na\r\n:2\r\n$1\r\nb\r\n:5\r\n"), "*4\r\n$1\r\na\r\n:3\r\n$1\r\nb\r\n:5\r\n", false},
	{"no pairs", "pubsub|numsub", parts("*0\r\n", "*0\r\n"), "*0\r\n", false},
	{"half a pair", "pubsub|numsub", parts("*1\r\n$1\r\na\r\n", "*1\r\n$1\r\na\r\n"), badReply, true},
	{"pairs without numbers", "pubsub|numsub", parts("*2\r\n+a\r\n:1\r\n", "*2\r\n+a\r\n+b\r\n"), badReply, true},
	{"unequal pairs", "pubsub|numsub", parts("*2\r\n+a\r\n:1\r\n", "*0\r\n"), badReply, true},
	{"pairs out of range", "pubsub|numsub", parts("*2\r\n+a\r\n:9223372036854775807\r\n", "*2\r\n+a\r\n:1\r\n"), badReply, true},
	{"pairs with a failure", "pubsub|numsub", parts("*0\r\n", refused), gone, true},

	{"the least of each", "waitaof", parts("*2\r\n:1\r\n:3\r\n", "*2\r\n:1\r\n:2\r\n", "*2\r\n:0\r\n:5\r\n"), "*2\r\n:0\r\n:2\r\n", false},
	{"not all can wait", "waitaof", parts("*2\r\n:1\r\n:3\r\n", "-ERR x\r\n"), "-ERR x\r\n", false},

	{"idle", "function|stats", parts("*4\r\n+r\r\n$-1\r\n+e\r\n:1\r\n", "*4\r\n+r\r\n$-1\r\n+e\r\n:2\r\n"), "*4\r\n+r\r\n$-1\r\n+e\r\n:1\r\n", false},
	{"busy", "function|stats", parts("*4\r\n+r\r\n$-1\r\n+e\r\n:1\r\n", "*4\r\n+r\r\n*1\r\n+x\r\n+e\r\n:2\r\n"), "*4\r\n+r\r\n*1\r\n+x\r\n+e\r\n:2\r\n", false},
	{"busy in RESP3", "function|stats", parts("%2\r\n+r\r\n_\r\n+e\r\n:1\r\n", "%2\r\n+r\r\n%1\r\n+x\r\n:1\r\n+e\r\n:2\r\n"), "%2\r\n+r\r\n%1\r\n+x\r\n:1\r\n+e\r\n:2\r\n", false},
	{"statistics that are none", "function|stats", parts("#1\r\n", "#0\r\n"), badReply, true},
	{"no statistics", "function|stats", parts("*0\r\n", "*0\r\n"), badReply, true},
	{"half of the statistics", "function|stats", parts("*1\r\n+r\r\n", "*1\r\n+r\r\n"), badReply, true},
	{"statistics with a failure", "function|stats", parts("%1\r\n+r\r\n_\r\n", refused), gone, true},

	{"flushed", "flushall", parts("+OK\r\n", "+OK\r\n"), "+OK\r\n", false},
	{"not all flushed", "flushall", parts("+OK\r\n", "-READONLY x\r\n"), "-READONLY x\r\n", false},
	{"flushed, in other words", "flushall", parts("+OK\r\n", ":1\r\n"), badReply, true},
	{"flushed, with a failure", "flushall", parts("+OK\r\n", refused), gone, true},
}

func TestMergeAll(t *testing.T) {
	for _, tt := range mergeAllTests {
		t.Run(tt.command+" "+tt.name, func(t *testing.T) {
			everyCut(t, New(Options{}), tt.command, tt.parts, nil, tt.want, tt.failed)
		})
	}
}

// everyCut merges replies whose first chunk ends anywhere.
func everyCut(t *testing.T, p *Protocol, command string, all []part, seq []uint16, want string, failed bool) {
	t.Helper()
	longest := 1
	for _, one := range all {
		longest = max(longest, len(one.reply))
	}
	for cut := range longest {
		var pool mbuf.Pool
		m := split(&pool, command, all, seq, cut)
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
}

// TestMergeAnyFavoursNone: RANDOMKEY comes from every server sooner or later.
func TestMergeAnyFavoursNone(t *testing.T) {
	p := New(Options{})
	seen := map[string]int{}
	for range 300 {
		var pool mbuf.Pool
		var out mbuf.Chain
		p.Merge(split(&pool, "randomkey", parts("+a\r\n", "+b\r\n", "+c\r\n"), nil, 0), &pool, &out)
		seen[string(out.AppendTo(nil))]++
	}
	for _, key := range []string{"+a\r\n", "+b\r\n", "+c\r\n"} {
		if seen[key] < 50 {
			t.Errorf("%q came %d times of 300", key, seen[key])
		}
	}
}

// TestPartialResults: what each setting gives where a server failed, and where
// one answered with an error.
func TestPartialResults(t *testing.T) {
	const a, c = "*1\r\n$1\r\na\r\n", "*2\r\n$1\r\nc\r\n$-1\r\n"
	mget := []uint16{1, 0, 2, 1, 2}
	long := "-" + strings.Repeat("x", maxErrorElement) + "\r\n"
	for _, tt := range []struct {
		partial config.PartialResults
		command string
		parts   []part
		seq     []uint16
		want    string
		failed  bool
	}{
		{config.PartialError, "mget", parts(a, refused, c), mget, gone, true},
		{config.PartialNulls, "mget", parts(a, refused, c), mget, "*5\r\n$-1\r\n$1\r\na\r\n$1\r\nc\r\n$-1\r\n$-1\r\n", false},
		{config.PartialErrors, "mget", parts(a, refused, c), mget, "*5\r\n" + gone + "$1\r\na\r\n$1\r\nc\r\n" + gone + "$-1\r\n", false},
		{config.PartialNulls, "mget", parts(a, "-X y\r\n", c), mget, "*5\r\n$-1\r\n$1\r\na\r\n$1\r\nc\r\n$-1\r\n$-1\r\n", false},
		{config.PartialErrors, "mget", parts(a, "-X y\r\n", c), mget, "*5\r\n-X y\r\n$1\r\na\r\n$1\r\nc\r\n-X y\r\n$-1\r\n", false},
		{config.PartialErrors, "mget", parts(a, long, c), mget, "*5\r\n-ERR the server answered with an error too long to repeat\r\n$1\r\na\r\n$1\r\nc\r\n-ERR the server answered with an error too long to repeat\r\n$-1\r\n", false},
		{config.PartialNulls, "mget", parts(refused, refused), []uint16{0, 1}, gone, true},
		{config.PartialNulls, "mget", parts("-X y\r\n", "-Z y\r\n"), []uint16{1, 0}, "-Z y\r\n", false},
		{config.PartialNulls, "mget", parts(a, refused, "+OK\r\n"), mget, badReply, true},
		{config.PartialNulls, "mset", parts("+OK\r\n", refused), []uint16{0, 1}, gone, true},
		{config.PartialNulls, "del", parts(":1\r\n", refused), []uint16{0, 1}, gone, true},
		{config.PartialNulls, "exists", parts(":1\r\n", refused), []uint16{0, 1}, ":1\r\n", false},
		{config.PartialErrors, "exists", parts(":1\r\n", refused), []uint16{0, 1}, gone, true},
		{config.PartialNulls, "dbsize", parts(":1\r\n", "-LOADING x\r\n", ":3\r\n"), nil, ":4\r\n", false},
		{config.PartialErrors, "dbsize", parts(":1\r\n", "-LOADING x\r\n", ":3\r\n"), nil, "-LOADING x\r\n", false},
		{config.PartialNulls, "keys", parts("*1\r\n+a\r\n", refused, "*1\r\n+b\r\n"), nil, "*2\r\n+a\r\n+b\r\n", false},
		{config.PartialNulls, "pubsub|numsub", parts(refused, "*2\r\n+a\r\n:1\r\n"), nil, "*2\r\n+a\r\n:1\r\n", false},
		{config.PartialNulls, "wait", parts(":1\r\n", refused), nil, gone, true},
		{config.PartialNulls, "script|exists", parts("*1\r\n:1\r\n", refused), nil, gone, true},
		{config.PartialNulls, "flushall", parts("+OK\r\n", refused), nil, gone, true},
	} {
		t.Run(fmt.Sprintf("%d %s", tt.partial, tt.command), func(t *testing.T) {
			everyCut(t, New(Options{PartialResults: tt.partial}), tt.command, tt.parts, tt.seq, tt.want, tt.failed)
		})
	}
	t.Run("RESP3", func(t *testing.T) {
		var pool mbuf.Pool
		var out mbuf.Chain
		m := split(&pool, "mget", parts(a, refused), []uint16{0, 1}, 0)
		m.RESP3 = true
		New(Options{PartialResults: config.PartialNulls}).Merge(m, &pool, &out)
		if got := string(out.AppendTo(nil)); got != "*2\r\n$1\r\na\r\n_\r\n" {
			t.Errorf("%q", got)
		}
	})
}

// TestConcatSharesLargeReplies: what KEYS brings is not copied.
func TestConcatSharesLargeReplies(t *testing.T) {
	var pool mbuf.Pool
	var body strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&body, "$16\r\nkey:%012d\r\n", i)
	}
	reply := "*50000\r\n" + body.String()
	m := split(&pool, "keys", replies(reply, reply), nil, 0)
	before := pool.InUse()
	var out mbuf.Chain
	New(Options{}).Merge(m, &pool, &out)
	if more := pool.InUse() - before; more > 64<<10 {
		t.Errorf("joining 2 MB took %d bytes more", more)
	}
	if got := string(out.AppendTo(nil)); got != "*100000\r\n"+body.String()+body.String() {
		t.Errorf("%d bytes differ from those wanted", len(got))
	}
	out.Release(&pool)
	if pool.Live() != 0 {
		t.Errorf("%d chunks are still in use", pool.Live())
	}
}

// FuzzMerge: whatever servers say, as long as it is whole replies, and wherever
// the bytes lie, merging makes exactly one reply of it and keeps no memory.
func FuzzMerge(f *testing.F) {
	for i, tt := range mergeAllTests {
		text := ""
		for _, one := range tt.parts {
			text += one.reply
		}
		f.Add(text, uint8(i), uint16(i), uint8(i))
	}
	f.Add("*2\r\n$1\r\n7\r\n*0\r\n*1\r\n$-1\r\n*2\r\n$1\r\na\r\n:1\r\n", uint8(0), uint16(3), uint8(1))
	f.Fuzz(func(t *testing.T, text string, kind uint8, cut uint16, settings uint8) {
		all := wholeReplies(text)
		if settings&4 != 0 {
			all = append(all, refused)
		}
		if len(all) == 0 {
			return
		}
		var merged []string
		for i := range commands {
			if c := &commands[i]; c.merge != mergeNone {
				merged = append(merged, c.name)
			}
		}
		command := merged[int(kind)%len(merged)]
		var seq []uint16
		if rowOf(command).treatment == msg.Fragment {
			for i := range 2 * len(all) {
				seq = append(seq, uint16(i%len(all)))
			}
		}
		var pool mbuf.Pool
		m := split(&pool, command, all, seq, int(cut)%mbuf.SmallSize)
		m.RESP3, m.Servers = settings&8 != 0, uint16(len(all))
		if command == "scan" {
			for _, f := range m.Frags[1:] {
				f.Reply.Release(&pool)
			}
			m.Frags = m.Frags[:1]
		}
		var out mbuf.Chain
		New(Options{PartialResults: config.PartialResults(settings % 3)}).Merge(m, &pool, &out)
		got := string(out.AppendTo(nil))
		parser := New(Options{}).NewReplyParser()
		if n, done, err := parser.Parse([]byte(got)); n != len(got) || !done || err != nil {
			t.Errorf("%s of %q made %q: not one reply (%d, %t, %v)", command, text, got, n, done, err)
		}
		out.Release(&pool)
		if pool.Live() != 0 {
			t.Errorf("%s of %q: %d chunks are still in use", command, text, pool.Live())
		}
	})
}

// wholeReplies are the replies that text begins with, at most eight.
func wholeReplies(text string) []part {
	var all []part
	for len(text) > 0 && len(all) < 8 {
		parser := New(Options{}).NewReplyParser()
		n, done, err := parser.Parse([]byte(text))
		if !done || err != nil {
			break
		}
		all = append(all, part{reply: text[:n]})
		text = text[n:]
	}
	return all
}

// rowOf finds the row of a command or, as "script|load", of a subcommand.
func rowOf(name string) *command {
	of, sub, ok := strings.Cut(name, "|")
	c := lookup([]byte(of))
	if ok {
		c = c.lookupSub([]byte(sub))
	}
	return c
}

// BenchmarkMergeKinds: the cost of a key does not depend on how many there are.
func BenchmarkMergeKinds(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		third := fmt.Sprintf("*%d\r\n%s", n/3, strings.Repeat("$16\r\nkkkkkkkkkkkkkkkk\r\n", n/3))
		seq := make([]uint16, n/3*3)
		for i := range seq {
			seq[i] = uint16(i % 3)
		}
		for _, bm := range []struct {
			command, reply string
			seq            []uint16
		}{{"mget", third, seq}, {"del", ":1\r\n", seq}, {"mset", "+OK\r\n", seq}, {"keys", third, nil}} {
			b.Run(fmt.Sprintf("%s%d", bm.command, n), func(b *testing.B) {
				var pool mbuf.Pool
				var out mbuf.Chain
				p := New(Options{})
				m := split(&pool, bm.command, replies("", "", ""), bm.seq, 0)
				b.ReportAllocs()
				for b.Loop() {
					for _, f := range m.Frags {
						f.Reply.AppendString(&pool, bm.reply)
					}
					p.Merge(m, &pool, &out)
					out.Release(&pool)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
			})
		}
	}
}
