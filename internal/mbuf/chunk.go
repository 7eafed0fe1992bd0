// Package mbuf holds the bytes of messages: chunks taken from a free list that
// belongs to one event loop, and chains of chunks.
//
//	Chain  head ──► Chunk ──► Chunk ──► Chunk ◄── tail
//	                │buf      │base ─► another Chunk's storage (a view)
//	                └ r..w: the bytes that count
//
// Nothing here is safe for use by two threads: a Pool, and every chunk and
// chain that comes from it, belongs to one event loop.
//
// Small pieces are copied into the tail of a chain. Large ones travel by
// reference: a whole chain is spliced onto another in constant time, and a range
// of a chunk can be shared, counted by its storage's refs.
package mbuf

import (
	"nuthatch/internal/invariant"
	"nuthatch/internal/pages"
)

// Sizes of the three classes of chunks, in bytes. A chain starts with a chunk
// that fits what is put into it and grows by chunks as large as what it already
// holds, so that it wastes at most about as much as it stores: ten thousand
// half-sent requests cost ten thousand small chunks, a 1 MB value eight large
// ones.
const (
	SmallSize  = 2 << 10
	MediumSize = 16 << 10
	LargeSize  = 128 << 10
)

// ShareMin is the length, in bytes, from which a range of a chunk is shared by
// reference instead of copied. Below it the copy is cheaper than the extra
// iovec and the view's book-keeping.
const ShareMin = 4 << 10

type class uint8

const (
	small class = iota
	medium
	large
	view // a window on another chunk's storage; has none of its own
	numClasses
)

var classSize = [numClasses]int{SmallSize, MediumSize, LargeSize, 0}

// freeMax bounds how many unused chunks of a class a Pool keeps warm. The pages of more
// unused chunks are given back to the system.
var freeMax = [numClasses]int{4096, 512, 512, 4096}

// A Chunk is a piece of memory and the part of it that holds bytes.
type Chunk struct {
	next *Chunk
	// buf is the storage. A view's buf aliases its base's.
	buf []byte
	// r and w bound the bytes that count: buf[r:w].
	// Invariant: 0 <= r <= w <= len(buf).
	r, w int
	// base is the chunk whose storage a view shares; nil for an owner.
	base *Chunk
	// refs counts the chunk itself, while it is in use, and the views on it.
	// Invariant: 0 on the free list, >= 1 elsewhere; always 1 for a view.
	refs int32
	// first is the offset in the region of the chunk's group of mates.
	first uint32
	class class
	// warm: it is on the free list, where prev is the chunk before it. cold: the system
	// has its pages. One chunk of each cold group of mates is on the list of cold
	// chunks.
	warm, cold bool
	// dropped is how many of refs are of chunks that Sweep has yet to give back.
	dropped int32
	prev    *Chunk
	// region is where the storage is; nil if it is on Go's heap.
	region *pages.Region
	// mate is the next one in the ring of chunks that share a page.
	mate *Chunk
}

// Bytes returns the bytes that count. They stay valid until the chunk is
// released or advanced past them.
func (c *Chunk) Bytes() []byte { return c.buf[c.r:c.w] }

// Len is the number of bytes that count.
func (c *Chunk) Len() int { return c.w - c.r }

// Next is the chunk after c in its chain, or nil.
func (c *Chunk) Next() *Chunk { return c.next }

// room is how many bytes can still be appended to c. A view has no room: the storage
// after its end is not its own.
func (c *Chunk) room() int {
	if c.base != nil {
		return 0
	}
	return len(c.buf) - c.w
}

// scrap is the room, in bytes, below which c is not worth a read of its own: an eighth
// of it. A small chunk, or a view, is never worth it.
func (c *Chunk) scrap() int {
	if c.base != nil || c.class == small {
		return MediumSize
	}
	return len(c.buf) / 8
}

// A Pool is the free list of one event loop. The zero value is ready to use.
type Pool struct {
	free  [numClasses]*Chunk
	nfree [numClasses]int
	// cold are unused chunks whose pages the system has, one for each group of mates.
	cold [numClasses]*Chunk
	// slab is the region that new chunks are made of.
	slab slab
	// inUse is how many bytes of storage are in use.
	inUse int
	// less is by how much Keep has lowered freeMax.
	less [numClasses]int
	// live is how many chunks are in use, views included.
	live int
	// dropped are the chunks of long chains that were released and that Sweep has yet
	// to give back. droppedBytes is how many bytes of storage only they use: that of
	// each chunk whose refs are all dropped.
	dropped      Chain
	droppedBytes int
	// dropLater is from how many bytes on Release leaves a chain's chunks to Sweep; 0:
	// never.
	dropLater int
}

// DropLater has the chunks of released chains of n bytes or more given back by Sweep,
// since giving the system a hundred megabytes takes tens of milliseconds. With 0 they
// are given back at once.
func (p *Pool) DropLater(n int) { p.dropLater = n }

// Dropped reports whether there is anything for Sweep to give back.
func (p *Pool) Dropped() bool { return p.dropped.head != nil }

