package redis

import (
	"strings"
	"testing"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// What user_limits says of reading alone and of databases holds whatever the user's rules are, or
// the servers say, and for nobody else.
func TestBoundsOfUsers(t *testing.T) {
	limits := []config.UserLimit{
		{Name: "reader", ReadOnly: true},
		{Name: "some", Databases: "0,3"},
		{Name: "both", ReadOnly: true, Databases: "3"},
		{Name: "free", Clients: 1},
		{Name: "default", ReadOnly: true},
	}
	conf := &config.Pool{UserLimits: limits}
	for _, name := range []string{"reader", "some", "both", "free", "other"} {
		conf.Users = append(conf.Users, config.User{Name: name, Rules: "on nopass ~* &* +@all"})
	}
	users, err := NewUsers("test", conf, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	const readOnly, denied = "-READONLY You can't write against a read only replica.\r\n", "-NOPERM No permissions to access database\r\n"
	proxy := Options{Users: users, UserLimits: limits, Databases: 16, AllowFlush: true, Servers: 1}
	passthrough := Options{Passthrough: true, Logins: NewLogins(), MaxUsers: 9, UserLimits: limits, Databases: 16, AllowFlush: true, Servers: 1}
	plain := Options{UserLimits: limits, Databases: 16, Auth: "sesame"}
	for _, tt := range []bounded{
		{proxy, "reader", 0, "GET a", ""},
		{proxy, "reader", 0, "SET a b", readOnly},
		{proxy, "reader", 0, "MSET a b c d", readOnly},
		{proxy, "reader", 0, "EVAL x 1 a", readOnly},
		{proxy, "reader", 0, "EVAL_RO x 1 a", ""},
		{proxy, "reader", 0, "SORT a STORE b", readOnly},
		{proxy, "reader", 0, "BLPOP a 0", readOnly},
		{proxy, "reader", 0, "XREADGROUP GROUP g c STREAMS a >", readOnly},
		{proxy, "reader", 0, "FLUSHALL", readOnly},
		{proxy, "reader", 0, "SELECT 3", ""},
		{proxy, "reader", 0, "AUTH free x", ""},
		{proxy, "some", 0, "SET a b", ""},
		{proxy, "some", 3, "SET a b", ""},
		{proxy, "some", 1, "GET a", denied},
		{proxy, "some", 0, "SELECT 1", denied},
		{proxy, "some", 1, "SELECT 3", ""},
		{proxy, "some", 0, "MOVE a 1", denied},
		{proxy, "some", 0, "COPY a b DB 1", denied},
		{proxy, "some", 0, "COPY a b DB 3", ""},
		{proxy, "some", 0, "FLUSHALL", denied},
		{proxy, "some", 1, "DBSIZE", denied},
		{proxy, "some", 1, "PING", ""},
		{proxy, "both", 0, "GET a", denied},
		{proxy, "both", 3, "GET a", ""},
		{proxy, "both", 3, "SET a b", readOnly},
		{proxy, "free", 1, "SET a b", ""},
		{proxy, "other", 1, "FLUSHALL", ""},
		{passthrough, "reader", 0, "SET a b", readOnly},
		{passthrough, "reader", 0, "GET a", ""},
		{passthrough, "some", 0, "SELECT 1", denied},
		{passthrough, "other", 0, "SET a b", ""},
		{passthrough, "", 0, "SET a b", readOnly},
		{plain, "", 0, "SET a b", readOnly},
		{plain, "", 0, "GET a", ""},
	} {
		checkBound(t, users, tt)
	}
}

// A bounded is a request of a user in a database, and what it gets; empty: it is allowed.
type bounded struct {
	o           Options
	user        string
	db          int
	words, want string
}

func checkBound(t *testing.T, users *acl.Users, tt bounded) {
	t.Helper()
	p := New(tt.o)
	s := new(msg.Session)
	p.Begin(s)
	s.Authenticated, s.Lane = true, msg.Lane{DB: tt.db, RESP: 2}
	if tt.user != "" && tt.o.Passthrough {
		s.Lane.User, _ = p.Enter(msg.NewCredentials(true, []byte(tt.user), []byte("x")))
	} else if tt.user != "" {
		become(s, users.Named([]byte(tt.user)))
	}
	r := parseWords(t, p, strings.Fields(tt.words)...)
	allowed := (s.Bars == 0 || s.Bars == msg.Restricted && p.AllowsAtOnce(r, s)) || p.Allows(r, s)
	got := ""
	if !allowed {
		var pool mbuf.Pool
		var out mbuf.Chain
		p.Local(r, s, &pool, &out)
		got = string(out.AppendTo(nil))
	}
	if got != tt.want {
		t.Errorf("%s by %q in database %d, passthrough: %t: %q, want %q", tt.words, tt.user, tt.db, tt.o.Passthrough, got, tt.want)
	}
	if denied := s.Bars&msg.Denied != 0; denied != (tt.want != "") {
		t.Errorf("%s by %q: a denial is noted: %t", tt.words, tt.user, denied)
	}
	if tt.want != "" && tt.user != "" && string(p.guard.denial.user) != tt.user {
		t.Errorf("%s by %q: the denial is of %q", tt.words, tt.user, p.guard.denial.user)
	}
}
