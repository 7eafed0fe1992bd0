package testkit

import (
	"strings"
	"testing"
	"time"
)

// saying is a proxy that gives each request in turn one of the answers, and
// closes after the last.
func saying(t *testing.T, name string, answers ...string) *Proxy {
	t.Helper()
	s := StartScripted(t, func(k *Talk) {
		for _, answer := range answers {
			if _, ok := k.Command(); !ok {
				return
			}
			k.Reply(answer)
		}
		if _, ok := k.Command(); ok {
			k.Close()
		}
	})
	return &Proxy{Process: &Process{t: t, name: name}, Addrs: []string{s.Addr()}}
}

var twoGets = [][]byte{RESP("GET", "a"), RESP("GET", "b")}

// Diff finds a difference in each way that two sides can differ, and none where
// there is none.
func TestDiff(t *testing.T) {
	t.Parallel()
	same := []string{"$1\r\n1\r\n", "$-1\r\n", "+PONG\r\n"}
	for name, c := range map[string]struct {
		b    []string
		want string // part of the only message; empty for none
	}{
		"same":             {same, ""},
		"another value":    {[]string{"$1\r\n2\r\n", "$-1\r\n", "+PONG\r\n"}, `request 0: "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"`},
		"another sentinel": {[]string{"$1\r\n1\r\n", "$-1\r\n", "+PONK\r\n"}, "request 2: "},
		"extra bytes":      {[]string{"$1\r\n1\r\n", "$-1\r\n", "+PONG\r\n:1\r\n"}, "sends more than replies"},
		"nonsense":         {[]string{"$1\r\n1\r\n", "$-1\r\n", "nonsense\r\n"}, "(no reply)"},
		"closes":           {[]string{"$1\r\n1\r\n", "$-1\r\n"}, "(no reply)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := saying(t, "left", same...), saying(t, "right", c.b...)
			messages := strings.Join(record(t, func(t testing.TB) { Diff(t, Redis, a, b, twoGets, nil) }), "\n")
			if c.want == "" && messages != "" || !strings.Contains(messages, c.want) {
				t.Errorf("it says %s\nwant %q", messages, c.want)
			}
		})
	}
}