// drop leaves the chunks of a chain to Sweep.
func (p *Pool) drop(c *Chain) {
	for k := c.head; k != nil; k = k.next {
		owner := k.owner()
		owner.dropped++
		p.countDropped(owner, 1)
	}
	if d := &p.dropped; d.tail == nil {
		d.head = c.head
	} else {
		d.tail.next = c.head
	}
	p.dropped.tail = c.tail
	*c = Chain{}
}

// owner is the chunk whose storage c uses.
func (c *Chunk) owner() *Chunk {
	if c.base != nil {
		return c.base
	}
	return c
}

// countDropped counts the storage of an owner n times if only dropped chunks use it.
func (p *Pool) countDropped(c *Chunk, n int) {
	if c.dropped == c.refs {
		p.droppedBytes += n * classSize[c.class]
	}
}

// Sweep gives back dropped chunks of about n bytes of storage, at least one chunk, and
// returns how many bytes it was.
func (p *Pool) Sweep(n int) (swept int) {
	for p.dropped.head != nil && (swept == 0 || swept < n) {
		k := p.dropped.head
		p.dropped.head = k.next
		swept += max(classSize[k.class], SmallSize)
		owner := k.owner()
		p.countDropped(owner, -1)
		owner.dropped--
		p.put(k) // it counts the owner again if dropped chunks still use it
	}
	if p.dropped.head == nil {
		invariant.Check(p.droppedBytes == 0, "mbuf: dropped bytes are counted, and there are none")
		p.dropped.tail = nil
	}
	return swept
}

// InUse returns the bytes of storage handed out and not yet returned.
func (p *Pool) InUse() int { return p.inUse }

// Live returns how many chunks, views included, are handed out and not yet
// returned. It is zero when every chain of the pool is empty.
func (p *Pool) Live() int { return p.live }

// Free returns the bytes of storage that wait on the free list.
func (p *Pool) Free() int {
	n := 0
	for k := range p.nfree {
		n += p.nfree[k] * classSize[k]
	}
	return n
}

// Bound is how many bytes of storage the free lists may keep.
func (p *Pool) Bound() int {
	n := 0
	for k := range view {
		n += p.most(k) * classSize[k]
	}
	return n
}

// Held returns the bytes of storage that are in use, or share a page with storage in
// use. Dropped chunks do not count.
func (p *Pool) Held() int {
	n := p.inUse - p.droppedBytes
	for k := range large {
		n += max(0, p.nfree[k]-p.most(k)) * classSize[k]
	}
	return n
}

// Keep bounds the free lists to n bytes of storage, a third for each size, and gives
// what they have above that back to the system. Without Keep the bound is 80 MB.
func (p *Pool) Keep(n int) {
	for k := range view {
		p.less[k] = max(0, freeMax[k]-n/int(view)/classSize[k])
	}
	p.resettle()
}

// Trim gives all unused storage back to the system.
func (p *Pool) Trim() {
	less := p.less
	p.less = freeMax
	p.resettle()
	p.less = less
}

// get returns an empty chunk with room for at least min(n, LargeSize) bytes.
func (p *Pool) get(n int) *Chunk {
	k := small
	switch {
	case n > MediumSize:
		k = large
	case n > SmallSize:
		k = medium
	}
	return p.take(k)
}

func (p *Pool) take(k class) *Chunk {
	c := p.free[k]
	switch {
	case c != nil:
		p.free[k] = c.next
		p.nfree[k]--
		c.next, c.warm = nil, false
	case k == view:
		c = &Chunk{class: k}
	case p.cold[k] != nil:
		c = p.thaw(k)
	default:
		c = p.carve(k)
	}
	invariant.Check(c.refs == 0, "mbuf: a chunk on the free list is in use")
	c.refs = 1
	p.live++
	p.inUse += classSize[k]
	return c
}

// shareOf returns a view on the n bytes that start at offset off of c's bytes.
func (p *Pool) shareOf(c *Chunk, off, n int) *Chunk {
	base := c.owner()
	v := p.take(view)
	v.buf, v.base = base.buf, base
	v.r, v.w = c.r+off, c.r+off+n
	base.refs++
	return v
}

// put gives c back. Its storage is reused once no view looks at it any more.
func (p *Pool) put(c *Chunk) {
	if c.class == view {
		invariant.Check(c.refs == 1, "mbuf: a view was released twice")
		base := c.base
		c.base, c.buf = nil, nil
		c.refs = 0
		p.recycle(c)
		p.unref(base)
		return
	}
	p.unref(c)
}

func (p *Pool) unref(c *Chunk) {
	invariant.Check(c.refs > 0, "mbuf: a chunk was released twice")
	c.refs--
	if c.refs > 0 {
		p.countDropped(c, 1)
		return
	}
	invariant.Poison(c.buf)
	p.recycle(c)
}

func (p *Pool) recycle(c *Chunk) {
	k := c.class
	c.r, c.w, c.next = 0, 0, nil
	p.live--
	p.inUse -= classSize[k]
	p.settle(c)
}
