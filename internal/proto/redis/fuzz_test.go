package redis

import (
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// cutsFrom makes ascending cuts below n from steps.
func cutsFrom(steps []byte, n int) []int {
	var cuts []int
	at := 0
	for _, s := range steps {
		at += int(s)
		if at >= n {
			break
		}
		cuts = append(cuts, at)
	}
	return cuts
}

// FuzzRequestParser: read in one piece, byte by byte, or in any steps, the bytes
// hold the requests, and end in the error, that the reference finds.
func FuzzRequestParser(f *testing.F) {
	for _, text := range transcripts {
		f.Add([]byte(text), []byte{1, 3, 2}, uint16(0))
		f.Add([]byte(text), []byte{7}, uint16(40))
	}
	f.Add([]byte("\x16"), []byte{2}, uint16(141))
	f.Fuzz(func(t *testing.T, data, steps []byte, limit uint16) {
		maximum := int(limit)
		if maximum == 0 {
			maximum = 1 << 30
		}
		want := refRequests(data, maximum)
		for _, cuts := range [][]int{nil, everyByte(len(data)), cutsFrom(steps, len(data))} {
			if err := same(found(t, data, maximum, cuts), want); err != nil {
				t.Errorf("split at %v: %v", cuts, err)
			}
		}
	})
}

// FuzzCommands: whatever the words are, what is found out about a request holds
// together, and what is answered is replies.
func FuzzCommands(f *testing.F) {
	for i := range commands {
		f.Add(strings.ReplaceAll(commands[i].name, "|", "\n") + "\n" + strings.ReplaceAll(commands[i].example, " ", "\n"))
	}
	f.Add("command\ngetkeysandflags\nzunionstore\nd\n2\na\nb")
	f.Add("command\ninfo\nobject|freq\n|\nget")
	for _, words := range []string{
		"scan\n7\ncount\n5", "scan\n18446744073709551616", "wait\n1\n0", "waitaof\n1\n1\n-1", "keys\n*", "client\nlist\nid\n7\n8",
		"client\nkill\nid\n7\nskipme\nno\nmaxage\n5", "client\nkill\n1.1.1.1:1", "client\nreply\nskip", "mset\na\n1\nb", "msetex\n2\na\n1\nb\n2\nex\n5", "msetex\n1\na\n1\nnx", "clusterscan\n7\nslot\n5", "clusterscan\n7\ncount\n5", "debug\nobject\na", "debug\nsleep",
	} {
		f.Add(words)
	}
	f.Add("xread\nblock\ncount\nstreams\nstreams\na\n0")
	f.Fuzz(func(t *testing.T, lines string) {
		words := strings.Split(lines, "\n")
		data := resp(words...)
		c := converse(t, Options{AllowFlush: true})
		n, done, err := c.parser.Parse(data)
		if n != len(data) || !done || err != nil {
			t.Fatal(n, done, err)
		}
		r := c.parser.Finish(data)
		switch r.Treatment {
		case msg.Forward, msg.Watch, msg.Block, msg.Confirm:
			c.checkWhole(r)
		case msg.Subscribe, msg.Publish:
			c.checkChannels(r)
		case msg.Fragment:
			c.checkKeys(r)
			c.checkFragments(r)
		case msg.Broadcast:
			if !c.proto.Prepare(r, &c.session) {
				c.checkAnswer(r)
				return
			}
			c.checkRequest(r.View.AppendTo, r.View.Len(), len(r.Args))
		case msg.One:
			const servers = 3
			if server, ok := c.proto.OneServer(r, servers); !ok {
				c.checkAnswer(r)
			} else if server < 0 || server >= servers {
				t.Fatalf("server %d of %d", server, servers)
			} else {
				c.proto.AppendOne(r, servers, &c.pool, &c.out)
				c.checkOut(len(r.Args))
			}
		case msg.Track:
			switch _, seeks, ok := c.proto.Tracking(r, &c.session); {
			case seeks:
				c.checkInquiry(r)
			case !ok:
				c.checkAnswer(r)
			}
		case msg.Gather:
			c.checkInquiry(r)
		case msg.Learn, msg.Local, msg.Report:
			c.checkAnswer(r)
		case msg.Monitor, msg.Quit, msg.Ignore:
		}
	})
}

// checkChannels fails if a client cannot be told why it may not listen, or if a message goes
// where only patterns are.
func (c *conversation) checkChannels(r *msg.Request) {
	if r.Treatment == msg.Publish {
		if _, at := c.proto.Audience(c.proto.Published(r)); at == msg.FirstServer {
			c.t.Fatal("a message goes where patterns are")
		}
		return
	}
	if _, ok := c.proto.Subscription(r); !ok {
		c.checkAnswer(r)
	}
}

// checkInquiry has a request about clients answered for two of them.
func (c *conversation) checkInquiry(r *msg.Request) {
	var words mbuf.Chain
	inquiry, ok := c.proto.Inquire(r, &c.session, &c.pool, &words)
	if !ok {
		c.checkAnswer(r)
		return
	}
	for words.Len() > 0 {
		used, ids, fault := inquiry.ReadIDs(words.AppendTo(nil), make([]uint64, 0, 3))
		if fault != "" {
			break
		}
		if used == 0 || len(ids) == 0 {
			c.t.Fatalf("nothing is read of %q", words.AppendTo(nil))
		}
		words.Advance(&c.pool, used)
	}
	words.Release(&c.pool)
	facts := []msg.ClientFacts{{ID: 7, Addr: "1.1.1.1:1"}, {ID: 8, Age: 5}}
	facts = slices.DeleteFunc(facts, func(f msg.ClientFacts) bool { return !inquiry.Matches(&f) })
	var text mbuf.Chain
	for i := range facts {
		text.Append(&c.pool, inquiry.AppendClient(nil, &facts[i]))
	}
	inquiry.Answer(len(facts), &text, &c.pool, &c.out)
	c.checkReply()
}

// checkKeys fails if the keys that were found are not among the words.
func (c *conversation) checkKeys(r *msg.Request) {
	if r.PlaceKey != nil && r.Nkeys == 0 {
		return // a script without keys
	}
	if r.Nkeys < 1 || r.KeyStep < 1 || r.FirstKey < 1 || r.FirstKey+(r.Nkeys-1)*r.KeyStep >= len(r.Args) {
		c.t.Fatalf("%d keys from %d by %d of %d words", r.Nkeys, r.FirstKey, r.KeyStep, len(r.Args))
	}
}

// checkWhole fails if a request that is sent as it is has no keys, or if what is sent when
// its wait begins anew is not one request of as many words.
func (c *conversation) checkWhole(r *msg.Request) {
	if r.Treatment != msg.Confirm {
		c.checkKeys(r)
	}
	patience := c.proto.Patience(r)
	if patience < 0 {
		c.t.Fatalf("%d ns", patience)
	}
	if patience > 0 {
		c.proto.AppendShorter(r, patience/2+1, &c.pool, &c.out)
		c.checkOut(len(r.Args))
	}
}

// checkFragments deals the keys to two servers in turn: what either gets is one
// request, with its keys and what belongs to them.
func (c *conversation) checkFragments(r *msg.Request) {
	var other mbuf.Chain
	dealt := make([]uint16, r.Nkeys)
	for i := range dealt {
		dealt[i] = uint16(1 + i%2)
	}
	c.proto.FragmentHead(r, (r.Nkeys+1)/2, &c.pool, &c.out)
	c.proto.FragmentHead(r, r.Nkeys/2, &c.pool, &other)
	c.proto.FragmentKeys(r, 0, dealt, &c.pool, []*mbuf.Chain{nil, &c.out, &other})
	c.proto.FragmentTail(r, &c.pool, &c.out)
	c.proto.FragmentTail(r, &c.pool, &other)
	rest := len(r.Args) - r.Nkeys*r.KeyStep
	c.checkOut(rest + (r.Nkeys+1)/2*r.KeyStep)
	if c.out.Splice(&c.pool, &other); r.Nkeys > 1 {
		c.checkOut(rest + r.Nkeys/2*r.KeyStep)
	}
	c.out.Release(&c.pool)
}

// checkAnswer fails if what the proxy answers is not one reply, or, to CLIENT
// REPLY, none.
func (c *conversation) checkAnswer(r *msg.Request) {
	c.proto.Local(r, &c.session, &c.pool, &c.out)
	if c.session.Muted && c.out.Len() == 0 {
		return
	}
	c.checkReply()
}

func (c *conversation) checkReply() {
	answer := c.out.AppendTo(nil)
	c.out.Release(&c.pool)
	if w := refReplies(answer); len(w.sizes) != 1 || w.sizes[0] != len(answer) {
		c.t.Fatalf("the answer is not one reply: %.200q", answer)
	}
}

func (c *conversation) checkRequest(appendTo func(*mbuf.Pool, *mbuf.Chain, int, int), n, words int) {
	appendTo(&c.pool, &c.out, 0, n)
	c.checkOut(words)
}

// checkOut fails if what a server is sent is not one request of that many words.
func (c *conversation) checkOut(words int) {
	sent := c.out.AppendTo(nil)
	c.out.Release(&c.pool)
	p := New(Options{}).NewRequestParser()
	n, done, err := p.Parse(sent)
	if n != len(sent) || !done || err != nil {
		c.t.Fatalf("what is sent is not one request: %.200q", sent)
	}
	if got := len(p.Finish(sent).Args); got < words {
		c.t.Fatalf("what is sent has %d words, want %d: %.200q", got, words, sent)
	}
}

// FuzzReplyParser does the same for replies.
func FuzzReplyParser(f *testing.F) {
	for _, text := range replyTranscripts {
		f.Add([]byte(text), []byte{1, 3, 2})
	}
	f.Fuzz(func(t *testing.T, data, steps []byte) {
		want := refReplies(data)
		for _, cuts := range [][]int{nil, everyByte(len(data)), cutsFrom(steps, len(data))} {
			if err := sameReplies(data, cuts, want); err != nil {
				t.Errorf("split at %v: %v", cuts, err)
			}
		}
	})
}
