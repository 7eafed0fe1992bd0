package eventloop

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProbe asks this kernel. What it finds must hold together, whatever it is.
func TestProbe(t *testing.T) {
	found := Probe(2)
	t.Logf("%+v", found)
	if found.Kernel == "" || found.Kernel == "unknown" {
		t.Errorf("the kernel is %q", found.Kernel)
	}
	for _, x := range found.Features {
		if x.Needed && !x.Found && found.Usable() {
			t.Errorf("usable without %q", x.Name)
		}
		if x.Found && found.Usable() && older(found.Kernel, x.Since) {
			t.Errorf("%q is of Linux %s, and found in %s", x.Name, x.Since, found.Kernel)
		}
	}
}

// needed are the features without which there is no ring.
const needed = ioringFeatNoDrop | ioringFeatExtArg

// A fakeKernel answers a probe.
type fakeKernel struct {
	kernel                                     string
	setupErr, enterErr, registerErr, bufferErr error
	features                                   uint32
	lacks                                      []uint8
	noIncremental                              bool
	disabled, group, seccomp                   string
	open, closed                               int
	// rings is for how many rings there is memory, beside the first; 0: for all.
	rings int
}

func (k *fakeKernel) release() string { return k.kernel }

func (k *fakeKernel) read(file string) (string, error) {
	switch file {
	case "/proc/sys/kernel/io_uring_disabled":
		return k.disabled, nil
	case "/proc/sys/kernel/io_uring_group":
		return k.group, nil
	case "/proc/self/status":
		return "Name:\tnuthatch\nSeccomp:\t" + k.seccomp + "\nSeccomp_filters:\t1\n", nil
	}
	return "", unix.ENOENT
}

func (k *fakeKernel) setup() (features uint32, err error) {
	if k.setupErr == nil {
		k.open++
	}
	return k.features, k.setupErr
}

func (k *fakeKernel) more(n int) (made int, err error) {
	if k.rings > 0 && n > k.rings {
		return k.rings, unix.ENOMEM
	}
	return n, nil
}

func (k *fakeKernel) lockable() uint64 { return 256 << 10 }

func (k *fakeKernel) enter() error { return k.enterErr }

func (k *fakeKernel) opcodes() (known [probedOpcodes]bool, err error) {
	for i := range known {
		known[i] = true
	}
	for _, op := range k.lacks {
		known[op] = false
	}
	return known, k.registerErr
}

func (k *fakeKernel) buffers(flags uint16) error {
	if flags == ioringPbufIncremental && k.noIncremental {
		return unix.EINVAL
	}
	return k.bufferErr
}

func (k *fakeKernel) close() { k.closed++ }

