package msg

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
)

func TestClientQueue(t *testing.T) {
	var q ClientQueue
	var want []*Msg
	for round := range 3 {
		for range 2 + round {
			m := &Msg{}
			q.Push(m)
			want = append(want, m)
		}
		for len(want) > 1-round%2 {
			if q.Len() != len(want) || q.Head() != want[0] {
				t.Fatalf("round %d: %d messages, want %d and the oldest first", round, q.Len(), len(want))
			}
			m := q.Pop()
			if m != want[0] || m.next[inClient] != nil {
				t.Fatalf("round %d: Pop did not take the oldest message out", round)
			}
			want = want[1:]
		}
	}
	for len(want) > 0 {
		if q.Pop() != want[0] {
			t.Fatal("Pop did not take the oldest message out")
		}
		want = want[1:]
	}
	if q != (ClientQueue{}) {
		t.Errorf("an emptied queue is not as new: %+v", q)
	}
}

// TestServerQueue drives the two queues in one list against two slices, at
// random: answers come for messages that are sent, and for such as are not.
func TestServerQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var q ServerQueue
	var out, in []*Msg // out-queue, in-queue
	early := 0
	for step := range 20000 {
		switch n := r.IntN(5); {
		case n < 2 && len(out)+len(in) < 8:
			m := &Msg{}
			q.Push(m)
			in = append(in, m)
		case n < 3 && len(in) > 0:
			if q.Sent() != in[0] {
				t.Fatalf("step %d: Sent did not move the in-queue's first message", step)
			}
			out, in = append(out, in[0]), in[1:]
		case len(out)+len(in) > 0:
			m, sent := q.Pop()
			if sent != (len(out) > 0) || m != slices.Concat(out, in)[0] || m.next[inServer] != nil {
				t.Fatalf("step %d: Pop did not take the oldest message out, sent %t with %d in the out-queue", step, sent, len(out))
			}
			if sent {
				out = out[1:]
			} else {
				in = in[1:]
				early++
			}
		}
		checkServerQueue(t, step, &q, out, in)
	}
	if early == 0 {
		t.Error("no message was answered before it was sent")
	}
}

func checkServerQueue(t *testing.T, step int, q *ServerQueue, out, in []*Msg) {
	t.Helper()
	first := func(s []*Msg) *Msg {
		if len(s) == 0 {
			return nil
		}
		return s[0]
	}
	all := slices.Concat(out, in)
	if q.Len() != len(all) || q.Head() != first(all) || q.Unsent() != first(in) {
		t.Fatalf("step %d: %d messages, want %d; head right: %t, first unsent right: %t",
			step, q.Len(), len(all), q.Head() == first(all), q.Unsent() == first(in))
	}
	var got []*Msg
	for m := q.Head(); m != nil; m = m.next[inServer] {
		got = append(got, m)
	}
	if !slices.Equal(got, all) {
		t.Fatalf("step %d: the list holds %d messages, or in another order, want %d", step, len(got), len(all))
	}
}

// TestMsgInBothQueues: the two queues' links do not meet.
func TestMsgInBothQueues(t *testing.T) {
	var cq ClientQueue
	var sq ServerQueue
	a, b := &Msg{}, &Msg{}
	cq.Push(a)
	cq.Push(b)
	sq.Push(b)
	sq.Push(a)
	if cq.Pop() != a || cq.Head() != b {
		t.Error("the client's order was lost")
	}
	if m, _ := sq.Pop(); m != b || sq.Head() != a {
		t.Error("the server's order was lost")
	}
}

type owner struct{}

func (owner) ServerName() string { return "" }
func (owner) ReadyAt() int64     { return 0 }

func (owner) OnReply(*Msg, Reply) {}
func (owner) OnFailure(*Msg)      {}
func (owner) Party() Party        { return nil }

// fillMsg sets every field that is not a queue's to something.
func fillMsg(t *testing.T, m *Msg) {
	t.Helper()
	m.Owner = owner{}
	m.Via = owner{}
	m.Parent = &Msg{}
	m.extra = &extra{}
	m.Frags = append(m.Frags[:0], &Msg{}, &Msg{})
	m.Seq = append(m.Seq[:0], 1, 0, 1)
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.CanSet() || f.Type() == reflect.TypeFor[mbuf.Chain]() {
			continue
		}
		switch {
		case f.CanInt():
			f.SetInt(7)
		case f.CanUint():
			f.SetUint(7)
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		}
		if f.IsZero() {
			t.Fatalf("the test does not fill %s", v.Type().Field(i).Name)
		}
	}
}

