package invariant

import "testing"

// panicOf runs f and returns what it panicked with, or nil.
func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestCheck(t *testing.T) {
	if v := panicOf(func() { Check(true, "msg: holds") }); v != nil {
		t.Errorf("Check of a true condition panicked: %v", v)
	}
	got := panicOf(func() { Check(false, "msg: broken") })
	switch {
	case On && got != "invariant: msg: broken":
		t.Errorf("Check of a false condition: panic %v, want %q", got, "invariant: msg: broken")
	case !On && got != nil:
		t.Errorf("Check panicked in a release build: %v", got)
	}
}

func TestPoison(t *testing.T) {
	b := []byte("secret")
	Poison(b[1:4])
	want := "secret"
	if On {
		want = "s\xdb\xdb\xdbet"
	}
	if string(b) != want {
		t.Errorf("Poison(b[1:4]) left %q, want %q", b, want)
	}
	Poison(nil)
}

// TestReleaseCostsNothing holds the promise that a check may stand on the data
// path: neither call allocates, in either build.
func TestReleaseCostsNothing(t *testing.T) {
	b := make([]byte, 64)
	n := 0
	allocs := testing.AllocsPerRun(100, func() {
		n++
		Check(n > 0, "invariant: counter went backwards")
		Poison(b)
	})
	if allocs != 0 {
		t.Errorf("Check and Poison allocated %v times, want 0", allocs)
	}
}
