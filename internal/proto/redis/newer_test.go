package redis

import (
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// TestNewerCommands: where the keys are of commands that the redis-server of the
// tests does not know, in the calls of their documentation.
func TestNewerCommands(t *testing.T) {
	for _, tt := range []struct {
		request   string
		treatment msg.Treatment
		keys, why string
	}{
		{"DELEX k IFEQ v", msg.Forward, "k", ""},
		{"DELIFEQ mykey abc123", msg.Forward, "mykey", ""},
		{"DIGEST k", msg.Forward, "k", ""},
		{"INCREX k BYINT 5 UBOUND 10 EX 60 ENX", msg.Forward, "k", ""},
		{"MSETEX 2 key1 Hello key2 World EX 10", msg.Fragment, "key1 key2", ""},
		{"MSETEX 2 key1 Hello key2 World EX 10 NX", msg.Forward, "key1 key2", ""},
		{"msetex 1 existing updated xx ex 10", msg.Forward, "existing", ""},
		{"MSETEX 2 nx xx xx nx", msg.Fragment, "nx xx", ""},
		{"LMOVEM mylist myotherlist LEFT LEFT COUNT 2 OBO", msg.Forward, "mylist myotherlist", ""},
		{"SUNIONCARD 3 a b c APPROX LIMIT 10", msg.Forward, "a b c", ""},
		{"SDIFFCARD 2 a b LIMIT 10", msg.Forward, "a b", ""},
		{"XACKDEL s g KEEPREF IDS 2 1-1 2-2", msg.Forward, "s", ""},
		{"XDELEX s IDS 1 1-1", msg.Forward, "s", ""},
		{"XNACK s g FAIL IDS 1 1-1 RETRYCOUNT 3", msg.Forward, "s", ""},
		{"XCFGSET s IDMP-DURATION 100", msg.Forward, "s", ""},
		{"ARMGET a 1 2 3", msg.Forward, "a", ""},
		{"ARMSET a 1 x 2 y", msg.Forward, "a", ""},
		{"ARGREP a 0 9 EXACT x OR LIMIT 5", msg.Forward, "a", ""},
		{"VADD vs VALUES 3 0.1 1.2 0.5 e", msg.Forward, "vs", ""},
		{"VSIM vs ELE e COUNT 5", msg.Forward, "vs", ""},
		{"CLUSTERSCAN 0 COUNT 10", msg.One, "", ""},

		{"BLMOVEM a b LEFT RIGHT 0", msg.Block, "a b", ""},
		{"HIMPORT PREPARE fs f1 f2", msg.Local, "", ownConnection},
		{"HIMPORT SET k fs v1 v2", msg.Local, "", ownConnection},
		{"HIMPORT DISCARD fs", msg.Local, "", ownConnection},
		{"HIMPORT DISCARDALL", msg.Local, "", ownConnection},
		{"HOTKEYS START METRICS 1 CPU", msg.Local, "", sharedServer},
		{"HOTKEYS GET", msg.Local, "", oneServer},
		{"BACKUP START", msg.Local, "", sharedServer},
		{"CLUSTER MIGRATION STATUS ALL", msg.Local, "", clusterOnly},
		{"CLUSTER MIGRATESLOTS SLOTSRANGE 0 9 NODE x", msg.Local, "", clusterOnly},
	} {
		r := parseOne(t, New(Options{Servers: 3}), tt.request)
		var keys []string
		for i := range r.Nkeys {
			k := r.Key(i)
			b, _ := r.View.Bytes(int(k.Off), int(k.Len), nil)
			keys = append(keys, string(b))
		}
		if got := strings.Join(keys, " "); r.Treatment != tt.treatment || r.Error != tt.why || got != tt.keys {
			t.Errorf("%s: treatment %d, %q, keys %q; want %d, %q, %q", tt.request, r.Treatment, r.Error, got, tt.treatment, tt.why, tt.keys)
		}
	}
	for _, text := range []string{"MSETEX 0 a b", "MSETEX 3 a b c d", "MSETEX x a b", "MSETEX 2 a b c", "MSETEX 9223372036854775807 a b", "SUNIONCARD 0 a", "SDIFFCARD 3 a b"} {
		if r := parseOne(t, New(Options{Servers: 3}), text); r.Treatment != msg.Forward || r.FirstKey != 1 || r.Nkeys != 1 {
			t.Errorf("%s: treatment %d, %d keys from %d; a server is to refuse it", text, r.Treatment, r.Nkeys, r.FirstKey)
		}
	}
}

// TestSplitMSETEX: each server gets a request of its keys, with the options, however
// the bytes lie.
func TestSplitMSETEX(t *testing.T) {
	for _, tt := range []struct {
		request string
		dealt   []uint16
		want    []string
	}{
		{"msetex 3 a 1 bb 22 c 3 EX 10", []uint16{0, 1, 0}, []string{"msetex 2 a 1 c 3 EX 10", "msetex 1 bb 22 EX 10"}},
		{"MSETEX 2 a 1 b 2", []uint16{1, 0}, []string{"msetex 1 b 2", "msetex 1 a 1"}},
		{"MSETEX 11 a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1 i 1 j 1 k 1 KEEPTTL", []uint16{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, []string{
			"msetex 10 a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1 i 1 j 1 KEEPTTL", "msetex 1 k 1 KEEPTTL",
		}},
	} {
		p := New(Options{})
		data := resp(strings.Fields(tt.request)...)
		for cut := 1; cut <= len(data); cut++ {
			var pool mbuf.Pool
			parser := p.NewRequestParser()
			if _, _, err := parser.Parse(data); err != nil {
				t.Fatal(err)
			}
			chain := chainOf(&pool, data, cut)
			r := parser.FinishChain(chain)
			outs := []*mbuf.Chain{{}, {}}
			for i, out := range outs {
				n := 0
				for _, d := range tt.dealt {
					if int(d) == i {
						n++
					}
				}
				p.FragmentHead(r, n, &pool, out)
			}
			p.FragmentKeys(r, 0, tt.dealt, &pool, outs)
			for i, out := range outs {
				p.FragmentTail(r, &pool, out)
				if got, want := string(out.AppendTo(nil)), string(resp(strings.Fields(tt.want[i])...)); got != want {
					t.Fatalf("%s, cut at %d: server %d gets %q, want %q", tt.request, cut, i, got, want)
				}
				out.Release(&pool)
			}
			chain.Release(&pool)
		}
	}
}

// TestClusterScan: over several servers it is SCAN; the one server of a pool gets it
// as it is.
func TestClusterScan(t *testing.T) {
	p := New(Options{Servers: 3})
	for _, tt := range []struct {
		words  []string
		server int
		sent   []string
	}{
		{[]string{"CLUSTERSCAN", "0"}, 0, []string{"SCAN", "0"}},
		{[]string{"clusterscan", "7", "MATCH", "slot", "COUNT", "5"}, 1, []string{"SCAN", "2", "MATCH", "slot", "COUNT", "5"}},
		{[]string{"CLUSTERSCAN", "0-{06S}-0"}, -1, nil},
		{[]string{"CLUSTERSCAN", "0", "COUNT", "5", "Slot", "0"}, -1, nil},
	} {
		r := parseWords(t, p, tt.words...)
		server, ok := p.OneServer(r, 3)
		if ok != (tt.server >= 0) || ok && server != tt.server {
			t.Errorf("%q goes to server %d, %t, %q", tt.words, server, ok, r.Error)
		}
		if one, ok := p.OneServer(r, 1); one != 0 || !ok {
			t.Errorf("%q goes to server %d, %t of one", tt.words, one, ok)
		}
		if !ok {
			continue
		}
		var pool mbuf.Pool
		var out mbuf.Chain
		p.AppendOne(r, 3, &pool, &out)
		if got, want := string(out.AppendTo(nil)), string(resp(tt.sent...)); got != want {
			t.Errorf("%q is sent as %q, want %q", tt.words, got, want)
		}
	}
	c := converse(t, Options{Servers: 3})
	r := parseWords(t, c.proto, "CLUSTERSCAN", "0", "SLOT", "5")
	if _, ok := c.proto.OneServer(r, 3); ok {
		t.Error("a slot is looked for")
	}
	c.proto.Local(r, &c.session, &c.pool, &c.out)
	if got, want := string(c.out.AppendTo(nil)), "-ERR 'CLUSTERSCAN' is not supported by nuthatch: "+noSlots+"\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
