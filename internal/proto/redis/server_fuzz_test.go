package redis

import (
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// The fuzz targets of this file say what servers might, sound or not, to all that
// reads it: nothing of it may end the process, nor be taken for more than it is.

// seedLessons are replies to COMMAND INFO with key specifications, sound ones and
// others.
func seedLessons() []string {
	spec := func(search, find string) string {
		return "*4\r\n" + bulkOf("begin_search") + search + bulkOf("find_keys") + find
	}
	typed := func(kind string, fields ...string) string {
		words := "*" + string(rune('0'+len(fields)/2*2)) + "\r\n"
		return "*4\r\n" + bulkOf("type") + bulkOf(kind) + bulkOf("spec") + words + strings.Join(fields, "")
	}
	at := func(i string) string { return typed("index", bulkOf("index"), ":"+i+"\r\n") }
	behind := func(word, from string) string {
		return typed("keyword", bulkOf("keyword"), bulkOf(word), bulkOf("startfrom"), ":"+from+"\r\n")
	}
	span := func(last, step, limit string) string {
		return typed("range", bulkOf("lastkey"), ":"+last+"\r\n", bulkOf("keystep"), ":"+step+"\r\n", bulkOf("limit"), ":"+limit+"\r\n")
	}
	counted := func(number, first, step string) string {
		return typed("keynum", bulkOf("keynumidx"), ":"+number+"\r\n", bulkOf("firstkey"), ":"+first+"\r\n", bulkOf("keystep"), ":"+step+"\r\n")
	}
	info := func(subs string, specs ...string) string {
		return "*1\r\n*10\r\n" + bulkOf("foo.bar") + ":-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*" + string(rune('0'+len(specs))) + "\r\n" +
			strings.Join(specs, "") + subs
	}
	const none = "*0\r\n"
	return []string{
		info(none, spec(at("1"), counted("-5", "1", "1"))),
		info(none, spec(at("1"), counted("0", "-9", "1"))),
		info(none, spec(at("1"), counted("0", "1", "1")), spec(at("3"), span("-1", "2", "0"))),
		info(none, spec(behind("keys", "-1"), span("-1", "1", "2"))),
		info(none, spec(behind("", "3"), span("0", "1", "0"))),
		info(none, spec(at("-1"), span("-1", "-3", "-2"))),
		info(none, spec(typed("unknown"), typed("unknown"))),
		info("*1\r\n*6\r\n"+bulkOf("foo.bar|a")+":2\r\n*0\r\n:1\r\n:-1\r\n:1\r\n", spec(at("2"), span("0", "0", "0"))),
		infoOf("foo.bar", -2, 1, -1, 2), infoOf("foo.bar", 0, -1, -3, -5), infoOf("foo.bar", -2, 0, 0, 0, status("movablekeys")),
	}
}

// FuzzLesson: whatever a server says of a command, a request for it is served by
// keys that are among its words, or refused in words.
func FuzzLesson(f *testing.F) {
	for _, text := range seedLessons() {
		f.Add(text, "a\nkeys\n2\nb\nc\nkeys\nd", uint8(3))
		f.Add(text, "", uint8(1))
	}
	f.Fuzz(func(t *testing.T, reply, lines string, servers uint8) {
		c := converse(t, Options{Servers: int(servers)})
		if n, done, err := (&replyParser{outstanding: 1}).Parse([]byte(reply)); n != len(reply) || !done || err != nil {
			return
		}
		objection := c.proto.Learn(aboutCommand+"foo.bar", []byte(reply))
		if strings.ContainsAny(objection, "\r\n") || len(objection) > 2*maxShown {
			t.Errorf("the objection %.200q does not fit on a line", objection)
		}
		words := append([]string{"Foo.Bar"}, strings.Split(lines, "\n")...)
		data := resp(words...)
		if n, done, err := c.parser.Parse(data); n != len(data) || !done || err != nil {
			t.Fatal(n, done, err)
		}
		r := c.parser.Finish(data)
		if len(r.Args) > 2*len(words) {
			t.Errorf("%d words are listed of %d", len(r.Args), len(words))
		}
		switch r.Treatment {
		case msg.Forward:
			if servers != 1 {
				c.checkKeys(r)
			}
			for i := range r.Nkeys {
				if k := r.Key(i); k.End() > len(data) {
					t.Fatalf("a key that ends at %d of %d", k.End(), len(data))
				}
			}
		case msg.Local, msg.Learn:
			c.checkAnswer(r)
		default:
			t.Errorf("the treatment is %d", r.Treatment)
		}
	})
}

// FuzzHandshakeReply: whatever a server says to the handshake, the proxy makes of
// it one line, without the password.
func FuzzHandshakeReply(f *testing.F) {
	for _, reply := range []string{
		"+OK\r\n", "%0\r\n", "-NOAUTH x\r\n", "-WRONGPASS x\r\n", "-ERR unknown command, with args beginning with: secret \r\n", "-secret\r\n", "", "$-1\r\n", "!3\r\na\r\n\r\n",
	} {
		f.Add([]byte(reply), uint8(3), uint8(2), uint8(1))
	}
	f.Fuzz(func(t *testing.T, reply []byte, version, db, i uint8) {
		const password = "secret"
		p := New(Options{Auth: password, DB: 1, Databases: 16})
		lane := msg.Lane{RESP: version, DB: int(db)}
		var pool mbuf.Pool
		var out mbuf.Chain
		n := p.Handshake(lane, &pool, &out)
		if n == 0 {
			return
		}
		objection, unfit := p.HandshakeReply(lane, int(i)%n, reply)
		switch {
		case objection == "" && unfit != msg.OK:
			t.Errorf("%q is held against the server without a word", reply)
		case strings.Contains(objection, password):
			t.Errorf("%q has the password told: %q", reply, objection)
		case strings.ContainsAny(objection, "\r\n") || len(objection) > 3*maxShown:
			t.Errorf("the objection %.300q does not fit on a line", objection)
		}
	})
}

// FuzzHello: whatever a server says to HELLO, the client gets one reply.
func FuzzHello(f *testing.F) {
	for _, reply := range []string{"*2\r\n+proto\r\n:2\r\n", "-ERR unknown command\r\n", "-NOAUTH x\r\n", "-\r\n", "+OK\r\n"} {
		f.Add([]byte(reply))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		c := converse(t, Options{Auth: "secret"})
		if objection := c.proto.Learn(aboutHello, reply); strings.Contains(objection, "secret") || strings.ContainsAny(objection, "\r\n") {
			t.Errorf("%q is told as %q", reply, objection)
		}
		data := resp("HELLO", "3", "AUTH", "default", "secret")
		if _, done, err := c.parser.Parse(data); !done || err != nil {
			t.Fatal(done, err)
		}
		c.checkAnswer(c.parser.Finish(data))
	})
}

