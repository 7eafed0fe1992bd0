package proxy

import "nuthatch/internal/mbuf"

// No request holds a loop for long. What may be large is a job: it is done in
// steps, as many in a turn as the budget allows, and the rest in the next turns,
// after the small requests:
//
//	turn 1   events ─► small requests, done at once ─► OnTurn: steps ─► flush
//	turn 2   events ─► small requests, done at once ─► OnTurn: steps ─► flush
//	         (there is no wait before it)
//
// The oldest job comes first, and is worked on until it is done: if two took turns,
// both would be late. A budget counts keys, clients and bytes, not time. So the loop
// reads no clock for it, and the work of a turn does not depend on the machine.

// An Amount is an amount of work. Keys are read, dealt to servers or merged. Clients
// are looked at one by one, connected, told something or closed; connections to servers
// count as clients. Bytes are copied, looked at or given back.
type Amount struct{ Keys, Clients, Bytes int }

// within reports whether a is less than the bound in every respect.
func (a Amount) within(bound Amount) bool {
	return a.Keys < bound.Keys && a.Clients < bound.Clients && a.Bytes < bound.Bytes
}

// turnBudget is how much jobs may do in one turn. All of it takes about a millisecond:
// see BenchmarkSlices.
var turnBudget = Amount{Keys: 64 << 10, Clients: 256, Bytes: 4 << 20}

// A job is work that may be too much for one turn.
type job interface {
	// step does some of the work, not much more than ctx.turn.left() allows, and
	// reports whether the job is done. It counts what it does in ctx.turn.
	step(ctx *Context) (done bool)
}

// A turn is what a context has done in the present turn of its loop, and the jobs that
// it has yet to do.
type turn struct {
	// budget is how much jobs may do in a turn. atOnce is how much of one request is
	// done without a job. A request of at most flat bytes cannot have more words than
	// that.
	budget, atOnce Amount
	flat           int
	// at is the number of the turn that did is about. most is the most that one turn
	// did, of each kind of work by itself.
	at        uint64
	did, most Amount
	// spent is the part of did that jobs have done.
	spent Amount
	// worked: a job was worked on.
	worked bool
	// swept is how many bytes of memory have been given back in this turn.
	swept int
	// resumed is how many bytes of clients' stashes have been taken in this turn, and
	// of the proxy's own answers to them. resuming: a client is being resumed.
	resumed  int
	resuming bool
	// answered is how many bytes of answers the proxy has made in the turn answeredAt,
	// to requests that came in it. full: answered, or resumed, is at its bound.
	answered   int
	answeredAt uint64
	full       bool
	// jobs are the jobs that are not done, the oldest first. retiring is the one of
	// them that closes connections, or nil.
	jobs     []job
	retiring *retiring
}

// left is how much jobs may still do in this turn.
func (t *turn) left() Amount {
	return Amount{
		Keys:    max(0, t.budget.Keys-t.spent.Keys),
		Clients: max(0, t.budget.Clients-t.spent.Clients),
		Bytes:   max(0, t.budget.Bytes-t.spent.Bytes),
	}
}

// hasBudget reports whether jobs may still do something in this turn.
func (t *turn) hasBudget() bool { return t.spent.within(t.budget) }

// add adds b to a.
func (a *Amount) add(b Amount) {
	a.Keys += b.Keys
	a.Clients += b.Clients
	a.Bytes += b.Bytes
}

// count counts what a job did in this turn.
func (t *turn) count(a Amount) {
	t.did.add(a)
	t.spent.add(a)
}

// room reports whether in this turn one more client, or connection, may be told
// something or closed, and counts it. A caller that finds no room goes on in the next
// turn.
func (t *turn) room() bool {
	if t.spent.Clients >= t.budget.Clients {
		return false
	}
	t.count(Amount{Clients: 1})
	return true
}

// perDial is how many clients the opening of a connection counts for.
const perDial = 3

// perMessage is how many keys a failed message counts for.
const perMessage = 16

