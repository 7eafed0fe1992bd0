package proxy

import (
	"reflect"
	"testing"
	"unsafe"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// What every client and every request takes has bounds: tens of thousands of clients are
// usual, and Go's allocator rounds sizes up to 448 and 480 bytes; of these, 448 is whole cache
// lines. What few of them need
// stands behind a pointer.
func TestSizes(t *testing.T) {
	for _, of := range []struct {
		name       string
		size, most uintptr
	}{
		{"client", unsafe.Sizeof(client{}), 448},
		{"own", unsafe.Sizeof(own{}), 192},
		{"msg.Session", unsafe.Sizeof(msg.Session{}), 56},
		{"msg.Msg", unsafe.Sizeof(msg.Msg{}), 256},
	} {
		if of.size > of.most {
			t.Errorf("a %s has %d bytes, at most %d were wanted", of.name, of.size, of.most)
		}
	}
}

// TestCacheLines: what every request uses of a message is in its first two cache lines, which
// begin with one. What a flush looks at of a connection is in one. The log has all fields.
func TestCacheLines(t *testing.T) {
	const line = 64
	message := reflect.TypeFor[msg.Msg]()
	if message.Size()%line != 0 {
		t.Errorf("messages of %d bytes begin in the middle of cache lines", message.Size())
	}
	half := uintptr(0)
	for f := range message.Fields() {
		switch {
		case f.Name == "Replied": // the first field of the second half
			half = f.Offset
		case half == 0 && f.Offset+f.Type.Size() > 2*line:
			t.Errorf("Msg.%s ends at %d, behind the second cache line", f.Name, f.Offset+f.Type.Size())
		}
	}
	if half != 2*line {
		t.Errorf("the second half of a message begins at %d", half)
	}
	conn := reflect.TypeFor[eventloop.Conn]()
	for _, name := range []string{"loop", "handler", "out", "fd", "state", "dirty", "late", "noRead"} {
		if f, ok := conn.FieldByName(name); !ok || f.Offset+f.Type.Size() > line {
			t.Errorf("Conn.%s ends at %d, behind the first cache line", name, f.Offset+f.Type.Size())
		}
	}
	for _, of := range []reflect.Type{conn, message, reflect.TypeFor[client](), reflect.TypeFor[serverConn](), reflect.TypeFor[stats.Shard]()} {
		logFields(t, of, of.Name(), 0)
	}
}

// logFields logs where the fields are, and those of parts that stand in them.
func logFields(t *testing.T, of reflect.Type, name string, at uintptr) {
	t.Helper()
	for f := range of.Fields() {
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			logFields(t, f.Type, name+"."+f.Name, at+f.Offset)
			continue
		}
		t.Logf("line %d, byte %3d, %2d bytes: %s.%s", (at+f.Offset)/64, at+f.Offset, f.Type.Size(), name, f.Name)
	}
}
