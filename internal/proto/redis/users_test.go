package redis

import (
	"encoding/hex"
	"strings"
	"testing"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

func usersForTest(t *testing.T, users ...config.User) *Protocol {
	t.Helper()
	all, err := NewUsers("test.yml", &config.Pool{Name: "p", Users: users}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Users: all})
}

// A certificate logs in a user who is there and on. A name with control characters is
// nobody's, even if what is before them is a user's.
func TestLogInByName(t *testing.T) {
	p := usersForTest(t, config.User{Name: "default", Rules: "off"}, config.User{Name: "alice", Rules: "on ~a +get"}, config.User{Name: "bob", Rules: "off +@all ~* &*"})
	for name, want := range map[string]bool{
		"alice": true, "bob": false, "carol": false, "": false, "alice\x00": false, "alice\n": false, "\x00alice": false, "alice\x7f": false, "alice\xff": false, "Alice": false,
	} {
		s := msg.Session{}
		p.Begin(&s)
		if got := p.LogIn(&s, name); got != want || s.Authenticated != want {
			t.Errorf("%q: %t, logged in %t, want %t", name, got, s.Authenticated, want)
		}
		if want && (p.userOf(&s).Name() != name || s.Bars&msg.Restricted == 0) {
			t.Errorf("%q is %s, bars %b", name, p.userOf(&s).Name(), s.Bars)
		}
	}
}

// A password that comes from elsewhere holds beside those of the rules.
func TestUserPasswords(t *testing.T) {
	p := usersForTest(t, config.User{Name: "alice", Rules: "on >a", Password: "b"})
	for password, want := range map[string]bool{"a": true, "b": true, "c": false, "": false} {
		if _, ok := p.users.Login([]byte("alice"), []byte(password)); ok != want {
			t.Errorf("%q: %t, want %t", password, ok, want)
		}
	}
}

// Faults of users in the configuration name the file and the line, those of redis_auth the
// file of users, and no fault shows a password.
func TestUserFaults(t *testing.T) {
	pool := &config.Pool{Name: "p", ACLFile: "/users.acl", RedisAuth: "secret"}
	_, err := NewUsers("test.yml", pool, []byte("user default on\nuser bob +nosuch >secret\n"), nil)
	if err == nil || err.Error() != "/users.acl:2: user 'bob': rule '+nosuch': Unknown command or category name in ACL\n"+
		"/users.acl: user 'default': the password of this user is given by 'redis_auth' already: keep one of the two" {
		t.Errorf("%v", err)
	}
	pool = &config.Pool{Name: "p", Users: []config.User{{Name: "bob", Rules: "#secret", Line: 7}}}
	if _, err = NewUsers("test.yml", pool, nil, nil); err == nil || err.Error()[:len("test.yml:7: ")] != "test.yml:7: " {
		t.Errorf("%v", err)
	}
}

// In a pool without users any client may ask for the user default, and gets no hash of the
// password. In one with users, those who may ask get it, as with Redis.
func TestHashesAreNotShown(t *testing.T) {
	named, err := NewUsers("test.yml", &config.Pool{Name: "p", RedisAuth: "now", Users: []config.User{{Name: "alice", Rules: "on >a"}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		users *acl.Users
		shown bool
	}{{nil, false}, {named, true}} {
		c := converse(t, Options{Auth: "now", AuthPrevious: "before", Users: tt.users})
		c.session.Authenticated = true
		for _, line := range []string{"ACL GETUSER default", "ACL LIST"} {
			answer, _ := c.say([]byte(line + "\r\n"))
			now, before := config.Secret("now").Sum(), config.Secret("before").Sum()
			if got := strings.Contains(answer, hex.EncodeToString(now[:])); got != tt.shown || strings.Contains(answer, hex.EncodeToString(before[:])) {
				t.Errorf("%s, with users %t: %q", line, tt.users != nil, answer)
			}
			if !strings.Contains(answer, "default") && !strings.Contains(answer, "passwords") || strings.Contains(answer, "nopass") {
				t.Errorf("%s: %q", line, answer)
			}
		}
	}
}
