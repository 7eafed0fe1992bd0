//go:build !race

// The race detector would see that the test looks at the loops' memory while they run.

package proxy_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
)

// cacheLine is how many bytes a processor fetches at once.
const cacheLine = 64

// TestLoopsShareNoCacheLine: what one loop writes for a request stands in no cache line in
// which another loop has anything, so that the loops do not wait for each other's memory.
// It looks at all that can be reached from each loop's Context, before and after requests.
func TestLoopsShareNoCacheLine(t *testing.T) {
	for _, engine := range []string{"epoll", "io_uring"} {
		t.Run(engine, func(t *testing.T) { loopsShareNoCacheLine(t, engine) })
	}
}

func loopsShareNoCacheLine(t *testing.T, engine string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	request, reply := command("GET", "some:key"), bulk("value")
	go countingServer(l, len(request), reply)
	r := startRig(t, "nuthatch: {threads: 2, engine: "+engine+"}\nalpha:\n  listen: %s\n  redis: true\n  timeout: 50000\n  servers:\n  - "+
		l.Addr().String()+":1 s1\n")
	// Clients are dealt to the loop with the fewest.
	var running sync.WaitGroup
	stop := make(chan struct{})
	for range 6 {
		u := r.dial()
		running.Go(func() {
			if err := talk(u, request, reply, stop); err != nil {
				t.Error(err)
			}
		})
	}
	awaitServed(r, 1000)
	var before [2]*memoryOf
	for i := range before {
		r.on(i, func(ctx *proxy.Context) { before[i] = reachable(ctx) })
	}
	var written [2]map[uintptr]mark
	for i := range before {
		written[i] = map[uintptr]mark{}
		for range 30 { // whatever is under way at the time
			r.on(i, func(*proxy.Context) { before[i].noteWritten(written[i]) })
		}
	}
	close(stop)
	running.Wait()
	for i := range written {
		if len(written[i]) == 0 {
			t.Fatalf("loop %d has written nothing", i)
		}
		t.Logf("loop %d: %d objects, %d cache lines written", i, len(before[i].spans), len(written[i]))
		faults := map[string]bool{}
		other := before[1-i].lines()
		for line, w := range written[i] {
			if has := other[line]; has != "" {
				faults[fmt.Sprintf("a cache line of %s, which loop %d writes, has also %s of the other loop", w, i, has)] = true
			} else if !w.alone(line) && !together[w.object.what] {
				faults[fmt.Sprintf("a cache line of %s, which loop %d writes, may also have what is allocated next to it", w, i)] = true
			}
		}
		for _, f := range slices.Sorted(maps.Keys(faults)) {
			t.Error(f)
		}
	}
}

// together are the objects that are allocated many at a time, all for one loop.
var together = map[string]bool{"mbuf.Chunk": true}

// talk sends requests, a few at a time, until stop is closed.
func talk(u io.ReadWriter, request, reply string, stop <-chan struct{}) error {
	const atOnce = 4
	got := make([]byte, atOnce*len(reply))
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if _, err := io.WriteString(u, strings.Repeat(request, atOnce)); err != nil {
			return err
		}
		if _, err := io.ReadFull(u, got); err != nil {
			return err
		}
	}
}

// awaitServed waits until n requests were served.
func awaitServed(r *rig, n int64) {
	for deadline := time.Now().Add(patience); ; {
		s := r.stat()
		if s.Values[stats.ClientRequests] >= n {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatal("nothing is served")
		}
	}
}

// A span is the memory of one object.
type span struct {
	at   unsafe.Pointer
	size uintptr
	what string
	copy []byte
}

func (s *span) bytes() []byte { return unsafe.Slice((*byte)(s.at), s.size) }

// A memoryOf is the memory of all objects that can be reached from one loop's Context.
type memoryOf struct {
	root  unsafe.Pointer
	seen  map[objectAt]bool
	spans []span
	todo  []place
}

type objectAt struct {
	at unsafe.Pointer
	of reflect.Type
}

// A place is a value that is to be looked at.
type place struct {
	reflect.Value
	what string
}

func reachable(ctx *proxy.Context) *memoryOf {
	m := &memoryOf{root: unsafe.Pointer(ctx), seen: map[objectAt]bool{}}
	m.point(reflect.TypeFor[proxy.Context](), m.root, 1, "Context")
	for len(m.todo) > 0 {
		next := m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		m.look(next)
	}
	m.dropParts()
	for i := range m.spans {
		m.spans[i].copy = bytes.Clone(m.spans[i].bytes())
	}
	return m
}

