package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// keysOf are the words of a request that its keys are.
func keysOf(r *msg.Request) []string {
	var keys []string
	for i := range r.Nkeys {
		k := r.Key(i)
		b, _ := r.View.Bytes(int(k.Off), int(k.Len), nil)
		keys = append(keys, string(b))
	}
	slices.Sort(keys)
	return keys
}

// TestLessonsAgree: of every command that the table routes, redis-server's
// COMMAND INFO teaches the same keys.
func TestLessonsAgree(t *testing.T) {
	server := testkit.StartRedis(t)
	c := server.Dial()
	compared := 0
	for i := range commands {
		row := &commands[i]
		if row.keys.rule == noKey || !row.treatment.ByKeys() || row.example == "" {
			continue
		}
		name, sub, isSub := strings.Cut(row.name, "|")
		v, ok := readReply([]byte(c.Do("COMMAND", "INFO", name)))
		if !ok || len(v.elems) != 1 {
			t.Fatalf("%s: COMMAND INFO is not understood", name)
		}
		if len(v.elems[0].elems) == 0 {
			continue // of a later release
		}
		l, ok := newLesson(v.elems[0])
		if !ok || l.name != name {
			t.Fatalf("%s: no lesson from %+v", name, v)
		}
		words := []string{name}
		if isSub {
			words = append(words, sub)
			if !slices.ContainsFunc(l.subs, func(s *lesson) bool { return s.name == row.name }) {
				continue // of a later release
			}
		}
		words = append(words, testkit.Command(row.example)...)
		data := resp(words...)
		parser := New(Options{Databases: 16}).NewRequestParser()
		if _, done, err := parser.Parse(data); !done || err != nil {
			t.Fatalf("%s: %q", row.name, data)
		}
		r := parser.Finish(data)
		want := keysOf(r)
		wantTreatment := r.Treatment
		r.Args = r.Args[:len(words)]
		r.FirstKey, r.KeyStep, r.Nkeys = 0, 0, 0
		if r.Treatment, r.Error = l.locate(r, 3); r.Error != "" {
			r.Treatment = msg.Local
		}
		switch {
		case r.Error == ownConnection && (strings.HasPrefix(name, "x") || name == "spublish"):
			continue // of XREAD, Redis says that it may block; the table looks
		case r.Error == hiddenKeys && strings.HasPrefix(name, "sort"):
			continue // by its specifications STORE may be anywhere
		}
		if got := keysOf(r); !slices.Equal(got, want) || r.Treatment != msg.Forward && r.Treatment != msg.Block {
			t.Errorf("%s: treatment %d, %q, keys %q; the table has %d and %q", words, r.Treatment, r.Error, got, wantTreatment, want)
		}
		compared++
	}
	if compared < 150 {
		t.Errorf("only %d commands were compared", compared)
	}
}

// infoOf is a reply to COMMAND INFO in the form before Redis 7.
func infoOf(name string, arity, first, last, step int, flags ...string) string {
	return fmt.Sprintf("*1\r\n*6\r\n%s:%d\r\n*%d\r\n%s:%d\r\n:%d\r\n:%d\r\n", bulkOf(name), arity, len(flags),
		strings.Join(flags, ""), first, last, step)
}

// containerOf is a reply to COMMAND INFO about a command with one subcommand, which has these flags.
func containerOf(name, sub string, flags ...string) string {
	return fmt.Sprintf("*1\r\n*10\r\n%s:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n%s", bulkOf(name), infoOf(sub, 2, 0, 0, 0, flags...))
}

// lessonOf is a reply to COMMAND INFO of x.some by which the number of keys, and the first,
// are so far behind the command's first word, and the keys are used like that.
func lessonOf(number, first int, use string) string {
	return fmt.Sprintf("*1\r\n*10\r\n%s:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*1\r\n*6\r\n"+
		"+flags\r\n*1\r\n+%s\r\n"+
		"+begin_search\r\n*4\r\n+type\r\n+index\r\n+spec\r\n*2\r\n+index\r\n:1\r\n"+
		"+find_keys\r\n*4\r\n+type\r\n+keynum\r\n+spec\r\n*6\r\n+keynumidx\r\n:%d\r\n+firstkey\r\n:%d\r\n+keystep\r\n:1\r\n*0\r\n",
		bulkOf("x.some"), use, number, first)
}

func status(s string) string { return "+" + s + "\r\n" }

