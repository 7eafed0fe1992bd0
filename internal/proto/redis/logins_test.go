package redis

import (
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/msg"
)

func said(name, password string) *msg.Credentials {
	return msg.NewCredentials(name != "", []byte(name), []byte(password))
}

// The same name with another password is another login: a number stands for both, and
// nothing that is like it in another way has it.
func TestLoginsKeepPasswordsApart(t *testing.T) {
	l := NewLogins()
	numbers := map[uint32]*msg.Credentials{}
	for _, c := range []*msg.Credentials{
		said("alice", "a"), said("alice", "b"), said("alic", "ea"), said("", "a"), said("default", "a"), said("bob", "a"), said("alice", ""), msg.NewCredentials(true, nil, []byte("a")),
	} {
		n, ok := l.enter(c, 100)
		if !ok || numbers[n] != nil {
			t.Fatalf("number %d is that of another", n)
		}
		numbers[n] = c
		if again, _ := l.enter(c, 100); again != n {
			t.Errorf("number %d, and %d the second time", n, again)
		}
		name, password := c.Reveal()
		if got := l.login(n); got.password() != password || c.Named && got.words[0] != name {
			t.Errorf("servers are told %q for %q", got.words, name)
		}
	}
	for _, n := range []uint32{0, 1 << 20, msg.LoginUser, msg.ServiceUser} {
		if got := l.login(n).words; len(got) != 2 || !strings.HasPrefix(got[0], "(") {
			t.Errorf("number %d, which nobody has, is %q", n, got)
		}
	}
}

// With the last who needs them a name and its password are forgotten, and there is room for
// another.
func TestLoginsAreForgotten(t *testing.T) {
	l := NewLogins()
	one, _ := l.enter(said("a", "1"), 2)
	two, _ := l.enter(said("a", "2"), 2)
	if _, ok := l.enter(said("a", "3"), 2); ok {
		t.Error("there is room for a third of two")
	}
	l.hold(one)
	l.release(one)
	if again, ok := l.enter(said("a", "1"), 2); !ok || again != one {
		t.Errorf("number %d, want %d, which is held", again, one)
	}
	l.release(one)
	l.release(one)
	l.release(two)
	t.Run("nothing is left", func(t *testing.T) {
		if now := l.now.Load(); len(now.byNumber) != 0 || len(now.byDigest) != 0 {
			t.Errorf("%d and %d are left", len(now.byNumber), len(now.byDigest))
		}
	})
	if again, ok := l.enter(said("a", "1"), 2); !ok || again == one {
		t.Error("a number that was forgotten is used again")
	}
}

// Any number of loops use them at the same time.
func TestLoginsAreShared(t *testing.T) {
	l := NewLogins()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 2000 {
				c := said("user", string(rune('a'+i%3)))
				n, ok := l.enter(c, 3)
				if !ok {
					continue // others have not forgotten theirs yet
				}
				l.hold(n)
				if _, want := c.Reveal(); l.login(n).password() != want {
					t.Errorf("number %d has another password", n)
				}
				l.release(n)
				l.release(n)
			}
		})
	}
	all.Wait()
	if now := l.now.Load(); len(now.byNumber) != 0 || len(now.byDigest) != 0 {
		t.Errorf("%d and %d are left", len(now.byNumber), len(now.byDigest))
	}
}

// One name, of a user that needs no password, does not take the room of all others.
func TestLoginsOfOneName(t *testing.T) {
	l := NewLogins()
	for i := range 40 {
		_, ok := l.enter(said("", string(rune('a'+i))), 40)
		if want := i < 10; ok != want {
			t.Errorf("password %d of one user: let in %v, want %v", i, ok, want)
		}
	}
	if _, ok := l.enter(said("default", "x"), 40); ok {
		t.Error("the user has more room by its name")
	}
	if _, ok := l.enter(said("alice", "x"), 40); !ok {
		t.Error("there is no room for another user")
	}
}