// TestPoolZeroes: nothing of a message is left when it is used again, whatever
// fields it has.
func TestPoolZeroes(t *testing.T) {
	var p Pool
	m := p.Get()
	fillMsg(t, m)
	frags := m.Frags
	p.Put(m)
	again := p.Get()
	if again != m {
		t.Fatal("the message was not used again")
	}
	if len(again.Frags) != 0 || len(again.Seq) != 0 || cap(again.Frags) < 2 || cap(again.Seq) < 3 {
		t.Errorf("the fragments' storage: %d of %d, %d of %d; want it empty and kept",
			len(again.Frags), cap(again.Frags), len(again.Seq), cap(again.Seq))
	}
	if frags[0] != nil || frags[1] != nil {
		t.Error("a free message holds on to its fragments")
	}
	again.Frags, again.Seq = nil, nil
	if !reflect.ValueOf(again).Elem().IsZero() {
		t.Errorf("a message that is used again is not zeroed: %+v", again)
	}
}

// TestLayout: what every request uses stands in the first two cache lines, and all of a
// message in four, whose beginning the allocator puts at that of a line.
func TestLayout(t *testing.T) {
	const line = 64
	of := reflect.TypeFor[Msg]()
	if n := of.Size(); n > 4*line {
		t.Errorf("a message has %d bytes, want at most %d", n, 4*line)
	}
	first, ok := of.FieldByName("Replied")
	if !ok || first.Offset > 2*line {
		t.Errorf("what every request uses fills %d bytes, want at most %d", first.Offset, 2*line)
	}
	for _, f := range reflect.VisibleFields(of) {
		t.Logf("%3d %2d %s", f.Offset, f.Type.Size(), f.Name)
	}
}

// TestPoolZeroesWhatIsHot: a message that used no more than most is as new, too.
func TestPoolZeroesWhatIsHot(t *testing.T) {
	var p Pool
	m := p.Get()
	fillMsg(t, m)
	first, _ := reflect.TypeFor[Msg]().FieldByName("Replied")
	v := reflect.ValueOf(m).Elem()
	for i := first.Index[0]; i < v.NumField(); i++ {
		f := v.Field(i)
		reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem().SetZero()
	}
	m.Rare = false
	p.Put(m)
	if again := p.Get(); again != m || !reflect.ValueOf(again).Elem().IsZero() {
		t.Errorf("a message that is used again is not zeroed: %+v", again)
	}
}

func TestPoolBounds(t *testing.T) {
	var p Pool
	m := p.Get()
	m.Rare = true
	m.Frags = make([]*Msg, 3)
	m.Seq = make([]uint16, maxSeq+1)
	p.Put(m)
	if m = p.Get(); m.Seq != nil {
		t.Errorf("the book-keeping of %d keys is kept", maxSeq+1)
	}
	p.Put(m)

	all := make([]*Msg, maxFree+10)
	for i := range all {
		all[i] = p.Get()
	}
	if p.Live() != len(all) {
		t.Errorf("%d messages are in use, want %d", p.Live(), len(all))
	}
	for _, m := range all {
		p.Put(m)
	}
	if p.Live() != 0 || p.Free() != maxFree {
		t.Errorf("%d messages are in use, want none; %d are kept, want %d", p.Live(), p.nfree, maxFree)
	}
	seen := map[*Msg]bool{}
	for range maxFree + 10 {
		m := p.Get()
		if seen[m] {
			t.Fatal("a message was handed out twice")
		}
		seen[m] = true
	}
}

func TestReply(t *testing.T) {
	var p mbuf.Pool
	var large mbuf.Chain
	large.Append(&p, make([]byte, mbuf.ShareMin))
	k := large.Head()
	tests := []struct {
		name  string
		reply Reply
		n     int
	}{
		{"flat", Reply{Flat: []byte("+OK\r\n")}, 5},
		{"chain", Reply{Chain: &large}, mbuf.ShareMin},
	}
	for _, tt := range tests {
		if tt.reply.Len() != tt.n {
			t.Errorf("%s: %d bytes, want %d", tt.name, tt.reply.Len(), tt.n)
		}
		var dst mbuf.Chain
		tt.reply.MoveTo(&p, &dst)
		if dst.Len() != tt.n {
			t.Errorf("%s: %d bytes were moved, want %d", tt.name, dst.Len(), tt.n)
		}
		if moved := dst.Head() == k; moved != (tt.reply.Chain != nil) {
			t.Errorf("%s: moved by reference: %t", tt.name, moved)
		}
		dst.Release(&p)
	}
	if large.Len() != 0 || p.Live() != 0 {
		t.Errorf("%d bytes are left in the chain, %d chunks in use", large.Len(), p.Live())
	}
}

func TestReasonsHaveTextsAndNames(t *testing.T) {
	seen := map[string]Reason{}
	for r := range Reason(NumReasons) {
		if r.String() == "" {
			t.Errorf("reason %d has no text", r)
		}
		if other, twice := seen[r.Name()]; r.Name() == "" || twice {
			t.Errorf("reason %d is named %q, as is %d", r, r.Name(), other)
		}
		seen[r.Name()] = r
	}
}

