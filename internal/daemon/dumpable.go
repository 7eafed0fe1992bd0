package daemon

import (
	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
)

// HideMemory hides the process's memory from everybody but root. It must come before the
// configuration is read, which has secrets. If the configuration says so, the memory is shown
// again. A fault is told when the configuration is applied.
func HideMemory() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// applyCoreDumps hides the process's memory from everybody but root, in core dumps and
// while it runs, unless p allows others. The flag does not outlive an exec.
func (c *core) applyCoreDumps(p *config.Process) {
	dumpable := uintptr(0)
	if p.CoreDumps {
		dumpable = 1
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, dumpable, 0, 0, 0); err != nil {
		c.log.Warn("cannot set who may read the process's memory (PR_SET_DUMPABLE)", errAttr(err))
	}
}
