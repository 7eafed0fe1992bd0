package mbuf

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"nuthatch/internal/invariant"
)

// nchains is how many chains a model works on: enough for bytes to be shared
// and spliced to and fro.
const nchains = 4

// A model is a few chains of one pool, and what they should hold.
type model struct {
	t      *testing.T
	pool   Pool
	chains [nchains]Chain
	want   [nchains][]byte
	// program is where the operations and their arguments come from. At its end
	// every argument is 0.
	program []byte
	// fill is the last byte written, so that bytes in the wrong place show.
	fill    byte
	scratch []byte
}

func (m *model) arg(below int) int {
	if below <= 1 {
		return 0
	}
	var b [4]byte
	m.program = m.program[copy(b[:], m.program):]
	return int(binary.LittleEndian.Uint32(b[:]) % uint32(below))
}

// size draws a length around the bounds where chains do something else.
func (m *model) size() int {
	bounds := [...]int{0, 1, 20, SmallSize, ShareMin, MediumSize, LargeSize, 2 * LargeSize}
	b := bounds[m.arg(len(bounds))]
	return max(0, b+m.arg(64)-32)
}

// fresh returns n bytes that differ from what was drawn before.
func (m *model) fresh(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		m.fill++
		if m.fill == invariant.PoisonByte {
			m.fill++
		}
		b[i] = m.fill
	}
	return b
}

// operations are what a model does. i is the chain it does it to.
var operations = []struct {
	name string
	do   func(m *model, i int)
}{
	{"append", func(m *model, i int) {
		b := m.fresh(m.size())
		m.chains[i].Append(&m.pool, b)
		m.want[i] = append(m.want[i], b...)
	}},
	{"append string", func(m *model, i int) {
		b := m.fresh(m.size())
		m.chains[i].AppendString(&m.pool, string(b))
		m.want[i] = append(m.want[i], b...)
	}},
	{"append int", func(m *model, i int) {
		v := int64(m.arg(1<<32-1)) * []int64{1, -1, 1 << 31, -1 << 31}[m.arg(4)]
		m.chains[i].AppendInt(&m.pool, v)
		m.want[i] = strconv.AppendInt(m.want[i], v, 10)
	}},
	{"reserve and commit", func(m *model, i int) {
		n := m.size()
		space := m.chains[i].Reserve(&m.pool, n)
		if len(space) == 0 {
			m.t.Fatal("Reserve returned no space")
		}
		b := m.fresh(min(n, len(space)))
		m.chains[i].Commit(copy(space, b))
		m.want[i] = append(m.want[i], b...)
	}},
	{"lend and lent", func(m *model, i int) {
		n := 1 + m.size()
		space := m.chains[i].Lend(&m.pool, n)
		if len(space) == 0 || len(space) > n {
			m.t.Fatalf("Lend(%d) returned %d bytes", n, len(space))
		}
		b := m.fresh(m.arg(len(space) + 1))
		copy(space, b)
		if got := m.chains[i].Lent(len(b)); !bytes.Equal(got, b) {
			m.t.Fatalf("Lent(%d) returned other bytes than were written", len(b))
		}
		m.want[i] = append(m.want[i], b...)
	}},
	{"lend for nothing", func(m *model, i int) {
		m.chains[i].Lend(&m.pool, 1+m.size())
	}},
	{"advance", func(m *model, i int) {
		n := min(m.size(), len(m.want[i]))
		m.chains[i].Advance(&m.pool, n)
		m.want[i] = m.want[i][n:]
	}},
	{"advance to the end", func(m *model, i int) {
		m.chains[i].Advance(&m.pool, len(m.want[i]))
		m.want[i] = nil
		if m.chains[i].Head() != nil {
			m.t.Fatal("an empty chain holds a chunk")
		}
	}},
	{"release", func(m *model, i int) {
		m.chains[i].Release(&m.pool)
		m.want[i] = nil
	}},
	{"splice", func(m *model, i int) {
		j := (i + 1 + m.arg(nchains-1)) % nchains
		m.chains[i].Splice(&m.pool, &m.chains[j])
		m.want[i] = append(m.want[i], m.want[j]...)
		m.want[j] = nil
		if m.chains[j] != (Chain{}) {
			m.t.Fatal("Splice left something in its source")
		}
	}},
	{"append range", func(m *model, i int) {
		j := (i + 1 + m.arg(nchains-1)) % nchains
		k, at := m.chains[j].Head(), 0
		for skip := m.arg(8); k != nil && skip > 0; skip-- {
			at += k.Len()
			k = k.Next()
		}
		if k == nil {
			return
		}
		off := m.arg(k.Len() + 1)
		n := min(m.size(), k.Len()-off)
		m.chains[i].AppendRange(&m.pool, k, off, n)
		m.want[i] = append(m.want[i], m.want[j][at+off:at+off+n]...)
	}},
	{"append part of a view", func(m *model, i int) {
		j := (i + 1 + m.arg(nchains-1)) % nchains
		v := Whole(&m.chains[j])
		for range 1 + m.arg(4) {
			off := m.arg(v.Len() + 1)
			n := min(m.size(), v.Len()-off)
			v.AppendTo(&m.pool, &m.chains[i], off, n)
			m.want[i] = append(m.want[i], m.want[j][off:off+n]...)
		}
	}},
	{"read a view", func(m *model, i int) {
		v := Whole(&m.chains[i])
		if v.Len() != len(m.want[i]) {
			m.t.Fatalf("a view has %d bytes, its chain %d", v.Len(), len(m.want[i]))
		}
		for range 1 + m.arg(4) {
			off := m.arg(v.Len() + 1)
			n := min(m.size(), v.Len()-off)
			var b []byte
			b, m.scratch = v.Bytes(off, n, m.scratch)
			if !bytes.Equal(b, m.want[i][off:off+n]) {
				m.t.Fatalf("a view's %d bytes at %d are not the chain's", n, off)
			}
		}
	}},
}