// FuzzPong: a server is well only if what it says begins as an answer of one that
// is.
func FuzzPong(f *testing.F) {
	for _, p := range pongs {
		f.Add([]byte(p.begins))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		well := slices.ContainsFunc([]string{"+PONG", "-NOPERM", "-ERR unknown command"}, func(s string) bool { return strings.HasPrefix(string(line), s) })
		if got := Pong(line) == msg.OK; got != well {
			t.Errorf("%q: well is %t", line, got)
		}
	})
}

// FuzzVerdict: whether a reply answers a request does not depend on where its bytes lie,
// and what does can be merged.
func FuzzVerdict(f *testing.F) {
	for i := range commands {
		f.Add(uint16(i), []byte("*2\r\n$1\r\n0\r\n*0\r\n"), uint16(1))
	}
	f.Fuzz(func(t *testing.T, kind uint16, reply []byte, cut uint16) {
		var pool mbuf.Pool
		p := New(Options{})
		id := msg.Type(int(kind) % len(commands))
		flat := p.Verdict(id, msg.Reply{Flat: reply})
		chain := chainOf(&pool, reply, 1+int(cut)%mbuf.SmallSize)
		if got := p.Verdict(id, msg.Reply{Chain: chain}); got != flat {
			t.Errorf("%q to %s: %s flat, %s in pieces", reply, commands[id].name, flat, got)
		}
		chain.Release(&pool)
	})
}
