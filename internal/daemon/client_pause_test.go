package daemon

import (
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// A client that may administer pauses the pool, as an operator does, and an operator sees who
// it was, and ends the pause.
func TestClientPauses(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server), "allow_admin: true"))
	ann, ben := testkit.Dial(t, testkit.Redis, listen), testkit.Dial(t, testkit.Redis, listen)
	if got := ben.Do("SET", "k", "v"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	id := strings.Trim(ann.Do("CLIENT", "ID"), ":\r\n")
	if got := ann.Do("CLIENT", "PAUSE", "60000"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	if got, want := s.PausedBy("alpha"), "CLIENT PAUSE of client "+id; got != want {
		t.Errorf("the pool is paused by %q, want %q", got, want)
	}
	ben.Send(testkit.RESP("GET", "k"))
	ann.Send(testkit.RESP("CLIENT", "UNPAUSE"))
	if err := s.Resume("alpha", "test"); err != nil {
		t.Fatal(err)
	}
	ben.Expect(testkit.Bulk("v"))
	ann.Expect("+OK\r\n")
	if got := s.PausedBy("alpha"); got != "" {
		t.Errorf("the pool is still paused by %q", got)
	}
}