// run executes the program and ends with empty chains.
func (m *model) run() {
	for len(m.program) > 0 {
		op := operations[m.arg(len(operations))]
		i := m.arg(nchains)
		// A bound on the chains: sharing can double them again and again.
		if len(m.want[i]) > 8*LargeSize {
			m.chains[i].Release(&m.pool)
			m.want[i] = nil
		}
		op.do(m, i)
		m.check(op.name)
	}
	for i := range m.chains {
		m.chains[i].Release(&m.pool)
	}
	if m.pool.Live() != 0 || m.pool.InUse() != 0 {
		m.t.Fatalf("with all chains empty %d chunks of %d bytes are in use", m.pool.Live(), m.pool.InUse())
	}
	m.checkFree()
}

// check compares every chain with what it should hold, and the pool's counters
// with the chunks that are there.
func (m *model) check(after string) {
	inUse, live := 0, 0
	views := map[*Chunk]int32{}
	owners := map[*Chunk]bool{}
	for i := range m.chains {
		c := &m.chains[i]
		rest := m.want[i]
		if c.Len() != len(rest) {
			m.t.Fatalf("after %s chain %d has %d bytes, want %d", after, i, c.Len(), len(rest))
		}
		var last *Chunk
		for k := c.Head(); k != nil; k = k.Next() {
			last = k
			b := k.Bytes()
			if len(b) > len(rest) || !bytes.Equal(b, rest[:len(b)]) {
				m.t.Fatalf("after %s chain %d holds other bytes, %d before its end", after, i, len(rest))
			}
			rest = rest[len(b):]
			live++
			if k.base != nil {
				views[k.base]++
				continue
			}
			if owners[k] {
				m.t.Fatalf("after %s a chunk stands in two places", after)
			}
			owners[k] = true
			inUse += len(k.buf)
		}
		if len(rest) > 0 || last != c.tail {
			m.t.Fatalf("after %s chain %d ends %d bytes early, at its tail: %t", after, i, len(rest), last == c.tail)
		}
	}
	for k, n := range views {
		refs := n
		if owners[k] {
			refs++
		} else { // kept by its views alone
			live++
			inUse += len(k.buf)
		}
		if k.refs != refs {
			m.t.Fatalf("after %s a chunk counts %d references, has %d", after, k.refs, refs)
		}
	}
	if m.pool.Live() != live || m.pool.InUse() != inUse {
		m.t.Fatalf("after %s the pool counts %d chunks of %d bytes, there are %d of %d",
			after, m.pool.Live(), m.pool.InUse(), live, inUse)
	}
}

// checkFree fails if a chunk was released twice, or not wholly.
func (m *model) checkFree() {
	seen := map[*Chunk]bool{}
	storage := 0
	for class := range numClasses {
		n := 0
		for k := m.pool.free[class]; k != nil; k = k.next {
			if seen[k] {
				m.t.Fatal("a chunk is on the free list twice")
			}
			seen[k] = true
			n++
			storage += len(k.buf)
			if k.class != class || len(k.buf) != classSize[class] || k.refs != 0 || k.base != nil || k.r != 0 || k.w != 0 {
				m.t.Fatalf("a free chunk of class %d is not as new: %d bytes, %d references, %d..%d",
					class, len(k.buf), k.refs, k.r, k.w)
			}
		}
		if n != m.pool.nfree[class] {
			m.t.Fatalf("%d chunks of class %d are free, the pool counts %d", n, class, m.pool.nfree[class])
		}
	}
	if m.pool.Free() != storage {
		m.t.Fatalf("%d bytes are free, Free says %d", storage, m.pool.Free())
	}
}

func TestChainAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 0))
		program := make([]byte, 2048)
		for i := range program {
			program[i] = byte(r.Uint32())
		}
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			m := model{t: t, program: program}
			m.run()
		})
	}
}

func FuzzChain(f *testing.F) {
	// One seed for each operation, on a chain that holds something.
	for op := range operations {
		var p []byte
		for _, arg := range []int{
			0, 0, 5, 40, 0, 1, 6, 3, // two chains get bytes
			op, 0, 0, 1, 4, 40, 4, 40,
			op, 1, 0, 1, 3, 40, 3, 40,
		} {
			p = binary.LittleEndian.AppendUint32(p, uint32(arg))
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		m := model{t: t, program: slices.Clone(program[:min(len(program), 1024)])}
		m.run()
	})
}