// TestProbeSaysWhy: each reason why io_uring cannot be used has its own words.
func TestProbeSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kernel fakeKernel
		want   string // empty: it can be used
	}{
		{"all is there", fakeKernel{kernel: "6.18.44", features: ^uint32(0), seccomp: "2"}, ""},
		{"only what is needed", fakeKernel{kernel: "6.1.0-13-amd64", features: needed, noIncremental: true, lacks: []uint8{ioringOpSendZC}, seccomp: "0"}, ""},
		{"an old kernel", fakeKernel{kernel: "5.15.0-91-generic", setupErr: unix.EINVAL, seccomp: "0"}, "too old: it is 5.15.0-91-generic, and 6.1 is needed"},
		{"none", fakeKernel{kernel: "4.19.0", setupErr: unix.ENOSYS, seccomp: "0"}, "4.19.0, has no io_uring"},
		{"switched off", fakeKernel{kernel: "6.6.0", setupErr: unix.EPERM, disabled: "2", seccomp: "2"}, "kernel.io_uring_disabled is 2"},
		{"for a group", fakeKernel{kernel: "6.6.0", setupErr: unix.EPERM, disabled: "1", group: "998", seccomp: "0"}, "io_uring_group (998)"},
		{"for no group", fakeKernel{kernel: "6.6.0", setupErr: unix.EPERM, disabled: "1", group: "-1", seccomp: "0"}, "io_uring_group (none)"},
		{"a filter", fakeKernel{kernel: "6.6.0", setupErr: unix.EPERM, disabled: "0", seccomp: "2"}, "a seccomp filter forbids it"},
		{"a filter that hides it", fakeKernel{kernel: "6.6.0", setupErr: unix.ENOSYS, disabled: "0", seccomp: "2"}, "a seccomp filter forbids it"},
		{"a filter of one call", fakeKernel{kernel: "6.6.0", enterErr: unix.EPERM, seccomp: "2"}, "a seccomp filter forbids it"},
		{"a filter of another", fakeKernel{kernel: "6.6.0", registerErr: unix.EPERM, seccomp: "2"}, "a seccomp filter forbids it"},
		{"a security module", fakeKernel{kernel: "6.6.0", setupErr: unix.EACCES, disabled: "0", seccomp: "0"}, "a security module of the kernel may forbid it"},
		{"no descriptor", fakeKernel{kernel: "6.6.0", setupErr: unix.EMFILE, seccomp: "0"}, "there are no descriptors for the rings of 4 event loops"},
		{"no memory", fakeKernel{kernel: "6.6.0", setupErr: unix.ENOMEM, seccomp: "0"}, "there is no memory for the rings of 4 event loops, only for those of 0"},
		{"memory for some", fakeKernel{kernel: "6.6.0", features: needed, rings: 2, seccomp: "0"}, "only for those of 3 (cannot allocate memory): RLIMIT_MEMLOCK, for all programs of the user together, is 256 KB, and each ring locks 84 KB"},
		{"memory for all", fakeKernel{kernel: "6.6.0", features: needed, rings: 3, seccomp: "0"}, ""},
		{"flags that a new kernel refuses", fakeKernel{kernel: "6.6.0", setupErr: unix.EINVAL, seccomp: "0"}, "the kernel refuses it"},
		{"no rings of buffers", fakeKernel{kernel: "6.6.0", features: needed, bufferErr: unix.EINVAL, seccomp: "0"}, ""},
		{"an operation less", fakeKernel{kernel: "6.6.0", features: needed, lacks: []uint8{ioringOpRecv}, seccomp: "0"}, "lacks a part of io_uring that is needed: poll, send"},
		{"a feature less", fakeKernel{kernel: "6.6.0", features: ioringFeatNoDrop, seccomp: "0"}, "needed: waits that end in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := examine(&tt.kernel, 4)
			if tt.kernel.open != tt.kernel.closed {
				t.Errorf("%d rings made, %d closed", tt.kernel.open, tt.kernel.closed)
			}
			if found.Usable() != (tt.want == "") {
				t.Fatalf("usable: %v (%v)", found.Usable(), found.Why)
			}
			if found.Why != nil && !strings.Contains(found.Why.Error(), tt.want) {
				t.Errorf("why: %v\nwant %q", found.Why, tt.want)
			}
		})
	}
}

// TestProbeNamesTheCall: a filter or a kernel may refuse one call of three, so the text names it.
func TestProbeNamesTheCall(t *testing.T) {
	ring, err := newRing()
	if err != nil {
		t.Fatal(err)
	}
	fd := ring.fd
	defer func() {
		ring.fd = fd
		ring.close()
	}()
	ring.fd = 1 << 20 // none
	k := &kernelProber{ring: ring}
	if err := k.enter(); !errors.Is(err, unix.EBADF) || !strings.Contains(err.Error(), "io_uring_enter") {
		t.Errorf("enter: %v", err)
	}
	if _, err := k.opcodes(); !errors.Is(err, unix.EBADF) || !strings.Contains(err.Error(), "io_uring_register") {
		t.Errorf("opcodes: %v", err)
	}
}

// TestProbeFindsFeatures: what is there and what is not is told apart.
func TestProbeFindsFeatures(t *testing.T) {
	found := examine(&fakeKernel{kernel: "6.10.1", features: needed | ioringFeatBundle, noIncremental: true, lacks: []uint8{ioringOpSendZC}}, 1)
	got := map[string]bool{}
	for _, x := range found.Features {
		got[x.Name] = x.Found
	}
	for name, want := range map[string]bool{
		"rings of buffers": true, "bundles of buffers": true, "buffers used up piece by piece": false,
		"waits with a least time": false, "sends without a copy": false, "waits that end in time": true,
	} {
		if is, ok := got[name]; !ok || is != want {
			t.Errorf("%s: %v, %v, want %v", name, is, ok, want)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		release, than string
		want          bool
	}{
		{"6.1.0-13-amd64", "6.1", false},
		{"6.0.19", "6.1", true},
		{"5.19", "6.1", true},
		{"6.10", "6.9", false},
		{"10.0", "6.1", false},
		{"6.1-rc3", "6.1", false},
		{"", "6.1", false},
		{"six", "6.1", false},
		{"4.19.0", "6.1", true},
	} {
		if got := older(tt.release, tt.than); got != tt.want {
			t.Errorf("older(%q, %q) is %v", tt.release, tt.than, got)
		}
	}
}