// A replay reads what came before the end of the connection, and tells of it.
func TestReplayString(t *testing.T) {
	t.Parallel()
	for want, answers := range map[string][]string{
		"+1 ; +2 ; +PONG":                 {"+1\r\n", "+2\r\n", "+PONG\r\n"},
		"+1 ; closed":                     {"+1\r\n"},
		"closed":                          {},
		`+1 ; then "$5\r\nx" ; closed`:    {"+1\r\n$5\r\nx"},
		`+1 ; +2 ; +PONG ; then "+x\r\n"`: {"+1\r\n", "+2\r\n", "+PONG\r\n+x\r\n"},
	} {
		if got := Play(t, Redis, saying(t, "", answers...).Addr(), twoGets, nil).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A difference holds when both sides match, and says so when either does not.
func TestDifference(t *testing.T) {
	t.Parallel()
	d := Difference{
		Name: "test", Protocol: Redis, Send: twoGets, Nutcracker: `\+1 ; closed`, Nuthatch: `\+1 ; -ERR .* ; \+PONG`, Why: "a reason",
	}
	left := func() *Proxy { return saying(t, "nutcracker", "+1\r\n") }
	right := func() *Proxy { return saying(t, "nuthatch", "+1\r\n", "-ERR x\r\n", "+PONG\r\n") }
	if messages := record(t, func(t testing.TB) { d.Check(t, left(), right()) }); len(messages) > 0 {
		t.Errorf("it says %q", messages)
	}
	expectOne(t, record(t, func(t testing.TB) { d.Check(t, left(), left()) }), `nutcracker "+1 ; closed"`)
	expectOne(t, record(t, func(t testing.TB) { d.Check(t, right(), right()) }), "a reason")
	d.Why = ""
	expectOne(t, record(t, func(t testing.TB) { d.Check(t, left(), right()) }), "needs a reason")
}

// EverySplit cuts at every byte, and finds a server that only understands whole
// writes.
func TestEverySplit(t *testing.T) {
	t.Parallel()
	server := StartRedis(t)
	transcript := [][]byte{RESP("SET", "a", "1"), RESP("GET", "a"), RESP("LRANGE", "none", "0", "-1")}
	want := Play(t, Redis, server.Addr(), transcript, nil)
	if want.String() != "+OK ; $1\r\n1 ; *0 ; +PONG" {
		t.Fatalf("uncut: %s", want)
	}
	EverySplit(t, Redis, server, transcript, want)
	wrong := want
	wrong.Replies = append([]string{"+KO\r\n"}, want.Replies[1:]...)
	messages := record(t, func(t testing.TB) { EverySplit(t, Redis, server, transcript, wrong) })
	if len(messages) != 2 || !strings.Contains(messages[0], "cut at byte 1") || !strings.Contains(messages[1], "+KO") {
		t.Errorf("it says %q", messages)
	}
}

// With a Splitter, the pieces arrive one by one.
func TestPlayInPieces(t *testing.T) {
	t.Parallel()
	server := StartMemcached(t)
	transcript := [][]byte{
		[]byte("set a 0 0 4\r\nabcd\r\n"), []byte("set a 0 0 1 noreply\r\nx\r\n"), []byte("get a b\r\n"), []byte("gets none\r\n"),
	}
	for seed := range uint64(5) {
		got := Play(t, Memcache, server.Addr(), transcript, RandomSplit(seed, 15)).String()
		if want := "STORED ; VALUE a 0 1\r\nx\r\nEND ; END ; END"; got != want {
			t.Errorf("seed %d: got %s", seed, got)
		}
	}
}

// The steps of a script, as a client sees them.
func TestScripted(t *testing.T) {
	t.Parallel()
	s := StartScripted(t, func(k *Talk) {
		switch k.N() {
		case 1:
			k.Expect("hello")
			k.Reply("+1\r\n")
			k.ReplyPieces("$3\r\nabc\r\n", 1, time.Millisecond)
			args, _ := k.Command()
			k.Reply(Bulk(strings.Join(args, " ")))
			line, _ := k.Line()
			k.Reply(Bulk(line))
		case 2:
			k.Expect("x")
			k.Reset()
		default:
			k.Hang()
		}
	})
	c := Dial(t, Redis, s.Addr())
	c.Send([]byte("hello"))
	c.Send(RESP("GET", "a b"))
	c.Send([]byte("line\r\n"))
	c.Expect("+1\r\n", Bulk("abc"), Bulk("GET a b"), Bulk("line"))
	if rest := c.ExpectEnd(); rest != "" {
		t.Errorf("the script's end leaves %q", rest)
	}
	reset := Dial(t, Redis, s.Addr())
	reset.Send([]byte("x"))
	if rest := reset.ExpectEnd(); rest != "" {
		t.Errorf("a reset leaves %q", rest)
	}
	hanging := Dial(t, Redis, s.Addr())
	Await(t, "the third connection", func() error {
		if s.Accepted() < 3 {
			return errFraming
		}
		return nil
	})
	s.Stop()
	hanging.ExpectEnd()
}

// A script that gets something else than it expects fails its test.
func TestScriptedFails(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{"help!": `got "help!", expecting "hello"`, "hel": `after "hel", expecting "hello"`} {
		messages := record(t, func(t testing.TB) {
			s := StartScripted(t, func(k *Talk) { k.Expect("hello") })
			c := Dial(t, Redis, s.Addr())
			c.Send([]byte(sent))
			c.CloseWrite()
			c.ExpectEnd()
		})
		expectOne(t, messages, want)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	if _, err := TryDial(t, Redis, Refused(t)); err == nil {
		t.Error("it accepts")
	}
}
