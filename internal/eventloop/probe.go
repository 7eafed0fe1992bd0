package eventloop

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nuthatch/internal/units"
)

// A Finding is what Probe found out about io_uring.
type Finding struct {
	// Kernel is the kernel's release.
	Kernel string
	// Why says in a sentence why io_uring cannot be used; nil: it can.
	Why error
	// Features are what the kernel has of what the engine needs or profits by. There
	// are none if no ring could be made.
	Features []Feature
}

// A Feature is a capability of io_uring.
type Feature struct {
	Name string
	// Since is the kernel's release that brought it.
	Since string
	// Needed: the engine does not work without it.
	Needed bool
	Found  bool
}

// Usable reports whether a loop can have the engine IOUring.
func (f *Finding) Usable() bool { return f.Why == nil }

// neededKernel is the first release that has all that the engine needs.
const neededKernel = "6.1"

// Probe finds out whether so many loops can have the engine IOUring, by making rings like
// those of the engine and asking the kernel about one of them.
func Probe(loops int) *Finding { return examine(new(kernelProber), loops) }

// WhyNoRing says in a sentence why a loop of so many could not be made with the engine IOUring,
// though made were.
func WhyNoRing(err error, made, loops int) error {
	p := new(kernelProber)
	return explainSetup(p, p.release(), err, made, loops)
}

// A prober asks the kernel.
type prober interface {
	// release is the kernel's release, and read what a file says, without white space
	// at its ends.
	release() string
	read(file string) (string, error)
	// setup makes a ring as a loop does, and returns the bits of its features.
	setup() (features uint32, err error)
	// more makes n more of them, and closes these. It tells how many it made.
	more(n int) (made int, err error)
	// lockable is how many bytes the process may lock in memory.
	lockable() uint64
	// enter asks the ring for completions. opcodes are the operations that it knows.
	enter() error
	opcodes() (known [probedOpcodes]bool, err error)
	// buffers registers a ring of buffers with flags, and takes it back.
	buffers(flags uint16) error
	close()
}

func examine(p prober, loops int) *Finding {
	// A ring of one issuer belongs to the thread that made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := &Finding{Kernel: p.release()}
	bits, err := p.setup()
	if err != nil {
		f.Why = explainSetup(p, f.Kernel, err, 0, loops)
		return f
	}
	defer p.close()
	known, err := p.opcodes()
	if err == nil {
		err = p.enter()
	}
	if err != nil {
		f.Why = explainCall(p, err)
		return f
	}
	rings := p.buffers(0)
	f.Features = []Feature{
		{"rings of one thread, completions when it waits", "6.1", true, true},
		{"completions that are never lost", "5.5", true, bits&ioringFeatNoDrop != 0},
		{"waits that end in time", "5.11", true, bits&ioringFeatExtArg != 0},
		{"poll, send, receive, cancel", "5.6", true, hasAll(&known, ioringOpPollAdd, ioringOpSendmsg, ioringOpSend, ioringOpRecv, ioringOpAsyncCancel)},
		{"sends without a copy", "6.0", false, known[ioringOpSendZC]},
		{"rings of buffers", "5.19", false, rings == nil},
		{"bundles of buffers", "6.10", false, bits&ioringFeatBundle != 0},
		{"buffers used up piece by piece", "6.12", false, rings == nil && p.buffers(ioringPbufIncremental) == nil},
		{"waits with a least time", "6.12", false, bits&ioringFeatMinTimeout != 0},
	}
	for _, x := range f.Features {
		if x.Needed && !x.Found {
			f.Why = fmt.Errorf("the kernel, %s, lacks a part of io_uring that is needed: %s", f.Kernel, x.Name)
			return f
		}
	}
	if made, err := p.more(loops - 1); err != nil {
		f.Why = explainSetup(p, f.Kernel, err, made+1, loops)
	}
	return f
}

func hasAll(known *[probedOpcodes]bool, codes ...uint8) bool {
	for _, c := range codes {
		if !known[c] {
			return false
		}
	}
	return true
}

// explainSetup says why a ring could not be made, of those of so many loops, when made were.
func explainSetup(p prober, release string, err error, made, loops int) error {
	disabled, _ := p.read("/proc/sys/kernel/io_uring_disabled")
	switch {
	case errors.Is(err, unix.EPERM) && disabled == "2":
		return errors.New("the system forbids it to all: kernel.io_uring_disabled is 2")
	case errors.Is(err, unix.EPERM) && disabled == "1" && !filtered(p):
		group, _ := p.read("/proc/sys/kernel/io_uring_group")
		return fmt.Errorf("the system allows it to some: kernel.io_uring_disabled is 1, and the process neither belongs to "+
			"the group of kernel.io_uring_group (%s) nor has the capability SYS_ADMIN", orNone(group))
	case errors.Is(err, unix.EINVAL) && older(release, neededKernel):
		return fmt.Errorf("the kernel is too old: it is %s, and %s is needed", release, neededKernel)
	case errors.Is(err, unix.ENOSYS) && !filtered(p):
		return fmt.Errorf("the kernel, %s, has no io_uring (%w)", release, err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("there is no memory for the rings of %d event loops, only for those of %d (%w): RLIMIT_MEMLOCK, for all "+
			"programs of the user together, is %s, and each ring locks %s", loops, made, err, bytesOrNone(p.lockable()), units.Size(int64(ringBytes)))
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("there are no descriptors for the rings of %d event loops, only for those of %d (%w)", loops, made, err)
	}
	return explainCall(p, err)
}

// explainCall says why a call of io_uring failed.
func explainCall(p prober, err error) error {
	denied := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	switch {
	case (denied || errors.Is(err, unix.ENOSYS)) && filtered(p):
		return fmt.Errorf("a seccomp filter forbids it, as Docker's and containerd's do (%w)", err)
	case denied:
		return fmt.Errorf("a security module of the kernel may forbid it (%w)", err)
	}
	return fmt.Errorf("the kernel refuses it (%w)", err)
}

// filtered reports whether the process has a seccomp filter.
func filtered(p prober) bool {
	status, _ := p.read("/proc/self/status")
	for line := range strings.Lines(status) {
		if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(mode) == "2"
		}
	}
	return false
}

// bytesOrNone is a limit, in words.
func bytesOrNone(limit uint64) string {
	if limit > math.MaxInt64 {
		return "unlimited"
	}
	return units.Size(int64(limit))
}

// orNone is a group as the kernel writes it; -1 is none.
func orNone(s string) string {
	if s == "" || s == "-1" {
		return "none"
	}
	return s
}

// older reports whether the release is older than major.minor. One that it cannot read
// is not.
func older(release, than string) bool {
	major, minor, ok := numbers(release)
	wantMajor, wantMinor, _ := numbers(than)
	return ok && (major < wantMajor || major == wantMajor && minor < wantMinor)
}

// numbers are the first two of a release such as 6.1.0-13-amd64.
func numbers(release string) (major, minor int, ok bool) {
	head, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	major, err := strconv.Atoi(head)
	minor, err2 := strconv.Atoi(rest[:end])
	return major, minor, err == nil && err2 == nil
}

func (*kernelProber) release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func (*kernelProber) read(file string) (string, error) {
	b, err := os.ReadFile(file)
	return strings.TrimSpace(string(b)), err
}