func TestLearn(t *testing.T) {
	tests := []struct {
		name, reply, request string
		servers              int
		treatment            msg.Treatment
		keys, why            string
	}{
		{"one key", infoOf("json.get", -2, 1, 1, 1, status("readonly")), "JSON.Get doc .", 3, msg.Forward, "doc", ""},
		{"a range", infoOf("json.mget", -3, 1, -2, 1), "json.mget a b c path", 3, msg.Forward, "a b c", ""},
		{"steps", infoOf("ts.madd", -4, 1, -1, 3), "ts.madd a 1 1 b 2 2", 3, msg.Forward, "a b", ""},
		{"too few words", infoOf("json.set", -4, 1, 1, 1), "json.set a .", 3, msg.Local, "", wrongArity},
		{"no key, many servers", infoOf("ft.search", -3, 0, 0, 0), "ft.search idx q", 3, msg.Local, "", noServer},
		{"no key, one server", infoOf("ft.search", -3, 0, 0, 0), "ft.search idx q", 1, msg.Forward, "ft.search", ""},
		{"blocking", infoOf("x.wait", -2, 1, 1, 1, status("blocking")), "x.wait a", 3, msg.Block, "a", ""},
		{"publishing", infoOf("x.listen", -2, 0, 0, 0, status("pubsub")), "x.listen a", 1, msg.Local, "", ownConnection},
		{"of administration", infoOf("secondaryof", 3, 0, 0, 0, status("admin"), status("noscript")), "secondaryof no one", 3, msg.Local, "", sharedServer},
		{"of administration, one server", infoOf("secondaryof", 3, 0, 0, 0, status("admin"), status("noscript")), "secondaryof no one", 1, msg.Local, "", sharedServer},
		{"of administration, by key", infoOf("x.debug", -2, 1, 1, 1, status("admin"), status("readonly")), "x.debug a", 1, msg.Local, "", sharedServer},
		{"of administration, hidden keys", infoOf("x.debug", -2, 0, 0, 0, status("admin"), status("pubsub"), status("movablekeys")), "x.debug a", 1, msg.Local, "", sharedServer},
		{"a subcommand of administration", containerOf("x", "x|stop", status("admin")), "x STOP", 1, msg.Local, "", sharedServer},
		{"another subcommand", containerOf("x", "x|stop", status("admin")), "x show", 1, msg.Forward, "x", ""},
		{"hidden keys", infoOf("x.sum", -2, 0, 0, 0, status("movablekeys")), "x.sum 1 a", 3, msg.Local, "", hiddenKeys},
		{"hidden keys, one server", infoOf("x.sum", -2, 0, 0, 0, status("movablekeys")), "x.sum 1 a", 1, msg.Forward, "x.sum", ""},
		{"more keys than the places", infoOf("x.more", -2, 1, 1, 1, status("movablekeys")), "x.more a b", 3, msg.Local, "", hiddenKeys},
		{"more keys than the places, one server", infoOf("x.more", -2, 1, 1, 1, status("movablekeys")), "x.more a b", 1, msg.Forward, "x.more", ""},
		{"not all keys", lessonOf(0, 1, "incomplete"), "x.some 2 a b", 3, msg.Local, "", hiddenKeys},
		{"a number of keys", lessonOf(0, 1, "RO"), "x.some 2 a b", 3, msg.Forward, "a b", ""},
		{"a number before the command", lessonOf(-5, 1, "RO"), "x.some 2 a b", 3, msg.Local, "", hiddenKeys},
		{"a number before the command, one server", lessonOf(-5, 1, "RO"), "x.some 2 a b", 1, msg.Forward, "x.some", ""},
		{"keys before the command", lessonOf(0, -2, "RO"), "x.some 2 a b", 3, msg.Local, "", hiddenKeys},
		{"odd positions", infoOf("x.odd", -1, 9, 1, 0), "x.odd a b", 3, msg.Forward, "a", ""},
		{"far positions", infoOf("x.far", -1, 1<<40, -1<<40, 1<<40), "x.far a b", 3, msg.Local, "", noServer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := New(Options{Servers: tt.servers})
			r := parseOne(t, p, tt.request)
			if r.Treatment != msg.Learn {
				t.Fatalf("an unknown command's treatment is %d", r.Treatment)
			}
			var pool mbuf.Pool
			var out mbuf.Chain
			topic, _ := p.Ask(r, &msg.Session{Authenticated: true}, &pool, &out)
			name, _, _ := strings.Cut(strings.ToLower(tt.request), " ")
			if got, want := string(out.AppendTo(nil)), string(resp("COMMAND", "INFO", name)); got != want {
				t.Errorf("asks %q, want %q", got, want)
			}
			if why := p.Learn(topic, []byte(tt.reply)); why != "" {
				t.Fatalf("the answer %q is not understood: %s", tt.reply, why)
			}
			r = parseOne(t, p, tt.request)
			if got := strings.Join(keysOf(r), " "); r.Treatment != tt.treatment || r.Error != tt.why || got != tt.keys {
				t.Errorf("treatment %d, %q, keys %q; want %d, %q, %q", r.Treatment, r.Error, got, tt.treatment, tt.why, tt.keys)
			}
		})
	}
}

