package redis

import (
	"testing"

	"nuthatch/internal/acl"
	"nuthatch/internal/msg"
)

// BenchmarkRules is what a user's rules cost a GET: as most requests are judged, and as those are
// that need more than a look ("trial").
func BenchmarkRules(b *testing.B) {
	users := acl.NewBuilder(ACLTable())
	users.User("", "one", "on >p ~key:* +@read")
	users.User("", "several", "on >p ~other:* %R~read:* ~key:* &news -@all +@read +@write +ping")
	users.User("", "trial", "on >p ~key:[0-9]* +@read")
	all, err := users.Build(nil)
	if err != nil {
		b.Fatal(err)
	}
	p := New(Options{Users: all, Servers: 1})
	parser := p.NewRequestParser()
	text := []byte("*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n")
	if _, done, err := parser.Parse(text); err != nil || !done {
		b.Fatal(done, err)
	}
	req := parser.Finish(text)
	for _, name := range []string{"one", "several", "trial"} {
		s := msg.Session{Authenticated: true}
		become(&s, all.Named([]byte(name)))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !p.AllowsAtOnce(req, &s) && !p.Allows(req, &s) {
					b.Fatal("refused")
				}
			}
		})
		b.Run(name+"/in full", func(b *testing.B) {
			for b.Loop() {
				if !p.Allows(req, &s) {
					b.Fatal("refused")
				}
			}
		})
	}
}
