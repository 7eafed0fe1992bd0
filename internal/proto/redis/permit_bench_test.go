package redis

import (
	"fmt"
	"testing"

	"nuthatch/internal/acl"
	"nuthatch/internal/msg"
)

// BenchmarkRules is what a user's rules cost a GET, and each key of a MGET of 100: as most requests
// are judged, and as those are that need more than a look ("trial").
func BenchmarkRules(b *testing.B) {
	users := acl.NewBuilder(ACLTable())
	users.User("", "all", "on >p ~* +@read")
	users.User("", "one", "on >p ~key:* +@read")
	users.User("", "long", "on >p ~key:0000000* +@read")
	users.User("", "several", "on >p ~other:* %R~read:* ~key:* &news -@all +@read +@write +ping")
	users.User("", "trial", "on >p ~key:[0-9]* +@read")
	all, err := users.Build(nil)
	if err != nil {
		b.Fatal(err)
	}
	p := New(Options{Users: all, Servers: 2})
	mget := []string{"MGET"}
	for i := range 100 {
		mget = append(mget, fmt.Sprintf("key:%012d", i))
	}
	for _, r := range []struct {
		name string
		text []byte
		keys float64
	}{{"GET", resp("GET", "key:000000000001"), 1}, {"MGET", resp(mget...), 100}} {
		parser := p.NewRequestParser()
		if _, done, err := parser.Parse(r.text); err != nil || !done {
			b.Fatal(done, err)
		}
		req := parser.Finish(r.text)
		for _, name := range []string{"all", "one", "long", "several", "trial"} {
			s := msg.Session{Authenticated: true}
			become(&s, all.Named([]byte(name)))
			b.Run(r.name+"/"+name, func(b *testing.B) {
				for b.Loop() {
					if !p.AllowsAtOnce(req, &s) && !p.Allows(req, &s) {
						b.Fatal("refused")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/r.keys, "ns/key")
			})
		}
	}
}