func parseOne(t *testing.T, p *Protocol, text string) *msg.Request {
	t.Helper()
	data := resp(strings.Fields(text)...)
	parser := p.NewRequestParser()
	if n, done, err := parser.Parse(data); n != len(data) || !done || err != nil {
		t.Fatal(n, done, err)
	}
	return parser.Finish(data)
}

// TestNotLearnt: what is no answer is reported and not kept, and what the server
// does not know is neither.
func TestNotLearnt(t *testing.T) {
	tests := []struct{ topic, reply, objection string }{
		{"command:foo", "*1\r\n*-1\r\n", ""},
		{"command:foo", "*1\r\n$-1\r\n", ""},
		{"command:foo", "-NOPERM no\r\n", "NOPERM no"},
		{"command:foo", "+OK\r\n", "an unexpected reply"},
		{"command:foo", infoOf("bar", 1, 1, 1, 1), "they have it as 'bar', renamed"},
		{"command:foo", strings.Repeat("*1\r\n", 40) + ":1\r\n", "an unexpected reply"},
		{"command:foo", "*1\r\n" + bulkOf(strings.Repeat("x", maxLesson)), "a reply of more than 65536 bytes"},
		{"command:foo", "-ERR " + strings.Repeat("x", 1000) + "\r\n", "ERR " + strings.Repeat("x", maxShown-4)},
		{"hello", "-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."},
	}
	for _, tt := range tests {
		p := New(Options{})
		if got := p.Learn(tt.topic, []byte(tt.reply)); got != tt.objection {
			t.Errorf("%q: objection %q, want %q", tt.reply, got, tt.objection)
		}
		if l := p.learned.load(); l.resp3 != untested || len(l.commands) > 0 {
			t.Errorf("%q: %+v was kept", tt.reply, l)
		}
	}
}

func TestLearnHello(t *testing.T) {
	for reply, want := range map[string]verdict{
		"*2\r\n+proto\r\n:2\r\n":                                       able,
		"-ERR wrong number of arguments for 'hello' command\r\n":       able,
		"-ERR unknown command `HELLO`, with args beginning with: \r\n": unable,
		"-ERR Unknown Command\r\n":                                     unable,
	} {
		p := New(Options{})
		if r := parseOne(t, p, "hello 3"); r.Treatment != msg.Learn {
			t.Errorf("HELLO 3: treatment %d before anything is known", r.Treatment)
		}
		if why := p.Learn("hello", []byte(reply)); why != "" || p.learned.load().resp3 != want {
			t.Errorf("%q: %q, verdict %d", reply, why, p.learned.load().resp3)
		}
		for _, text := range []string{"HELLO", "HELLO 2", "hello 3", "HELLO 4"} {
			if r := parseOne(t, p, text); r.Treatment != msg.Local {
				t.Errorf("%s: treatment %d", text, r.Treatment)
			}
		}
	}
}

// TestRefuseUnknown: by configuration no server is asked, nor for a client that
// has not logged in, nor for names that are none.
func TestRefuseUnknown(t *testing.T) {
	if r := parseOne(t, New(Options{RefuseUnknown: true}), "foo a"); r.Treatment != msg.Local || r.Error != unknownCommand {
		t.Errorf("treatment %d, %q", r.Treatment, r.Error)
	}
	p := New(Options{Auth: "pw"})
	if r := parseOne(t, p, strings.Repeat("f", maxLearnedName+1)); r.Treatment != msg.Local {
		t.Errorf("a long name's treatment is %d", r.Treatment)
	}
	var pool mbuf.Pool
	var out mbuf.Chain
	if topic, ok := p.Ask(parseOne(t, p, "foo a"), &msg.Session{}, &pool, &out); ok || topic != "" || out.Len() > 0 {
		t.Errorf("asks about %q for a client without a login", topic)
	}
}

func TestLearnedBound(t *testing.T) {
	l := new(Learned)
	for i := range maxLearned + 10 {
		l.keep(&lesson{name: strconv.Itoa(i)})
	}
	if n := len(l.load().commands); n != 10 {
		t.Errorf("%d commands are kept", n)
	}
	if l.command([]byte(strconv.Itoa(maxLearned))) == nil {
		t.Error("the last one was not kept")
	}
}

// TestLearnedIsCheap: a learnt command is parsed without an allocation.
func TestLearnedIsCheap(t *testing.T) {
	p := New(Options{Servers: 3})
	p.Learn("command:json.get", []byte(infoOf("json.get", -2, 1, 1, 1)))
	data := resp("JSON.GET", "doc", ".")
	parser := p.NewRequestParser()
	if n := testing.AllocsPerRun(100, func() {
		_, _, err := parser.Parse(data)
		if err != nil || parser.Finish(data).Treatment != msg.Forward {
			t.Fatal("it is not forwarded")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
