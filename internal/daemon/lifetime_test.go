package daemon

import (
	"errors"
	"testing"

	"nuthatch/internal/admin"
)

// TestLifetimeGoesOneWay plays what may be asked of an instance, in every order that
// matters: what is asked later never undoes what was asked before.
func TestLifetimeGoesOneWay(t *testing.T) {
	errGone := errors.New("gone")
	for _, tt := range []struct {
		name     string
		ask      func(l *lifetime) error
		want     error
		ready    bool
		ending   bool
		replaced bool
	}{
		{name: "nothing", ask: func(*lifetime) error { return nil }, ready: true},
		{name: "drain", ask: func(l *lifetime) error { l.drain(); return nil }, ending: true},
		{name: "stop", ask: func(l *lifetime) error { l.stop(); return nil }, ending: true},
		{name: "replace", ask: func(l *lifetime) error { return l.replace(func() error { return nil }) }, ending: true, replaced: true},
		{
			name: "replace that fails", ask: func(l *lifetime) error { return l.replace(func() error { return errGone }) },
			want: errGone, ready: true,
		},
		{
			name: "drain, replace", ask: func(l *lifetime) error { l.drain(); return l.replace(func() error { return nil }) },
			want: admin.ErrEnding, ending: true,
		},
		{
			name: "stop, replace", ask: func(l *lifetime) error { l.stop(); return l.replace(func() error { return nil }) },
			want: admin.ErrEnding, ending: true,
		},
		{name: "drain, stop", ask: func(l *lifetime) error { l.drain(); l.stop(); return nil }, ending: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l lifetime
			l.begin()
			defer l.askEnd()
			if err := tt.ask(&l); !errors.Is(err, tt.want) {
				t.Errorf("the error is %v, want %v", err, tt.want)
			}
			if l.ready() != tt.ready || l.ending() != tt.ending || l.replaced.Load() != tt.replaced {
				t.Errorf("ready %t, ending %t, replaced %t; want %t, %t, %t",
					l.ready(), l.ending(), l.replaced.Load(), tt.ready, tt.ending, tt.replaced)
			}
		})
	}
}

// TestOnlyTheFirstDrains: who replaced this program has it drained already.
func TestOnlyTheFirstDrains(t *testing.T) {
	var l lifetime
	l.begin()
	if !l.drain() {
		t.Error("the first does not drain")
	}
	if l.drain() {
		t.Error("the second drains too")
	}
	var other lifetime
	other.begin()
	defer other.askEnd()
	if err := other.replace(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if other.drain() {
		t.Error("a program that is replaced drains again")
	}
}
