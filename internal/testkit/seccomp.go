package testkit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// filterEnv names a program: the test binary puts itself under a seccomp profile, and
	// becomes that program. profileEnv names the profile's file.
	filterEnv  = "NUTHATCH_TEST_FILTER"
	profileEnv = "NUTHATCH_TEST_PROFILE"
)

// A seccompProfile is a part of what Docker's have.
type seccompProfile struct {
	DefaultAction string
	Syscalls      []struct {
		Names    []string
		Action   string
		ErrnoRet uint32
	}
}

// filteredCalls are the system calls that a profile may name.
var filteredCalls = map[string]uint32{
	"io_uring_setup":    unix.SYS_IO_URING_SETUP,
	"io_uring_enter":    unix.SYS_IO_URING_ENTER,
	"io_uring_register": unix.SYS_IO_URING_REGISTER,
}

// WithoutIOUring returns the path of a nuthatch to which a seccomp filter forbids io_uring, as
// Docker's does.
func WithoutIOUring(t testing.TB) string {
	t.Helper()
	return UnderSeccomp(t, []byte(`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["io_uring_setup"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}`))
}

// UnderSeccomp returns the path of a nuthatch that runs under a profile in Docker's format. It
// may name the calls of io_uring.
func UnderSeccomp(t testing.TB, profile []byte) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, file := filepath.Join(dir, "nuthatch"), filepath.Join(dir, "profile.json")
	script := fmt.Sprintf("#!/bin/sh\n%s='%s' %s='%s' exec '%s' \"$@\"\n", filterEnv, Binary(t), profileEnv, file, self)
	if err := os.WriteFile(file, profile, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// runFiltered puts the process under the profile, and has it become the program. It returns only
// if that fails.
func runFiltered(program string) error {
	text, err := os.ReadFile(os.Getenv(profileEnv))
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	var profile seccompProfile
	if err := json.Unmarshal(text, &profile); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	filter, err := profile.filter()
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	// The filter is the thread's, and after exec there is no other thread.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	list := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&list)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	for _, name := range []string{filterEnv, profileEnv} {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	if err := syscall.Exec(program, append([]string{program}, os.Args[1:]...), os.Environ()); err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}

// filter is the profile as the kernel takes it: the first rule for a call holds.
func (p *seccompProfile) filter() ([]unix.SockFilter, error) {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the call's number
	for _, rule := range p.Syscalls {
		what, err := verdict(rule.Action, rule.ErrnoRet)
		if err != nil {
			return nil, err
		}
		for _, name := range rule.Names {
			number, ok := filteredCalls[name]
			if !ok {
				return nil, fmt.Errorf("%s is not known here", name)
			}
			filter = append(filter,
				unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
				unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what})
		}
	}
	what, err := verdict(p.DefaultAction, 0)
	return append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what}), err
}

// verdict is what the kernel is told to do with a call.
func verdict(action string, errno uint32) (uint32, error) {
	switch action {
	case "SCMP_ACT_ALLOW":
		return unix.SECCOMP_RET_ALLOW, nil
	case "SCMP_ACT_ERRNO":
		return unix.SECCOMP_RET_ERRNO | errno, nil
	default:
		return 0, fmt.Errorf("the action %q is not known here", action)
	}
}
