package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// smallBudget is what a turn may do in these tests.
var smallBudget = proxy.Amount{Keys: 64, Clients: 32, Bytes: 16 << 10}

// limitTurns bounds what a turn does, and forgets what turns have done.
func (r *rig) limitTurns(a proxy.Amount) {
	r.t.Helper()
	for i := range r.contexts {
		r.on(i, func(ctx *proxy.Context) { ctx.SetBudget(a); ctx.MostInTurn() })
	}
}

// checkTurns fails if a turn did more than was allowed, but for what a step may do
// beyond that.
func (r *rig) checkTurns(most proxy.Amount) {
	r.t.Helper()
	for i := range r.contexts {
		var did proxy.Amount
		r.on(i, func(ctx *proxy.Context) { did = ctx.MostInTurn() })
		if did.Keys > most.Keys || did.Clients > most.Clients || did.Bytes > most.Bytes {
			r.t.Errorf("one turn of loop %d did %+v, want at most %+v", i, did, most)
		}
	}
}

// crowd are n clients, whose names are long if that is asked for.
func (r *rig) crowd(n int, name string) []*user {
	r.t.Helper()
	// The loops wait without the scheduler's knowledge.
	before := runtime.GOMAXPROCS(len(r.contexts) + 2)
	r.t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	users := make([]*user, n)
	for i := range users {
		users[i] = r.dial()
		if name == "" {
			users[i].send(command("PING"))
		} else {
			users[i].send(command("CLIENT", "SETNAME", name))
		}
	}
	for _, u := range users {
		if name == "" {
			u.expect("+PONG\r\n")
		} else {
			u.expect("+OK\r\n")
		}
	}
	return users
}

// id is the client's.
func (u *user) id() (id uint64) {
	u.t.Helper()
	u.send(command("CLIENT", "ID"))
	if _, err := fmt.Fscanf(u.in, ":%d\r\n", &id); err != nil {
		u.t.Fatal(err)
	}
	return id
}

// text reads a bulk.
func (u *user) text() string {
	u.t.Helper()
	s, err := readText(u.in)
	if err != nil {
		u.t.Fatal(err)
	}
	return s
}

func readText(in *bufio.Reader) (string, error) {
	var n int
	if _, err := fmt.Fscanf(in, "$%d\r\n", &n); err != nil {
		return "", err
	}
	b := make([]byte, n+2)
	_, err := io.ReadFull(in, b)
	return string(b[:n]), err
}

// listed are the ids that a list of clients tells.
func listed(t *testing.T, list string) (ids []uint64) {
	t.Helper()
	for line := range strings.Lines(list) {
		var id uint64
		if _, err := fmt.Sscanf(line, "id=%d ", &id); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		ids = append(ids, id)
	}
	return ids
}

// TestClientListInSlices: a list of many clients is made in many turns, and is
// complete and in order, though clients come and go meanwhile.
func TestClientListInSlices(t *testing.T) {
	const clients = 700
	r := startRig(t, twoLoops(testkit.StartScripted(t, silent).Addr()))
	r.crowd(clients, "")
	u, goes := r.dial(), r.crowd(50, "")
	own := u.id()
	r.limitTurns(smallBudget)
	for range 5 {
		u.send(command("CLIENT", "LIST"))
		for range 10 {
			goes[0].Close()
			goes = goes[1:]
			r.dial()
		}
		ids := listed(t, u.text())
		if len(ids) < clients+1 || !slices.IsSorted(ids) || !slices.Contains(ids, own) || len(slices.Compact(ids)) != len(ids) {
			t.Errorf("%d clients are listed, of %d: %v", len(ids), clients, ids)
		}
	}
	r.checkTurns(proxy.Amount{Keys: smallBudget.Keys, Clients: smallBudget.Clients + 2, Bytes: smallBudget.Bytes + 1<<10})
	r.awaitIdle()
}

// TestClientListOfManyIDs: clients are found by their ids, in the order of the
// request, however many it names, and one turn looks at some of them.
func TestClientListOfManyIDs(t *testing.T) {
	r := startRig(t, twoLoops(testkit.StartScripted(t, silent).Addr()))
	others := r.crowd(20, "")
	u := r.dial()
	a, b, c := others[7].id(), others[3].id(), u.id()
	r.limitTurns(smallBudget)
	most := proxy.Amount{Keys: smallBudget.Keys + 1, Clients: smallBudget.Clients + 2, Bytes: smallBudget.Bytes + 16<<10}
	for _, n := range []int{0, 1, 2000, 100_000} {
		words := []string{"CLIENT", "LIST", "ID", fmt.Sprint(a)}
		for range n {
			words = append(words, "9999999")
		}
		words = append(words, fmt.Sprint(c), fmt.Sprint(b), fmt.Sprint(a))
		go func() { _, _ = io.WriteString(u, command(words...)+command("PING")) }()
		if got, want := listed(t, u.text()), []uint64{a, c, b, a}; !slices.Equal(got, want) {
			t.Errorf("with %d others: %v are listed, want %v", n, got, want)
		}
		u.expect("+PONG\r\n")
		for _, bad := range []string{"0", "-1", "x", "99999999999999999999", strings.Repeat("1", 30)} {
			words[len(words)-1] = bad
			go func() { _, _ = io.WriteString(u, command(words...)) }()
			u.expect("-ERR Invalid client ID\r\n")
		}
	}
	u.send(fmt.Sprintf("client list id %d 77777 %d\r\n", b, a))
	if got, want := listed(t, u.text()), []uint64{b, a}; !slices.Equal(got, want) {
		t.Errorf("inline: %v are listed, want %v", got, want)
	}
	r.checkTurns(most)
	r.awaitIdle()
}

