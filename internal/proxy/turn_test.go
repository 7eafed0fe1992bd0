package proxy

import (
	"testing"
	"time"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/stats"
)

// A countdown is a job of so many keys, of which a step does three.
type countdown struct {
	keys int
	name string
	done *[]string
}

func (j *countdown) step(ctx *Context) bool {
	n := min(j.keys, 3)
	j.keys -= n
	ctx.turn.count(Amount{Keys: n})
	if j.keys > 0 {
		return false
	}
	*j.done = append(*j.done, j.name)
	return true
}

// Jobs are done in the order in which they came, as much in a turn as the budget
// says and a step more, and the loop does not wait before all are done.
func TestJobsAreDoneInSlices(t *testing.T) {
	ctx, err := NewContext(Options{
		Epoch: time.Unix(1e9, 0), Log: logging.Discard(), Shard: stats.NewShard(nil), Identity: new(Identity),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx.Loop().Stop()
		if err := ctx.Loop().Run(); err != nil {
			t.Error(err)
		}
	})
	ctx.SetBudget(Amount{Keys: 10, Clients: 10, Bytes: 10})
	var done []string
	ctx.turn.later(&countdown{keys: 100, name: "first", done: &done})
	ctx.turn.later(&countdown{keys: 7, name: "second", done: &done})
	turns := 0
	for ; turnsOn(t, ctx.Loop()); turns++ {
		if turns == 100 {
			t.Fatal("the loop has something to do for ever")
		}
	}
	if len(done) != 2 || done[0] != "first" {
		t.Errorf("done are %q", done)
	}
	if want := 10; turns != want { // ten turns of four steps, of three keys or, the last one of a job, of one
		t.Errorf("%d turns were followed by another at once, want %d", turns, want)
	}
	if most := ctx.MostInTurn(); most != (Amount{Keys: 12}) {
		t.Errorf("a turn did %+v at the most", most)
	}
	if most := ctx.MostInTurn(); most != (Amount{}) {
		t.Errorf("since then, %+v", most)
	}
}

// turnsOn runs a turn, and reports whether the next is to follow at once.
func turnsOn(t *testing.T, l *eventloop.Loop) bool {
	t.Helper()
	ready, err := l.Step(int64(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return ready > 0
}