// point notes n values of a type at an address.
func (m *memoryOf) point(of reflect.Type, at unsafe.Pointer, n int, what string) {
	if at == nil || n == 0 || of.Size() == 0 || of == reflect.TypeFor[proxy.Context]() && at != m.root {
		return
	}
	key := objectAt{at, reflect.ArrayOf(n, of)}
	if m.seen[key] {
		return
	}
	m.seen[key] = true
	m.spans = append(m.spans, span{at: at, size: of.Size() * uintptr(n), what: what})
	m.todo = append(m.todo, place{reflect.NewAt(key.of, at).Elem(), what})
}

// look finds what v, which is addressable, points to.
func (m *memoryOf) look(p place) {
	v := p.Value
	at := unsafe.Pointer(v.UnsafeAddr())
	switch v.Kind() {
	case reflect.Pointer:
		m.point(v.Type().Elem(), v.UnsafePointer(), 1, v.Type().Elem().String())
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		switch in := v.Elem(); in.Kind() {
		case reflect.Pointer:
			m.point(in.Type().Elem(), in.UnsafePointer(), 1, in.Type().Elem().String())
		case reflect.Func, reflect.Map, reflect.Chan, reflect.UnsafePointer:
		default:
			m.point(in.Type(), (*[2]unsafe.Pointer)(at)[1], 1, in.Type().String())
		}
	case reflect.Slice:
		m.point(v.Type().Elem(), v.UnsafePointer(), v.Cap(), p.what+"[]")
	case reflect.Array:
		for i := range v.Len() {
			if !m.inside(v.Index(i), p.what) {
				return
			}
		}
	case reflect.Struct:
		if name := v.Type().String(); strings.HasPrefix(name, "atomic.Pointer[") {
			m.point(v.Type().Field(0).Type.Elem().Elem(), *(*unsafe.Pointer)(at), 1, v.Type().Field(0).Type.Elem().Elem().String())
			return
		}
		for i := range v.NumField() {
			m.inside(v.Field(i), p.what+"."+v.Type().Field(i).Name)
		}
	case reflect.Map:
		for of := v.MapRange(); of.Next(); {
			for _, x := range []reflect.Value{of.Key(), of.Value()} {
				held := reflect.New(x.Type()).Elem()
				held.Set(x)
				m.inside(held, p.what+"[]")
			}
		}
	default: // it points to nothing, or to what nobody writes
	}
}

// inside has a part of a value looked at, unless it points to nothing.
func (m *memoryOf) inside(v reflect.Value, what string) (points bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Struct, reflect.Map:
		m.todo = append(m.todo, place{reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem(), what})
		return true
	default:
		return false
	}
}

// lines are the cache lines of all objects, and what stands there.
func (m *memoryOf) lines() map[uintptr]string {
	all := map[uintptr]string{}
	for i := range m.spans {
		s := &m.spans[i]
		for at := uintptr(s.at) / cacheLine; at <= (uintptr(s.at)+s.size-1)/cacheLine; at++ {
			all[at] = s.what
		}
	}
	return all
}

// dropParts sorts the objects by their addresses, and leaves out those that are parts of others.
func (m *memoryOf) dropParts() {
	slices.SortFunc(m.spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(uintptr(a.at), uintptr(b.at)), cmp.Compare(b.size, a.size))
	})
	end := uintptr(0)
	m.spans = slices.DeleteFunc(m.spans, func(s span) bool {
		part := uintptr(s.at)+s.size <= end
		end = max(end, uintptr(s.at)+s.size)
		return part
	})
}

// A mark is where something was written.
type mark struct {
	object *span
	offset int
}

func (w mark) String() string {
	return fmt.Sprintf("%s (%d bytes) from %d on", w.object.what, w.object.size, w.offset)
}

// noteWritten adds the cache lines that have changed.
func (m *memoryOf) noteWritten(all map[uintptr]mark) {
	for i := range m.spans {
		s := &m.spans[i]
		now := s.bytes()
		for from := 0; from < len(now); {
			line := (uintptr(s.at) + uintptr(from)) / cacheLine
			to := min(int((line+1)*cacheLine-uintptr(s.at)), len(now))
			if !bytes.Equal(now[from:to], s.copy[from:to]) {
				all[line] = mark{s, from}
			}
			from = to
		}
	}
}

// alone reports whether the line is wholly within the block of memory of the object.
func (w mark) alone(line uintptr) bool {
	from, to := w.object.block()
	return line*cacheLine >= from && (line+1)*cacheLine <= to
}

// block is the memory that the allocator has given for the object. Beyond 512 bytes, 8 for
// the allocator itself come before it.
func (s *span) block() (from, to uintptr) {
	from = uintptr(s.at)
	if s.size > 512 && from%16 == 8 {
		from -= 8
	}
	size := uintptr(s.at) + s.size - from
	return from, from + uintptr(cap(append([]byte(nil), make([]byte, size)...)))
}
