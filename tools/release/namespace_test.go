package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const arch = runtime.GOARCH

// leaveTheMachine gives the test a network and mounts of its own, and what it starts from now on
// too: nothing that it does there is seen outside, and all of it ends with the test.
func leaveTheMachine(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		t.Fatalf("this test makes namespaces, as root: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	up := struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: unix.IFF_UP}
	copy(up.name[:], "lo")
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&up))); errno != 0 {
		t.Fatalf("loopback: %v", errno)
	}
}

// mountProc gives a root its own view of the processes.
func mountProc(t *testing.T, root string) {
	t.Helper()
	dir := filepath.Join(root, "proc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", dir, "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// startRedis runs servers at ports of the test's own network.
func startRedis(t *testing.T, ports ...string) {
	t.Helper()
	for _, port := range ports {
		cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	for _, port := range ports {
		await(t, "redis at "+port, func() bool {
			answer, err := ask("127.0.0.1:"+port, "PING\r\n", 7)
			return err == nil && answer == "+PONG\r\n"
		})
	}
}

// ask sends a request on a connection of its own, and reads so many bytes.
func ask(addr, request string, n int) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	answer := make([]byte, n)
	_, err = io.ReadFull(c, answer)
	return string(answer), err
}

// serves fails if keys cannot be written and read through the proxy.
func serves(t *testing.T, addr string) {
	t.Helper()
	for i := range 20 {
		key := fmt.Sprintf("key%02d", i)
		answer, err := ask(addr, "SET "+key+" v\r\nGET "+key+"\r\n", len("+OK\r\n$1\r\nv\r\n"))
		if err != nil || answer != "+OK\r\n$1\r\nv\r\n" {
			t.Fatalf("%s: %q, %v", key, answer, err)
		}
	}
}

// inRoot is a program in another root.
func inRoot(root string, line ...string) *exec.Cmd {
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Path, cmd.Err = line[0], nil
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if !strings.HasPrefix(line[0], "/") {
		cmd.Path = "/usr/bin/" + line[0]
	}
	return cmd
}

// runInRoot runs it, and returns what it says.
func runInRoot(t *testing.T, root string, line ...string) string {
	t.Helper()
	out, err := inRoot(root, line...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(line, " "), err, out)
	}
	return string(out)
}
