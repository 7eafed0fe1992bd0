package daemon

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
)

// TestChooseEngine: what the configuration asks for and what can be used decide, and epoll is
// not probed for.
func TestChooseEngine(t *testing.T) {
	usable := func(int) *eventloop.Finding { return &eventloop.Finding{Kernel: "6.18.0"} }
	forbidden := func(int) *eventloop.Finding {
		return &eventloop.Finding{Kernel: "6.18.0", Why: errors.New("somebody forbids it")}
	}
	never := func(int) *eventloop.Finding {
		t.Error("the kernel was asked")
		return usable(0)
	}
	for _, tt := range []struct {
		name  string
		want  config.Engine
		probe func(int) *eventloop.Finding
		got   eventloop.Engine
		why   string
		fails bool
	}{
		{"epoll", config.EngineEpoll, never, eventloop.Epoll, "the configuration asks for it", false},
		{"io_uring", config.EngineIOUring, usable, eventloop.IOUring, "the configuration asks for it", false},
		{"io_uring, forbidden", config.EngineIOUring, forbidden, 0, "io_uring cannot be used: somebody forbids it", true},
		{"auto", config.EngineAuto, usable, eventloop.Epoll, "io_uring can be used here", false},
		{"auto, forbidden", config.EngineAuto, forbidden, eventloop.Epoll, "io_uring cannot be used: somebody forbids it", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chosen, err := chooseEngine(tt.want, 2, tt.probe)
			why := chosen.why
			if err != nil {
				why = err.Error()
			}
			if tt.fails != (err != nil) || chosen.Engine != tt.got || !strings.Contains(why, tt.why) {
				t.Errorf("%s, %q, %v", chosen.Engine, why, err)
			}
		})
	}
}

// TestUnusableEngine: with io_uring that cannot be used nothing starts, and -t only warns.
func TestUnusableEngine(t *testing.T) {
	conf, err := config.Parse("n.yml", []byte(pool("alpha", "127.0.0.1:1", []string{"127.0.0.1:1:1 one"}, "timeout: 5s")+"nuthatch:\n  engine: io_uring\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Program: "nuthatch", Version: "test", Config: conf, probe: func(int) *eventloop.Finding {
		return &eventloop.Finding{Why: errors.New("somebody forbids it")}
	}}
	const want = "nuthatch.engine: io_uring cannot be used: somebody forbids it"
	if in, err := Start(o); err == nil {
		in.Stop()
		t.Error("it has started")
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("it did not start for %v", err)
	}
	found := Check(o, false)
	for _, f := range found {
		if strings.Contains(f.Err.Error(), want) && f.Doubt && f.NotNow {
			return
		}
	}
	t.Errorf("-t says %v", found)
}

// TestManyRingsAreToldOf: -t says how much the rings of many loops may take of max_memory, and how
// many loops would fit.
func TestManyRingsAreToldOf(t *testing.T) {
	text := pool("alpha", "127.0.0.1:1", []string{"127.0.0.1:1:1 one"}, "timeout: 5s") + "nuthatch:\n  engine: io_uring\n  max_memory: 64mb\n"
	for _, tt := range []struct {
		threads int
		want    string // empty: nothing
	}{
		{64, "the rings of 64 event loops on io_uring may take 42 MB, more than a quarter of max_memory, 64 MB"},
		{24, ""},
	} {
		conf, err := config.Parse("n.yml", []byte(text+"  threads: "+strconv.Itoa(tt.threads)+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		found := checkEngine(checkedStart{Options: Options{Config: conf, probe: func(int) *eventloop.Finding { return new(eventloop.Finding) }}})
		switch {
		case tt.want == "":
			if len(found) != 0 {
				t.Errorf("%d threads: %v", tt.threads, found)
			}
		case len(found) != 1 || !found[0].Doubt || found[0].NotNow ||
			!strings.Contains(found[0].Err.Error(), tt.want) || !strings.Contains(found[0].Err.Error(), "at most 24 threads"):
			t.Errorf("%d threads: %v", tt.threads, found)
		}
	}
}

// TestLoopThatCannotBeMade: a ring that the kernel refuses after the probe is told of as one that it
// refuses before.
func TestLoopThatCannotBeMade(t *testing.T) {
	err := refused(eventloop.WhyNoRing(fmt.Errorf("io_uring: %w", os.NewSyscallError("io_uring_setup", unix.ENOMEM)), 3, 4))
	for _, want := range []string{
		"nuthatch.engine: io_uring cannot be used: ", "the rings of 4 event loops, only for those of 3", "io_uring_setup",
		"RLIMIT_MEMLOCK", "with 'auto' the proxy would run on epoll",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
