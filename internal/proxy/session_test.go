package proxy_test

import (
	"io"
	"strings"
	"testing"

	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
)

// counted is cells, and counts what it is asked besides the handshake.
func counted(t *testing.T) (*testkit.Scripted, func() int) {
	t.Helper()
	asked := make(chan string, 1000)
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			switch name := strings.ToUpper(args[0]); {
			case name == "HELLO" && len(args) > 1:
				k.Reply("%1\r\n+proto\r\n:3\r\n")
			case name == "HELLO":
				k.Reply("*2\r\n+proto\r\n:2\r\n")
			case name == "SELECT", name == "AUTH":
				k.Reply("+OK\r\n")
			default:
				asked <- name
				k.Reply("+done\r\n")
			}
		}
	})
	return s, func() int { return len(asked) }
}

// A client whose SELECT fails writes nowhere, in whatever pieces its requests come,
// and in both protocols. What the proxy answers itself goes on.
func TestFailedSelectHolds(t *testing.T) {
	s, asked := counted(t)
	r := startRig(t, oneServer(s.Addr(), ""))
	refused := func(name string) string {
		return "-ERR '" + name + "' is not carried out: this connection asked for database '5' and did not get it; SELECT 0, which it is in, or another one that it may use\r\n"
	}
	request := command("SELECT", "5") + command("SET", "a", "b") + command("MGET", "a", "b") + command("nosuch", "a") + command("PING")
	want := "-ERR DB index is out of range\r\n" + refused("SET") + refused("MGET") + refused("nosuch") + "+PONG\r\n"
	for i := 0; i <= len(request); i++ {
		u := r.dial()
		u.send(request[:i])
		r.on(0, func(*proxy.Context) {}) // a turn between the pieces
		u.send(request[i:])
		u.expect(want)
		u.Close()
	}
	u := r.dial()
	u.send(command("SELECT", "5") + command("HELLO", "3") + command("GET", "a"))
	if _, err := u.in.ReadString('%'); err != nil {
		t.Fatal(err)
	}
	u.send(command("QUIT"))
	if got := u.rest(); !strings.HasSuffix(got, refused("GET")+"+OK\r\n") {
		t.Errorf("in RESP3: %q", got)
	}
	if n := asked(); n > 0 {
		t.Errorf("the server was asked %d things", n)
	}
	v := r.dial()
	v.send(command("SELECT", "5") + command("SELECT", "0") + command("GET", "a") + command("SELECT", "6") + command("RESET") + command("GET", "a"))
	v.expect("-ERR DB index is out of range\r\n+OK\r\n+done\r\n-ERR DB index is out of range\r\n+RESET\r\n+done\r\n")
	r.awaitIdle()
}

// A transaction is refused as a whole, also with other requests on their way, and
// for commands of all kinds.
func TestRefusedTransactionHolds(t *testing.T) {
	for _, lines := range []string{"", "  keyless_scripts: any\n  allow_flush: true\n"} {
		s, asked := counted(t)
		r := startRig(t, oneServer(s.Addr(), lines+"  private_connections: 0\n"))
		request := command("WATCH", "a") + command("MULTI")
		for _, words := range []string{
			"SET a b", "INCR a", "MGET a b", "PUBLISH c m", "EVAL x 0", "FLUSHALL", "DBSIZE", "SCAN 0", "nosuch a", "SELECT 0", "CLIENT LIST", "INFO", "HELLO 3", "PING",
		} {
			request += command(strings.Fields(words)...)
		}
		request += command("EXEC")
		u := r.dial()
		u.send(command("GET", "a") + request + command("GET", "a") + command("QUIT"))
		lines := strings.Split(u.rest(), "\r\n")
		if len(lines) != 21 || lines[0] != "+done" || lines[17] != "-EXECABORT Transaction discarded because of previous errors." ||
			lines[18] != "+done" || lines[19] != "+OK" {
			t.Fatalf("got %q", lines)
		}
		for _, line := range lines[1:17] {
			if !strings.HasPrefix(line, "-ERR '") && !strings.HasSuffix(line, "as private_connections allows") {
				t.Errorf("not refused: %q", line)
			}
		}
		if n := asked(); n != 2 {
			t.Errorf("the server was asked %d things, want the two GETs", n)
		}
		r.awaitIdle()
	}
}

// The log tells of a client that did not get its database, once a second at the
// most, and what follows.
func TestFailedSelectIsLogged(t *testing.T) {
	for setting, follows := range map[string]string{"refuse": "refused until a SELECT succeeds", "ignore": "goes on in the database where it was"} {
		s := testkit.StartScripted(t, cells)
		book := newLogBook(t, logging.Warn)
		r := startLoggedRig(t, oneServer(s.Addr(), "  failed_select: "+setting+"\n"), book.log)
		u := r.dial()
		for range 100 {
			u.send(command("SELECT", "77") + command("SELECT", "0"))
			u.expect("-ERR DB index is out of range\r\n+OK\r\n")
		}
		text := func() string {
			if err := book.log.Close(); err != nil {
				t.Fatal(err)
			}
			return book.text.String()
		}()
		if n := strings.Count(text, "did not get the database"); n == 0 || n > 20 {
			t.Errorf("%s: %d lines for 100 SELECTs", setting, n)
		}
		for _, part := range []string{`"database":"77"`, follows, `"pool":"`, `"client":`, `"peer":"127.0.0.1:`} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: the log does not say %s:\n%s", setting, part, text)
			}
		}
	}
}

