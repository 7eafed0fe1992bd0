package mbuf

import (
	"nuthatch/internal/invariant"
	"nuthatch/internal/pages"
)

// Storage is mapped outside Go's heap. So storage that a pool gives back is no longer
// resident at once, and not only after the next collection: a loop takes and gives back
// storage faster than the collector of a busy machine can follow.
//
//	in use ──► warm: on the free list ──► cold: the system has its pages
//	   ▲             │                      │
//	   └─────────────┴──────────────────────┘
//
// The system takes whole pages. Small chunks share a page; those that do are mates.
// They go cold together, when none of them is in use, and come back together. The
// scheme is that of Bonwick's slabs ("The Slab Allocator", 1994), but the chunk that
// was freed first is used first.

// slabSize is how many bytes are mapped at a time. None of them is resident before it
// is written.
const slabSize = 1 << 20

// A slab is a region, and how many of its bytes have been made into chunks.
type slab struct {
	*pages.Region
	carved int
	// heads are Chunks that are not in use yet.
	heads []Chunk
}

// headsAtOnce is how many Chunks are allocated together, so that those of two loops do not
// share cache lines. They live as long as the Pool.
const headsAtOnce = 32

// head is one more Chunk for the slab.
func (s *slab) head() *Chunk {
	if len(s.heads) == 0 {
		s.heads = make([]Chunk, headsAtOnce)
	}
	c := &s.heads[0]
	s.heads = s.heads[1:]
	return c
}

// groupSize is the size of a group of mates of class k, in bytes.
func groupSize(k class) int { return max(pages.Size, classSize[k]) }

// carve makes a chunk and its mates.
func (p *Pool) carve(k class) *Chunk {
	size, group := classSize[k], groupSize(k)
	s := &p.slab
	if s.Region == nil || slabSize-s.carved < group {
		s.Region, s.carved = pages.Map(slabSize), 0
	}
	if s.Region == nil {
		c := &Chunk{class: k, buf: make([]byte, size)}
		c.mate = c
		return c
	}
	first := s.carved
	s.carved += group
	var head *Chunk
	for at := first; at < first+group; at += size {
		c := s.head()
		*c = Chunk{class: k, buf: s.Bytes[at : at+size : at+size], region: s.Region, first: uint32(first)}
		if head == nil {
			head, c.mate = c, c
			continue
		}
		c.mate, head.mate = head.mate, c
	}
	p.warmMates(head)
	return head
}

// thaw takes a cold chunk back into use. There must be one.
func (p *Pool) thaw(k class) *Chunk {
	c := p.cold[k]
	p.cold[k], c.next, c.cold = c.next, nil, false
	p.warmMates(c)
	return c
}

// warmMates puts the mates of c, which is about to be used, on the free list.
func (p *Pool) warmMates(c *Chunk) {
	for m := c.mate; m != c; m = m.mate {
		p.warm(m)
	}
}

// warm puts c on the free list.
func (p *Pool) warm(c *Chunk) {
	k := c.class
	head := p.free[k]
	if head != nil {
		head.prev = c
	}
	c.next, c.warm, c.cold = head, true, false
	p.free[k] = c
	p.nfree[k]++
}

// unwarm takes c off the free list.
func (p *Pool) unwarm(c *Chunk) {
	k := c.class
	if p.free[k] == c {
		p.free[k] = c.next
	} else {
		c.prev.next = c.next
		if c.next != nil {
			c.next.prev = c.prev
		}
	}
	c.next, c.prev, c.warm = nil, nil, false
	p.nfree[k]--
}

// cool gives the pages of c, which is on no list, back to the system, unless a
// mate needs them.
func (p *Pool) cool(c *Chunk) bool {
	invariant.Check(c.refs == 0 && !c.warm, "mbuf: a chunk goes cold that is not free")
	if c.region == nil {
		return true // the collector's
	}
	for m := c.mate; m != c; m = m.mate {
		if m.refs > 0 {
			return false
		}
	}
	for m := c.mate; m != c; m = m.mate {
		if m.warm {
			p.unwarm(m)
		}
		m.cold = true
	}
	c.cold = true
	c.next = p.cold[c.class]
	p.cold[c.class] = c
	c.region.Drop(int(c.first), groupSize(c.class))
	return true
}

// most is how many chunks of class k the free list keeps.
func (p *Pool) most(k class) int { return freeMax[k] - p.less[k] }

// settle puts c, which is unused and on no list, on the list where it belongs.
func (p *Pool) settle(c *Chunk) {
	switch k := c.class; {
	case p.nfree[k] < p.most(k):
		p.warm(c)
	case k == view: // the collector's
	case !p.cool(c):
		p.warm(c)
	}
}

// resettle puts all chunks of the free lists where they belong.
func (p *Pool) resettle() {
	for k := range p.free {
		c := p.free[k]
		p.free[k], p.nfree[k] = nil, 0
		for m := c; m != nil; m = m.next {
			m.warm, m.prev = false, nil
		}
		for c != nil {
			next := c.next
			if c.next = nil; !c.cold { // else a mate has taken it along
				p.settle(c)
			}
			c = next
		}
	}
}
