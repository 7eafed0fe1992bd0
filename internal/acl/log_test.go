package acl

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLog: like denials within a minute are one record, which comes first again.
func TestLog(t *testing.T) {
	var l Log
	if l.Records() != nil {
		t.Error("a new log has records")
	}
	e := Entry{Reason: "key", Context: TopLevel, Object: "k", User: "u", Client: "id=1"}
	other := e
	other.Object = "l"
	l.Add(1000, e)
	l.Add(2000, other)
	e.Client = "id=2"
	l.Add(61_000, e)
	r := l.Records()
	if len(r) != 2 || r[0].Count != 2 || r[0].Client != "id=2" || r[0].At != 61_000 || r[0].First != 1000 || r[0].ID != 0 || r[1].Object != "l" || r[1].ID != 1 {
		t.Errorf("%+v", r)
	}
	l.Add(121_001, e)
	if r := l.Records(); len(r) != 3 || r[0].Count != 1 || r[0].ID != 2 {
		t.Errorf("%+v", r)
	}
	l.Reset()
	if len(l.Records()) != 0 {
		t.Error("records are left")
	}
	l.Add(130_000, e)
	if r := l.Records(); len(r) != 1 || r[0].ID != 3 {
		t.Errorf("%+v", r)
	}
}

// TestLogIsBounded: a log keeps the latest records, and not more of a name than is of use.
func TestLogIsBounded(t *testing.T) {
	var l Log
	for i := range 3 * MaxLog {
		l.Add(int64(i), Entry{Reason: "key", Object: fmt.Sprint(i), User: strings.Repeat("u", 1000)})
	}
	r := l.Records()
	if len(r) != MaxLog || r[0].Object != fmt.Sprint(3*MaxLog-1) || len(r[0].User) != maxObject {
		t.Error(len(r), r[0].Object, len(r[0].User))
	}
}

// TestLogOfLoops: denials of several loops are all counted.
func TestLogOfLoops(t *testing.T) {
	var l Log
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for range 100 {
				l.Add(0, Entry{Reason: "command", Object: "get"})
			}
		})
	}
	loops.Wait()
	if r := l.Records(); len(r) != 1 || r[0].Count != 400 {
		t.Error(len(r), r[0].Count)
	}
}

// TestTexts: what is said of a denial, and how passwords are made.
func TestTexts(t *testing.T) {
	for d := DeniedDatabase; d <= DeniedSortGet; d++ {
		v := Verdict{Denial: d}
		if v.Error("get") == "" || v.AtExec() == "" || v.Denial.Reason() == "" || v.DryRun("u", "get", nil) == "OK" {
			t.Error("nothing is said of denial ", d)
		}
	}
	if v := (Verdict{}); v.Error("get") != "" || v.DryRun("u", "get", nil) != "OK" || v.Denial.Reason() != "" {
		t.Error("something is said of no denial")
	}
	for bits, want := range map[int]int{1: 1, 4: 1, 5: 2, 256: 64, 4096: 1024} {
		if p := GeneratePassword(bits); len(p) != want || strings.Trim(p, "0123456789abcdef") != "" {
			t.Errorf("%d bits: %q", bits, p)
		}
	}
	if first, second := GeneratePassword(256), GeneratePassword(256); first == second {
		t.Error("passwords are the same")
	}
	for bits, fault := range map[int64]bool{-1: true, 0: true, 1: false, 4096: false, 4097: true} {
		if (PasswordFault(bits) != "") != fault {
			t.Error(bits)
		}
	}
}

// TestResetAmongDenials: a reset forgets all that was noted before it, whoever else notes
// something meanwhile.
func TestResetAmongDenials(t *testing.T) {
	var l Log
	var noted atomic.Int64
	done := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() {
		for n := int64(1); ; n++ {
			l.Add(n, Entry{Reason: "key", Object: fmt.Sprint(n)})
			noted.Store(n)
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range 20_000 {
		before := noted.Load()
		l.Reset()
		for _, r := range l.Records() {
			if r.At <= before {
				t.Errorf("denial %d is left after a reset, before which there were %d", r.At, before)
			}
		}
	}
	close(done)
	loop.Wait()
}