// TestKillInSlices: very many clients are closed in many turns.
func TestKillInSlices(t *testing.T) {
	const clients = 300
	r := startRig(t, twoLoops(testkit.StartScripted(t, silent).Addr()))
	users := r.crowd(clients, "")
	killer := r.dial()
	killer.id()
	r.limitTurns(smallBudget)
	killer.send(command("CLIENT", "KILL", "TYPE", "normal") + command("CLIENT", "LIST"))
	killer.expect(fmt.Sprintf(":%d\r\n", clients))
	if ids := listed(t, killer.text()); len(ids) != 1 {
		t.Errorf("%d clients are listed", len(ids))
	}
	for _, u := range users {
		u.expectEOF()
	}
	r.checkTurns(proxy.Amount{Keys: smallBudget.Keys, Clients: smallBudget.Clients + 9, Bytes: smallBudget.Bytes})
	r.awaitIdle()
}

// TestClientListTooLarge: a list of clients is a reply, and has its bound.
func TestClientListTooLarge(t *testing.T) {
	r := startRig(t, strings.Replace(twoLoops(testkit.StartScripted(t, silent).Addr()), "redis: true", "redis: true\n  server_max_reply: 64kb", 1))
	r.crowd(100, strings.Repeat("n", 1<<10))
	u := r.dial()
	u.send(command("CLIENT", "LIST") + command("CLIENT", "INFO"))
	line, err := u.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "-ERR the reply has ") || !strings.HasSuffix(line, " bytes or more, and server_max_reply allows 65536\r\n") {
		t.Fatalf("got %q, %v", line, err)
	}
	if ids := listed(t, u.text()); len(ids) != 1 {
		t.Errorf("%d clients are listed", len(ids))
	}
	if n := r.stat().Vectors[stats.FailedRequests][msg.ReplyTooLarge]; n != 1 {
		t.Errorf("%d failed requests are counted, want 1", n)
	}
	r.awaitIdle()
}

// TestManyClientLists: clients that ask for many large lists, and read none, do not
// fill the memory, and others are served; those that read get all of them.
func TestManyClientLists(t *testing.T) {
	const clients, soft, depth = 200, 4 << 20, 16
	r := startRig(t, twoLoops(testkit.StartScripted(t, silent).Addr()))
	r.crowd(clients, strings.Repeat("n", 1<<10)) // a list has 280 KB
	r.identity.Limits().SetMemory(soft, soft*5/4)
	for range 20 {
		r.dial().send(strings.Repeat(command("CLIENT", "LIST"), depth))
	}
	reads := r.dial()
	reads.send(strings.Repeat(command("CLIENT", "LIST"), depth) + command("PING"))
	most := int64(0)
	for range depth {
		if ids := listed(t, reads.text()); len(ids) < clients {
			t.Fatalf("%d clients are listed", len(ids))
		}
		held, _, _ := r.identity.Limits().Memory()
		most = max(most, held)
	}
	reads.expect("+PONG\r\n")
	t.Logf("%d KB were held at the most", most>>10)
	// Each of the two loops may take so much before it tells the account.
	const untold = 2 * 64 << 10
	if most > soft*5/4+untold {
		t.Errorf("%d bytes were held, the mark is %d", most, soft)
	}
}

// TestManyConditions: what CLIENT KILL looks at at once has a bound.
func TestManyConditions(t *testing.T) {
	r := startRig(t, twoLoops(testkit.StartScripted(t, silent).Addr()))
	u := r.dial()
	u.send(command(strings.Fields("CLIENT KILL" + strings.Repeat(" SKIPME yes", 2100))...))
	u.expect("-ERR too many conditions, 2048 at the most\r\n")
	u.send(command(strings.Fields("CLIENT KILL" + strings.Repeat(" SKIPME yes", 2000))...))
	u.expect(":0\r\n")
}

// TestMemoryOfNames: what clients call themselves counts.
func TestMemoryOfNames(t *testing.T) {
	const clients, size = 200, 1 << 10
	r := startRig(t, oneServer(testkit.StartScripted(t, silent).Addr(), ""))
	users := r.crowd(clients, strings.Repeat("n", size))
	held := func() int64 {
		r.on(0, func(*proxy.Context) {})
		n, _, _ := r.identity.Limits().Memory()
		return n
	}
	await(t, "the names to count", func() bool { return held() > clients*size })
	for _, u := range users {
		u.Close()
	}
	await(t, "their memory to be free", func() bool { return held() < 128<<10 })
}