func TestRequestKeys(t *testing.T) {
	text := "MSET a b cc d"
	r := Request{FirstKey: 1, KeyStep: 2, Nkeys: 2}
	for at := 0; at < len(text); {
		word, _, _ := strings.Cut(text[at:], " ")
		r.Args = append(r.Args, Span{Off: uint32(at), Len: uint32(len(word))})
		at += len(word) + 1
	}
	if r.Key(0) != r.Args[1] || r.Key(1) != r.Args[3] {
		t.Errorf("keys %v and %v, want the second and the fourth word", r.Key(0), r.Key(1))
	}
	if end := (Span{Off: 1 << 31, Len: 1 << 31}).End(); end != 1<<32 {
		t.Errorf("End of the widest span is %d", end)
	}
}

// TestKeys gathers keys of all lengths from wherever they lie, block by block.
func TestKeys(t *testing.T) {
	var pool mbuf.Pool
	for _, size := range []int{0, 1, 100, mbuf.SmallSize - 1, 3 * mbuf.LargeSize} {
		var chain mbuf.Chain
		var want [][]byte
		r := Request{FirstKey: 1, KeyStep: 2, Args: []Span{{Len: 0}}}
		for i := range 20 {
			key := bytes.Repeat([]byte{byte('a' + i)}, size*(i%3))
			r.Args = append(r.Args, Span{Off: uint32(chain.Len()), Len: uint32(len(key))}, Span{})
			r.Nkeys++
			chain.Append(&pool, key)
			want = append(want, key)
		}
		for name, view := range map[string]mbuf.View{"flat": mbuf.Flat(chain.AppendTo(nil)), "chain": mbuf.Whole(&chain)} {
			r.View = view
			var scratch []byte
			for _, first := range []int{0, 7, 14, 3} {
				keys := make([][]byte, 6)
				scratch = r.Keys(first, keys, scratch)
				if !slices.EqualFunc(keys, want[first:first+6], bytes.Equal) {
					t.Errorf("%s: six keys of %d bytes from the %d-th on are not what they should be", name, size, first)
				}
			}
		}
		chain.Release(&pool)
	}
}

// TestLongSeqs: what a request of many keys needs is used again, by another
// message, within bounds.
func TestLongSeqs(t *testing.T) {
	var p Pool
	keys := make([]uint16, 10_000)
	keys[9_999] = 7
	for range 3 * maxLong {
		m := p.Get()
		p.SetSeq(m, keys)
		if len(m.Seq) != len(keys) || m.Seq[9_999] != 7 {
			t.Fatalf("a Seq of %d, want %d", len(m.Seq), len(keys))
		}
		p.Put(m)
	}
	if len(p.long) != 1 {
		t.Errorf("%d long Seqs are kept for one message at a time", len(p.long))
	}
	if n := testing.AllocsPerRun(10, func() {
		m := p.Get()
		p.SetSeq(m, keys)
		p.Put(m)
	}); n > 0 {
		t.Errorf("the Seq of many keys is allocated each time")
	}
	var all []*Msg
	for range 2 * maxLong {
		all = append(all, p.Get())
		p.SetSeq(all[len(all)-1], keys)
	}
	for _, m := range all {
		p.Put(m)
	}
	if len(p.long) > maxLong {
		t.Errorf("%d long Seqs are kept, want at most %d", len(p.long), maxLong)
	}
}

// request is the life of a message that is not split, on both queues.
func request(p *Pool, bufs *mbuf.Pool, cq *ClientQueue, sq *ServerQueue, reply []byte) {
	for range 8 {
		m := p.Get()
		m.Rare = true
		m.Frags = append(m.Frags, nil, nil)
		m.Seq = append(m.Seq, 0, 1)
		cq.Push(m)
		sq.Push(m)
	}
	for sq.Unsent() != nil {
		sq.Sent()
	}
	for sq.Len() > 0 {
		m, _ := sq.Pop()
		Reply{Flat: reply}.MoveTo(bufs, &m.Reply)
	}
	for cq.Len() > 0 {
		m := cq.Pop()
		m.Reply.Release(bufs)
		p.Put(m)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	var p Pool
	var bufs mbuf.Pool
	var cq ClientQueue
	var sq ServerQueue
	reply := []byte("$5\r\nhello\r\n")
	if n := testing.AllocsPerRun(100, func() { request(&p, &bufs, &cq, &sq, reply) }); n != 0 {
		t.Errorf("%v allocations for eight requests, want none", n)
	}
	if p.Live() != 0 || bufs.Live() != 0 {
		t.Errorf("%d messages and %d chunks are left", p.Live(), bufs.Live())
	}
}

func BenchmarkMsg(b *testing.B) {
	var p Pool
	var bufs mbuf.Pool
	var cq ClientQueue
	var sq ServerQueue
	reply := []byte("$5\r\nhello\r\n")
	b.ReportAllocs()
	for b.Loop() {
		request(&p, &bufs, &cq, &sq, reply)
	}
}
