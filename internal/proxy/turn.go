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
// The oldest job comes first, and is worked on until it is done: if two took turns
// both would be late. A budget counts keys, clients and bytes, not time: the loop
// reads no clock for it, and what a turn does does not depend on the machine.

// An Amount is how much of the work that can be large is done: keys that are read,
// dealt to servers or merged; clients that are looked at one by one, connected,
// told something or closed, and likewise connections to servers; bytes that are
// looked at or given back.
type Amount struct{ Keys, Clients, Bytes int }

// within reports whether a is less than the bound in every respect.
func (a Amount) within(bound Amount) bool {
	return a.Keys < bound.Keys && a.Clients < bound.Clients && a.Bytes < bound.Bytes
}

// turnBudget is what one turn does of jobs. All of it is about a millisecond: see
// BenchmarkSlices.
var turnBudget = Amount{Keys: 64 << 10, Clients: 256, Bytes: 4 << 20}

// A job is work that may be too much for one turn.
type job interface {
	// step does some of the work, not much more than what ctx.turn.left() says, and
	// reports whether that was the rest. It counts what it does in ctx.turn.
	step(ctx *Context) (done bool)
}

// A turn is what a context does in the present turn of its loop, and what it has yet
// to do.
type turn struct {
	// budget is what jobs may do in a turn, and atOnce what of a request is done at
	// once. A request of so few bytes as flat cannot have more words than that.
	budget, atOnce Amount
	flat           int
	// at is the number of the turn that did is of, and most what one turn did at the
	// most, each of them by itself.
	at        uint64
	did, most Amount
	// spent is what of did was done by jobs.
	spent Amount
	// worked: a job was gone on with.
	worked bool
	// swept is how many bytes of memory have been given back in this turn.
	swept int
	// resumed is how many bytes of clients' stashes have been taken up in this turn, with
	// the answers that were made here; resuming: a client is being taken up.
	resumed  int
	resuming bool
	// answered is how many bytes of answers have been made here in the turn answeredAt,
	// to what came in it; full: it, or resumed, has come to the bound.
	answered   int
	answeredAt uint64
	full       bool
	// jobs are those that are not done, the oldest first, retiring the one of them that
	// closes connections, or nil.
	jobs     []job
	retiring *retiring
}

// left is what jobs may still do in this turn.
func (t *turn) left() Amount {
	return Amount{
		Keys:    max(0, t.budget.Keys-t.spent.Keys),
		Clients: max(0, t.budget.Clients-t.spent.Clients),
		Bytes:   max(0, t.budget.Bytes-t.spent.Bytes),
	}
}

// goesOn reports whether jobs may still do something in this turn.
func (t *turn) goesOn() bool { return t.spent.within(t.budget) }

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

// room reports whether this turn has room for one more client, or connection, to be
// told something or closed, and counts it. Who finds no room goes on in the next turn.
func (t *turn) room() bool {
	if t.spent.Clients >= t.budget.Clients {
		return false
	}
	t.count(Amount{Clients: 1})
	return true
}

// perDial is how many clients the opening of a connection counts for.
const perDial = 3

// perMessage is how many keys a message counts for that is failed.
const perMessage = 16

// roomForMessage is room for a message that is failed.
func (t *turn) roomForMessage() bool {
	if t.spent.Keys >= t.budget.Keys {
		return false
	}
	t.count(Amount{Keys: perMessage})
	return true
}

// bytesPerResume is which part of a turn's budget of bytes is taken up of what clients
// sent while they had to wait: requests may be small. As much is answered here.
const bytesPerResume = 16

// countResumed counts bytes that were taken up.
func (t *turn) countResumed(n int) {
	t.resumed += n
	t.did.Bytes += n
}

// resumesOn reports whether one more client may be taken up in this turn.
func (t *turn) resumesOn() bool { return t.resumed <= t.budget.Bytes/bytesPerResume }

// perAnswer is how many bytes an answer that is made here counts for besides its own
// and its request's.
const perAnswer = 256

// countAnswer counts an answer that was made here, in the loop's turn at.
func (t *turn) countAnswer(at uint64, n int) {
	n += perAnswer
	t.did.Bytes += n
	if t.resuming {
		t.resumed += n
		t.full = !t.resumesOn()
		return
	}
	if t.answeredAt != at {
		t.answeredAt, t.answered = at, 0
	}
	t.answered += n
	t.full = t.answered > t.budget.Bytes/bytesPerResume
}

// answersOn reports whether one more request may be taken in the loop's turn at: it may
// be one that is answered here, which costs more than what came.
func (t *turn) answersOn(at uint64) bool {
	if t.full && (t.resuming && t.resumesOn() || !t.resuming && t.answeredAt != at) {
		t.full = false
	}
	return !t.full
}

// countAtOnce counts what was done without a job: how much that is does not keep jobs
// from going on.
func (t *turn) countAtOnce(a Amount) { t.did.add(a) }

// close keeps what was most, and begins to count anew.
func (t *turn) close() {
	t.most.Keys = max(t.most.Keys, t.did.Keys)
	t.most.Clients = max(t.most.Clients, t.did.Clients)
	t.most.Bytes = max(t.most.Bytes, t.did.Bytes)
	t.did, t.spent, t.worked, t.swept, t.resumed = Amount{}, Amount{}, false, 0, 0
}

// later has the job done, beginning in this turn if there is room in it.
func (t *turn) later(j job) { t.jobs = append(t.jobs, j) }

// work goes on with what is to be done, within this turn's budget, and reports
// whether the next turn is to follow at once: as long as anything is left, and behind
// the last of it, which may bring something to tell.
func (t *turn) work(ctx *Context) (more bool) {
	for len(t.jobs) > 0 && (!t.worked || t.goesOn()) {
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
// has, and a chunk at the least.
func (t *turn) sweep(bufs *mbuf.Pool) {
	for bufs.Dropped() && t.swept < t.budget.Bytes {
		t.swept += bufs.Sweep(sweepStep)
	}
}

// leastWord is how many bytes a word has at the least, with what is between words.
const leastWord = 2

// SetBudget bounds what one turn does of work that is done in slices. What needs a
// quarter of it is done at once. It must run on the loop.
func (ctx *Context) SetBudget(a Amount) {
	t := &ctx.turn
	t.budget = a
	t.atOnce = Amount{Keys: a.Keys / 4, Clients: a.Clients / 4, Bytes: a.Bytes / 4}
	t.flat = t.atOnce.Keys * leastWord
	ctx.bufs.DropLater(t.atOnce.Bytes)
}

// MostInTurn is what one turn has done at the most, since the last call, of the
// work that can be large. It must run on the loop.
func (ctx *Context) MostInTurn() Amount {
	t := &ctx.turn
	t.close()
	most := t.most
	t.most = Amount{}
	return most
}
