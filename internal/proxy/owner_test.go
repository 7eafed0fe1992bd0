package proxy

import (
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// An errand is an owner of messages that the core does not know, and its party.
type errand struct {
	unsent  int
	awaited int
}

func (e *errand) OnReply(*msg.Msg, msg.Reply)  {}
func (e *errand) OnFailure(*msg.Msg)           {}
func (e *errand) Party() msg.Party             { return e }
func (e *errand) Unsent() int                  { return e.unsent }
func (e *errand) WroteAt(uint32) bool          { return false }
func (e *errand) Wrote(*msg.Msg, uint32, bool) {}

// Answered implements msg.Party.
func (e *errand) Answered(*msg.Msg, uint32, int64) {}

func (e *errand) Divide(m *msg.Msg, _ *msg.Request) []*msg.Msg {
	return []*msg.Msg{m}
}
func (e *errand) BreakUp(*msg.Msg, *mbuf.Chain) []*msg.Msg { return nil }
func (e *errand) AwaitReplies()                            { e.awaited++ }

// A question of the proxy's own has no party.
type ownQuestion struct{ errand }

func (q *ownQuestion) Party() msg.Party { return nil }

// owned is a connection whose head is a message of that owner's.
func owned(t *testing.T, owner msg.Owner) (*Context, *serverConn) {
	t.Helper()
	ctx := loneContext(t, poolOf(t, 1, "  retry: idempotent\n"))
	s := ctx.pools[0].servers[0]
	s.addLane(0)
	c := s.addConn(0, 0)
	m := ctx.msgs.Get()
	m.Owner = owner
	c.queue.Push(m)
	return ctx, c
}

// Whoever owns a message: what comes for it counts against its party, which keeps the
// server from being read when memory is short and it does not read.
func TestAnyOwnerReportsToTheMemoryAccount(t *testing.T) {
	e := &errand{}
	ctx, c := owned(t, e)
	c.reply.AppendString(ctx.bufs, strings.Repeat("x", 1000))
	defer c.reply.Release(ctx.bufs)
	c.starved = true
	if got, want := c.pool.claims()[e], (claim{1000, true}); got != want {
		t.Errorf("its claim is %+v, want %+v", got, want)
	}
	ctx.memory.tight = true
	for unsent, want := range map[int]bool{outFull - 1: true, outFull: false} {
		if e.unsent = unsent; (connGate{c}).mayRead(&c.pool.ctx.memory) != want {
			t.Errorf("with %d bytes to read, its server is read: %t", unsent, !want)
		}
	}
	if n := maxAnswer + 1; !c.within(c.queue.Head(), n) {
		t.Errorf("a reply of %d bytes is refused, as if the proxy had asked for itself", n)
	}
}

// The proxy's own questions are bounded by themselves, and wait for no party.
func TestAnOwnQuestionHasNoParty(t *testing.T) {
	q := &ownQuestion{errand{unsent: outFull}}
	ctx, c := owned(t, q)
	ctx.memory.tight = true
	if !(connGate{c}).mayRead(&c.pool.ctx.memory) {
		t.Error("its server is not read")
	}
	if n := maxAnswer + 1; c.within(c.queue.Head(), n) {
		t.Errorf("an answer of %d bytes is taken", n)
	}
	if c.closeWhenAnswered(0); q.awaited != 0 || len(c.pool.claims()) != 0 {
		t.Errorf("it waits (%d), or has claims (%d)", q.awaited, len(c.pool.claims()))
	}
	if m := c.queue.Head(); (&rescue{conn: c}).repeatable(m, true) {
		t.Error("it is sent again")
	}
}

// Whoever owns a message: its party's requests keep their order, when connections are
// replaced and when requests are sent again.
func TestAnyOwnerObeysTheOrderRule(t *testing.T) {
	e, other := &errand{}, &errand{}
	_, c := owned(t, e)
	if c.closeWhenAnswered(0); e.awaited != 1 {
		t.Errorf("its party was told %d times to wait for replies", e.awaited)
	}
	pure := func(want bool) msg.Type {
		for i := range c.pool.commands {
			if c.pool.commands[i].Pure == want {
				return msg.Type(i)
			}
		}
		t.Fatal("no such command")
		return 0
	}
	message := func(owner msg.Owner, reads bool) *msg.Msg {
		return &msg.Msg{Owner: owner, Type: pure(reads), Len: 1, End: 1, Keep: reads}
	}
	saved := rescue{conn: c, sent: 10}
	// From the last to the first: a read, a write, and reads before it.
	for i, step := range []struct {
		m    *msg.Msg
		want bool
	}{
		{message(e, true), true}, {message(e, false), false}, {message(e, true), false}, {message(other, true), true},
	} {
		if got := saved.repeatable(step.m, false); got != step.want {
			t.Errorf("message %d from the end is sent again: %t", i, got)
		}
	}
}
