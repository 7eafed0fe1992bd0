package pages

import "testing"

func resident(t *testing.T, r *Region, want int) {
	t.Helper()
	if n, err := r.Resident(); n != want || err != nil {
		t.Errorf("%d bytes are resident, %v, want %d", n, err, want)
	}
}

// What is written is resident, what is dropped is not, and is zero.
func TestDrop(t *testing.T) {
	r := Map(8 * Size)
	if r == nil {
		t.Fatal("nothing is mapped")
	}
	resident(t, r, 0)
	for i := range r.Bytes {
		r.Bytes[i] = 1
	}
	resident(t, r, 8*Size)
	r.Drop(2*Size, 3*Size)
	resident(t, r, 5*Size)
	if first, last, kept := r.Bytes[2*Size], r.Bytes[5*Size-1], r.Bytes[5*Size]; first != 0 || last != 0 || kept != 1 {
		t.Errorf("the first and the last byte that were dropped are %d and %d, the one behind %d", first, last, kept)
	}
}

func TestMapTooMuch(t *testing.T) {
	if r := Map(1 << 62); r != nil {
		t.Error("more is mapped than there is")
	}
}

func TestSlice(t *testing.T) {
	r := Map(Size)
	s := Slice[uint64](r)
	if len(s) != 0 || cap(s) != Size/8 {
		t.Fatalf("a slice of %d of %d, want 0 of %d", len(s), cap(s), Size/8)
	}
	s = append(s, 0, 1<<64-1)
	if r.Bytes[7] != 0 || r.Bytes[8] != 0xFF || len(s) != 2 {
		t.Error("the slice lies elsewhere")
	}
	resident(t, r, Size)
}
