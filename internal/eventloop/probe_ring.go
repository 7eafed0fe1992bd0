package eventloop

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// More numbers of the kernel's linux/io_uring.h, which only the probe needs.
const (
	ioringOpSendZC = 47

	ioringFeatBundle     = 1 << 14
	ioringFeatMinTimeout = 1 << 15

	ioringRegisterProbe     = 8
	ioringRegisterPbufRing  = 22
	ioringUnregisterPbufs   = 23
	ioringPbufIncremental   = 2
	ioringOpcodeIsSupported = 1
	probedOpcodes           = 256
	probedBuffers           = 8
)

// uringProbe is the kernel's io_uring_probe.
type uringProbe struct {
	last, n uint8
	_       uint16
	_       [3]uint32
	ops     [probedOpcodes]struct {
		op    uint8
		_     uint8
		flags uint16
		_     uint32
	}
}

// pbufRing is the kernel's io_uring_buf_reg: a ring of buffers, which the kernel takes from to
// receive into.
type pbufRing struct {
	addr         uint64
	entries      uint32
	group, flags uint16
	_            [3]uint64
}

// kernelProber asks the kernel itself.
type kernelProber struct{ ring *ring }

// setup implements prober.
func (k *kernelProber) setup() (features uint32, err error) {
	if k.ring, err = newRing(); err != nil {
		return 0, err
	}
	if err := k.ring.enable(); err != nil {
		k.ring.close()
		return 0, err
	}
	return k.ring.features, nil
}

// more implements prober.
func (k *kernelProber) more(n int) (made int, err error) {
	rings := make([]*ring, 0, n)
	defer func() {
		for _, r := range rings {
			r.close()
		}
	}()
	for range n {
		r, err := newRing()
		if err != nil {
			return len(rings), err
		}
		rings = append(rings, r)
	}
	return n, nil
}

// lockable implements prober.
func (*kernelProber) lockable() uint64 {
	var r unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_MEMLOCK, &r) // it is a limit of the kernel's
	return r.Cur
}

// enter implements prober.
func (k *kernelProber) enter() error {
	if errno := k.ring.enter(0, 0, true); errno != 0 {
		return os.NewSyscallError("io_uring_enter", errno)
	}
	return nil
}

// opcodes implements prober.
func (k *kernelProber) opcodes() (known [probedOpcodes]bool, err error) {
	var p uringProbe
	if err := k.register(ioringRegisterProbe, unsafe.Pointer(&p), probedOpcodes); err != nil {
		return known, err
	}
	for _, op := range p.ops[:min(int(p.n), len(p.ops))] {
		known[op.op] = op.flags&ioringOpcodeIsSupported != 0
	}
	return known, nil
}

// buffers implements prober.
func (k *kernelProber) buffers(flags uint16) error {
	mem, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(mem) }()
	r := pbufRing{addr: uint64(uintptr(unsafe.Pointer(&mem[0]))), entries: probedBuffers, flags: flags}
	if err := k.register(ioringRegisterPbufRing, unsafe.Pointer(&r), 1); err != nil {
		return err
	}
	return k.register(ioringUnregisterPbufs, unsafe.Pointer(&pbufRing{}), 1)
}

func (k *kernelProber) register(op uintptr, arg unsafe.Pointer, n uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(k.ring.fd), op, uintptr(arg), n, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_register", errno)
	}
	return nil
}

// close implements prober.
func (k *kernelProber) close() { k.ring.close() }