// roomForMessage is room for a message that fails.
func (t *turn) roomForMessage() bool {
	if t.spent.Keys >= t.budget.Keys {
		return false
	}
	t.count(Amount{Keys: perMessage})
	return true
}

// bytesPerResume: in a turn the budget's bytes divided by it are taken from clients'
// stashes, and as many bytes of answers are made. It is a small part, since requests
// may be small.
const bytesPerResume = 16

// countResumed counts bytes that were taken from a stash.
func (t *turn) countResumed(n int) {
	t.resumed += n
	t.did.Bytes += n
}

// resumesMore reports whether one more client may be resumed in this turn.
func (t *turn) resumesMore() bool { return t.resumed <= t.budget.Bytes/bytesPerResume }

// perAnswer is how many bytes an answer of the proxy counts for, besides its own and
// its request's.
const perAnswer = 256

// countAnswer counts an answer of the proxy, in the loop's turn at.
func (t *turn) countAnswer(at uint64, n int) {
	n += perAnswer
	t.did.Bytes += n
	if t.resuming {
		t.resumed += n
		t.full = !t.resumesMore()
		return
	}
	if t.answeredAt != at {
		t.answeredAt, t.answered = at, 0
	}
	t.answered += n
	t.full = t.answered > t.budget.Bytes/bytesPerResume
}

// takesMore reports whether one more request may be taken in the loop's turn at. The
// proxy may have to answer it itself, which costs more than to forward it.
func (t *turn) takesMore(at uint64) bool {
	if t.full && (t.resuming && t.resumesMore() || !t.resuming && t.answeredAt != at) {
		t.full = false
	}
	return !t.full
}

// countAtOnce counts work that was done without a job. It does not count against the
// budget of jobs.
func (t *turn) countAtOnce(a Amount) { t.did.add(a) }

// restart updates most, and begins to count anew.
func (t *turn) restart() {
	t.most.Keys = max(t.most.Keys, t.did.Keys)
	t.most.Clients = max(t.most.Clients, t.did.Clients)
	t.most.Bytes = max(t.most.Bytes, t.did.Bytes)
	t.did, t.spent, t.worked, t.swept, t.resumed = Amount{}, Amount{}, false, 0, 0
}

// later adds a job. It begins in this turn if there is room.
func (t *turn) later(j job) { t.jobs = append(t.jobs, j) }

// work goes on with the jobs, within this turn's budget. It reports whether the next
// turn must follow at once: while anything is left, and after the last job, whose
// result may have to be sent.
func (t *turn) work(ctx *Context) (more bool) {
	for len(t.jobs) > 0 && (!t.worked || t.hasBudget()) {
		t.worked = true
		if t.jobs[0].step(ctx) {
			t.jobs[0] = nil
			t.jobs = t.jobs[1:]
		}
	}
	t.sweep(ctx.bufs)
	return len(t.jobs) > 0 || t.worked || ctx.bufs.Dropped()
}

// sweepStep is how many bytes of storage are given back in a step.
const sweepStep = 256 << 10

// sweep gives back the memory of long chains, as many bytes in a turn as its budget
// allows, and at least one chunk.
func (t *turn) sweep(bufs *mbuf.Pool) {
	for bufs.Dropped() && t.swept < t.budget.Bytes {
		t.swept += bufs.Sweep(sweepStep)
	}
}

// leastWord is the least number of bytes of a word, including what separates words.
const leastWord = 2

// SetBudget bounds the work that one turn does in slices. What needs up to a quarter of
// it is done at once. It must run on the loop.
func (ctx *Context) SetBudget(a Amount) {
	t := &ctx.turn
	t.budget = a
	t.atOnce = Amount{Keys: a.Keys / 4, Clients: a.Clients / 4, Bytes: a.Bytes / 4}
	t.flat = t.atOnce.Keys * leastWord
	ctx.bufs.DropLater(t.atOnce.Bytes)
}

// MostInTurn is the most work that one turn has done since the last call, of each kind
// by itself. It must run on the loop.
func (ctx *Context) MostInTurn() Amount {
	t := &ctx.turn
	t.restart()
	most := t.most
	t.most = Amount{}
	return most
}