// A word in place of the number may be a secret: neither the log nor a later error has it.
func TestWordsOfSelectAreNotTold(t *testing.T) {
	s, asked := counted(t)
	book := newLogBook(t, logging.Warn)
	r := startLoggedRig(t, oneServer(s.Addr(), ""), book.log)
	for _, word := range []string{"hunter2", "7hunter2", strings.Repeat("hunter2", 9), ""} {
		u := r.dial()
		u.send(command("SELECT", word) + command("GET", "a"))
		u.expect("-ERR value is not an integer or out of range\r\n" +
			"-ERR 'GET' is not carried out: this connection's SELECT failed; SELECT 0, which it is in, or another one that it may use\r\n")
		u.Close()
	}
	r.awaitIdle()
	if err := book.log.Close(); err != nil {
		t.Fatal(err)
	}
	if text := book.text.String(); !strings.Contains(text, "did not get the database") || strings.Contains(text, "hunter2") || strings.Contains(text, `"database":`) {
		t.Errorf("the log says:\n%s", text)
	}
	if n := asked(); n > 0 {
		t.Errorf("the server was asked %d things", n)
	}
}

// COPY and MOVE of a pool in one database reach the server with its number there.
func TestDatabaseNumbersAreTranslated(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for args, ok := k.Command(); ok; args, ok = k.Command() {
			k.Reply("+" + strings.Join(args, " ") + "\r\n")
		}
	})
	r := startRig(t, oneServer(s.Addr(), "  redis_db: 12\n"))
	request := command("COPY", "a", "b", "DB", "0", "REPLACE") + command("MOVE", "a", "0") + command("COPY", "a", "b", "DB", "1") +
		command("MOVE", "a", "12") + command("MOVE", "a", "1") + command("COPY", "a", "b")
	for i := 0; i <= len(request); i++ {
		u := r.dial()
		u.send(request[:i])
		r.on(0, func(*proxy.Context) {})
		u.send(request[i:])
		u.expect("+COPY a b DB 12 REPLACE\r\n+MOVE a 12\r\n-ERR DB index is out of range\r\n+MOVE a 12\r\n-ERR DB index is out of range\r\n+COPY a b\r\n")
		u.Close()
	}
	r.awaitIdle()
}

// A client that has not logged in is held little: of a request, of its replies that
// it does not read, and of what it sends meanwhile.
func TestBoundsBeforeLogin(t *testing.T) {
	s, _ := counted(t)
	r := startRig(t, oneServer(s.Addr(), "  redis_auth: pw\n"))
	held := func() (f msg.ClientFacts) {
		t.Helper()
		r.on(0, func(ctx *proxy.Context) {
			if all := ctx.NewestClients(r.topo, 1); len(all) == 1 {
				f = all[0]
			}
		})
		return f
	}
	const most = 64 << 10

	// It sends requests without an end, and reads no reply: it is closed, and little is held
	// until then.
	before := r.identity.LastClient()
	u := r.dial()
	go func() { _, _ = io.Copy(u, endless(command("GET", "a"))) }()
	await(t, "the client to have come, and to be gone", func() bool {
		f := held()
		if f.Unsent+f.Held > 2*most || f.Received > 2*most {
			t.Errorf("%d bytes of replies and %d of requests are held", f.Unsent+f.Held, f.Received)
		}
		return f.ID == 0 && r.identity.LastClient() > before
	})
	u.Close()

	// The largest request that there may be, and an inline one, all but the end.
	whole := command("AUTH", strings.Repeat("x", 16<<10), strings.Repeat("y", 16<<10), strings.Repeat("z", 16<<10))
	for _, request := range []string{
		whole + "\r\n", "*10\r\n" + strings.Repeat(bulk(strings.Repeat("x", 16<<10)), 10), "AUTH " + strings.Repeat("x", 60_000) + "\r\n",
	} {
		u := r.dial()
		u.send(request[:len(request)-3])
		n := min(len(request)-3, 160<<10)
		await(t, "the request to come", func() bool { return held().Received >= n || strings.HasPrefix(request, "AUTH") })
		if f := held(); f.Received > 3*most {
			t.Errorf("%d bytes of a request are held", f.Received)
		}
		u.Close()
		await(t, "the client to be gone", func() bool { return held().ID == 0 })
	}

	// One too large ends the client that has not logged in, and not one that has.
	large := command("SET", "a", strings.Repeat("x", 1<<20))
	v := r.dial()
	v.send(command("AUTH", "pw") + large)
	v.expect("+OK\r\n+done\r\n")
	w := r.dial()
	w.send(large[:1000])
	if got := w.rest(); got != "-ERR Protocol error: unauthenticated bulk length\r\n" {
		t.Errorf("got %q", got)
	}
	x := r.dial()
	x.send(command("AUTH", "pw") + command("RESET") + "*11\r\n")
	if got := x.rest(); got != "+OK\r\n+RESET\r\n-ERR Protocol error: unauthenticated multibulk length\r\n" {
		t.Errorf("got %q", got)
	}
	r.awaitIdle()
}

// endless is a text over and over again.
func endless(text string) io.Reader { return &repeater{text: strings.Repeat(text, 1000)} }

type repeater struct {
	text string
	at   int
}

func (r *repeater) Read(b []byte) (int, error) {
	n := copy(b, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}
