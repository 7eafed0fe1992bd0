package proxy_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
)

// cells is a server that remembers, for each connection, the database and the
// protocol that it is in, and answers GET with both and the key.
func cells(k *testkit.Talk) {
	db, resp := "0", 2
	for {
		args, ok := k.Command()
		if !ok {
			return
		}
		switch strings.ToUpper(args[0]) {
		case "SELECT":
			db = args[1]
			k.Reply("+OK\r\n")
		case "HELLO":
			if len(args) > 1 {
				resp = 3
				k.Reply("%1\r\n+proto\r\n:3\r\n")
				continue
			}
			k.Reply("*2\r\n+proto\r\n:2\r\n")
		default:
			k.Reply(fmt.Sprintf("+%s db%s resp%d\r\n", args[len(args)-1], db, resp))
		}
	}
}

func TestSelect(t *testing.T) {
	s := testkit.StartScripted(t, cells)
	r := startRig(t, oneServer(s.Addr(), "  databases: 4\n  redis_db: 2\n  failed_select: ignore\n"))
	quiet, u := r.dial(), r.dial()
	u.send(command("GET", "a") + command("SELECT", "3") + command("GET", "b") +
		command("SELECT", "0") + command("GET", "c") + command("SELECT", "4") + command("SELECT", "-1") +
		command("SELECT", "x") + command("GET", "d") + command("SELECT", "2") + command("GET", "e"))
	u.expect("+a db2 resp2\r\n+OK\r\n+b db3 resp2\r\n+OK\r\n+c db0 resp2\r\n" +
		"-ERR DB index is out of range\r\n-ERR DB index is out of range\r\n" +
		"-ERR value is not an integer or out of range\r\n" +
		"+d db0 resp2\r\n+OK\r\n+e db2 resp2\r\n")
	quiet.send(command("GET", "f"))
	quiet.expect("+f db2 resp2\r\n")
	if n := s.Accepted(); n != 3 {
		t.Errorf("%d connections to the server for 3 databases", n)
	}
	r.awaitIdle()
}

// Without `databases` there is one, by either of its numbers.
func TestSelectOneDatabase(t *testing.T) {
	s := testkit.StartScripted(t, cells)
	r := startRig(t, oneServer(s.Addr(), "  redis_db: 7\n"))
	u := r.dial()
	u.send(command("SELECT", "0") + command("GET", "a") + command("SELECT", "7") + command("GET", "b") + command("SELECT", "1"))
	u.expect("+OK\r\n+a db7 resp2\r\n+OK\r\n+b db7 resp2\r\n-ERR DB index is out of range\r\n")
	if n := s.Accepted(); n != 1 {
		t.Errorf("%d connections to the server, want 1", n)
	}
}

// idOf is the client's number in a HELLO's answer, idTail what follows its
// protocol there.
var idOf = regexp.MustCompile(`id\r\n:\d+\r\n`)

const idTail = "$2\r\nid\r\n:N\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"

// A client that changes its lane reads what it wrote, however its bytes come: a
// request on the new lane waits for those on the old one.
func TestLaneChangeKeepsOrder(t *testing.T) {
	s := testkit.StartRedis(t)
	r := startRig(t, oneServer(s.Addr(), "  databases: 4\n"))
	request := command("SELECT", "1") + command("SET", "a", "1") + command("SELECT", "0") + command("SET", "a", "0") +
		command("GET", "a") + command("SELECT", "1") + command("GET", "a") + command("APPEND", "a", "x") +
		command("COPY", "a", "b", "DB", "2", "REPLACE") + command("SELECT", "2") + command("GET", "b") +
		command("HELLO", "3", "SETNAME", "me") + command("GET", "none") + command("HELLO", "2") + command("GET", "none") +
		command("DEL", "b") + command("SELECT", "1") + command("DEL", "a") + command("SELECT", "0") + command("DEL", "a")
	hello := func(proto int) string { return fmt.Sprintf("proto\r\n:%d\r\n", proto) }
	var first string
	for i := 0; i <= len(request); i++ {
		u := r.dial()
		u.send(request[:i])
		if i%3 == 0 {
			r.on(0, func(*proxy.Context) {}) // a turn between the pieces
		}
		u.send(request[i:])
		u.send("QUIT\r\n")
		got := u.rest()
		// Client ids differ.
		got = idOf.ReplaceAllString(got, "id\r\n:N\r\n")
		if first == "" {
			first = got
			want := "+OK\r\n+OK\r\n+OK\r\n+OK\r\n" + bulk("0") + "+OK\r\n" + bulk("1") + ":2\r\n:1\r\n+OK\r\n" + bulk("1x")
			if !strings.HasPrefix(got, want) || !strings.Contains(got, hello(3)) || !strings.Contains(got, "_\r\n*12") ||
				!strings.HasSuffix(got, hello(2)+idTail+"$-1\r\n:1\r\n+OK\r\n:1\r\n+OK\r\n:1\r\n+OK\r\n") {
				t.Fatalf("got %q", got)
			}
		}
		if got != first {
			t.Fatalf("split at %d: got %q, want %q", i, got, first)
		}
	}
	r.awaitIdle()
}

// A database that the server does not have: the requests fail, and none of them
// reaches the server; the clients of another database are served.
func TestRefusedDatabase(t *testing.T) {
	s := testkit.StartRedis(t, "--databases", "2")
	for _, db := range []string{"0", "5"} {
		r := startRig(t, oneServer(s.Addr(), "  databases: 10\n  redis_db: "+db+"\n  auto_eject_hosts: true\n  server_failure_limit: 1\n"))
		u, v := r.dial(), r.dial()
		const refused = "-ERR the server of this key refused the database\r\n"
		u.send(command("SELECT", "5") + command("SET", "a", "1") + command("GET", "a") + command("SELECT", "1"))
		u.expect("+OK\r\n" + refused + refused + "+OK\r\n")
		v.send(command("SELECT", "1") + command("GET", "a"))
		if db == "0" {
			// What a server lacks for some clients is no failure of the server.
			v.expect("+OK\r\n$-1\r\n")
		} else {
			v.expect("+OK\r\n-ERR Connection refused\r\n")
		}
		r.awaitIdle()
	}
	c := s.Dial()
	if n := c.Do("DBSIZE"); n != ":0\r\n" {
		t.Errorf("database 0 of the server has %s keys", n)
	}
}

// Nothing follows the handshake before the server has agreed to it.
func TestRequestsWaitForTheHandshake(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		k.Expect(command("AUTH", "pw") + command("SELECT", "3"))
		k.Reply("+OK\r\n")
		if k.N() == 1 {
			k.Reply("-LOADING it is\r\n")
			if args, ok := k.Command(); ok {
				t.Errorf("the server got %q, and had refused the database", args)
			}
			return
		}
		k.Reply("+OK\r\n")
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			k.Reply("+" + args[1] + "\r\n")
		}
	})
	r := startRig(t, oneServer(s.Addr(), "  redis_auth: pw\n  redis_db: 3\n"))
	u := r.dial()
	u.send(command("AUTH", "pw") + command("GET", "a") + command("GET", "b"))
	u.expect("+OK\r\n" + strings.Repeat("-ERR the server of this key refused the database\r\n", 2))
	// For a moment the server is not asked again.
	await(t, "the server to be asked again", func() bool {
		u.send(command("GET", "c"))
		line, err := u.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line == "+c\r\n"
	})
	if n := s.Accepted(); n != 2 {
		t.Errorf("%d connections were made, want 2", n)
	}
	r.awaitIdle()
}
